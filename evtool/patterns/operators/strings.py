"""`prefix`, `suffix` and `equals-ignore-case`: compare strings, case-sensitively or not."""

from collections.abc import Callable
from typing import Any

from evtool.findings.spelling import did_you_mean
from evtool.patterns.json_values import OBJECT, kind_of
from evtool.patterns.operators.arguments import (
    ONE_KEY,
    ArgumentError,
    StringTest,
    Test,
    require_first_key,
    require_single_key,
    require_string,
    restrict_to_strings,
)

EQUALS_IGNORE_CASE = "equals-ignore-case"
NOT_A_STRING = "equals-ignore-case match pattern must be a string"


def _list_case_forms(text: str) -> list[tuple[str, str]]:
    """What each character of a pattern may be in an event; it is not symmetric, see `ß` and `SS`.

    AWS takes the pattern apart into UTF-16 units, and a half of a pair becomes a question mark.
    """
    return [(char.lower(), char.upper()) if char <= "\uffff" else ("??", "??") for char in text]


def starts_with(text: str) -> StringTest:
    """Begins with the text. AWS compares strings with the quotes around them: `abc"` is a prefix of `abc`."""
    return lambda value: f'{value}"'.startswith(text)


def ends_with(text: str) -> StringTest:
    """Ends with the text, or is the rest of it after a quote."""
    return lambda value: f'"{value}'.endswith(text)


def starts_with_in_any_case(text: str) -> StringTest:
    """Begins with the text, in upper or lower case."""
    if text.isascii():
        lower, length = text.lower(), len(text)
        return lambda value: (start := f'{value}"'[:length]).lower() == lower and start.isascii()
    forms = _list_case_forms(text)
    return lambda value: _find_end(f'{value}"', forms) is not None


def ends_with_in_any_case(text: str) -> StringTest:
    """Ends with the text, in upper or lower case."""
    if text.isascii() and text:
        lower, length = text.lower(), len(text)
        return lambda value: (end := f'"{value}'[-length:]).lower() == lower and end.isascii()
    forms = [(lower[::-1], upper[::-1]) for lower, upper in reversed(_list_case_forms(text))]
    return lambda value: _find_end(f'"{value}'[::-1], forms) is not None


def equals_in_any_case(text: str) -> StringTest:
    """Is the text, in upper or lower case."""
    if text.isascii():
        lower = text.lower()
        return lambda value: value.lower() == lower and value.isascii()
    forms = _list_case_forms(text)
    return lambda value: _find_end(value, forms) == len(value)


def _find_end(value: str, forms: list[tuple[str, str]]) -> int | None:
    """Where the forms end that a value begins with, or None when it does not begin with them."""
    position = 0
    for lower, upper in forms:
        if value.startswith(lower, position):
            position += len(lower)
        elif value.startswith(upper, position):
            position += len(upper)
        else:
            return None
    return position


def _build_affix_operator(
    name: str, build_exact: Callable[[str], StringTest], build_caseless: Callable[[str], StringTest]
) -> Callable[[Any], Test]:
    def operator(argument: Any) -> Test:
        if kind_of(argument) != OBJECT:
            return restrict_to_strings(build_exact(require_string(argument, f"{name} match pattern must be a string")))
        inner_name, text = require_first_key(argument, f"{name.capitalize()} expression name not found")
        if inner_name != EQUALS_IGNORE_CASE:
            hint = did_you_mean(inner_name, [EQUALS_IGNORE_CASE])
            raise ArgumentError(f"Unsupported {name} pattern: {inner_name}", inner_name, hint=hint, code="EV202")
        test = restrict_to_strings(build_caseless(require_string(text, NOT_A_STRING, inner_name)))
        require_single_key(argument, ONE_KEY)
        return test

    return operator


prefix = _build_affix_operator("prefix", starts_with, starts_with_in_any_case)
suffix = _build_affix_operator("suffix", ends_with, ends_with_in_any_case)


def equals_ignore_case(argument: Any) -> Test:
    """`{"equals-ignore-case": "abc"}`."""
    return restrict_to_strings(equals_in_any_case(require_string(argument, NOT_A_STRING)))
