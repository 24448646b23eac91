"""Finds the stored events that a handler emitted when it was first called for an event.

A plan assumes that a handler emits the same events again. A replay delivers these events again if it skips the handler.
Example: in the chain `order -> charge-card (on_replay: skip) -> payment -> warehouse`, the stored payment is delivered
to the warehouse again, although no card is charged.
"""

from collections import deque
from collections.abc import Collection, Sequence

from evtool.store.rows import Delivery, FiredDelivery, StoredEvent
from evtool.store.sqlite.errors import damage_error
from evtool.store.store import Store


class FirstCalls:
    """The first successful calls that were made for an event, and the events that they emitted.

    The calls of a handler are those of the publication, or of the first replay in which it succeeded.
    """

    def __init__(self, store: Store, event: StoredEvent):
        self.fired: tuple[FiredDelivery, ...] = ()
        self._calls: list[Delivery] = []
        self._effects: list[StoredEvent] = []
        # The replay of the first successful call, by handler.
        first_replays: dict[str, str] = {}
        for delivery in store.list_deliveries(event.seq):
            if delivery.replay == (event.replay or ""):
                self.fired += (FiredDelivery(delivery.route, delivery.handler, delivery.state),)
            if delivery.state != "done":
                continue
            if first_replays.setdefault(delivery.handler, delivery.replay) == delivery.replay:
                self._calls.append(delivery)
        if self._calls:
            # In a damaged store an effect may have a smaller number than its cause, which would be an endless loop.
            self._effects = [effect for effect in store.list_effects(event.seq) if effect.seq > event.seq]

    def list_emitted(self, handler: str, route: str | None = None) -> list[StoredEvent]:
        """Returns the events that a handler emitted; with `route` those of one call, that of the route if it exists."""
        calls = [call for call in self._calls if call.handler == handler]
        if route is not None:
            calls = [call for call in calls if call.route == route] or calls[:1]
        seqs = {call.seq for call in calls}
        return [effect for effect in self._effects if effect.cause in seqs]


def list_substitutes(store: Store, event: StoredEvent, skipped: Collection[str]) -> list[tuple[str, StoredEvent]]:
    """Returns the stored events that skipped handlers emitted for an event, each with its handler."""
    if not skipped:
        return []
    calls = FirstCalls(store, event)
    substitutes = []
    for handler in dict.fromkeys(skipped):
        substitutes += [(handler, effect) for effect in calls.list_emitted(handler)]
    return substitutes


def pair_events(emitted: Sequence[StoredEvent], originals: Sequence[StoredEvent]) -> list[StoredEvent | None]:
    """Returns the original of each event that a repeated call emitted: with the same type and source, in order."""
    remaining: dict[tuple[str, str], deque[StoredEvent]] = {}
    for original in originals:
        remaining.setdefault((original.type, original.source), deque()).append(original)
    paired: list[StoredEvent | None] = []
    for event in emitted:
        candidates = remaining.get((event.type, event.source))
        if candidates:
            paired.append(candidates.popleft())
        else:
            paired.append(None)
    return paired


def get_cause(store: Store, event: StoredEvent) -> tuple[Delivery, StoredEvent]:
    """Returns the delivery that emitted an event, and the event of that delivery. Raises DamageError for a loop."""
    assert event.cause is not None
    delivery = store.get_delivery(event.cause)
    if delivery.event >= event.seq:
        raise damage_error(store.file, f"event number {event.seq}: its cause is event number {delivery.event}")
    return delivery, store.get_event(delivery.event)


def find_original(store: Store, event: StoredEvent, replay: str) -> StoredEvent | None:
    """Returns the event that the first call emitted in the place of `event`, which a replay has emitted.

    Returns None if the first call emitted no such event. An event that this replay has not emitted is its own original.
    """
    if event.replay != replay or event.cause is None:
        return event
    delivery, parent = get_cause(store, event)
    parent_original = find_original(store, parent, replay)
    if parent_original is None:
        return None
    emitted = store.list_emitted_events(delivery.seq)
    originals = pair_events(emitted, FirstCalls(store, parent_original).list_emitted(delivery.handler, delivery.route))
    position = [repeated.seq for repeated in emitted].index(event.seq)
    return originals[position]
