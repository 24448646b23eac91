"""Replays stored events: lists the handlers that the routes would call, or delivers the events again."""

from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import closing
from typing import NamedTuple

from evtool.delivery.intake import match_handlers
from evtool.delivery.loop import deliver
from evtool.delivery.runtime import Runtime
from evtool.events.envelopes import mark_replayed
from evtool.events.event import Event
from evtool.events.header import decode_header
from evtool.routes.routes import Routes
from evtool.store.queue import Chain
from evtool.store.rows import FiredDelivery, NewDelivery

MAX_PENDING = 1000  # kinds of events that are counted before they are summed up


class Fire(NamedTuple):
    """A handler that an event fires by a route, and what comes of it."""

    route: str
    handler: str
    action: str  # would fire | done | failed | waiting | leased | skipped


class ReplayResult(NamedTuple):
    """What a replay of an event fired."""

    fires: tuple[Fire, ...]
    later_failures: int = 0  # deliveries of what the handlers emitted that failed


class ReplaySums:
    """What all events come to. Most fire what many others fire: they are counted before they are summed up."""

    def __init__(self) -> None:
        self.events = self.changed = 0
        self.published: Counter[str] = Counter()  # by handler
        self.current: defaultdict[str, Counter[str]] = defaultdict(Counter)  # by handler and action
        self._pending: Counter[tuple[tuple[Fire, ...], tuple[FiredDelivery, ...] | None]] = Counter()

    def add(self, fires: tuple[Fire, ...], fired: tuple[FiredDelivery, ...] | None) -> None:
        """Counts an event."""
        self._pending[fires, fired] += 1
        if len(self._pending) > MAX_PENDING:
            self.update()

    def update(self) -> None:
        """Brings the sums up to date."""
        for (fires, fired), times in self._pending.items():
            self.events += times
            for fire in fires:
                self.current[fire.handler][fire.action] += times
            for past_fire in fired or ():
                self.published[past_fire.handler] += times
            handlers = sorted(fire.handler for fire in fires)
            self.changed += times * (fired is not None and handlers != sorted(fire.handler for fire in fired))
        self._pending.clear()


ACTIONS = {"done": "done", "dead": "failed", "ready": "failed", "leased": "leased", "waiting": "waiting"}


def make_planner(routes: Routes, name: str) -> Callable[[bytes], tuple[Fire, ...]]:
    """Tells of one event after the other whom it would fire under these routes in a replay of this name.

    Nothing is called, so a handler with `on_replay: skip` is named like any other.
    """
    fires = {
        route.name: [Fire(route.name, handler, "would fire") for handler in dict.fromkeys(route.to)]
        for route in routes.routes.values()
    }
    fields = {field for route in routes.routes.values() for field in route.pattern.field_paths}
    # if no pattern uses the name of the replay, the routes match the same with and without it
    has_replay_field = any(field.startswith(("replay-name", "replayname")) for field in fields)

    def plan(raw: bytes) -> tuple[Fire, ...]:
        marked = mark_replayed(raw, decode_header(raw), name) if has_replay_field else raw
        return tuple([fire for route in routes.match_checked(marked) for fire in fires[route.name]])

    return plan


def replay_event(seq: int, event: Event, routes: Routes, name: str, runtime: Runtime) -> ReplayResult:
    """Delivers a stored event again by the chosen routes, under the name of the replay, with all that comes of it.

    A handler with `on_replay: skip` is left out. What handlers emit goes by all routes, as any event does.
    """
    targets = match_handlers(event, routes, name)
    deliveries = [NewDelivery(route.name, handler) for route, handler, skipped in targets if not skipped]
    runtime.store.add_deliveries(seq, deliveries, now=runtime.environment.now(), replay=name)
    with closing(deliver(runtime, chain=Chain(runtime.store.get_event(seq).root, name))) as settled_deliveries:
        later_states = {
            settled.delivery.seq: settled.delivery.state for settled in settled_deliveries if settled.event.seq != seq
        }
    actions = {(d.route, d.handler): ACTIONS[d.state] for d in runtime.store.list_deliveries(seq, replay=name)}
    fires = (Fire(route.name, handler, actions.get((route.name, handler), "skipped")) for route, handler, _ in targets)
    return ReplayResult(tuple(fires), [*map(ACTIONS.get, later_states.values())].count("failed"))
