"""Witnesses: values for which a condition holds, as near as can be to the value that is there."""

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, NamedTuple

from evtool.patterns.conditions import Condition
from evtool.patterns.explain.mismatches import terms
from evtool.patterns.json_values import Digits, Scalar, plain, scalar, text_of
from evtool.patterns.operators.wildcard import tokens_of

CENT = Decimal("0.01")
ANY = ("another value", 0)  # for what takes nearly everything; what excludes all texts still takes a number


class Witness(NamedTuple):
    """A value for which a condition holds; `free` tells that nearly every other value would do as well."""

    value: Any
    free: bool = False


def _near(expected: list[Any], value: Scalar) -> Iterator[int | float]:
    """Numbers at and next to the bounds of `numeric`, and between them; the nearest to a value first."""
    bounds = [Decimal(str(bound)) for _, bound in terms(expected)]
    here = Decimal(repr(value)) if isinstance(value, float) else bounds[0]
    steps = [Decimal(1), CENT] if all(number == int(number) for number in (*bounds, here)) else [CENT]
    for step in steps:
        around = [bound + change for bound in bounds for change in (0, step, -step)]
        for number in sorted(around, key=lambda number: abs(number - here)):
            yield int(number) if number == int(number) else float(number)
    yield float(sum(bounds) / len(bounds))


def _affixed(condition: Condition, value: Scalar) -> Iterator[str]:
    text = next(iter(condition.expected.values())) if isinstance(condition.expected, dict) else condition.expected
    if isinstance(value, str) and condition.operator == "prefix" and value.lower().startswith(text.lower()):
        yield text + value[len(text) :]
    if isinstance(value, str) and condition.operator == "suffix" and value.lower().endswith(text.lower()):
        yield value[: len(value) - len(text)] + text
    yield text


def _retyped(value: Scalar) -> Iterator[Any]:
    """A number as a text, and a text as the number or boolean that it spells."""
    if isinstance(value, float | Digits):
        yield text_of(value)
    if type(value) is str:
        try:
            yield plain(json.loads(value))
        except (ValueError, RecursionError):
            return


def _candidates(condition: Condition, value: Scalar) -> Iterator[Any]:
    yield from _retyped(value)
    match condition.operator:
        case "numeric":
            yield from _near(condition.expected, value)
        case "prefix" | "suffix":
            yield from _affixed(condition, value)
        case "wildcard":
            yield "".join(token for token in tokens_of(condition.expected) if token is not None)
        case "cidr":
            yield condition.expected.partition("/")[0]
        case _:
            yield condition.expected


def witness(condition: Condition, value: Scalar = None) -> Witness | None:
    """A value for which a condition holds, near to the one that is there; None when there is none or none is known."""
    if condition.operator in ("anything-but", "exists"):
        return next((Witness(each, free=True) for each in ANY if condition.test(scalar(each))), None)
    found = (each for each in _candidates(condition, value) if not isinstance(each, dict | list))
    return next((Witness(each) for each in found if condition.test(scalar(each))), None)
