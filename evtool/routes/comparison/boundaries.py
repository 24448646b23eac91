"""Generates events at the boundaries of patterns, just inside and just outside each condition, without any traffic.

For each branch of each pattern one event matches; for each value near the boundary of one of its conditions another
event has that value and matches in all other fields. The values come from both versions of the routes, so an event
lies on each side of a bound that moved.
"""

import json
import random
from collections.abc import Iterator, Sequence
from itertools import chain, islice, zip_longest
from typing import Any, NamedTuple

from evtool.events.buses import DEFAULT_BUS
from evtool.events.envelopes import ACCOUNT, REGION
from evtool.patterns.compiler import EQUALS
from evtool.patterns.conditions import Branch, Condition, Field
from evtool.patterns.explain.matching_values import iter_matching_values
from evtool.patterns.explain.mismatches import split_terms
from evtool.patterns.json_values import to_python
from evtool.routes.comparison.comparison import list_conditions, pattern_key
from evtool.routes.routes import Route, Routes

ABSENT = object()  # in place of a value: the field is left out
CLOUDEVENTS_FIELDS = ("specversion", "type", "subject", "data", "datacontenttype", "dataschema")
TEXT_FIELDS = ("id", "time", "source", "detail-type", "type", "account", "region", "specversion", "subject", "version")
TIME = "2026-01-01T00:00:00Z"
SEED = 0
MAX_OVERRIDES = 2  # boundary values in one event; with more of them hardly any event matches
TRIES_PER_EVENT = 20  # combinations that are tried for each event, since many are equal

Draft = tuple[dict[str, Any], str]  # a document without its envelope, and the bus


class GeneratedEvent(NamedTuple):
    """An event that no system sent, and the bus that its route matches events of."""

    raw: bytes
    bus: str


def generate_boundary_events(tables: Sequence[Routes], count: int) -> Iterator[GeneratedEvent]:
    """At most `count` different events from the patterns of several versions of the routes, always the same."""
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
    """The events of all routes in turn, so that a small number still has some of each."""
    versions = _group_versions(tables)
    for documents in zip_longest(*(_iter_route_events(routes) for routes in versions)):
        yield from (pair for pair in documents if pair is not None)


def _group_versions(tables: Sequence[Routes]) -> list[list[Route]]:
    """The versions of each route, by name; the routes that differ come first, so that few events find a difference."""
    versions: dict[str, list[Route]] = {}
    for table in tables:
        for route in table.routes.values():
            versions.setdefault(route.name, []).append(route)
    return sorted(versions.values(), key=lambda routes: len(routes) == len(tables) and _are_equal(routes))


def _are_equal(routes: Sequence[Route]) -> bool:
    return all(pattern_key(route.pattern) == pattern_key(routes[0].pattern) for route in routes)


def _iter_route_events(versions: Sequence[Route]) -> Iterator[Draft]:
    values = _collect_values(versions)
    for route in versions:
        for branch in route.pattern.branches:
            for overrides in ({}, *({path: value} for path, pool in values.items() for value in pool)):
                document = _build_document(branch, overrides)
                if document is not None:
                    yield document, route.event_bus or DEFAULT_BUS


def _iter_combinations(tables: Sequence[Routes], tries: int) -> Iterator[Draft]:
    """Events with several boundary values at once, in a random order that is always the same."""
    generator = random.Random(SEED)  # noqa: S311  (no secret)
    pools = [(versions, _collect_values(versions)) for versions in _group_versions(tables)]
    for _ in range(tries if pools else 0):
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
    """The boundary values of each field in all versions of a route; those of changed fields come first."""
    values: dict[str, list[Any]] = {}
    for route in versions:
        for field in (field for branch in route.pattern.branches for field in branch):
            pool = values.setdefault(field.path, [])
            for found in chain.from_iterable(map(_iter_boundary_values, field.known_conditions)):
                if found is ABSENT:
                    value = found
                else:
                    value = to_python(found)
                if not any(value is other or (type(value) is type(other) and value == other) for other in pool):
                    pool.append(value)
    return dict(sorted(values.items(), key=lambda item: not _has_changed(versions, item[0])))


def _has_changed(versions: Sequence[Route], path: str) -> bool:
    """Whether the versions of a route have other conditions on a field."""
    return any(list_conditions(route, path) != list_conditions(versions[0], path) for route in versions)


def _iter_boundary_values(condition: Condition) -> Iterator[Any]:
    """Values just inside and just outside a condition, and the absence of a value."""
    expected = condition.expected
    match condition.operator:
        case "numeric":
            for _, bound in split_terms(expected):
                number = float(str(bound))
                exact = int(number) if number == int(number) else number
                yield from (round(number - 0.01, 6), exact, round(number + 0.01, 6), exact - 1, exact + 1)
        case "anything-but":
            yield from _iter_excluded(expected)
        case "prefix" | "suffix" | "equals-ignore-case" | "wildcard":
            text = next(iter(expected.values())) if isinstance(expected, dict) else expected
            yield from _iter_near_texts(str(text))
        case _ if condition.operator == EQUALS:
            value = to_python(expected)
            yield from _iter_near_texts(value) if isinstance(value, str) else (f"{value}", 0, None)
        case "cidr":
            yield "192.0.2.255" if str(expected).startswith("10.") else "10.255.255.255"
    yield from (match.value for match in islice(iter_matching_values(condition), 2))
    yield ABSENT


def _iter_excluded(expected: Any) -> Iterator[Any]:
    if isinstance(expected, dict):
        inner = next(iter(expected.values()))
    else:
        inner = expected
    for value in inner if isinstance(inner, list) else [inner]:
        yield value
        if isinstance(value, str):
            yield from _iter_near_texts(value)


def _iter_near_texts(text: str) -> Iterator[str]:
    literal = text.replace("*", "x")
    yield from (literal, f"{literal}-x", f"x-{literal}", literal.swapcase(), literal[:-1])


# --- documents -------------------------------------------------------------------------------------------------------


def _build_document(branch: Branch, overrides: dict[str, Any]) -> dict[str, Any] | None:
    """A document in which all fields of a branch match, but for the given values; None if fields contradict."""
    values = {field.path: _choose_value(field) for field in branch} | overrides
    document: dict[str, Any] = {}
    for path in sorted(values):
        if values[path] is not ABSENT and not _set_value(document, path.split("."), values[path]):
            return None
    return document


def _choose_value(field: Field) -> Any:
    if field.can_be_absent:
        return ABSENT
    candidates = chain.from_iterable(map(iter_matching_values, field.known_conditions))
    return next((to_python(match.value) for match in candidates), ABSENT)


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
    payloads = [document[key] for key in ("detail",) if key in document]
    texts = [document[key] for key in TEXT_FIELDS if key in document]
    return all(isinstance(text, str) and text for text in texts) and all(isinstance(p, dict) for p in payloads)


def _add_envelope(document: dict[str, Any], number: int) -> dict[str, Any]:
    identifier = f"generated-{number}"
    if "detail-type" not in document and any(name in document for name in CLOUDEVENTS_FIELDS):
        return {"specversion": "1.0", "id": identifier, "type": "generated", "source": "generated", **document}
    envelope = {
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
    return {**envelope, **document}
