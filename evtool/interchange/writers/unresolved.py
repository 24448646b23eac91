"""Replaces unknown values of a rule source by strings, and disables the routes that have them."""

from collections.abc import Mapping
from typing import Any

from evtool.patterns.compiler import PatternError
from evtool.patterns.pattern import Pattern
from evtool.patterns.unknown import Unknown, find_unknown

OR = "$or"


def resolve_route(route: Mapping[str, Any]) -> tuple[dict[str, Any], list[Unknown]]:
    """The route without unknown values, and those that it had.

    A route whose pattern has some is disabled. What else is unknown is left out.
    """
    unknowns = [unknown for value in route.values() if (unknown := find_unknown(value))]
    known = {key: value for key, value in route.items() if key == "pattern" or find_unknown(value) is None}
    if find_unknown(route["pattern"]) is not None:
        known = {**known, "pattern": _resolve_pattern(route["pattern"]), "state": "disabled"}
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
    """A part of a pattern; a condition that has something unknown becomes a string that no event has."""
    if isinstance(value, Unknown):
        return [value.source]
    if isinstance(value, Mapping):
        return {
            key: [_resolve(item) for item in items] if key == OR and isinstance(items, list) else _resolve(items)
            for key, items in value.items()
        }
    if isinstance(value, list):
        return [unknown.source if (unknown := find_unknown(item)) else item for item in value]
    return value
