"""Finds the stored events that a handler emitted when it was called for an event the first time.

A plan assumes that a handler emits the same again. A replay uses these events in place of what a skipped handler would
emit: in the chain `order -> charge-card (on_replay: skip) -> payment -> warehouse`, the stored payment is delivered to
the warehouse again although no card is charged.
"""

from collections.abc import Collection, Sequence

from evtool.store.rows import Delivery, FiredDelivery, StoredEvent
from evtool.store.sqlite.errors import damage_error
from evtool.store.store import Store


class FirstCalls:
    """The first successful calls that were made for an event, and the events that they emitted.

    The calls of a handler are those of the publication, or of the first replay in which it succeeded.
    """

    def __init__(self, store: Store, event: StoredEvent):
        deliveries = store.list_deliveries(event.seq)
        self.fired = tuple(
            FiredDelivery(delivery.route, delivery.handler, delivery.state)
            for delivery in deliveries
            if delivery.replay == (event.replay or "")
        )
        done = [delivery for delivery in deliveries if delivery.state == "done"]
        first_replays = {delivery.handler: delivery.replay for delivery in reversed(done)}
        self._calls = [delivery for delivery in done if delivery.replay == first_replays[delivery.handler]]
        if self._calls:
            effects = store.list_effects(event.seq)
        else:
            effects = []
        self._effects = [effect for effect in effects if effect.seq > event.seq]  # else the store is damaged

    def list_emitted(self, handler: str, route: str | None = None) -> list[StoredEvent]:
        """The events that a handler emitted; with `route` those of one call, by that route if it was called by it."""
        calls = [call for call in self._calls if call.handler == handler]
        if route is not None:
            calls = [call for call in calls if call.route == route] or calls[:1]
        seqs = {call.seq for call in calls}
        return [effect for effect in self._effects if effect.cause in seqs]


def list_substitutes(store: Store, event: StoredEvent, skipped: Collection[str]) -> list[tuple[str, StoredEvent]]:
    """The stored events that take the place of what skipped handlers would emit for an event, each with its handler."""
    if not skipped:
        return []
    calls = FirstCalls(store, event)
    return [(handler, effect) for handler in dict.fromkeys(skipped) for effect in calls.list_emitted(handler)]


def pair_events(emitted: Sequence[StoredEvent], originals: Sequence[StoredEvent]) -> list[StoredEvent | None]:
    """The original of each event that a repeated call emitted: of the same type and source, in the same order."""
    remaining = {key: iter(group) for key, group in _group_by_kind(originals).items()}
    return [next(remaining.get((event.type, event.source), iter(())), None) for event in emitted]


def _group_by_kind(events: Sequence[StoredEvent]) -> dict[tuple[str, str], list[StoredEvent]]:
    groups: dict[tuple[str, str], list[StoredEvent]] = {}
    for event in events:
        groups.setdefault((event.type, event.source), []).append(event)
    return groups


def get_cause(store: Store, event: StoredEvent) -> tuple[Delivery, StoredEvent]:
    """The delivery that emitted an event, and the event of that delivery."""
    assert event.cause is not None
    delivery = store.get_delivery(event.cause)
    if delivery.event >= event.seq:
        raise damage_error(store.file, f"event number {event.seq}: its cause is event number {delivery.event}")
    return delivery, store.get_event(delivery.event)


def find_original(store: Store, event: StoredEvent, replay: str) -> StoredEvent | None:
    """The event that was emitted the first time where a replay has emitted `event`; None if there is none.

    An event that this replay has not emitted is its own original.
    """
    if event.replay != replay or event.cause is None:
        return event
    delivery, parent = get_cause(store, event)
    parent_original = find_original(store, parent, replay)
    if parent_original is None:
        return None
    emitted = store.list_emitted_events(delivery.seq)
    originals = pair_events(emitted, FirstCalls(store, parent_original).list_emitted(delivery.handler, delivery.route))
    return next(original for repeated, original in zip(emitted, originals, strict=True) if repeated.seq == event.seq)
