"""Delivers stored events again in a replay, and lists the calls that were made."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing

from evtool.delivery.intake import Targets, add_replay_deliveries, match_handlers, parse_stored
from evtool.delivery.loop import deliver
from evtool.delivery.replays.effects import FirstCalls, list_substitutes, pair_events
from evtool.delivery.replays.plan import Fire, ReplayedEvent
from evtool.delivery.runtime import Runtime
from evtool.routes.routes import Routes
from evtool.store.queue import Chains
from evtool.store.rows import Delivery, StoredEvent

ACTIONS = {"done": "done", "dead": "failed", "ready": "failed", "leased": "leased", "waiting": "waiting"}


class Replay:
    """A delivering replay: its name, and the routes of the selected events."""

    def __init__(
        self,
        runtime: Runtime,
        routes: Routes,
        name: str,
        is_selected: Callable[[StoredEvent], bool],
        on_delivered: Callable[[StoredEvent, Sequence[Delivery]], None],
    ):
        """Creates a replay. Emitted events are routed by all routes of the runtime, as every event is.

        `on_delivered` gets each event with its deliveries of this replay.
        """
        self._runtime, self._routes, self._name, self._is_selected = runtime, routes, name, is_selected
        self._on_delivered = on_delivered

    def replay_event(self, stored: StoredEvent) -> list[ReplayedEvent]:
        """Delivers a stored event and its chain again, and returns the event and those that were emitted for it."""
        store, now = self._runtime.store, self._runtime.environment.now
        targets = match_handlers(parse_stored(stored), self._routes, self._name)
        add_replay_deliveries(stored, targets, store=store, routes=self._runtime.routes, now=now(), replay=self._name)
        with closing(deliver(self._runtime, chains=Chains([stored.root], self._name))) as settled_deliveries:
            deque(settled_deliveries, maxlen=0)
        return list(self._list_results(stored, stored, targets, is_selected=True))

    def _list_results(
        self,
        event: StoredEvent,
        original: StoredEvent | None,
        targets: Targets,
        cause: tuple[str, str] | None = None,
        *,
        is_selected: bool = False,
    ) -> Iterator[ReplayedEvent]:
        """Yields an event of this replay, and those that follow it. `original` is the event of the first time."""
        calls = None
        if original:
            calls = FirstCalls(self._runtime.store, original)
        deliveries = self._runtime.store.list_deliveries(event.seq, replay=self._name)
        self._on_delivered(event, deliveries)
        fired = None
        if calls:
            fired = calls.fired
        yield ReplayedEvent(event.raw, event.bus, self._list_fires(deliveries, targets), fired, cause, is_selected)
        for delivery in deliveries:
            yield from self._list_emitted(event, delivery, calls)
        if original:
            yield from self._list_substitutes(original, [handler for _, handler, skipped in targets if skipped])

    def _list_fires(self, deliveries: Sequence[Delivery], targets: Targets) -> tuple[Fire, ...]:
        """Returns what the replay did for each target of an event."""
        handlers = self._runtime.routes.handlers
        actions = {(delivery.route, delivery.handler): ACTIONS[delivery.state] for delivery in deliveries}
        fires = []
        for route, handler, is_skipped in targets:
            on_replay = "run"
            if is_skipped:
                on_replay = "skip"
            action = actions.get((route.name, handler), "skipped")
            fires.append(Fire(route.name, handler, action, on_replay, handlers[handler].is_external))
        return tuple(fires)

    def _list_emitted(
        self, event: StoredEvent, delivery: Delivery, calls: FirstCalls | None
    ) -> Iterator[ReplayedEvent]:
        emitted = self._runtime.store.list_emitted_events(delivery.seq)
        originals: list[StoredEvent] = []
        if calls:
            originals = calls.list_emitted(delivery.handler, delivery.route)
        for effect, original in zip(emitted, pair_events(emitted, originals), strict=True):
            yield from self._list_results(effect, original, self._match(effect), (event.id, delivery.handler))

    def _list_substitutes(self, original: StoredEvent, skipped: Sequence[str]) -> Iterator[ReplayedEvent]:
        for handler, substitute in list_substitutes(self._runtime.store, original, skipped):
            targets, is_selected = self._match(substitute), self._is_selected(substitute)
            yield from self._list_results(
                substitute, substitute, targets, (original.id, handler), is_selected=is_selected
            )

    def _match(self, event: StoredEvent) -> Targets:
        return match_handlers(parse_stored(event), self._runtime.routes, self._name)
