"""Finds loops: a handler emits a type that a route delivers, directly or by other handlers, back to the handler.

    handler charge-card emits payment.declined; route retry matches that type and delivers to handler ask-customer
    handler ask-customer emits order.created;   route pay matches that type and delivers to handler charge-card

These are two links, charge-card -> ask-customer and ask-customer -> charge-card. A breadth-first search along the links
starts at each link and finds the shortest way back to its handler: here the same two links from both starts, which
count as one loop.
"""

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

    def is_on_bus(self, bus: str | None) -> bool:
        """Whether the route of the link takes events of a bus; a route without a bus takes those of every bus."""
        return self.event_bus is None or self.event_bus == bus


def find_loops(routes: Routes) -> tuple[tuple[str, ...], ...]:
    """Finds the shortest loop through each delivery of an emitted type, as ids of nodes, each loop once.

    A loop counts only if its routes match events with the default source, the name of the handler that emits them.
    """
    links = _list_links(routes)
    loops: dict[frozenset[Link], tuple[str, ...]] = {}
    for link in links:
        loop = _find_shortest_loop(links, link)
        if loop:
            ids: list[str] = []
            for part in loop:
                ids.extend(part.ids)
            # The same loop is found from each of its links; the first one decides where its text begins.
            loops.setdefault(frozenset(loop), tuple(ids))
    return tuple(loops.values())


def _list_links(routes: Routes) -> list[Link]:
    links = []
    for name, entry in routes.handlers.items():
        for event_type in dict.fromkeys(entry.options.emits):
            emitted = sent_type(TYPE_KEYS[0], name)
            for route in routes.routes.values():
                if route.enabled and match_type(route, event_type, emitted):
                    for next_handler in route.to:
                        if next_handler in routes.handlers:
                            links.append(Link(name, event_type, route.name, next_handler, route.event_bus))
    return links


def _find_shortest_loop(links: Sequence[Link], first: Link) -> list[Link] | None:
    # An emitted event stays on the bus of its cause, so all routes of a loop have to take events of one bus. None
    # comes first: a loop of routes without a bus needs no bus.
    buses: dict[str | None, None] = {None: None}
    buses.update(dict.fromkeys(link.event_bus for link in links))
    shortest: list[Link] | None = None
    for bus in buses:
        if first.is_on_bus(bus):
            loop = _find_loop_on_bus(links, first, bus)
            if loop and (shortest is None or len(loop) < len(shortest)):
                shortest = loop
    return shortest


def _find_loop_on_bus(links: Sequence[Link], first: Link, bus: str | None) -> list[Link] | None:
    pending = deque([[first]])
    visited = {first.next_handler}
    while pending:
        path = pending.popleft()
        handler = path[-1].next_handler
        if handler == first.handler:
            return path
        for link in links:
            if link.handler == handler and link.is_on_bus(bus):
                if link.next_handler == first.handler:
                    return path + [link]
                if link.next_handler not in visited:
                    visited.add(link.next_handler)
                    pending.append(path + [link])
    return None
