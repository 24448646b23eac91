"""Intake of the store: the deliveries that an event gets, and the problems of events that cannot be stored."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from evtool.delivery.intake import accept, describe_conflict, match_handlers
from evtool.events.envelopes import build_envelope, parse_event
from evtool.events.event import Event
from evtool.handlers.base import HandlerOptions
from evtool.patterns.pattern import Pattern
from evtool.routes.routes import HandlerEntry, Route, Routes
from evtool.store.rows import Cause
from evtool.store.store import Store

ROUTES = Routes(
    [
        Route("all", Pattern({"source": ["s"]}), ("once", "always", "once")),
        Route("again", Pattern({"replay-name": [{"exists": True}]}), ("always",)),
        Route("others", Pattern({"source": ["other"]}), ("always",)),
    ],
    {
        "once": HandlerEntry("once", "python", HandlerOptions(emits=[], on_replay="skip"), Path()),
        "always": HandlerEntry("always", "python", HandlerOptions(emits=[]), Path()),
    },
)


def event(number: int, detail: bytes = b"{}", time: str = "2026-11-23T10:00:00Z") -> Event:
    """An event with a number for an id."""
    return parse_event(build_envelope(detail, type="t", source="s", id=str(number), time=time))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store in which an event has a delivery."""
    with Store(tmp_path / "store.db") as store:
        accept(event(1), store=store, routes=ROUTES, now=lambda: 5)
        yield store


@pytest.mark.parametrize(
    ("replay", "taken"),
    [
        (None, [("all", "once", False), ("all", "always", False)]),
        ("monday", [("all", "once", True), ("all", "always", False), ("again", "always", False)]),
    ],
)
def test_each_matching_route_makes_one_delivery_per_handler(
    replay: str | None, taken: list[tuple[str, str, bool]]
) -> None:
    """In a replay the event has the name of the replay, and handlers with `on_replay: skip` are left out."""
    assert [
        (route.name, handler, skipped) for route, handler, skipped in match_handlers(event(1), ROUTES, replay)
    ] == taken


@pytest.mark.parametrize(
    ("replay", "made"), [(None, ["once", "always"]), ("monday", ["always", "always"])], ids=["published", "replayed"]
)
def test_an_emitted_event_gets_its_deliveries(store: Store, replay: str | None, made: list[str]) -> None:
    """They are due at once; in a replay they have its name, and handlers that it skips get none."""
    kept = accept(event(2), store=store, routes=ROUTES, now=lambda: 9, cause=Cause(1, 1, 10, replay))

    found = store.list_deliveries(kept.seq)
    assert [each.handler for each in found] == made
    assert {(each.state, each.due, each.replay) for each in found} == {("ready", 9, replay or "")}


def test_an_event_too_deep_in_a_chain_is_stored_but_not_delivered(store: Store) -> None:
    """An event more than 10 levels below its root is stored, and its deliveries are dead letters with the reason."""
    kept = accept(event(2), store=store, routes=ROUTES, now=lambda: 9, cause=Cause(1, 1, 11))

    found = store.list_deliveries(kept.seq)
    assert [(each.state, each.due, each.condition, each.attempts) for each in found] == [("dead", None, "Loop", 0)] * 2
    assert {each.error for each in found} == {"the chain of events is deeper than 10: this looks like a loop"}


OTHER = "an event with this source and id is stored with other content"
SAME = "this event is stored in other bytes, with the same meaning"


@pytest.mark.parametrize(
    ("other", "told", "hint"),
    [
        (event(2, b'{"a": 1}'), OTHER, "; give the event its own id, such as --set id=NEW-ID"),
        (
            event(2, b'{"a": {}, "b": 1}', "2026-11-24T10:00:00Z"),
            OTHER,
            "; give the event its own id, such as --set id=NEW-ID",
        ),
        (event(2, b'{"b": 1, "a":{}}'), SAME, ""),
    ],
)
def test_a_conflict_shows_the_hashes_of_both_contents(store: Store, other: Event, told: str, hint: str) -> None:
    """The message has the beginnings of both hashes, and says whether only the bytes differ."""
    there = event(2, b'{"a": {}, "b": 1}')
    accept(there, store=store, routes=ROUTES, now=lambda: 9)
    kept = accept(other, store=store, routes=ROUTES, now=lambda: 9)
    stored, came = (hashlib.sha256(each.raw).hexdigest()[:16] for each in (there, other))
    finding = describe_conflict(other, kept, there.raw)

    assert (kept.status, finding.code, finding.event_id) == ("conflict", "EV010", "2")
    assert finding.message == f"{told}: the stored bytes have sha256 {stored}…, these {came}…"
    assert finding.suggestion == f"nothing was overwritten{hint}"
