"""Matching by the type and the source of an event: the answer is that of matching the whole event."""

import json
from itertools import product

import pytest

from evtool.events.envelopes import parse_event
from evtool.events.header import read_key
from evtool.patterns.pattern import Pattern
from evtool.routes.router import MAX_KEYS, MAX_PATTERNS, EnvelopeMatcher
from evtool.routes.routes import Route, Routes

PATTERNS = [
    {"source": ["shop"]},
    {"detail-type": ["order"]},
    {"type": ["order"]},
    {"source": ["shop"], "detail-type": ["order"]},
    {"source": ["shop"], "type": ["order"]},
    {"source": [{"prefix": "sh"}], "detail-type": [{"anything-but": ["paid"]}]},
    {"source": [{"exists": False}]},
    {"source": [{"exists": True}], "detail-type": [{"exists": True}]},
    {"$or": [{"source": ["other"]}, {"detail-type": ["paid"]}]},
    {"source": ["shop"], "$or": [{"detail-type": ["order"]}, {"detail": {"total": [1]}}]},
    {"source": ["shop"], "detail": {"total": [1]}},
    {"detail-type": ["paid"], "detail": {"total": [{"exists": False}]}},
    {"id": ["1"]},
    {"data": {"total": [1]}},
    {"source.x": ["shop"]},
]
SOURCES, TYPES, PAYLOADS = ["shop", "other", "sh"], ["order", "paid"], [{"total": 1}, {"total": 2}, {}]


def build_events() -> list[bytes]:
    """EventBridge events and CloudEvents with each type, source and payload."""
    events = []
    for source, event_type, payload in product(SOURCES, TYPES, PAYLOADS):
        members = {"id": "1", "source": source}
        events.append({**members, "detail-type": event_type, "detail": payload})
        events.append({**members, "specversion": "1.0", "type": event_type, "data": payload})
        events.append({**members, "specversion": "1.0", "type": event_type, "detail-type": "order", "data": payload})
        events.append({**members, "type": "order", "detail-type": event_type, "detail": payload})
    return [json.dumps(event).encode() for event in events]


@pytest.mark.parametrize("patterns", [PATTERNS, *([pattern] for pattern in PATTERNS)], ids=str)
def test_the_same_routes_as_for_the_whole_event(patterns: list[dict[str, object]]) -> None:
    routes = Routes([Route(str(number), Pattern(pattern), ()) for number, pattern in enumerate(patterns)])
    for _ in range(2):  # the second time, the answers are known
        for raw in build_events():
            expected = [route.name for route in routes.match(raw)]
            assert [route.name for route in routes.match_event(parse_event(raw))] == expected, raw


def test_event_buses_count() -> None:
    routes = Routes([Route("a", Pattern({"source": ["shop"]}), (), event_bus="orders")])
    event = parse_event(build_events()[0])
    assert routes.match_event(event) == []
    assert [route.name for route in routes.match_event(event, "orders")] == ["a"]


def test_patterns_with_other_fields_need_the_event() -> None:
    matcher = EnvelopeMatcher([Pattern(pattern).certain for pattern in PATTERNS[:1] + PATTERNS[10:11]])
    assert matcher.find_matches(("detail", "order", "other")) == []
    assert matcher.find_matches(("detail", "order", "shop")) is None


@pytest.mark.parametrize(("patterns", "keys"), [(1, MAX_KEYS), (MAX_PATTERNS + 1, 0)])
def test_memory_is_bounded(patterns: int, keys: int) -> None:
    matcher = EnvelopeMatcher([Pattern({"source": ["shop"]}).certain] * patterns)
    for number in range(MAX_KEYS + 100):
        matches = matcher.find_matches(("detail", f"type {number}", "shop"))
        assert (matches is not None) == (number < keys)


def test_the_key_of_stored_bytes_equals_the_key_of_the_event() -> None:
    for raw in build_events():
        event = parse_event(raw)
        assert read_key(raw) == (event.payload_key, event.type, event.source)
    assert read_key(b'{"source": ["shop"], "detail-type": "order", "detail": {}}') is None
    assert read_key(b'{"source": "shop", "detail": {}}') is None
