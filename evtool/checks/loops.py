"""Finds loops: a handler emits a type that a route delivers, directly or by other handlers, back to the handler.

    charge-card emits payment.declined, which the route `ask` delivers to ask-customer:
        {"detail-type": ["payment.declined"]}
    ask-customer emits order.created, which the route `pay` delivers to charge-card:
        {"detail-type": ["order.created"], "detail": {"total": [{"numeric": [">", 0]}]}}

The first link is certain: the route matches every such event. The second one is not, since it depends on `total`. A
loop of certain links never ends and is an error; any other loop is a warning, since the handlers may end it.

An emitted event has the name of its handler as source, unless the handler's code gives another one, which no static
check sees. A loop counts only if the routes can match such events. Events stay on the bus of their cause.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from operator import attrgetter
from typing import NamedTuple

from evtool.checks.base import CheckContext, is_absence
from evtool.checks.event_types import EmittedType, list_emitted_types, may_match
from evtool.findings.finding import Finding
from evtool.patterns.conditions import Branch, Field
from evtool.routes.routes import Route
from evtool.schemas.validator import CompiledSchema

# Fields that evtool gives to every emitted event.
_ALWAYS_PRESENT = ("version", "id", "detail-type", "source", "account", "time", "region")


class Link(NamedTuple):
    """A handler emits a type, and a route delivers it to the next handler."""

    emitted: EmittedType
    route: Route
    next_handler: str
    # The route matches by source and type alone.
    is_certain: bool


def check_loops(context: CheckContext) -> Iterator[Finding]:
    """EV408: the shortest loop through each handler, each loop once; those that never end by themselves are errors."""
    links = _list_links(context)
    certain = [link for link in links if link.is_certain]
    seen: set[frozenset[str]] = set()
    for handler in context.handlers:
        # A loop that never ends is reported even if a shorter one may end.
        loop = _find_loop(certain, handler) or _find_loop(links, handler)
        if loop:
            # The same loop is found from each of its handlers.
            handlers = frozenset(link.emitted.handler for link in loop)
            if handlers not in seen:
                seen.add(handlers)
                yield _make_finding(context, loop)


def _list_links(context: CheckContext) -> list[Link]:
    links = []
    for emitted in list_emitted_types(context):
        for route in context.enabled_routes:
            # With an unknown value it is not known which events the route matches.
            if route.pattern.unknowns:
                continue
            branches = _list_possible_branches(context, route, emitted)
            if not branches:
                continue
            is_certain = any(map(_has_only_type_and_source, branches))
            for handler in route.to:
                if handler in context.handlers:
                    links.append(Link(emitted, route, handler, is_certain))
    return links


def _list_possible_branches(context: CheckContext, route: Route, emitted: EmittedType) -> list[Branch]:
    values = {"detail-type": emitted.type, "source": emitted.handler}
    return [branch for branch in route.pattern.branches if _is_possible(context, branch, values)]


def _has_only_type_and_source(branch: Branch) -> bool:
    return all(field.path in ("detail-type", "source") for field in branch)


def _is_possible(context: CheckContext, branch: Branch, values: dict[str, str]) -> bool:
    """Whether a branch may match an EventBridge event of a type from a source, as far as its schema shows."""
    if not may_match(branch, values):
        return False
    schema = context.find_schema(values["detail-type"], values["source"])
    for field in branch:
        # An emitted event is an EventBridge event, which has no fields of CloudEvents.
        if field.path.partition(".")[0] in ("type", "data") and not field.can_be_absent:
            return False
        if field.path in _ALWAYS_PRESENT and all(map(is_absence, field.conditions)):
            return False
        if schema is not None and _is_forbidden(schema, field):
            return False
    return True


def _is_forbidden(schema: CompiledSchema, field: Field) -> bool:
    """Whether a schema forbids all values that a field of the detail lists."""
    path = tuple(field.path.split("."))
    if path[0] != "detail" or len(path) == 1:
        return False
    # A schema of a whole event begins at the envelope, any other one at the detail.
    if schema.choice.envelope is None:
        path = path[1:]
    for condition in field.conditions:
        if condition.operator not in ("equals", "exactly"):
            return False
        if not schema.subschemas.is_forbidden(path, condition.expected):
            return False
    return True


def _find_loop(links: Sequence[Link], start: str) -> list[Link] | None:
    """Finds the shortest loop through a handler."""
    # Events stay on one bus, so all routes of a loop have to take that bus. None comes first, for a loop of routes
    # that take every bus.
    buses: dict[str | None, None] = {None: None}
    buses.update(dict.fromkeys(link.route.event_bus for link in links))
    shortest: list[Link] | None = None
    for bus in buses:
        loop = _search(links, start, bus)
        if loop and (shortest is None or len(loop) < len(shortest)):
            shortest = loop
    return shortest


def _search(links: Sequence[Link], start: str, bus: str | None) -> list[Link] | None:
    """Searches the links of one bus, breadth first, for a way from a handler back to it."""
    usable = [link for link in links if link.route.event_bus in (None, bus)]
    pending: deque[tuple[str, list[Link]]] = deque([(start, [])])
    visited: set[str] = set()
    while pending:
        handler, path = pending.popleft()
        for link in usable:
            if link.emitted.handler != handler:
                continue
            if link.next_handler == start:
                return path + [link]
            if link.next_handler not in visited:
                visited.add(link.next_handler)
                pending.append((link.next_handler, path + [link]))
    return None


def _make_finding(context: CheckContext, loop: Sequence[Link]) -> Finding:
    steps = []
    for link in loop:
        steps.append(f"{link.emitted.handler} emits {link.emitted.type} -> route {link.route.name}")
    message = f"loop: {' -> '.join(steps)} -> {loop[0].emitted.handler}"
    if all(map(attrgetter("is_certain"), loop)):
        severity, hint = "error", "it never ends: "
    else:
        severity, hint = "warning", "it may never end: "
    hint += "narrow a route so that it does not match what its handler emits, or emit another type"
    route = loop[-1].route
    location = context.project.locate(("routes", route.name), key=True)
    return Finding("EV408", message, severity, route=route.name, suggestion=hint, **location)
