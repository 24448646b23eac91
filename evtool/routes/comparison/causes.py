"""Finds the cause of a lost or gained delivery: the changed condition, handler list, state or bus, and its location."""

from collections import Counter
from collections.abc import Sequence
from itertools import chain
from typing import Any, Literal, NamedTuple

from evtool.findings.phrases import list_some
from evtool.patterns.conditions import Branch
from evtool.patterns.explain.descriptions import describe_condition
from evtool.patterns.explain.event_structure import read_structure
from evtool.patterns.explain.explanation import ConditionResult, explain
from evtool.patterns.flatten import flatten_event
from evtool.routes.comparison.base import RouteTable
from evtool.routes.comparison.branches import describe_fields, fails, find_nearest_branches
from evtool.routes.comparison.comparison import Delivery
from evtool.routes.routes import Route
from evtool.terminal.screen import format_count

# Changes of one route and handler that are explained with the values of their events.
MAX_EXPLAINED = 1_000
# Alternatives that a sentence lists.
MAX_LISTED = 5

Direction = Literal["lost", "gained"]


class Cause(NamedTuple):
    """The cause of a lost or gained delivery. `text` is the same for all its events, `reason` may contain values."""

    text: str
    reason: str
    file: str | None
    line: int | None
    column: int | None

    @property
    def key(self) -> tuple[object, ...]:
        """A value that is equal for changes with the same cause."""
        return self.text, self.file, self.line, self.column


class CauseFinder:
    """Finds causes of changes.

    The first changes of a route and handler are explained with the values of their events, which is slow. For later
    ones only the failing fields are determined. They get the cause of an earlier event in which the same fields fail.
    """

    def __init__(self, current: RouteTable, base: RouteTable):
        self._current, self._base = current, base
        self._explained: Counter[tuple[str, ...]] = Counter()
        # Causes without values of an event, by the fields that fail.
        self._known: dict[tuple[object, ...], Cause] = {}
        # Causes outside the pattern; None if the cause is in the pattern.
        self._route_causes: dict[tuple[str, ...], Cause | None] = {}
        self._counterparts: dict[tuple[str, str], Route | None] = {}

    def find(self, direction: Direction, delivery: Delivery, raw: bytes, bus: str) -> Cause:
        """Returns the cause of one change."""
        route, handler = delivery
        if (direction, route.name) not in self._counterparts:
            self._counterparts[direction, route.name] = self._find_counterpart(direction, route)
        other = self._counterparts[direction, route.name]
        key = (direction, route.name, handler, bus)
        if key not in self._route_causes:
            self._route_causes[key] = self._find_route_cause(direction, delivery, other, bus)
        cause = self._route_causes[key]
        if cause is not None:
            return cause
        assert other is not None
        signature = (key, _list_failing(route, other, raw))
        if self._explained[key] >= MAX_EXPLAINED and signature in self._known:
            return self._known[signature]
        self._explained[key] += 1
        cause = self._find_condition_cause(direction, route, other, raw)
        self._known[signature] = cause._replace(reason=cause.text)
        return cause

    def _find_counterpart(self, direction: Direction, route: Route) -> Route | None:
        """Returns the route in the other version: that of the same name, or the only new one with the same handlers."""
        if direction == "lost":
            own, other = (self._base, self._current)
        else:
            own, other = (self._current, self._base)
        if route.name in other.routes.routes:
            return other.routes.routes[route.name]
        added = [name for name in other.routes.routes if name not in own.routes.routes]
        removed = [name for name in own.routes.routes if name not in other.routes.routes]
        renamed = [other.routes.routes[name] for name in added if set(other.routes.routes[name].to) == set(route.to)]
        rivals = [name for name in removed if set(own.routes.routes[name].to) == set(route.to)]
        if len(renamed) == len(rivals) == 1:
            return renamed[0]
        return None

    # --- causes in the route itself ----------------------------------------------------------------------------------

    def _find_route_cause(
        self, direction: Direction, delivery: Delivery, other: Route | None, bus: str
    ) -> Cause | None:
        """Returns the cause if it is the route itself, its handlers, state or bus; None if it is the pattern."""
        route, handler = delivery
        is_lost = direction == "lost"
        if other is None:
            if is_lost:
                table, text = (self._base, "was removed")
            else:
                table, text = (self._current, "is new")
            return _build_cause(f"route {route.name} {text}", table.locate("routes", route.name, key=True))
        if handler not in other.to:
            if is_lost:
                text = f"route {other.name} no longer goes to {handler}"
                return _build_cause(text, self._locate_current(other, "to"))
            text = f"handler {handler} was added to `to` of route {route.name}"
            return _build_cause(text, self._locate_current(route, "to", route.to.index(handler)))
        if not other.enabled:
            if is_lost:
                return _build_cause(f"route {other.name} is disabled", self._locate_current(other, "state"))
            return _build_cause(f"route {route.name} was disabled before", self._locate_current(route, "state"))
        if other.event_bus not in (None, bus):
            if is_lost:
                current, verb, time = (other, "matches", "now")
            else:
                current, verb, time = (route, "matched", "before")
            text = f'route {current.name} {verb} only events of the bus "{other.event_bus}" {time}'
            location = self._locate_current(current, "event-bus")
            return _build_cause(text, location, f'{text}; the event is on the bus "{bus}"')
        return None

    def _locate_current(self, route: Route, *path: str | int) -> dict[str, Any]:
        """Returns the location of a part of a current route, or of its name if it does not have the part."""
        value = (self._current.project.document.value.get("routes") or {}).get(route.name) or {}
        if path[0] not in value:
            return self._current.locate("routes", route.name, key=True)
        return self._current.locate("routes", route.name, *path)

    # --- causes in the pattern ---------------------------------------------------------------------------------------

    def _find_condition_cause(self, direction: Direction, route: Route, other: Route, raw: bytes) -> Cause:
        """Returns the changed condition of a pattern that matches in one version only."""
        structure = read_structure(raw)
        pair = find_nearest_branches(route.pattern.branches, other.pattern.branches, structure.leaves)
        own_branch, other_branch = route.pattern.branches[pair[0]], other.pattern.branches[pair[1]]
        failed = explain(other.pattern, structure, branch=pair[1], with_changes=False).failures
        if not failed:
            current = route
            if direction == "lost":
                current = other
            location = self._locate_current(current, "pattern")
            return _build_cause(f"the pattern of route {route.name} has changed", location)
        result = _choose_changed(failed, own_branch, other_branch)
        own, expected = _describe_both(own_branch, other_branch, result.path)
        if direction == "lost":
            now, before = (expected, own)
        else:
            now, before = (own, expected)
        text = f"{result.path}: {now or 'no condition'}, before {before or 'no condition'}"
        reason = _describe_change(direction, result, now, before)
        return _build_cause(text, self._locate_condition(direction, (route, own_branch), other, result), reason)

    def _locate_condition(
        self, direction: Direction, own: tuple[Route, Branch], other: Route, result: ConditionResult
    ) -> dict[str, Any]:
        """Returns the location of a condition in the current routes; if it was removed, that of its parent."""
        route, branch = own
        if direction == "lost":
            return self._current.locate("routes", other.name, "pattern", *result.keys)
        steps = list(result.keys)
        for field in branch:
            if field.path == result.path:
                steps = list(field.keys)
                break
        while steps:
            location = self._try_locate(route, steps)
            if location is not None:
                return location
            steps.pop()
        return self._current.locate("routes", route.name, "pattern", key=True)

    def _try_locate(self, route: Route, keys: Sequence[str | int]) -> dict[str, Any] | None:
        """Returns the location of a path of keys if a field of the route lies at the path or below it."""
        all_keys = [field.keys for field in chain.from_iterable(route.pattern.branches)]
        if not any(tuple(keys) == field_keys[: len(keys)] for field_keys in all_keys):
            return None
        is_field = tuple(keys) in all_keys
        return self._current.locate("routes", route.name, "pattern", *keys, key=not is_field)


