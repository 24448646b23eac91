"""Changes an event that a pattern matches so that the pattern just misses it.

One field gets a value at the boundary of its condition; all other fields still hold. Example: for the pattern
{"detail": {"total": [{"numeric": [">=", 100]}]}} the values 100, 99.99, 100.01, 99 and 101 are tried in this order. The
first one that does not match is 99.99.
"""

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

# Takes the place of a value if the field is removed.
_MISSING = object()
_CENT = Decimal("0.01")


def iter_near_misses(
    branch: Branch, event: Mapping[str, Any], field: Field, allowed: Iterable[Any]
) -> Iterator[dict[str, Any]]:
    """Copies of an event in which one field of the branch does not hold any more, and all others still do.

    `allowed` are values that the schema lists for the field.
    """
    others = [other for other in branch if other is not field]
    near_values = chain.from_iterable(map(_iter_values, field.conditions))
    for value in chain(near_values, allowed, ["another value", _MISSING]):
        changed = copy.deepcopy(dict(event))
        _replace(changed, split_path(field.path), value)
        leaves = flatten_event(changed)
        match = field.find_match(leaves)
        holds = match.hits or (match.can_be_absent and not match.present)
        if not holds and is_consistent([other.find_match(leaves) for other in others]):
            yield changed


def _iter_values(condition: Condition) -> Iterator[Any]:
    """Values next to those for which a condition holds, the nearest first."""
    expected = condition.expected
    match condition.operator:
        case "numeric":
            # The list alternates between comparisons and bounds: [">=", 0, "<", 100].
            for bound in expected[1::2]:
                yield from _iter_numbers(bound)
        case "exists":
            if expected:
                yield _MISSING
            else:
                yield "a value"
        case "anything-but":
            excluded = expected
            if isinstance(expected, dict):
                excluded = next(iter(expected.values()))
            if isinstance(excluded, list):
                yield from excluded
            else:
                yield excluded
        case "cidr":
            # Addresses for documentation (RFC 5737), which no network has.
            yield "198.51.100.1"
            yield "203.0.113.1"
        case _:
            yield from _iter_unequal(expected)


def _iter_numbers(bound: float) -> Iterator[int | float]:
    """A bound, and the numbers around it. Decimals, since 99.99 + 0.01 is not 100 in binary."""
    for change in (0, -_CENT, _CENT, -1, 1):
        number = Decimal(str(bound)) + change
        if number == int(number):
            yield int(number)
        else:
            yield float(number)


def _iter_unequal(expected: Any) -> Iterator[Any]:
    """Values that nearly equal the one that a condition names."""
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
    """Replaces all values that some steps lead to, in every element of the arrays on the way."""
    if isinstance(value, list):
        for element in value:
            _replace(element, steps, new)
    elif isinstance(value, dict):
        name, rest = steps[0], steps[1:]
        if rest and new is _MISSING:
            _replace(value.get(name), rest, new)
        elif rest:
            _replace(value.setdefault(name, {}), rest, new)
        elif new is _MISSING:
            value.pop(name, None)
        elif isinstance(value.get(name), list):
            value[name] = [new]
        else:
            value[name] = new
