"""Finds routes that deliver the same events to the same handlers: equal ones, shadowed ones and overlapping ones."""

from collections.abc import Iterator, Sequence

from evtool.checks.base import CheckContext
from evtool.checks.common_events import CommonEvents
from evtool.checks.pattern_containment import covers
from evtool.findings.finding import Finding
from evtool.findings.phrases import list_some
from evtool.routes.routes import Route

MAX_NAMES = 3  # handlers that a message lists


def check_overlap(context: CheckContext) -> Iterator[Finding]:
    """EV401, EV402 and EV405, of which a pair of routes gets the first."""
    routes = [route for route in context.enabled_routes if not route.pattern.unknowns]
    common_events = CommonEvents(context)
    shadowed: set[str] = set()
    reported: set[tuple[str, str]] = set()  # a route and a handler that gets its events twice
    for earlier, route in ((earlier, route) for index, route in enumerate(routes) for earlier in routes[:index]):
        shared = [handler for handler in dict.fromkeys(route.to) if handler in earlier.to]
        if not shared or not common_events.may_exist(earlier, route):
            continue
        if _get_input(context, earlier) != _get_input(context, route):
            continue
        finding, redundant = _find_shadow(context, earlier, route)
        if finding and redundant:
            if redundant not in shadowed:
                shadowed.add(redundant)
                yield finding
            continue
        new = [handler for handler in shared if (route.name, handler) not in reported]
        if new and (event := common_events.find(earlier, route)):
            reported.update((route.name, handler) for handler in new)
            yield _make_twice_finding(context, earlier, route, new, event)


def _get_input(context: CheckContext, route: Route) -> object:
    """What a route's handlers get instead of the event: with different inputs, two calls are two different calls."""
    return context.project.document.value["routes"][route.name].get("input")


def _find_shadow(context: CheckContext, earlier: Route, route: Route) -> tuple[Finding | None, str | None]:
    """The finding for a pair of which one route is redundant, and the name of that route."""
    if {*earlier.to} != {*route.to}:
        return None, None
    is_covered, covers_earlier = _covers(earlier, route), _covers(route, earlier)
    if is_covered and covers_earlier:
        message = f"route {route.name} has the same pattern and handlers as route {earlier.name}"
        consequence = "each event is delivered twice: remove one of them"
        return _make_finding(context, "EV401", message, route, consequence), route.name
    if not is_covered and not covers_earlier:
        return None, None
    if is_covered:
        inner, outer = (route, earlier)
    else:
        inner, outer = (earlier, route)
    message = f"route {inner.name} is shadowed: route {outer.name} has the same handlers and matches all its events"
    return _make_finding(context, "EV402", message, inner, f"remove it, or narrow {outer.name}"), inner.name


def _covers(outer: Route, inner: Route) -> bool:
    return outer.event_bus in (None, inner.event_bus) and covers(outer.pattern, inner.pattern)


def _make_twice_finding(
    context: CheckContext, earlier: Route, route: Route, handlers: Sequence[str], example: str
) -> Finding:
    names = list_some([f'"{handler}"' for handler in handlers], MAX_NAMES)
    message = f"routes {earlier.name} and {route.name} can deliver one event twice to {names}"
    path = ("routes", route.name, "to", route.to.index(handlers[0]))
    location = context.project.locate(path)
    return Finding(
        "EV405",
        message,
        "warning",
        route=route.name,
        suggestion=f"for example {example}",
        **location,
    )


def _make_finding(context: CheckContext, code: str, message: str, route: Route, hint: str) -> Finding:
    location = context.project.locate(("routes", route.name), key=True)
    return Finding(code, message, "warning", route=route.name, suggestion=hint, **location)
