"""Accepts events into the store: each event once, with one delivery for every handler whose route matches."""

import json
from collections.abc import Callable, Iterator, Sequence

from evtool.delivery.replays.effects import find_original, list_substitutes
from evtool.events.buses import DEFAULT_BUS
from evtool.events.envelopes import mark_replayed, parse_event
from evtool.events.event import Event
from evtool.findings.finding import Finding
from evtool.readers.locations import location_of
from evtool.routes.routes import HandlerEntry, Route, Routes
from evtool.store.rows import Cause, NewDelivery, NewEvent, StoredEvent, StoreResult
from evtool.store.store import Store

MAX_DEPTH = 10  # how far a chain of events may reach from its root; what goes deeper is taken for a loop
Targets = Sequence[tuple[Route, str, bool]]  # the route and handler of each delivery, and whether a replay skips it
LOOP_ERROR = f"the chain of events is deeper than {MAX_DEPTH}: this looks like a loop"


def has_same_content(first: Event, second: Event, *, ignore_time: bool = False) -> bool:
    """Whether two events mean the same, however they are written; with `ignore_time`, whatever their time."""
    if ignore_time:
        overrides = {"time": None}
    else:
        overrides = {}
    first_text, second_text = (json.dumps({**event.document, **overrides}, sort_keys=True) for event in (first, second))
    return first_text == second_text


def is_key_taken(event: Event, store: Store) -> bool:
    """Whether another event has the key of an event. One that differs only in its time is the same event."""
    stored = store.find_event(event.source, event.id)
    return stored is not None and not has_same_content(parse_event(stored.raw), event, ignore_time=True)


def accept(
    event: Event, *, store: Store, routes: Routes, now: Callable[[], int], cause: Cause | None = None
) -> StoreResult:
    """Stores an event and its deliveries in one transaction.

    Too deep in a chain, its deliveries are dead letters from the start. What a replay skips, its stored events replace.
    """
    replay = cause.replay if cause else None
    targets = match_handlers(event, routes, replay)
    is_loop = cause is not None and cause.depth > MAX_DEPTH
    loop_error = (LOOP_ERROR, "Loop") if is_loop else ()
    deliveries = [NewDelivery(route.name, handler, *loop_error) for route, handler, skipped in targets if not skipped]
    if not replay or len(deliveries) == len(targets):
        return insert_event(event, deliveries, store=store, now=now(), cause=cause)
    with store.transaction():
        result = insert_event(event, deliveries, store=store, now=now(), cause=cause)
        original = find_original(store, store.get_event(result.seq), replay)
        if original is not None:
            for substitute, its_targets in _list_substitutes(store, routes, original, targets, replay):
                _add_deliveries(substitute, its_targets, store=store, now=now(), replay=replay)
    return result


def insert_event(
    event: Event, deliveries: Sequence[NewDelivery], *, store: Store, now: int, cause: Cause | None = None
) -> StoreResult:
    """Stores an event once. A payload that comes again is the same event, though it comes at another time."""
    result = store.insert(event, deliveries, now=now, cause=cause)
    if result.status == "conflict" and not event.has_own_time:
        stored = parse_event(store.get_event(result.seq).raw)
        if has_same_content(stored, event, ignore_time=True):
            return result._replace(status="duplicate")
    return result


def insert_events(entries: Sequence[NewEvent], *, store: Store, now: int) -> list[StoreResult]:
    """Stores many events in one transaction, each as `insert_event` does."""
    with store.transaction():
        return [
            result or insert_event(event, deliveries, store=store, now=now)
            for result, (event, deliveries) in zip(store.insert_new(entries, now=now), entries, strict=True)
        ]


def add_replay_deliveries(
    stored: StoredEvent,
    targets: Targets,
    *,
    store: Store,
    routes: Routes,
    now: int,
    replay: str,
) -> None:
    """Makes the deliveries of a stored event in a replay, and those of the stored events of what the replay skips."""
    with store.transaction():
        _add_deliveries(stored, targets, store=store, now=now, replay=replay)
        for substitute, its_targets in _list_substitutes(store, routes, stored, targets, replay):
            _add_deliveries(substitute, its_targets, store=store, now=now, replay=replay)


def _add_deliveries(stored: StoredEvent, targets: Targets, *, store: Store, now: int, replay: str) -> None:
    deliveries = [NewDelivery(route.name, handler) for route, handler, skipped in targets if not skipped]
    store.add_deliveries(stored.seq, deliveries, now=now, replay=replay)


def _list_substitutes(
    store: Store, routes: Routes, stored: StoredEvent, targets: Targets, replay: str
) -> Iterator[tuple[StoredEvent, Targets]]:
    """The stored events of the deliveries that a replay skips, and of those that it skips for them, with targets."""
    for _, substitute in list_substitutes(store, stored, [handler for _, handler, skipped in targets if skipped]):
        its_targets = match_handlers(parse_stored(substitute), routes, replay)
        yield substitute, its_targets
        yield from _list_substitutes(store, routes, substitute, its_targets, replay)


def describe_conflict(event: Event, result: StoreResult, stored_raw: bytes) -> Finding:
    """What there is to say of an event whose key is taken by other content, or by the same in other bytes."""
    is_same_content = has_same_content(parse_event(stored_raw), event)
    message = (
        f"{'this event' if is_same_content else 'an event with this source and id'} is stored"
        f" {'in other bytes, with the same meaning' if is_same_content else 'with other content'}:"
        f" sha256 {result.stored_sha256[:16]}… is stored, {result.sha256[:16]}… came"
    )
    hint = "nothing was overwritten" + (
        "" if is_same_content else "; give the event an id of its own, such as --set id=NEW-ID"
    )
    return Finding("EV010", message, suggestion=hint, event_id=event.id, **location_of(event.source_map, "/id"))


def parse_stored(stored: StoredEvent) -> Event:
    """A stored event as it is routed: with its bus."""
    return parse_event(stored.raw)._replace(bus=stored.bus)


def match_handlers(event: Event, routes: Routes, replay: str | None = None) -> list[tuple[Route, str, bool]]:
    """The route and handler of every delivery of an event, and whether it is left out: by a replay, or as external.

    In a replay the event is matched as it is delivered: with the replay's name in its envelope.
    """
    if replay is None:
        raw = event.raw
    else:
        raw = mark_replayed(event.raw, event.document, replay)
    return [
        (route, handler, _is_left_out(routes.handlers[handler], replay))
        for route in routes.match_checked(raw, event.bus or DEFAULT_BUS)
        for handler in dict.fromkeys(route.to)
    ]


def list_external_targets(event: Event, routes: Routes) -> list[tuple[str, str]]:
    """The route and the handler of each delivery of an event that is shown, but neither stored nor made."""
    if not routes.has_external_handlers:
        return []
    return [(route.name, handler) for route, handler, is_left_out in match_handlers(event, routes) if is_left_out]


def _is_left_out(handler: HandlerEntry, replay: str | None) -> bool:
    return handler.is_external or (replay is not None and handler.options.on_replay == "skip")
