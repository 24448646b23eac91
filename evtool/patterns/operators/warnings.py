"""Finds conditions that compile but do what nobody intends, and describes what is wrong with a pattern as a value."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from evtool.patterns.conditions import Condition
from evtool.patterns.hints import find_placeholder
from evtool.patterns.operators.cidr import WIDE_BITS, count_bits


class Problem(NamedTuple):
    """One thing that is wrong with a pattern.

    `code` is one of evtool.findings.finding.CODES, `path` the keys that lead to it, `message` the text that AWS uses,
    and `hint` our addition. With a warning the pattern can be used; `message` is ours then.
    """

    code: str
    path: tuple[str | int, ...]
    message: str
    hint: str | None = None
    is_warning: bool = False


def find_warnings(conditions: Sequence[Condition], keys: tuple[str | int, ...]) -> Iterator[Problem]:
    """What is odd about the conditions of a field. `keys` lead to the field."""
    for index, condition in enumerate(conditions):
        placeholder = find_placeholder(condition.expected)
        if placeholder:
            message = f"{placeholder} is not resolved in a pattern: it matches only this text"
            yield Problem("EV022", (*keys, index), message, "write the value", is_warning=True)
        if condition.operator == "cidr" and not condition.unknown and count_bits(condition.expected) < WIDE_BITS:
            message = f"{condition.expected} also takes addresses of the other family, and numbers by their digits"
            hint = 'use a narrower block, or {"exists": true} for any value'
            yield Problem("EV205", (*keys, index), message, hint, is_warning=True)
    excluded = [_list_excluded(condition) for condition in conditions if condition.operator == "anything-but"]
    if len(excluded) > 1 and all(excluded) and not set.intersection(*excluded):
        message = "one alternative is enough, so that these anything-but together exclude nothing"
        yield Problem("EV205", keys, message, 'write one: {"anything-but": [...]} with all values', is_warning=True)


def warn_of_replacement(path: str, keys: tuple[str | int, ...]) -> Problem:
    """The warning about a condition that a later one for the same field replaces."""
    message = f"a later condition on {path} replaces this one: they are not both tested"
    return Problem("EV205", keys, message, "keep one condition for each field", is_warning=True)


def _list_excluded(condition: Condition) -> set[Any]:
    """The plain values that an anything-but excludes; none if it has an operator or an unknown value."""
    if isinstance(condition.expected, list):
        values = condition.expected
    else:
        values = [condition.expected]
    is_plain = condition.unknown is None and all(isinstance(value, str | int | float) for value in values)
    if is_plain:
        return set(values)
    return set()
