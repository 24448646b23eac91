"""Changes an event that a pattern matches so that it just misses: one field, at the boundary of its condition."""

import copy
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from itertools import chain
from typing import Any

from evtool.patterns.array_consistency import is_consistent
from evtool.patterns.conditions import Branch, Condition, Field
from evtool.patterns.flatten import flatten_event
from evtool.patterns.operators.strings import EQUALS_IGNORE_CASE
from evtool.schemas.algebra.conditions import Steps, split_path

_MISSING = object()  # in the place of a value: the field is removed
_CENT = Decimal("0.01")


def iter_near_misses(
    branch: Branch, event: Mapping[str, Any], field: Field, allowed: Iterable[Any]
) -> Iterator[dict[str, Any]]:
    """Copies of an event in which one field of the branch does not hold any more, and all others still do.

    `allowed` are values that the schema lists for the field.
    """
    others = [other for other in branch if other is not field]
    near = (value for condition in field.conditions for value in _iter_values(condition))
    for value in chain(near, allowed, ["another value", _MISSING]):
        changed = copy.deepcopy(dict(event))
        _replace(changed, split_path(field.path), value)
        leaves = flatten_event(changed)
        match = field.find_match(leaves)
        holds = match.hits or (match.can_be_absent and not match.present)
        if not holds and is_consistent([other.find_match(leaves) for other in others]):
            yield changed


def _iter_values(condition: Condition) -> Iterator[Any]:
    """Values next to those that a condition takes, the nearest first."""
    expected = condition.expected
    match condition.operator:
        case "numeric":
            for bound in (Decimal(str(bound)) for bound in expected[1::2]):
                for change in (0, -_CENT, _CENT, -1, 1):
                    number = bound + change
                    if number == int(number):
                        yield int(number)
                    else:
                        yield float(number)
        case "exists":
            if expected:
                yield _MISSING
            else:
                yield "a value"
        case "anything-but":
            if isinstance(expected, dict):
                excluded = next(iter(expected.values()))
            else:
                excluded = expected
            yield from excluded if isinstance(excluded, list) else [excluded]
        case "cidr":
            yield "198.51.100.1"
            yield "203.0.113.1"
        case _:
            yield from _iter_unequal(expected)


def _iter_unequal(expected: Any) -> Iterator[Any]:
    """Values that nearly equal what a condition names."""
    if isinstance(expected, dict):
        expected = expected.get(EQUALS_IGNORE_CASE, "")
    if isinstance(expected, bool):
        yield not expected
    elif isinstance(expected, int | float):
        yield expected + 1
        yield expected - 1
    elif isinstance(expected, str):
        yield expected.swapcase()
        yield f"{expected}x"
        yield f"x{expected}"
        yield expected[:-1]


def _replace(value: Any, steps: Steps, new: Any) -> None:
    """Puts a value in the place of all that some steps lead to."""
    if isinstance(value, list):
        for element in value:
            _replace(element, steps, new)
    elif isinstance(value, dict):
        name, *rest = steps
        if rest:
            _replace(value.setdefault(name, {}) if new is not _MISSING else value.get(name), tuple(rest), new)
        elif new is _MISSING:
            value.pop(name, None)
        else:
            value[name] = [new] if isinstance(value.get(name), list) else new
