"""The Problem value for patterns, and warnings about conditions that compile but have an unexpected effect."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from evtool.patterns.conditions import Condition
from evtool.patterns.hints import find_placeholder
from evtool.patterns.operators.cidr import WIDE_BITS, count_bits


class Problem(NamedTuple):
    """One problem of a pattern.

    `code` is one of evtool.findings.codes.CODES. `path` are the keys that lead to the problem. `message` is the message
    of AWS, `hint` an addition of evtool. A pattern with warnings can be used; AWS has no message for them.
    """

    code: str
    path: tuple[str | int, ...]
    message: str
    hint: str | None = None
    is_warning: bool = False


def find_warnings(conditions: Sequence[Condition], keys: tuple[str | int, ...]) -> Iterator[Problem]:
    """Yields the warnings about the conditions of a field. `keys` lead to the field."""
    for index, condition in enumerate(conditions):
        placeholder = find_placeholder(condition.expected)
        if placeholder:
            message = f"{placeholder} is not resolved in a pattern: it matches only this string"
            yield Problem("EV022", keys + (index,), message, "write the value", is_warning=True)
        if condition.operator == "cidr" and not condition.unknown and count_bits(condition.expected) < WIDE_BITS:
            effect = "also matches addresses of the other IP version, and numbers by their digits"
            message = f"{condition.expected} {effect}"
            hint = 'use a narrower block, or {"exists": true} for any value'
            yield Problem("EV205", keys + (index,), message, hint, is_warning=True)
    excluded = [_list_excluded(condition) for condition in conditions if condition.operator == "anything-but"]
    if len(excluded) > 1 and all(excluded) and not set.intersection(*excluded):
        # Each alternative accepts the values that the other one excludes.
        message = "one alternative is enough, so that these anything-but together exclude nothing"
        yield Problem("EV205", keys, message, 'write one: {"anything-but": [...]} with all values', is_warning=True)


def warn_of_replacement(path: str, keys: tuple[str | int, ...]) -> Problem:
    """Returns the warning about a condition that a later one for the same field replaces."""
    message = f"a later condition on {path} replaces this one: only the later one is tested"
    return Problem("EV205", keys, message, "keep one condition for each field", is_warning=True)


def _list_excluded(condition: Condition) -> set[Any]:
    """Returns the plain values that an anything-but excludes; none if it has an operator or an unknown value."""
    values = condition.expected
    if not isinstance(values, list):
        values = [values]
    is_plain = condition.unknown is None and all(isinstance(value, str | int | float) for value in values)
    if is_plain:
        return set(values)
    return set()
