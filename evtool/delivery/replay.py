"""Replay: stored events put through the routes again, as a plan of who would fire, or delivered."""

from collections.abc import Callable
from contextlib import closing
from typing import NamedTuple

from evtool.delivery.intake import takers
from evtool.delivery.loop import Road, deliver
from evtool.events.envelopes import replayed
from evtool.events.event import Event
from evtool.events.header import head_of
from evtool.routes.routes import Routes
from evtool.store.queue import Chain
from evtool.store.rows import NewDelivery


class Fire(NamedTuple):
    """A handler that an event fires by a route, and what comes of it."""

    route: str
    handler: str
    action: str  # would fire | done | failed | waiting | leased | skipped


class Replayed(NamedTuple):
    """What a replay of an event fired."""

    fires: tuple[Fire, ...]
    later: int = 0  # deliveries of what the handlers emitted that failed


ACTIONS = {"done": "done", "dead": "failed", "ready": "failed", "leased": "leased", "waiting": "waiting"}


def planning(routes: Routes, name: str) -> Callable[[bytes], tuple[Fire, ...]]:
    """Tells of one event after the other whom it would fire under these routes in a replay of this name.

    Nothing is called, so a handler with `on_replay: skip` is named like any other.
    """
    fires = {
        route.name: [Fire(route.name, handler, "would fire") for handler in dict.fromkeys(route.to)]
        for route in routes.routes.values()
    }
    fields = {field for route in routes.routes.values() for field in route.pattern.field_paths}
    is_seen = any(field.startswith(("replay-name", "replayname")) for field in fields)  # else the mark changes nothing

    def plan(raw: bytes) -> tuple[Fire, ...]:
        marked = replayed(raw, head_of(raw), name) if is_seen else raw
        return tuple([fire for route in routes.match_checked(marked) for fire in fires[route.name]])

    return plan


def run(seq: int, event: Event, chosen: Routes, name: str, road: Road) -> Replayed:
    """Delivers a stored event again by the chosen routes, under the name of the replay, with all that comes of it.

    A handler with `on_replay: skip` is left out. What handlers emit goes by all routes, as any event does.
    """
    takes = takers(event, chosen, name)
    planned = [NewDelivery(route.name, handler) for route, handler, skipped in takes if not skipped]
    road.store.add_deliveries(seq, planned, now=road.world.now(), replay=name)
    with closing(deliver(road, chain=Chain(road.store.get_event(seq).root, name))) as settled:
        later = {each.delivery.seq: each.delivery.state for each in settled if each.event.seq != seq}
    actions = {(d.route, d.handler): ACTIONS[d.state] for d in road.store.list_deliveries(seq, replay=name)}
    fires = (Fire(route.name, handler, actions.get((route.name, handler), "skipped")) for route, handler, _ in takes)
    return Replayed(tuple(fires), [*map(ACTIONS.get, later.values())].count("failed"))
