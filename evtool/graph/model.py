"""The graph of a project: event types, routes that match them, their handlers, and the types that these emit."""

from collections.abc import Mapping
from typing import NamedTuple

from evtool.graph.event_types import EventType, list_event_types, match_type, select_types
from evtool.graph.loops import find_loops
from evtool.routes.routes import Routes

KINDS = ("type", "route", "handler")


class Node(NamedTuple):
    """An event type, a route or a handler. `note` says what is special about it, in a few words."""

    kind: str  # type | route | handler
    name: str
    note: str = ""
    description: str = ""
    is_enabled: bool = True

    @property
    def id(self) -> str:
        """The kind and the name, which are unique together."""
        return f"{self.kind}:{self.name}"


class Edge(NamedTuple):
    """An arrow between two nodes, given by their ids. One that is not certain depends on what is not known."""

    start: str
    end: str
    kind: str  # matches | delivers | emits
    is_certain: bool = True
    is_enabled: bool = True
    number: int | None = None  # deliveries, or events that were emitted


class Graph(NamedTuple):
    """Nodes, edges and loops; a loop is the ids of its nodes in order, without the first one again."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    loops: tuple[tuple[str, ...], ...]

    @property
    def loop_edges(self) -> frozenset[tuple[str, str]]:
        """Start and end of the edges that are part of a loop."""
        return frozenset(pair for loop in self.loops for pair in zip(loop, (*loop[1:], loop[0]), strict=True))

    def count_nodes(self, kind: str) -> int:
        """How many nodes there are of a kind."""
        return sum(node.kind == kind for node in self.nodes)


Counts = Mapping[tuple[str, str, str], int]  # by the kind of an edge and the names of its nodes


def build_graph(routes: Routes, known: Mapping[str, EventType], counts: Counts | None = None) -> Graph:
    """The graph of routes and of the event types that are known besides those that routes and handlers name.

    With `counts` each edge has a count, 0 if there is none in it.
    """
    types = list_event_types(routes, known)
    nodes = [Node("type", name) for name in types]
    nodes += [
        Node(
            "route",
            route.name,
            ", ".join(
                filter(None, ["" if route.enabled else "disabled", route.event_bus and f"bus {route.event_bus}"])
            ),
            route.description,
            route.enabled,
        )
        for route in routes.routes.values()
    ]
    nodes += [Node("handler", name, entry.kind, entry.options.description) for name, entry in routes.handlers.items()]
    edges = [*_match_edges(routes, types), *_delivery_edges(routes)]
    edges += [
        Edge(f"handler:{name}", f"type:{event_type}", "emits")
        for name, entry in routes.handlers.items()
        for event_type in dict.fromkeys(entry.options.emits)
    ]
    if counts is not None:
        edges = [edge._replace(number=counts.get(_count_key(edge), 0)) for edge in edges]
    return Graph(tuple(nodes), tuple(edges), find_loops(routes))


def _count_key(edge: Edge) -> tuple[str, str, str]:
    return edge.kind, edge.start.partition(":")[2], edge.end.partition(":")[2]


def _match_edges(routes: Routes, types: Mapping[str, EventType]) -> list[Edge]:
    edges = []
    for route in routes.routes.values():
        for name in select_types(route, types):
            matches = match_type(route, name, types[name])
            if matches is not False:
                edges.append(Edge(f"type:{name}", f"route:{route.name}", "matches", matches is not None, route.enabled))
    order = {f"type:{name}": number for number, name in enumerate(types)}
    return sorted(edges, key=lambda edge: order[edge.start])


def _delivery_edges(routes: Routes) -> list[Edge]:
    return [
        Edge(f"route:{route.name}", f"handler:{handler}", "delivers", is_enabled=route.enabled)
        for route in routes.routes.values()
        for handler in route.to
    ]
