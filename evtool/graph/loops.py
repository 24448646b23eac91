"""Finds loops: a handler emits a type that a route delivers, directly or by other handlers, back to the handler."""

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from evtool.graph.event_types import TYPE_KEYS, match_type, sent_type
from evtool.routes.routes import Routes


class Link(NamedTuple):
    """A handler emits a type, and a route delivers it to the next handler."""

    handler: str
    event_type: str
    route: str
    next_handler: str
    event_bus: str | None

    @property
    def ids(self) -> tuple[str, str, str]:
        """The ids of its nodes, without the first handler."""
        return f"type:{self.event_type}", f"route:{self.route}", f"handler:{self.next_handler}"


def find_loops(routes: Routes) -> tuple[tuple[str, ...], ...]:
    """The shortest loop through each delivery of an emitted type, as ids of nodes, each loop once.

    A loop counts only if its routes match events with the default source, the name of the handler that emits them.
    """
    links = _list_links(routes)
    buses = dict.fromkeys([None, *(link.event_bus for link in links)])
    loops: dict[frozenset[Link], tuple[str, ...]] = {}
    for link in links:
        found = [_find_loop(links, link, bus) for bus in buses if link.event_bus in (None, bus)]
        loop = min(filter(None, found), key=len, default=None)
        if loop:
            loops.setdefault(frozenset(loop), tuple(node for part in loop for node in part.ids))
    return tuple(loops.values())


def _list_links(routes: Routes) -> list[Link]:
    return [
        Link(name, event_type, route.name, next_handler, route.event_bus)
        for name, entry in routes.handlers.items()
        for event_type in dict.fromkeys(entry.options.emits)
        for route in routes.routes.values()
        if route.enabled and match_type(route, event_type, sent_type(TYPE_KEYS[0], name))
        for next_handler in route.to
        if next_handler in routes.handlers
    ]


def _find_loop(links: Sequence[Link], first: Link, bus: str | None) -> list[Link] | None:
    """The shortest way from a link back to its handler, by routes of one bus: an event has the bus of its cause."""
    pending = deque([[first]])
    visited = {first.next_handler}
    while pending:
        path = pending.popleft()
        if path[-1].next_handler == first.handler:
            return path
        for link in links:
            if link.handler == path[-1].next_handler and link.event_bus in (None, bus):
                if link.next_handler == first.handler:
                    return [*path, link]
                if link.next_handler not in visited:
                    visited.add(link.next_handler)
                    pending.append([*path, link])
    return None
