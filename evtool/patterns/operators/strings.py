"""`prefix`, `suffix`, `equals-ignore-case`: operators that compare strings, with or without their case."""

from collections.abc import Callable
from typing import Any

from evtool.findings.spelling import did_you_mean
from evtool.patterns.json_values import OBJECT, kind_of
from evtool.patterns.operators.arguments import ONE_KEY, OperandError, Test, Words, first, on_strings, single, string

IN_ANY_CASE = "equals-ignore-case"
NOT_A_STRING = "equals-ignore-case match pattern must be a string"


def _forms(text: str) -> list[tuple[str, str]]:
    """What each character of a pattern may be in an event; it is not symmetric, see `ß` and `SS`.

    AWS takes the pattern apart into UTF-16 units, and a half of a pair becomes a question mark.
    """
    return [(char.lower(), char.upper()) if char <= "\uffff" else ("??", "??") for char in text]


def starting(text: str) -> Words:
    """Begins with the text. AWS compares strings with the quotes around them: `abc"` is a prefix of `abc`."""
    return lambda value: f'{value}"'.startswith(text)


def ending(text: str) -> Words:
    """Ends with the text, or is the rest of it after a quote."""
    return lambda value: f'"{value}'.endswith(text)


def starting_in_any_case(text: str) -> Words:
    """Begins with the text, in upper or lower case."""
    if text.isascii():
        lower, length = text.lower(), len(text)
        return lambda value: (start := f'{value}"'[:length]).lower() == lower and start.isascii()
    forms = _forms(text)
    return lambda value: _end(f'{value}"', forms) is not None


def ending_in_any_case(text: str) -> Words:
    """Ends with the text, in upper or lower case."""
    if text.isascii() and text:
        lower, length = text.lower(), len(text)
        return lambda value: (end := f'"{value}'[-length:]).lower() == lower and end.isascii()
    forms = [(lower[::-1], upper[::-1]) for lower, upper in reversed(_forms(text))]
    return lambda value: _end(f'"{value}'[::-1], forms) is not None


def equal_in_any_case(text: str) -> Words:
    """Is the text, in upper or lower case."""
    if text.isascii():
        lower = text.lower()
        return lambda value: value.lower() == lower and value.isascii()
    forms = _forms(text)
    return lambda value: _end(value, forms) == len(value)


def _end(value: str, forms: list[tuple[str, str]]) -> int | None:
    """Where the forms end that a value begins with, or None when it does not begin with them."""
    at = 0
    for lower, upper in forms:
        if value.startswith(lower, at):
            at += len(lower)
        elif value.startswith(upper, at):
            at += len(upper)
        else:
            return None
    return at


def _affix(name: str, plain: Callable[[str], Words], in_any_case: Callable[[str], Words]) -> Callable[[Any], Test]:
    def operator(argument: Any) -> Test:
        if kind_of(argument) != OBJECT:
            return on_strings(plain(string(argument, f"{name} match pattern must be a string")))
        inner, text = first(argument, f"{name.capitalize()} expression name not found")
        if inner != IN_ANY_CASE:
            hint = did_you_mean(inner, [IN_ANY_CASE])
            raise OperandError(f"Unsupported {name} pattern: {inner}", inner, hint=hint, code="EV202")
        test = on_strings(in_any_case(string(text, NOT_A_STRING, inner)))
        single(argument, ONE_KEY)
        return test

    return operator


prefix = _affix("prefix", starting, starting_in_any_case)
suffix = _affix("suffix", ending, ending_in_any_case)


def equals_ignore_case(argument: Any) -> Test:
    """`{"equals-ignore-case": "abc"}`."""
    return on_strings(equal_in_any_case(string(argument, NOT_A_STRING)))
