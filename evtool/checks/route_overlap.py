"""Finds routes that deliver the same events to the same handlers: equal ones, shadowed ones and overlapping ones.

    a  {"source": ["shop.cart"]}                                    to mail
    b  {"source": [{"prefix": "shop."}]}                            to mail         EV402: b matches all events of a
    c  {"detail-type": ["order.created"]}                           to mail, log    EV405: an order of shop.cart
                                                                                    is delivered to mail twice

A proof that one pattern covers another gives EV401 and EV402. For EV405 an event is looked for that both match.
"""

from collections.abc import Iterator, Sequence
from itertools import product

from evtool.checks.base import CheckContext
from evtool.checks.common_events import CommonEvents
from evtool.checks.pattern_containment import covers
from evtool.findings.finding import Finding
from evtool.findings.phrases import list_some
from evtool.routes.routes import Route

# Handlers that a message lists.
MAX_NAMES = 3


def check_overlap(context: CheckContext) -> Iterator[Finding]:
    """EV401, EV402 and EV405. A pair of routes gets the first that applies."""
    routes = [route for route in context.enabled_routes if not route.pattern.unknowns]
    common_events = CommonEvents(context)
    shadowed: set[str] = set()
    # A route and a handler that gets its events twice. A second earlier route gives no second finding.
    reported: set[tuple[str, str]] = set()
    for earlier, route in _iter_pairs(routes):
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
        if not new:
            continue
        event = common_events.find(earlier, route)
        if event:
            reported.update(product([route.name], new))
            yield _make_twice_finding(context, earlier, route, new, event)


def _iter_pairs(routes: Sequence[Route]) -> Iterator[tuple[Route, Route]]:
    for index, route in enumerate(routes):
        for earlier in routes[:index]:
            yield earlier, route


def _get_input(context: CheckContext, route: Route) -> object:
    # With different inputs, the two calls of a handler have different purposes.
    return context.project.document.value["routes"][route.name].get("input")


def _find_shadow(context: CheckContext, earlier: Route, route: Route) -> tuple[Finding | None, str | None]:
    """Returns the finding for a pair of which one route is redundant, and the name of that route."""
    if set(earlier.to) != set(route.to):
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
    location = context.project.locate(("routes", route.name, "to", route.to.index(handlers[0])))
    hint = f"for example {example}"
    return Finding("EV405", message, "warning", route=route.name, suggestion=hint, **location)


def _make_finding(context: CheckContext, code: str, message: str, route: Route, hint: str) -> Finding:
    location = context.project.locate(("routes", route.name), key=True)
    return Finding(code, message, "warning", route=route.name, suggestion=hint, **location)
