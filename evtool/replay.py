"""Replay: stored events put through the routes again, as a plan of who would fire, or delivered."""

from typing import NamedTuple

from evtool.delivery import Handlers, World, deliver
from evtool.event import Event
from evtool.intake import takers
from evtool.routes import Routes
from evtool.store import Store
from evtool.stored import Planned


class Fire(NamedTuple):
    """A handler that an event fires by a route, and what comes of it."""

    route: str
    handler: str
    action: str  # would fire | done | failed | waiting | skipped


ACTIONS = {"done": "done", "dead": "failed", "ready": "failed", "leased": "failed", "waiting": "waiting"}


def plan(event: Event, routes: Routes, name: str) -> list[Fire]:
    """Who fires under these routes. Nothing is called, so a handler with `on_replay: skip` is named like any other."""
    return [Fire(route.name, handler, "would fire") for route, handler, _ in takers(event, routes, name)]


def run(
    seq: int, event: Event, routes: Routes, name: str, store: Store, handlers: Handlers, world: World
) -> list[Fire]:
    """Delivers a stored event again, under the name of the replay, with all that comes of it.

    A handler with `on_replay: skip` is left out.
    """
    takes = takers(event, routes, name)
    planned = [Planned(route.name, handler) for route, handler, skipped in takes if not skipped]
    store.plan(seq, planned, now=world.now(), replay=name)
    for _ in deliver(store, routes, handlers, world, replay=name):
        pass
    actions = {(d.route, d.handler): ACTIONS[d.state] for d in store.deliveries(seq, replay=name)}
    return [Fire(route.name, handler, actions.get((route.name, handler), "skipped")) for route, handler, _ in takes]
