"""The graph of a project: event types, routes that match them, their handlers, and the types that these emit.

Nodes have ids of kind and name, so that a route and a handler may have the same name. With one route and one handler:

    routes.yaml   pay: {pattern: {detail-type: [order.created]}, to: [charge-card]}
                  charge-card: {python: ..., emits: [payment.authorized]}
    nodes         type:order.created, type:payment.authorized, route:pay, handler:charge-card
    edges         type:order.created  -> route:pay                matches
                  route:pay           -> handler:charge-card      delivers
                  handler:charge-card -> type:payment.authorized  emits
"""

from collections.abc import Mapping
from itertools import pairwise
from operator import attrgetter
from typing import NamedTuple

from evtool.graph.event_types import EventType, list_event_types, match_type, select_types
from evtool.graph.loops import find_loops
from evtool.routes.routes import Route, Routes

KINDS = ("type", "route", "handler")
Arrow = tuple[str, str]


class Node(NamedTuple):
    """An event type, a route or a handler. `note` has its kind or state in a few words."""

    # One of KINDS.
    kind: str
    name: str
    note: str = ""
    description: str = ""
    is_enabled: bool = True

    @property
    def id(self) -> str:
        """The kind and the name, which are unique together."""
        return f"{self.kind}:{self.name}"


class Edge(NamedTuple):
    """A connection of two nodes, given by their ids.

    An edge that is not certain depends on a source or value that is not known before an event occurs.
    """

    start: str
    end: str
    # matches | delivers | emits
    kind: str
    is_certain: bool = True
    is_enabled: bool = True
    # The deliveries, or for `emits` the emitted events, that the store has.
    number: int | None = None

    @property
    def arrow(self) -> Arrow:
        """The ids of both nodes."""
        return self.start, self.end

    @property
    def is_dashed(self) -> bool:
        """Whether images draw the edge with a dashed line: no event may ever take it."""
        return not (self.is_certain and self.is_enabled)

    @property
    def label(self) -> str:
        """The text on the edge: its count, and a question mark if it is not certain."""
        parts = []
        if self.number is not None:
            parts.append(f"{self.number:,}")
        if not self.is_certain:
            parts.append("?")
        return " ".join(parts)


class Graph(NamedTuple):
    """Nodes, edges and loops; a loop is the ids of its nodes in order, without the first one again."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    loops: tuple[tuple[str, ...], ...]

    @property
    def loop_edges(self) -> frozenset[Arrow]:
        """Start and end of the edges that are part of a loop."""
        edges: set[Arrow] = set()
        for loop in self.loops:
            edges.update(pairwise(loop + loop[:1]))
        return frozenset(edges)

    @property
    def has_counts(self) -> bool:
        """Whether edges have counts."""
        return any(edge.number is not None for edge in self.edges)

    def count_nodes(self, kind: str) -> int:
        """Returns the number of nodes of a kind."""
        return [node.kind for node in self.nodes].count(kind)


# By the kind of an edge and the names of its nodes.
Counts = Mapping[tuple[str, str, str], int]


def build_graph(routes: Routes, known: Mapping[str, EventType], counts: Counts | None = None) -> Graph:
    """Builds the graph of routes and of the event types that are known besides those that routes and handlers name.

    With `counts` each edge has a count. It is 0 for an edge that `counts` does not have.
    """
    types = list_event_types(routes, known)
    nodes = [Node("type", name) for name in types]
    for route in routes.routes.values():
        nodes.append(Node("route", route.name, _describe_route(route), route.description, route.enabled))
    for name, entry in routes.handlers.items():
        nodes.append(Node("handler", name, entry.kind, entry.options.description))
    edges = _match_edges(routes, types) + _delivery_edges(routes) + _emit_edges(routes)
    if counts is not None:
        edges = [edge._replace(number=counts.get(_count_key(edge), 0)) for edge in edges]
    return Graph(tuple(nodes), tuple(edges), find_loops(routes))


def _describe_route(route: Route) -> str:
    notes = []
    if not route.enabled:
        notes.append("disabled")
    if route.event_bus:
        notes.append(f"bus {route.event_bus}")
    return ", ".join(notes)


def _count_key(edge: Edge) -> tuple[str, str, str]:
    return edge.kind, edge.start.partition(":")[2], edge.end.partition(":")[2]


def _match_edges(routes: Routes, types: Mapping[str, EventType]) -> list[Edge]:
    edges = []
    for route in routes.routes.values():
        for name in select_types(route, types):
            matches = match_type(route, name, types[name])
            if matches is not False:
                edges.append(Edge(f"type:{name}", f"route:{route.name}", "matches", matches is not None, route.enabled))
    # `types` is sorted, and a stable sort keeps the routes of a type in the order of routes.yaml.
    return sorted(edges, key=attrgetter("start"))


def _delivery_edges(routes: Routes) -> list[Edge]:
    edges = []
    for route in routes.routes.values():
        for handler in route.to:
            edges.append(Edge(f"route:{route.name}", f"handler:{handler}", "delivers", is_enabled=route.enabled))
    return edges


def _emit_edges(routes: Routes) -> list[Edge]:
    edges = []
    for name, entry in routes.handlers.items():
        # A handler may name a type twice; an arrow is drawn once.
        for event_type in dict.fromkeys(entry.options.emits):
            edges.append(Edge(f"handler:{name}", f"type:{event_type}", "emits"))
    return edges
