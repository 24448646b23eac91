"""Generates events at the boundaries of patterns, just inside and just outside each condition, without any traffic.

For each branch of each pattern one event matches; for each value near the boundary of one of its conditions another
event has that value and matches in all other fields. The values come from both versions of the routes, so an event
lies on each side of a bound that moved.
"""

import json
import random
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import Any, NamedTuple

from evtool.events.buses import DEFAULT_BUS
from evtool.events.envelopes import ACCOUNT, REGION
from evtool.patterns.compiler import EQUALS
from evtool.patterns.conditions import Branch, Condition, Field
from evtool.patterns.explain.descriptions import split_terms
from evtool.patterns.explain.matching_values import iter_matching_values
from evtool.patterns.json_values import to_python
from evtool.routes.comparison.comparison import list_conditions, pattern_key
from evtool.routes.routes import Route, Routes

# Stands for a field that is left out.
ABSENT = object()
CLOUDEVENTS_FIELDS = ("specversion", "type", "subject", "data", "datacontenttype", "dataschema")
TEXT_FIELDS = ("id", "time", "source", "detail-type", "type", "account", "region", "specversion", "subject", "version")
TIME = "2026-01-01T00:00:00Z"
SEED = 0
# Boundary values in one event at most. With more of them hardly any event matches.
MAX_OVERRIDES = 2
# Combinations that are tried for each event, since many of them are equal.
TRIES_PER_EVENT = 20

# A document without its envelope, and the bus.
Draft = tuple[dict[str, Any], str]


class GeneratedEvent(NamedTuple):
    """A generated event, and the bus of the route that it was generated for."""

    raw: bytes
    bus: str


def generate_boundary_events(tables: Sequence[Routes], count: int) -> Iterator[GeneratedEvent]:
    """Yields at most `count` different events for several versions of the routes, the same ones in each run."""
    seen: set[tuple[str, str]] = set()
    documents = chain(_iter_boundaries(tables), _iter_combinations(tables, TRIES_PER_EVENT * count))
    for number, (document, bus) in enumerate(islice(_iter_unique(documents, seen), count), start=1):
        yield GeneratedEvent(json.dumps(_add_envelope(document, number)).encode(), bus)


def _iter_unique(documents: Iterator[Draft], seen: set[tuple[str, str]]) -> Iterator[Draft]:
    for document, bus in documents:
        key = (json.dumps(document, sort_keys=True), bus)
        if key not in seen and _has_valid_envelope(document):
            seen.add(key)
            yield document, bus


def _iter_boundaries(tables: Sequence[Routes]) -> Iterator[Draft]:
    """Yields the events of all routes in turn, so that a small number of events has some for each route."""
    generators = deque(map(_iter_route_events, _group_versions(tables)))
    while generators:
        generator = generators.popleft()
        for draft in islice(generator, 1):
            yield draft
            generators.append(generator)


def _group_versions(tables: Sequence[Routes]) -> list[list[Route]]:
    """Groups the versions of each route by name. Routes that differ come first, so that few events find a change."""
    versions: dict[str, list[Route]] = {}
    for table in tables:
        for route in table.routes.values():
            versions.setdefault(route.name, []).append(route)
    changed, unchanged = [], []
    for routes in versions.values():
        if len(routes) == len(tables) and _are_equal(routes):
            unchanged.append(routes)
        else:
            changed.append(routes)
    return changed + unchanged


def _are_equal(routes: Sequence[Route]) -> bool:
    return all(pattern_key(route.pattern) == pattern_key(routes[0].pattern) for route in routes)


def _iter_route_events(versions: Sequence[Route]) -> Iterator[Draft]:
    """Yields for each branch an event that matches, and one for each boundary value of each field."""
    all_overrides: list[dict[str, Any]] = [{}]
    for path, pool in _collect_values(versions).items():
        all_overrides += [{path: value} for value in pool]
    for route in versions:
        for branch in route.pattern.branches:
            for overrides in all_overrides:
                document = _build_document(branch, overrides)
                if document is not None:
                    yield document, route.event_bus or DEFAULT_BUS


def _iter_combinations(tables: Sequence[Routes], tries: int) -> Iterator[Draft]:
    """Yields events with several boundary values at once, in a random order that depends on SEED only."""
    generator = random.Random(SEED)  # noqa: S311  (no secret)
    pools = [(versions, _collect_values(versions)) for versions in _group_versions(tables)]
    if not pools:
        return
    for _ in range(tries):
        versions, values = generator.choice(pools)
        route = generator.choice(versions)
        branch = generator.choice(route.pattern.branches)
        paths = generator.sample(list(values), min(MAX_OVERRIDES, len(values)))
        overrides = {path: generator.choice(values[path]) for path in paths}
        document = _build_document(branch, overrides)
        if document is not None:
            yield document, route.event_bus or DEFAULT_BUS


# --- values ----------------------------------------------------------------------------------------------------------


