"""Replay: stored events put through the routes again, as a plan of who would fire, or delivered."""

from collections import deque
from contextlib import closing
from typing import NamedTuple

from evtool.delivery import Road, deliver
from evtool.event import Event
from evtool.intake import takers
from evtool.queue import Chain
from evtool.routes import Routes
from evtool.stored import Planned


class Fire(NamedTuple):
    """A handler that an event fires by a route, and what comes of it."""

    route: str
    handler: str
    action: str  # would fire | done | failed | waiting | skipped


ACTIONS = {"done": "done", "dead": "failed", "ready": "failed", "leased": "failed", "waiting": "waiting"}


def plan(marked: bytes, routes: Routes) -> list[Fire]:
    """Whom an event, marked as the replay would deliver it, fires under these routes.

    Nothing is called, so a handler with `on_replay: skip` is named like any other.
    """
    return [
        Fire(route.name, handler, "would fire")
        for route in routes.match_checked(marked)
        for handler in dict.fromkeys(route.to)
    ]


def run(seq: int, event: Event, chosen: Routes, name: str, road: Road) -> list[Fire]:
    """Delivers a stored event again by the chosen routes, under the name of the replay, with all that comes of it.

    A handler with `on_replay: skip` is left out. What handlers emit goes by all routes, as any event does.
    """
    takes = takers(event, chosen, name)
    planned = [Planned(route.name, handler) for route, handler, skipped in takes if not skipped]
    road.store.plan(seq, planned, now=road.world.now(), replay=name)
    with closing(deliver(road, chain=Chain(road.store.event(seq).root, name))) as settled:
        deque(settled, maxlen=0)
    actions = {(d.route, d.handler): ACTIONS[d.state] for d in road.store.deliveries(seq, replay=name)}
    return [Fire(route.name, handler, actions.get((route.name, handler), "skipped")) for route, handler, _ in takes]