def _choose_changed(failed: Sequence[ConditionResult], own: Branch, other: Branch) -> ConditionResult:
    """Returns the first failed condition that differs between two branches, else the first failed one."""
    for result in failed:
        if describe_fields(own, result.path) != describe_fields(other, result.path):
            return result
    return failed[0]


def _build_cause(text: str, location: dict[str, Any], reason: str | None = None) -> Cause:
    return Cause(text, reason or text, location["file"], location["line"], location["column"])


def _describe_change(direction: Direction, result: ConditionResult, now: str | None, before: str | None) -> str:
    """Describes the change of a condition, with the values of the event."""
    if direction == "lost":
        origin = "a new condition"
        if before:
            origin = f"before {before}"
        return f"{result.path} no longer matches: {result.reason} (expected {now}, {origin})"
    expected = "the condition was removed"
    if now:
        expected = f"expected {now}"
    return f"{result.path} now matches: {expected}; before {before}, where {result.reason}"


def _describe_both(branch: Branch, other: Branch, path: str) -> tuple[str | None, str | None]:
    """Describes the conditions of two versions of a branch for a path; of long lists only those of one version."""
    own, others = _describe_conditions(branch, path), _describe_conditions(other, path)
    if max(len(own), len(others)) <= MAX_LISTED:
        return ", ".join(own) or None, ", ".join(others) or None
    return _shorten_list(own, others), _shorten_list(others, own)


def _shorten_list(texts: Sequence[str], others: Sequence[str]) -> str | None:
    extra = [text for text in texts if text not in others]
    if not extra:
        if texts:
            return f"{format_count(len(texts), 'alternative')}"
        return None
    rest = len(texts) - len(extra)
    shared = ""
    if rest:
        shared = f" and the {format_count(rest, 'alternative')} of both versions"
    return list_some(extra, MAX_LISTED) + shared


def _describe_conditions(branch: Branch, path: str) -> list[str]:
    texts: list[str] = []
    for field in branch:
        if field.path == path:
            texts += map(describe_condition, field.conditions)
    return list(dict.fromkeys(texts))


def _list_failing(route: Route, other: Route, raw: bytes) -> tuple[bool, ...]:
    """Returns for each field of all branches of two versions of a pattern whether it fails in an event."""
    branches, paths = other.pattern.branches, other.pattern.paths
    # If `route` has only one branch, this branch matches, and none of its fields fails.
    if len(route.pattern.branches) > 1:
        branches, paths = route.pattern.branches + branches, route.pattern.paths | paths
    leaves = flatten_event(raw, paths)
    return tuple(fails(field, leaves) for field in chain.from_iterable(branches))
