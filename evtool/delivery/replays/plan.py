"""Plans a replay: which handlers the current routes call for stored events, and for what these handlers emit.

A stored event is not taken itself if the same replay repeats the delivery that emitted it: the handler emits it anew.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple, Protocol

from evtool.delivery.intake import MAX_DEPTH
from evtool.delivery.replays.effects import FirstCalls, get_cause
from evtool.events.envelopes import mark_replayed
from evtool.events.event import Event
from evtool.events.header import decode_header, read_key
from evtool.routes.router import Key
from evtool.routes.routes import Routes
from evtool.store.rows import FiredDelivery, StoredEvent
from evtool.store.store import Store

MAX_REACHED = 10_000  # numbers of events that are remembered


class Fire(NamedTuple):
    """A delivery that a replay plans or has made."""

    route: str
    handler: str
    action: str  # would fire | done | failed | waiting | leased | skipped
    on_replay: str = "run"  # run | skip
    is_external: bool = False  # whether the handler is never called


class ReplayedEvent(NamedTuple):
    """An event of a replay: one that was selected, or one that its handlers emit."""

    raw: bytes
    bus: str
    fires: tuple[Fire, ...]
    fired: tuple[FiredDelivery, ...] | None  # when it was published; None if it was not
    cause: tuple[str, str] | None = None  # id of the event and name of the handler that emits it, in this replay
    is_selected: bool = True  # by the options of the replay, be it emitted or not


class Planner(Protocol):
    """Returns the deliveries of an event by its bytes and its bus; faster if the event is given, too."""

    def __call__(self, raw: bytes, bus: str, event: Event | None = None) -> tuple[Fire, ...]:
        """Calls nothing."""


def make_planner(routes: Routes, name: str) -> Planner:
    """A function that returns the deliveries of an event by these routes in a replay of this name. Calls nothing."""
    fires = {
        route.name: [
            Fire(route.name, handler.name, "would fire", handler.options.on_replay, handler.is_external)
            for handler in map(routes.handlers.__getitem__, dict.fromkeys(route.to))
        ]
        for route in routes.routes.values()
    }
    fields = {field for route in routes.routes.values() for field in route.pattern.field_paths}
    # if no pattern uses the name of the replay, the routes match the same with and without it
    has_replay_field = any(field.startswith(("replay-name", "replayname")) for field in fields)

    @lru_cache(maxsize=1000)  # most events fire what many others fire
    def list_fires(*names: str) -> tuple[Fire, ...]:
        return tuple([fire for name in names for fire in fires[name]])

    @lru_cache(maxsize=1000)  # most events have one of a few types
    def plan_key(key: Key, bus: str) -> tuple[Fire, ...] | None:
        matching = routes.match_key(key, bus)
        if matching is None:
            return None
        return list_fires(*[route.name for route in matching])

    def plan(raw: bytes, bus: str, event: Event | None = None) -> tuple[Fire, ...]:
        key = read_key(raw) if event is None else (event.payload_key, event.type, event.source)
        planned = plan_key(key, bus) if key is not None else None
        if planned is not None:
            return planned
        marked = raw
        if has_replay_field:
            marked = mark_replayed(raw, decode_header(raw), name)
        return list_fires(*[route.name for route in routes.match_checked(marked, bus)])

    return plan


class ReplayPlan:
    """The plan of one replay: which selected events it takes from the store, and which events come of them."""

    def __init__(
        self,
        store: Store | None,
        plan_selected: Planner,
        plan_effect: Planner,
        is_selected: Callable[[StoredEvent], bool],
    ):
        """Without a store no event has effects. `--route` restricts only the routes of the selected events."""
        self._plan_selected, self._plan_effect = plan_selected, plan_effect
        self._maybe_store, self._is_selected = store, is_selected
        self._reached: set[int] = set()  # effects in the plan so far: most come soon after their cause

    @property
    def _store(self) -> Store:
        assert self._maybe_store is not None
        return self._maybe_store

    def is_effect(self, event: StoredEvent) -> bool:
        """Whether the replay makes or repeats the delivery that emitted an event, so that it is not taken itself."""
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
        """A selected event, and what came of it the first time if it is in the store and had effects."""
        fires = self._plan_selected(raw, bus)
        effects = self._plan_emitted(stored, FirstCalls(self._store, stored), fires) if stored and fires else ()
        return [ReplayedEvent(raw, bus, fires, fired), *effects]

    def _plan_emitted(self, event: StoredEvent, calls: FirstCalls, fires: Sequence[Fire]) -> Iterator[ReplayedEvent]:
        for handler, effect, is_substitute in _list_effects(calls, fires):
            self._remember(effect)
            effect_fires = self._plan_effect(effect.raw, effect.bus)
            if effect.depth > MAX_DEPTH and not is_substitute:  # its deliveries will be dead letters
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
    """What the handlers of an event emitted: the handler, the event, and whether it replaces what a call would emit."""
    for fire in fires:
        if fire.on_replay == "run":
            for effect in calls.list_emitted(fire.handler, fire.route):
                yield fire.handler, effect, False
    for handler in dict.fromkeys(fire.handler for fire in fires if fire.on_replay == "skip"):
        for effect in calls.list_emitted(handler):
            yield handler, effect, True
