"""`anything-but`: matches values of any type, except the listed ones.

The argument is a list, a single value or another operator:

    {"anything-but": ["a", "b"]}             every value except the strings "a" and "b"
    {"anything-but": [5]}                    every value except the number 5
    {"anything-but": {"prefix": "test."}}    every value except strings that begin with "test."
"""

from collections.abc import Callable, Collection, Sequence
from typing import Any

from evtool.findings.spelling import did_you_mean
from evtool.patterns.json_values import ARRAY, OBJECT, Scalar, kind_of
from evtool.patterns.operators.arguments import (
    TOO_MANY,
    ArgumentError,
    StringTest,
    Test,
    is_number,
    is_string,
    require_double,
    require_first_key,
    require_number,
    require_single_key,
)
from evtool.patterns.operators.strings import ends_with, equals_in_any_case, starts_with
from evtool.patterns.operators.wildcard import build_wildcard_test

# The messages are those of AWS.
WRONG_VALUE = "Value of anything-but must be an array or single string/number value."
WRONG_ITEM = "Inside anything but list, start|null|boolean is not supported."
MIXED = "Inside anything but list, either all values are number or string, mixed type is not supported"
NO_AFFIX = "prefix/suffix match pattern must be a string"

# By inner operator: the function that builds its test, and AWS's message for an argument that is not a string.
INNER_OPERATORS: dict[str, tuple[Callable[[str], StringTest], str]] = {
    "equals-ignore-case": (
        equals_in_any_case,
        "Inside anything-but/equals-ignore-case list, number|start|null|boolean is not supported.",
    ),
    "prefix": (starts_with, NO_AFFIX),
    "suffix": (ends_with, NO_AFFIX),
    "wildcard": (build_wildcard_test, "wildcard match pattern must be a string"),
}


def _list_excluded(value: Any, *path: str) -> Sequence[Any]:
    """Returns the excluded values as a list. Raises ArgumentError."""
    if kind_of(value) == ARRAY:
        return list(value)
    if is_string(value) or is_number(value):
        return [value]
    raise ArgumentError(WRONG_VALUE, *path)


def _exclude_values(argument: Any) -> Test:
    excluded = _list_excluded(argument)
    strings: set[str] = set()
    doubles: set[float] = set()
    for index, value in enumerate(excluded):
        if is_string(value):
            strings.add(value)
            continue
        number = require_number(value, WRONG_ITEM, index)
        if kind_of(argument) == ARRAY:
            doubles.add(require_double(number, index))
        else:
            doubles.add(require_double(number))
    # Also for an empty list, on which AWS's engine fails.
    if bool(strings) == bool(doubles):
        raise ArgumentError(MIXED)
    if doubles:
        return _is_none_of(doubles, float)
    return _is_none_of(strings, str)


def _is_none_of(excluded: Collection[Any], excluded_type: type) -> Test:
    values = frozenset(excluded)

    def holds(value: Scalar) -> bool:
        # The type first: true is equal to 1, and a NumberText to a string.
        return type(value) is not excluded_type or value not in values

    return holds


def _exclude_matches(argument: Any) -> Test:
    name, value = require_first_key(argument, "Anything-But expression name not found")
    if name not in INNER_OPERATORS:
        hint = did_you_mean(name, INNER_OPERATORS)
        raise ArgumentError(f"Unsupported anything-but pattern: {name}", name, hint=hint, code="EV202")
    build_test, message = INNER_OPERATORS[name]
    excluded = _list_excluded(value, name)
    if not excluded:
        raise ArgumentError("Empty arrays are not allowed", name)
    tests = []
    for index, text in enumerate(excluded):
        path: tuple[str | int, ...] = (name,)
        if kind_of(value) == ARRAY:
            path = (name, index)
        if not is_string(text):
            raise ArgumentError(message, *path)
        if text == "" and message == NO_AFFIX:
            raise ArgumentError("Null prefix/suffix not allowed", *path, hint="it would exclude every string")
        tests.append(_build_inner_test(build_test, text, path))
    require_single_key(argument, TOO_MANY)

    def holds(value: Scalar) -> bool:
        return type(value) is not str or not any(test(value) for test in tests)

    return holds


def _build_inner_test(build_test: Callable[[str], StringTest], text: str, path: tuple[str | int, ...]) -> StringTest:
    try:
        return build_test(text)
    except ArgumentError as error:
        raise error.below(*path) from None


def anything_but(argument: Any) -> Test:
    """`{"anything-but": ["a", "b"]}`, `{"anything-but": 5}`, `{"anything-but": {"prefix": "a"}}`."""
    if kind_of(argument) == OBJECT:
        return _exclude_matches(argument)
    return _exclude_values(argument)
