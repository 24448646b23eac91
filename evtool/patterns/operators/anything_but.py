"""`anything-but`: every value, of whatever type, but those it names."""

from collections.abc import Callable, Sequence
from typing import Any

from evtool.findings.spelling import did_you_mean
from evtool.patterns.json_values import ARRAY, OBJECT, kind_of
from evtool.patterns.operators.arguments import (
    TOO_MANY,
    OperandError,
    Test,
    Words,
    double,
    first,
    is_number,
    is_string,
    number,
    single,
)
from evtool.patterns.operators.strings import ending, equal_in_any_case, starting
from evtool.patterns.operators.wildcard import words_of

WRONG_VALUE = "Value of anything-but must be an array or single string/number value."
WRONG_ITEM = "Inside anything but list, start|null|boolean is not supported."
MIXED = "Inside anything but list, either all values are number or string, mixed type is not supported"
NO_AFFIX = "prefix/suffix match pattern must be a string"

# inner operator -> how it compares, and AWS' words for what is no string
INNER: dict[str, tuple[Callable[[str], Words], str]] = {
    "equals-ignore-case": (
        equal_in_any_case,
        "Inside anything-but/equals-ignore-case list, number|start|null|boolean is not supported.",
    ),
    "prefix": (starting, NO_AFFIX),
    "suffix": (ending, NO_AFFIX),
    "wildcard": (words_of, "wildcard match pattern must be a string"),
}


def _excluded(value: Any, *path: str) -> Sequence[Any]:
    """What is excluded, always as a list."""
    if kind_of(value) == ARRAY:
        return list(value)
    if is_string(value) or is_number(value):
        return [value]
    raise OperandError(WRONG_VALUE, *path)


def _but_values(argument: Any) -> Test:
    excluded = _excluded(argument)
    texts = frozenset(value for value in excluded if is_string(value))
    doubles = frozenset(
        double(number(value, WRONG_ITEM, index), *([index] if kind_of(argument) == ARRAY else []))
        for index, value in enumerate(excluded)
        if not is_string(value)
    )
    if bool(texts) == bool(doubles):
        raise OperandError(MIXED)
    if doubles:
        return lambda value: type(value) is not float or value not in doubles
    return lambda value: type(value) is not str or value not in texts


def _but_matching(argument: Any) -> Test:
    name, value = first(argument, "Anything-But expression name not found")
    if name not in INNER:
        hint = did_you_mean(name, INNER)
        raise OperandError(f"Unsupported anything-but pattern: {name}", name, hint=hint, code="EV202")
    compare, wrong = INNER[name]
    excluded = _excluded(value, name)
    if not excluded:
        raise OperandError("Empty arrays are not allowed", name)
    words = []
    for index, text in enumerate(excluded):
        path = (name, index) if kind_of(value) == ARRAY else (name,)
        if not is_string(text):
            raise OperandError(wrong, *path)
        if text == "" and wrong == NO_AFFIX:
            raise OperandError("Null prefix/suffix not allowed", *path, hint="it would exclude every string")
        words.append(_compared(compare, text, path))
    single(argument, TOO_MANY)
    return lambda value: type(value) is not str or not any(holds(value) for holds in words)


def _compared(compare: Callable[[str], Words], text: str, path: tuple[str | int, ...]) -> Words:
    try:
        return compare(text)
    except OperandError as error:
        raise OperandError(error.message, *path, *error.path, hint=error.hint, code=error.code) from None


def anything_but(argument: Any) -> Test:
    """`{"anything-but": ["a", "b"]}`, `{"anything-but": 5}`, `{"anything-but": {"prefix": "a"}}`."""
    return _but_matching(argument) if kind_of(argument) == OBJECT else _but_values(argument)
