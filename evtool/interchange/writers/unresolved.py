"""Replaces unknown values of a rule source by strings, and disables the routes that have them."""

from collections.abc import Mapping
from typing import Any

from evtool.patterns.compiler import PatternError
from evtool.patterns.pattern import Pattern
from evtool.patterns.unknown import Unknown, find_unknown

OR = "$or"


def resolve_route(route: Mapping[str, Any]) -> tuple[dict[str, Any], list[Unknown]]:
    """Returns the route without unknown values, and those that it had.

    A route whose pattern has some is disabled. What else is unknown is left out.
    """
    known: dict[str, Any] = {}
    unknowns: list[Unknown] = []
    for key, value in route.items():
        unknown = find_unknown(value)
        if unknown is None:
            known[key] = value
            continue
        unknowns.append(unknown)
        if key == "pattern":
            known[key] = _resolve_pattern(value)
    if find_unknown(route["pattern"]) is not None:
        known["state"] = "disabled"
    return known, unknowns


def _resolve_pattern(pattern: Any) -> Any:
    unknown = find_unknown(pattern)
    assert unknown is not None
    resolved = _resolve(pattern)
    if isinstance(resolved, dict):
        try:
            Pattern(resolved)
        except PatternError:
            pass
        else:
            return resolved
    return {"source": [unknown.source]}


def _resolve(value: Any) -> Any:
    """Returns a part of a pattern; a condition that has something unknown becomes a string that no event has."""
    if isinstance(value, Unknown):
        return [value.source]
    if isinstance(value, Mapping):
        return {key: _resolve_member(key, items) for key, items in value.items()}
    if isinstance(value, list):
        return [_close_condition(item) for item in value]
    return value


def _resolve_member(key: str, items: Any) -> Any:
    # The items of $or are patterns. Those of any other list are conditions.
    if key == OR and isinstance(items, list):
        return [_resolve(item) for item in items]
    return _resolve(items)


def _close_condition(condition: Any) -> Any:
    unknown = find_unknown(condition)
    if unknown is None:
        return condition
    return unknown.source
