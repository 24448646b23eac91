"""The one door of the store: an event that is well comes in once, with a delivery for every handler that takes it."""

import json
from collections.abc import Callable

from evtool.events.envelopes import identify, replayed
from evtool.events.event import Event
from evtool.findings.finding import Finding
from evtool.readers.locations import place
from evtool.routes.routes import Route, Routes
from evtool.store.rows import Cause, NewDelivery, StoreResult
from evtool.store.store import Store

MAX_DEPTH = 10  # how far a chain of events may reach from its root; what goes deeper is taken for a loop
LOOP = f"the chain of events is deeper than {MAX_DEPTH}: this looks like a loop"


def is_same(one: Event, other: Event, *, whenever: bool = False) -> bool:
    """Whether two events mean the same, however they are written; with `whenever`, whatever their time."""
    time = {"time": None} if whenever else {}
    said, again = (json.dumps({**event.document, **time}, sort_keys=True) for event in (one, other))
    return said == again


def accept(
    event: Event, *, store: Store, routes: Routes, now: Callable[[], int], cause: Cause | None = None
) -> StoreResult:
    """Stores an event and its deliveries in one transaction.

    Too deep in a chain, its deliveries are dead letters from the start.
    """
    replay = cause.replay if cause else None
    fires = [(route.name, handler) for route, handler, skipped in takers(event, routes, replay) if not skipped]
    loop = cause is not None and cause.depth > MAX_DEPTH
    planned = [
        NewDelivery(route, handler, LOOP, "Loop") if loop else NewDelivery(route, handler) for route, handler in fires
    ]
    return store.insert(event, planned, now=now(), cause=cause)


def conflict(event: Event, kept: StoreResult, stored: bytes) -> Finding:
    """What there is to say of an event whose key is taken by other content, or by the same in other bytes."""
    same = is_same(identify(stored), event)
    message = (
        f"{'this event' if same else 'an event with this source and id'} is stored"
        f" {'in other bytes, with the same meaning' if same else 'with other content'}:"
        f" sha256 {kept.stored_sha256[:16]}… is stored, {kept.sha256[:16]}… came"
    )
    hint = "nothing was overwritten" + ("" if same else "; give the event an id of its own")
    return Finding("EV010", message, suggestion=hint, event_id=event.id, **place(event.origin, "/id"))


def takers(event: Event, routes: Routes, replay: str | None = None) -> list[tuple[Route, str, bool]]:
    """The route and handler of every delivery of an event, and whether a replay leaves it out.

    In a replay the event is matched as it is delivered: with the replay's name in its envelope.
    """
    raw = event.raw if replay is None else replayed(event.raw, event.document, replay)
    return [
        (route, handler, replay is not None and routes.handlers[handler].options.on_replay == "skip")
        for route in routes.match_checked(raw)
        for handler in dict.fromkeys(route.to)
    ]
