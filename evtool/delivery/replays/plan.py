"""Plans a replay: which handlers the current routes call for stored events, and for the events that these emit.

A stored event is left out if the same replay repeats the delivery that emitted it: the handler emits the event again.
Example: `order (1) -> charge-card -> payment (2) -> warehouse` is stored. A replay of the events 1 and 2 calls
charge-card for 1. It does not take 2 itself, since charge-card emits a payment again, and calls warehouse for that.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import chain
from typing import NamedTuple, Protocol

from evtool.delivery.intake import MAX_DEPTH
from evtool.delivery.replays.effects import FirstCalls, get_cause
from evtool.events.envelopes import mark_replayed
from evtool.events.event import Event
from evtool.events.header import decode_header, read_key
from evtool.routes.router import Key
from evtool.routes.routes import Route, Routes
from evtool.store.rows import FiredDelivery, StoredEvent
from evtool.store.store import Store

# Numbers of events that a plan keeps.
MAX_REACHED = 10_000


class Fire(NamedTuple):
    """A delivery that a replay plans or has made.

    `action` is would fire, done, failed, waiting, leased or skipped; `on_replay` is run or skip. An external handler is
    never called.
    """

    route: str
    handler: str
    action: str
    on_replay: str = "run"
    is_external: bool = False


class ReplayedEvent(NamedTuple):
    """An event of a replay: one that was selected, or one that its handlers emit.

    `fired` has the deliveries of its publication; None for an event that is not in the store. `cause` is the id of the
    event and the name of the handler that emits it in this replay. `is_selected` says whether the options of the replay
    select it.
    """

    raw: bytes
    bus: str
    fires: tuple[Fire, ...]
    fired: tuple[FiredDelivery, ...] | None
    cause: tuple[str, str] | None = None
    is_selected: bool = True


class Planner(Protocol):
    """Returns the deliveries of an event by its bytes and its bus; faster if the event is given, too."""

    def __call__(self, raw: bytes, bus: str, event: Event | None = None) -> tuple[Fire, ...]:
        """Calls no handler."""


def make_planner(routes: Routes, name: str) -> Planner:
    """Returns a function that plans the deliveries of an event by these routes, in a replay with this name."""
    fires = {route.name: _list_planned_fires(route, routes) for route in routes.routes.values()}
    # If no pattern uses the name of the replay, the routes match the same events with and without it.
    has_replay_field = any(map(_has_replay_field, routes.routes.values()))

    # Most events have the same deliveries as many others.
    @lru_cache(maxsize=1000)
    def list_fires(names: tuple[str, ...]) -> tuple[Fire, ...]:
        return tuple(chain.from_iterable(fires[name] for name in names))

    # Most events have one of a few types.
    @lru_cache(maxsize=1000)
    def plan_key(key: Key, bus: str) -> tuple[Fire, ...] | None:
        matching = routes.match_key(key, bus)
        if matching is None:
            return None
        return list_fires(tuple([route.name for route in matching]))

    def plan(raw: bytes, bus: str, event: Event | None = None) -> tuple[Fire, ...]:
        if event is None:
            key = read_key(raw)
        else:
            key = (event.payload_key, event.type, event.source)
        if key is not None:
            planned = plan_key(key, bus)
            if planned is not None:
                return planned
        marked = raw
        if has_replay_field:
            marked = mark_replayed(raw, decode_header(raw), name)
        return list_fires(tuple([route.name for route in routes.match_checked(marked, bus)]))

    return plan


def _list_planned_fires(route: Route, routes: Routes) -> tuple[Fire, ...]:
    fires = []
    for name in dict.fromkeys(route.to):
        handler = routes.handlers[name]
        fires.append(Fire(route.name, name, "would fire", handler.options.on_replay, handler.is_external))
    return tuple(fires)


def _has_replay_field(route: Route) -> bool:
    return any(path.startswith(("replay-name", "replayname")) for path in route.pattern.field_paths)


class ReplayPlan:
    """The plan of one replay: which of the selected events it takes from the store, and which events follow them."""

    def __init__(
        self,
        store: Store | None,
        plan_selected: Planner,
        plan_effect: Planner,
        is_selected: Callable[[StoredEvent], bool],
    ):
        """Creates an empty plan.

        Without a store no event has effects. `plan_selected` uses only the route of `--route`, `plan_effect` uses all.
        """
        self._plan_selected, self._plan_effect = plan_selected, plan_effect
        self._maybe_store, self._is_selected = store, is_selected
        # The effects in the plan so far. Most effects are stored soon after their cause.
        self._reached: set[int] = set()

    @property
    def _store(self) -> Store:
        assert self._maybe_store is not None
        return self._maybe_store

    def is_effect(self, event: StoredEvent) -> bool:
        """Whether the replay repeats the delivery that emitted an event, so that it does not take the event itself."""
        if event.cause is None:
            return False
        if event.seq in self._reached:
            return True
        delivery, parent = get_cause(self._store, event)
        if self.is_effect(parent):
            fires = self._plan_effect(parent.raw, parent.bus)
        elif self._is_selected(parent):
            fires = self._plan_selected(parent.raw, parent.bus)
        else:
            return False
        repeated = [fire for fire in fires if fire.handler == delivery.handler]
        if any(fire.on_replay == "skip" for fire in repeated):
            return event in FirstCalls(self._store, parent).list_emitted(delivery.handler)
        return bool(repeated)

    def plan_event(
        self, raw: bytes, bus: str, fired: tuple[FiredDelivery, ...] | None, stored: StoredEvent | None
    ) -> list[ReplayedEvent]:
        """Plans a selected event, and the events of its first chain that the replay emits again."""
        fires = self._plan_selected(raw, bus)
        events = [ReplayedEvent(raw, bus, fires, fired)]
        if stored and fires:
            events += self._plan_emitted(stored, FirstCalls(self._store, stored), fires)
        return events

    def _plan_emitted(self, event: StoredEvent, calls: FirstCalls, fires: Sequence[Fire]) -> Iterator[ReplayedEvent]:
        for handler, effect, is_substitute in _list_effects(calls, fires):
            self._remember(effect)
            effect_fires = self._plan_effect(effect.raw, effect.bus)
            # The deliveries of an event that is emitted too deep in a chain will be dead letters.
            if effect.depth > MAX_DEPTH and not is_substitute:
                effect_fires = tuple(fire for fire in effect_fires if fire.on_replay == "skip")
            effect_calls = FirstCalls(self._store, effect)
            is_selected = is_substitute and self._is_selected(effect)
            cause = (event.id, handler)
            yield ReplayedEvent(effect.raw, effect.bus, effect_fires, effect_calls.fired, cause, is_selected)
            yield from self._plan_emitted(effect, effect_calls, effect_fires)

    def _remember(self, effect: StoredEvent) -> None:
        if len(self._reached) >= MAX_REACHED:
            self._reached.clear()
        self._reached.add(effect.seq)


def _list_effects(calls: FirstCalls, fires: Sequence[Fire]) -> Iterator[tuple[str, StoredEvent, bool]]:
    """Yields the events that the handlers of an event emitted, each after its handler.

    The third value says whether the handler is skipped, so that the stored event itself is delivered again.
    """
    skipped = []
    for fire in fires:
        if fire.on_replay == "skip":
            skipped.append(fire.handler)
            continue
        for effect in calls.list_emitted(fire.handler, fire.route):
            yield fire.handler, effect, False
    for handler in dict.fromkeys(skipped):
        for effect in calls.list_emitted(handler):
            yield handler, effect, True
