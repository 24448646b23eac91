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

# How many events a chain may have below its root. A deeper chain is treated as a loop.
MAX_DEPTH = 10
# The route and the handler of each delivery, and whether a replay skips it.
Targets = Sequence[tuple[Route, str, bool]]
LOOP_ERROR = f"the chain of events is deeper than {MAX_DEPTH}: this looks like a loop"


def has_same_content(first: Event, second: Event, *, ignore_time: bool = False) -> bool:
    """Whether two events are equal as JSON; with `ignore_time` whatever their times are."""
    return _canonical_text(first, ignore_time=ignore_time) == _canonical_text(second, ignore_time=ignore_time)


def _canonical_text(event: Event, *, ignore_time: bool) -> str:
    document = dict(event.document)
    if ignore_time:
        document["time"] = None
    return json.dumps(document, sort_keys=True)


def is_key_taken(event: Event, store: Store) -> bool:
    """Whether the store has another event with this key. An event that differs only in its time is the same one."""
    stored = store.find_event(event.source, event.id)
    return stored is not None and not has_same_content(parse_event(stored.raw), event, ignore_time=True)


def accept(
    event: Event, *, store: Store, routes: Routes, now: Callable[[], int], cause: Cause | None = None
) -> StoreResult:
    """Stores an event and its deliveries in one transaction.

    If the chain is too deep, the deliveries are dead letters from the start. If a replay skips a delivery, the events
    that the delivery emitted before are delivered again in its place.
    """
    replay = None
    if cause:
        replay = cause.replay
    targets = match_handlers(event, routes, replay)
    deliveries = _list_new_deliveries(targets)
    if cause is not None and cause.depth > MAX_DEPTH:
        deliveries = [delivery._replace(error=LOOP_ERROR, condition="Loop") for delivery in deliveries]
    if not replay or len(deliveries) == len(targets):
        return insert_event(event, deliveries, store=store, now=now(), cause=cause)
    with store.transaction():
        result = insert_event(event, deliveries, store=store, now=now(), cause=cause)
        original = find_original(store, store.get_event(result.seq), replay)
        if original is not None:
            for substitute, its_targets in _list_substitutes(store, routes, original, targets, replay):
                _add_deliveries(substitute, its_targets, store=store, now=now(), replay=replay)
    return result


def _list_new_deliveries(targets: Targets) -> list[NewDelivery]:
    """The deliveries to make for these targets: all that a replay does not skip."""
    return [NewDelivery(route.name, handler) for route, handler, is_skipped in targets if not is_skipped]


def insert_event(
    event: Event, deliveries: Sequence[NewDelivery], *, store: Store, now: int, cause: Cause | None = None
) -> StoreResult:
    """Stores an event once.

    A payload without an envelope gets its time from evtool. The same payload at another time is the same event.
    """
    result = store.insert(event, deliveries, now=now, cause=cause)
    if result.status == "conflict" and not event.has_own_time:
        stored = parse_event(store.get_event(result.seq).raw)
        if has_same_content(stored, event, ignore_time=True):
            return result._replace(status="duplicate")
    return result


def insert_events(entries: Sequence[NewEvent], *, store: Store, now: int) -> list[StoreResult]:
    """Stores many events in one transaction, each as `insert_event` does."""
    results = []
    with store.transaction():
        for result, (event, deliveries) in zip(store.insert_new(entries, now=now), entries, strict=True):
            results.append(result or insert_event(event, deliveries, store=store, now=now))
    return results


def add_replay_deliveries(
    stored: StoredEvent,
    targets: Targets,
    *,
    store: Store,
    routes: Routes,
    now: int,
    replay: str,
) -> None:
    """Makes the deliveries of a stored event in a replay, and those of the events that skipped deliveries emitted."""
    with store.transaction():
        _add_deliveries(stored, targets, store=store, now=now, replay=replay)
        for substitute, its_targets in _list_substitutes(store, routes, stored, targets, replay):
            _add_deliveries(substitute, its_targets, store=store, now=now, replay=replay)


def _add_deliveries(stored: StoredEvent, targets: Targets, *, store: Store, now: int, replay: str) -> None:
    store.add_deliveries(stored.seq, _list_new_deliveries(targets), now=now, replay=replay)


def _list_substitutes(
    store: Store, routes: Routes, stored: StoredEvent, targets: Targets, replay: str
) -> Iterator[tuple[StoredEvent, Targets]]:
    """Yields the stored events that the skipped deliveries of an event emitted, with their targets.

    A target of such an event may be skipped, too. Then the events that it emitted follow.
    """
    skipped_handlers = [handler for _, handler, is_skipped in targets if is_skipped]
    for _, substitute in list_substitutes(store, stored, skipped_handlers):
        its_targets = match_handlers(parse_stored(substitute), routes, replay)
        yield substitute, its_targets
        yield from _list_substitutes(store, routes, substitute, its_targets, replay)


def describe_conflict(event: Event, result: StoreResult, stored_raw: bytes) -> Finding:
    """Returns the finding for an event whose key is taken: by other content, or by the same content in other bytes."""
    problem = "an event with this source and id is stored with other content"
    hint = "nothing was overwritten; give the event its own id, such as --set id=NEW-ID"
    if has_same_content(parse_event(stored_raw), event):
        problem = "this event is stored in other bytes, with the same meaning"
        hint = "nothing was overwritten"
    message = f"{problem}: the stored bytes have sha256 {result.stored_sha256[:16]}…, these {result.sha256[:16]}…"
    return Finding("EV010", message, suggestion=hint, event_id=event.id, **location_of(event.source_map, "/id"))


def parse_stored(stored: StoredEvent) -> Event:
    """Parses a stored event and gives it its bus, which is not a part of its bytes."""
    return parse_event(stored.raw)._replace(bus=stored.bus)


def match_handlers(event: Event, routes: Routes, replay: str | None = None) -> list[tuple[Route, str, bool]]:
    """Returns the route and the handler of every delivery of an event, and whether it is left out.

    An external handler is left out, and in a replay also a handler with `on_replay: skip`. In a replay the event is
    matched as it is delivered: with the name of the replay in its envelope.
    """
    bus = event.bus or DEFAULT_BUS
    if replay is None:
        matching = routes.match_event(event, bus)
    else:
        matching = routes.match_checked(mark_replayed(event.raw, event.document, replay), bus)
    targets = []
    for route in matching:
        # A handler that a route names twice gets one delivery.
        for handler in dict.fromkeys(route.to):
            targets.append((route, handler, _is_left_out(routes.handlers[handler], replay)))
    return targets


def list_external_targets(event: Event, routes: Routes) -> list[tuple[str, str]]:
    """Returns the route and the handler of each delivery that is only shown, because its handler is external."""
    if not routes.has_external_handlers:
        return []
    return [(route.name, handler) for route, handler, is_left_out in match_handlers(event, routes) if is_left_out]


def _is_left_out(handler: HandlerEntry, replay: str | None) -> bool:
    return handler.is_external or (replay is not None and handler.options.on_replay == "skip")
