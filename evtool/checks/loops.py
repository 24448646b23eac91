"""Finds loops: a handler emits a type that a route delivers, directly or by other handlers, back to the handler.

An emitted event has the name of its handler as source, unless the handler's code gives another one, which no static
check sees. A loop counts only if the routes can match such events; events stay on the bus of their cause.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from evtool.checks.base import CheckContext
from evtool.checks.event_types import TYPE_PATHS, EmittedType, list_emitted_types, may_match
from evtool.findings.finding import Finding
from evtool.patterns.conditions import Branch, Condition
from evtool.routes.routes import Route

_ALWAYS_THERE = ("version", "id", "detail-type", "source", "account", "time", "region")  # in every emitted event


class Link(NamedTuple):
    """A handler emits a type, and a route delivers it to the next handler."""

    emitted: EmittedType
    route: Route
    next_handler: str
    is_certain: bool  # the route matches by source and type alone


def check_loops(context: CheckContext) -> Iterator[Finding]:
    """EV408: the shortest loop through each handler, each loop once; those that never end by themselves are errors."""
    links = _list_links(context)
    seen: set[frozenset[str]] = set()
    for handler in context.handlers:
        certain = [link for link in links if link.is_certain]
        loop = _find_loop(certain, handler) or _find_loop(links, handler)
        if loop and (handlers := frozenset(link.emitted.handler for link in loop)) not in seen:
            seen.add(handlers)
            yield _make_finding(context, loop)


def _list_links(context: CheckContext) -> list[Link]:
    return [
        Link(emitted, route, handler, is_certain)
        for emitted in list_emitted_types(context)
        for route in context.enabled_routes
        if not route.pattern.unknowns and (is_certain := _can_match(context, route, emitted)) is not None
        for handler in route.to
        if handler in context.handlers
    ]


def _can_match(context: CheckContext, route: Route, emitted: EmittedType) -> bool | None:
    """None if a route cannot match what a handler emits, True if it matches by source and type alone."""
    values = {"detail-type": emitted.type, "source": emitted.handler}
    branches = [branch for branch in route.pattern.branches if _is_possible(context, branch, values)]
    if branches:
        return any(all(field.path in values for field in branch) for branch in branches)
    return None


def _is_possible(context: CheckContext, branch: Branch, values: dict[str, str]) -> bool:
    """Whether a branch may match an EventBridge event of a type from a source, for all that its schema says."""
    if not may_match(branch, values):
        return False
    schema = context.find_schema(values["detail-type"], values["source"])
    for field in branch:
        top, *rest = field.path.split(".")
        if top in (*TYPE_PATHS[1:], "data") and not field.can_be_absent:
            return False  # a field of CloudEvents
        if field.path in _ALWAYS_THERE and all(_is_absence(condition) for condition in field.conditions):
            return False
        is_listed = all(condition.operator in ("equals", "exactly") for condition in field.conditions)
        if schema is None or top != "detail" or not is_listed or not rest:
            continue
        path = rest if schema.choice.envelope is None else (top, *rest)
        if all(schema.subschemas.is_forbidden(tuple(path), c.expected) for c in field.conditions):
            return False
    return True


def _is_absence(condition: Condition) -> bool:
    return condition.operator == "exists" and condition.expected is False


def _find_loop(links: Sequence[Link], start: str) -> list[Link] | None:
    """The shortest loop through a handler. Events stay on one bus, so all its routes have to take that bus."""
    buses = dict.fromkeys([None, *(link.route.event_bus for link in links)])
    loops = [_search(links, start, bus) for bus in buses]
    return min((loop for loop in loops if loop), key=len, default=None)


def _search(links: Sequence[Link], start: str, bus: str | None) -> list[Link] | None:
    usable = [link for link in links if link.route.event_bus in (None, bus)]
    pending: deque[tuple[str, list[Link]]] = deque([(start, [])])
    visited: set[str] = set()
    while pending:
        handler, path = pending.popleft()
        for link in usable:
            if link.emitted.handler != handler:
                continue
            if link.next_handler == start:
                return [*path, link]
            if link.next_handler not in visited:
                visited.add(link.next_handler)
                pending.append((link.next_handler, [*path, link]))
    return None


def _make_finding(context: CheckContext, loop: Sequence[Link]) -> Finding:
    steps = " -> ".join(f"{link.emitted.handler} emits {link.emitted.type} -> route {link.route.name}" for link in loop)
    is_certain = all(link.is_certain for link in loop)
    route = loop[-1].route
    message = f"loop: {steps} -> {loop[0].emitted.handler}"
    hint = "it may never end: "
    if is_certain:
        hint = "it never ends: "
    hint += "narrow a route so that it does not match what its handler emits, or emit another type"
    location = context.project.locate(("routes", route.name), key=True)
    severity = "warning"
    if is_certain:
        severity = "error"
    return Finding("EV408", message, severity, route=route.name, suggestion=hint, **location)
