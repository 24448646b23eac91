"""Finds a value for which a condition holds, as close as possible to the value in the event."""

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, NamedTuple

from evtool.patterns.conditions import Condition
from evtool.patterns.explain.mismatches import split_terms
from evtool.patterns.json_values import NumberText, Scalar, format_number, to_python, to_scalar
from evtool.patterns.operators.wildcard import tokenize

CENT = Decimal("0.01")
SAMPLE_VALUES = ("another value", 0)  # for what takes nearly everything; what excludes all texts still takes a number


class MatchingValue(NamedTuple):
    """A value for which a condition holds; `is_arbitrary` tells that nearly every other value would do as well."""

    value: Any
    is_arbitrary: bool = False


def _iter_near_bounds(expected: list[Any], value: Scalar) -> Iterator[int | float]:
    """Numbers at and next to the bounds of `numeric`, and between them; the nearest to a value first."""
    bounds = [Decimal(str(bound)) for _, bound in split_terms(expected)]
    if isinstance(value, float):
        target = Decimal(repr(value))
    else:
        target = bounds[0]
    if all(number == int(number) for number in (*bounds, target)):
        steps = [Decimal(1), CENT]
    else:
        steps = [CENT]
    for step in steps:
        numbers = [bound + change for bound in bounds for change in (0, step, -step)]
        for number in sorted(numbers, key=lambda number: abs(number - target)):
            if number == int(number):
                yield int(number)
            else:
                yield float(number)
    yield float(sum(bounds) / len(bounds))
    yield from (int(bound) + change for bound in bounds for change in (0, 1, -1))


def _iter_affixed(condition: Condition, value: Scalar) -> Iterator[str]:
    if isinstance(condition.expected, dict):
        text = next(iter(condition.expected.values()))
    else:
        text = condition.expected
    if isinstance(value, str) and condition.operator == "prefix" and value.lower().startswith(text.lower()):
        yield text + value[len(text) :]
    if isinstance(value, str) and condition.operator == "suffix" and value.lower().endswith(text.lower()):
        yield value[: len(value) - len(text)] + text
    yield text


def _iter_retyped(value: Scalar) -> Iterator[Any]:
    """A number as a text, and a text as the number or boolean that it spells."""
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
            yield "".join(token for token in tokenize(condition.expected) if token is not None)
        case "cidr":
            yield condition.expected.partition("/")[0]
        case _:
            yield condition.expected


def iter_matching_values(condition: Condition, value: Scalar = None) -> Iterator[MatchingValue]:
    """Values for which a condition holds, the nearest to the one that is there first; nothing when none are known."""
    is_arbitrary = condition.operator in ("anything-but", "exists")
    for candidate in SAMPLE_VALUES if is_arbitrary else _iter_candidates(condition, value):
        if not isinstance(candidate, dict | list) and condition.test(to_scalar(candidate)):
            yield MatchingValue(candidate, is_arbitrary)