def _collect_values(versions: Sequence[Route]) -> dict[str, list[Any]]:
    """Returns the boundary values of each path in all versions of a route. Paths with changed conditions come first."""
    values: dict[str, list[Any]] = {}
    for route in versions:
        for field in chain.from_iterable(route.pattern.branches):
            pool = values.setdefault(field.path, [])
            for boundary in chain.from_iterable(map(_iter_boundary_values, field.known_conditions)):
                value = boundary
                if boundary is not ABSENT:
                    value = to_python(boundary)
                if not _contains(pool, value):
                    pool.append(value)
    changed = {path: pool for path, pool in values.items() if _has_changed(versions, path)}
    return changed | values


def _contains(pool: Sequence[Any], value: Any) -> bool:
    """Whether a pool has this value with this type: 1, 1.0 and True are different values here."""
    return any(value is other or (type(value) is type(other) and value == other) for other in pool)


def _has_changed(versions: Sequence[Route], path: str) -> bool:
    """Whether the versions of a route have different conditions for a path."""
    return any(list_conditions(route, path) != list_conditions(versions[0], path) for route in versions)


def _iter_boundary_values(condition: Condition) -> Iterator[Any]:
    """Yields values just inside and just outside a condition, and ABSENT."""
    expected = condition.expected
    match condition.operator:
        case "numeric":
            for _, bound in split_terms(expected):
                yield from _iter_near_numbers(float(str(bound)))
        case "anything-but":
            yield from _iter_excluded(expected)
        case "prefix" | "suffix" | "equals-ignore-case" | "wildcard":
            yield from _iter_near_texts(str(_unwrap(expected)))
        case _ if condition.operator == EQUALS:
            value = to_python(expected)
            if isinstance(value, str):
                yield from _iter_near_texts(value)
            else:
                yield from (f"{value}", 0, None)
        case "cidr" if str(expected).startswith("10."):
            yield "192.0.2.255"
        case "cidr":
            yield "10.255.255.255"
    for match in islice(iter_matching_values(condition), 2):
        yield match.value
    yield ABSENT


def _unwrap(expected: Any) -> Any:
    """The operand of a nested operator, as in `{"prefix": {"equals-ignore-case": "x"}}`."""
    if isinstance(expected, dict):
        return next(iter(expected.values()))
    return expected


def _iter_near_numbers(number: float) -> Iterator[float]:
    exact = number
    if number.is_integer():
        exact = int(number)
    yield from (round(number - 0.01, 6), exact, round(number + 0.01, 6), exact - 1, exact + 1)


def _iter_excluded(expected: Any) -> Iterator[Any]:
    excluded = _unwrap(expected)
    if not isinstance(excluded, list):
        excluded = [excluded]
    for value in excluded:
        yield value
        if isinstance(value, str):
            yield from _iter_near_texts(value)


def _iter_near_texts(text: str) -> Iterator[str]:
    literal = text.replace("*", "x")
    yield from (literal, f"{literal}-x", f"x-{literal}", literal.swapcase(), literal[:-1])


# --- documents -------------------------------------------------------------------------------------------------------


def _build_document(branch: Branch, overrides: dict[str, Any]) -> dict[str, Any] | None:
    """Builds a document in which all fields of a branch match, except the overrides; None if paths contradict."""
    values = {field.path: _choose_value(field) for field in branch} | overrides
    document: dict[str, Any] = {}
    for path in sorted(values):
        if values[path] is not ABSENT and not _set_value(document, path.split("."), values[path]):
            return None
    return document


def _choose_value(field: Field) -> Any:
    if field.can_be_absent:
        return ABSENT
    for match in chain.from_iterable(map(iter_matching_values, field.known_conditions)):
        return to_python(match.value)
    return ABSENT


def _set_value(document: dict[str, Any], names: Sequence[str], value: Any) -> bool:
    parent = document
    for name in names[:-1]:
        child = parent.setdefault(name, {})
        if not isinstance(child, dict):
            return False
        parent = child
    if isinstance(parent.get(names[-1]), dict):
        return False
    parent[names[-1]] = value
    return True


def _has_valid_envelope(document: dict[str, Any]) -> bool:
    """Whether the fields of the envelope have the types that they have in every event."""
    for key in TEXT_FIELDS:
        text = document.get(key, "absent")
        if not isinstance(text, str) or not text:
            return False
    return isinstance(document.get("detail", {}), dict)


def _add_envelope(document: dict[str, Any], number: int) -> dict[str, Any]:
    identifier = f"generated-{number}"
    if "detail-type" not in document and any(name in document for name in CLOUDEVENTS_FIELDS):
        return {"specversion": "1.0", "id": identifier, "type": "generated", "source": "generated"} | document
    envelope: dict[str, Any] = {
        "version": "0",
        "id": identifier,
        "detail-type": "generated",
        "source": "generated",
        "account": ACCOUNT,
        "time": TIME,
        "region": REGION,
        "resources": [],
        "detail": {},
    }
    return envelope | document
