"""Finds values for which a condition holds, as close as possible to the value in the event.

The candidates are tested in this order, and those that hold are returned:

    condition             value      candidates
    numeric [">", 200]    188.4      199.99, 200, 200.01: only the last one holds
    prefix "ord-"         "ORD-7"    "ord-7", "ord-"
    equals 300            "300"      300
"""

import json
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any, NamedTuple

from evtool.patterns.conditions import Condition
from evtool.patterns.explain.descriptions import split_terms
from evtool.patterns.json_values import NumberText, Scalar, format_number, to_python, to_scalar
from evtool.patterns.operators.wildcard import tokenize

# The step from a bound of `numeric` to a value that holds. Most numbers with a fraction are amounts of money.
CENT = Decimal("0.01")
# For conditions that hold for nearly all values. An anything-but that excludes every string still holds for a number.
SAMPLE_VALUES = ("another value", 0)


class MatchingValue(NamedTuple):
    """A value for which a condition holds. `is_arbitrary`: nearly every other value would do as well."""

    value: Any
    is_arbitrary: bool = False


def _iter_near_bounds(expected: list[Any], value: Scalar) -> Iterator[int | float]:
    """Yields numbers at, next to and between the bounds of `numeric`, the nearest to a value first."""
    bounds = [Decimal(str(bound)) for _, bound in split_terms(expected)]
    target = bounds[0]
    if isinstance(value, float):
        target = Decimal(repr(value))

    def distance(number: Decimal) -> Decimal:
        return abs(number - target)

    steps = [CENT]
    # Integers are probably counts, and remain integers.
    if all(number == int(number) for number in bounds + [target]):
        steps = [Decimal(1), CENT]
    for step in steps:
        numbers = []
        for bound in bounds:
            numbers += [bound, bound + step, bound - step]
        for number in sorted(numbers, key=distance):
            if number == int(number):
                yield int(number)
            else:
                yield float(number)
    # For bounds that are closer together than a cent, or so large that a cent changes nothing.
    yield float(sum(bounds) / len(bounds))
    for bound in bounds:
        yield int(bound)
        yield int(bound) + 1
        yield int(bound) - 1


def _iter_affixed(condition: Condition, value: Scalar) -> Iterator[str]:
    text = condition.expected
    if isinstance(text, dict):
        text = next(iter(text.values()))
    # A value that differs only in case keeps the rest of its characters.
    if isinstance(value, str) and condition.operator == "prefix" and value.lower().startswith(text.lower()):
        yield text + value[len(text) :]
    if isinstance(value, str) and condition.operator == "suffix" and value.lower().endswith(text.lower()):
        yield value[: len(value) - len(text)] + text
    yield text


def _iter_retyped(value: Scalar) -> Iterator[Any]:
    """Yields a number as a string, and a string as the number or boolean that its text is."""
    if isinstance(value, float | NumberText):
        yield format_number(value)
    if type(value) is str:
        try:
            yield to_python(json.loads(value))
        except (ValueError, RecursionError):
            return


def _iter_candidates(condition: Condition, value: Scalar) -> Iterator[Any]:
    yield from _iter_retyped(value)
    match condition.operator:
        case "numeric":
            yield from _iter_near_bounds(condition.expected, value)
        case "prefix" | "suffix":
            yield from _iter_affixed(condition, value)
        case "wildcard":
            # Each star matches the empty string.
            yield "".join(filter(None, tokenize(condition.expected)))
        case "cidr":
            yield condition.expected.partition("/")[0]
        case _:
            yield condition.expected


def iter_matching_values(condition: Condition, value: Scalar = None) -> Iterator[MatchingValue]:
    """Yields known values for which a condition holds, the nearest to the value of the event first."""
    is_arbitrary = condition.operator in ("anything-but", "exists")
    candidates: Iterable[Any] = SAMPLE_VALUES
    if not is_arbitrary:
        candidates = _iter_candidates(condition, value)
    for candidate in candidates:
        # Each candidate is tested. So a change that evtool suggests always works.
        if not isinstance(candidate, dict | list) and condition.test(to_scalar(candidate)):
            yield MatchingValue(candidate, is_arbitrary)
