"""`prefix`, `suffix` and `equals-ignore-case`: compare strings, with or without case.

AWS compares the JSON text of a string, with its quotes, so that a quote in a pattern can match the one that ends the
string: `abc"` is a prefix of `abc`, and `"abc` a suffix.
"""

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
    """Returns the lower-case and upper-case form of each character of a pattern.

    An event may have either form. This is not symmetric: `ß` of a pattern matches `SS`, but `SS` does not match `ß`.
    """
    forms = []
    for char in text:
        if char <= "\uffff":
            forms.append((char.lower(), char.upper()))
        else:
            # AWS splits a pattern into UTF-16 units. Half of a surrogate pair becomes a question mark.
            forms.append(("??", "??"))
    return forms


def starts_with(text: str) -> StringTest:
    """Returns the test whether a string begins with a text."""

    def holds(value: str) -> bool:
        return f'{value}"'.startswith(text)

    return holds


def ends_with(text: str) -> StringTest:
    """Returns the test whether a string ends with a text."""

    def holds(value: str) -> bool:
        return f'"{value}'.endswith(text)

    return holds


def starts_with_in_any_case(text: str) -> StringTest:
    """Returns the test whether a string begins with a text in upper or lower case."""
    if text.isascii():
        lower, length = text.lower(), len(text)

        def begins(value: str) -> bool:
            start = f'{value}"'[:length]
            # The lower case of some other characters is ASCII: of the Kelvin sign, it is "k".
            return start.lower() == lower and start.isascii()

        return begins
    forms = _list_case_forms(text)

    def begins_with_forms(value: str) -> bool:
        return _find_end(f'{value}"', forms) is not None

    return begins_with_forms


def ends_with_in_any_case(text: str) -> StringTest:
    """Returns the test whether a string ends with a text in upper or lower case."""
    if text.isascii() and text:
        lower, length = text.lower(), len(text)

        def ends(value: str) -> bool:
            end = f'"{value}'[-length:]
            return end.lower() == lower and end.isascii()

        return ends
    # Both are compared from the end.
    forms = [(lower[::-1], upper[::-1]) for lower, upper in reversed(_list_case_forms(text))]

    def ends_with_forms(value: str) -> bool:
        return _find_end(f'"{value}'[::-1], forms) is not None

    return ends_with_forms


def equals_in_any_case(text: str) -> StringTest:
    """Returns the test whether a string is a text in upper or lower case."""
    if text.isascii():
        lower = text.lower()

        def is_equal(value: str) -> bool:
            return value.lower() == lower and value.isascii()

        return is_equal
    forms = _list_case_forms(text)

    def has_forms(value: str) -> bool:
        return _find_end(value, forms) == len(value)

    return has_forms


def _find_end(value: str, forms: list[tuple[str, str]]) -> int | None:
    """Returns the index after the forms at the beginning of a value, or None if it does not begin with them."""
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
