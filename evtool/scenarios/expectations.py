"""Compares what a scenario expects with what resulted, and explains each difference.

    expect    {routes: [fulfil-order], handlers: {charge-card: 1}}
    result    the route pay-for-order matched the event order.created 1, and charge-card was called once
    failures  route fulfil-order: expected a match, got no match (and the conditions that fail)
              route pay-for-order: expected no match, got order.created 1 (expect.routes does not name it)

`expect.routes` is exact: a route that it does not name must not match. All other keys are open: a handler that
`expect.handlers` does not name may be called.
"""

import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

from evtool.findings.phrases import list_some
from evtool.patterns.explain.event_structure import read_structure
from evtool.patterns.explain.explanation import Explanation, explain
from evtool.patterns.pattern import Pattern
from evtool.routes.routes import Route, Routes
from evtool.scenarios.model import ExpectModel, ForbiddenModel, ScenarioModel
from evtool.store.rows import Delivery, StoredEvent

# Events, conditions or types that a sentence lists.
MAX_LISTED = 3


class Failure(NamedTuple):
    """One expectation that does not hold. `path` leads to it in the scenario."""

    what: str
    expected: Any
    actual: Any
    reason: str | None
    path: tuple[str | int, ...] = ()

    def describe(self) -> str:
        """Returns the failure in one line."""
        return describe_failure(self.what, self.expected, self.actual, self.reason)


def describe_failure(what: str, expected: Any, actual: Any, reason: str | None) -> str:
    """Returns a failure in one line."""
    text = f"{what}: expected {format_value(expected)}, got {format_value(actual)}"
    if reason:
        return f"{text} ({reason})"
    return text


def format_value(value: Any) -> str:
    """Returns an expected or actual value in words."""
    if value == []:
        return "nothing"
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


class Effects(NamedTuple):
    """The effects of a scenario: the stored events, their deliveries, and the attempts of each handler.

    `matched` has the names of the routes that matched, by the number of the event.
    """

    events: Sequence[StoredEvent]
    deliveries: Sequence[Delivery]
    matched: Mapping[int, tuple[str, ...]]
    attempts: Counter[str]

    @property
    def emitted(self) -> list[StoredEvent]:
        """The events that handlers emitted."""
        return [event for event in self.events if event.cause is not None]

    def find_matching(self, route: str) -> list[StoredEvent]:
        """Returns the events that a route matched."""
        return [event for event in self.events if route in self.matched[event.seq]]


def compare(model: ScenarioModel, effects: Effects, routes: Routes) -> Iterator[Failure]:
    """Yields a failure for each expectation that does not hold, in the order of the scenario's keys."""
    expect = model.expect
    forbidden = expect.forbidden
    yield from _compare_routes(expect, effects, routes)
    yield from _compare_handlers(expect, effects, routes)
    yield from _compare_emits(expect, effects)
    for handler, state in expect.states.items():
        yield from _compare_state(handler, state, expect, effects, routes)
    if forbidden is not None:
        yield from _compare_forbidden(forbidden, effects)


def _compare_routes(expect: ExpectModel, effects: Effects, routes: Routes) -> Iterator[Failure]:
    # Without the key every route may match.
    if not expect.routes:
        return
    for name in dict.fromkeys(expect.routes):
        if not effects.find_matching(name):
            reason = f"{_explain_route(name, effects, routes)}{_describe_dead(effects)}"
            path = ("expect", "routes", expect.routes.index(name))
            yield Failure(f"route {name}", "a match", "no match", reason, path)
    for name in dict.fromkeys(chain.from_iterable(effects.matched.values())):
        if name not in expect.routes:
            actual, reason = _list_events(effects.find_matching(name)), "expect.routes does not name it"
            yield Failure(f"route {name}", "no match", actual, reason, ("expect", "routes"))


def _compare_handlers(expect: ExpectModel, effects: Effects, routes: Routes) -> Iterator[Failure]:
    for number, (handler, expected) in enumerate(expect.handler_counts.items()):
        attempts = effects.attempts[handler]
        if attempts == expected or (expected is None and attempts):
            continue
        key: str | int = number
        if isinstance(expect.handlers, dict):
            key = handler
        number_in_words: str | int = "at least 1"
        if expected is not None:
            number_in_words = expected
        reason = _explain_handler(handler, effects, routes, expect.routes)
        yield Failure(f"attempts of {handler}", number_in_words, attempts, reason, ("expect", "handlers", key))


def _compare_emits(expect: ExpectModel, effects: Effects) -> Iterator[Failure]:
    for index, source in enumerate(expect.emits):
        pattern = Pattern(source)
        if not any(pattern.matches(event.raw) for event in effects.emitted):
            reason = _explain_nearest(pattern, effects.emitted) or "no handler emitted an event"
            reason += _describe_dead(effects)
            types = list(dict.fromkeys(event.type for event in effects.emitted))
            yield Failure(f"emits[{index}]", source, types, reason, ("expect", "emits", index))


def _compare_state(
    handler: str, state: str, expect: ExpectModel, effects: Effects, routes: Routes
) -> Iterator[Failure]:
    states = list(dict.fromkeys(delivery.state for delivery in effects.deliveries if delivery.handler == handler))
    if states != [state]:
        reason = _explain_handler(handler, effects, routes, expect.routes)
        # A scenario waits for every retry, so no delivery stays in one of these states. Its author may expect that the
        # scenario ends earlier.
        if state in ("ready", "waiting"):
            reason = "a scenario ends when every delivery is done or dead"
        path = ("expect", "states", handler)
        yield Failure(f"state of {handler}", state, ", ".join(states) or "no delivery", reason, path)


def _compare_forbidden(forbidden: ForbiddenModel, effects: Effects) -> Iterator[Failure]:
    path = ("expect", "not")
    for index, name in enumerate(forbidden.routes):
        matching = effects.find_matching(name)
        if matching:
            yield Failure(f"route {name}", "no match", _list_events(matching), None, path + ("routes", index))
    for index, handler in enumerate(forbidden.handlers):
        attempts = effects.attempts[handler]
        if attempts:
            reason = _describe_deliveries(handler, effects)
            yield Failure(f"attempts of {handler}", 0, attempts, reason, path + ("handlers", index))
    for index, source in enumerate(forbidden.emits):
        pattern = Pattern(source)
        matching = [event for event in effects.emitted if pattern.matches(event.raw)]
        if matching:
            expected = {"no event matches": source}
            yield Failure(f"not.emits[{index}]", expected, _list_events(matching), None, path + ("emits", index))


def _list_events(events: Sequence[StoredEvent]) -> str:
    return list_some([f"{event.type} {event.id}" for event in events], MAX_LISTED)


# --- reasons --------------------------------------------------------------------------------------------------------


def _explain_handler(handler: str, effects: Effects, routes: Routes, explained: Collection[str]) -> str:
    """Describes the deliveries to a handler. If it has no delivery, explains why.

    Routes that are `explained` in another failure are only named.
    """
    description = _describe_deliveries(handler, effects)
    if description:
        return description
    if routes.handlers[handler].is_external:
        return "it is external, and called only where it is mocked"
    reasons = []
    for name, route in routes.routes.items():
        if handler in route.to:
            reason = f"route {name} matches no event"
            if name not in explained:
                reason += f": {_explain_route(name, effects, routes)}"
            reasons.append(reason)
    return "; ".join(reasons) or f"no route goes to {handler}"


def _describe_dead(effects: Effects) -> str:
    """Returns the end of a reason: the dead deliveries, which may be the cause of a missing event."""
    dead = dict.fromkeys(f"{d.handler} is dead: {d.error}" for d in effects.deliveries if d.state == "dead")
    if dead:
        return f"; {list_some(list(dead), MAX_LISTED)}"
    return ""


def _describe_deliveries(handler: str, effects: Effects) -> str | None:
    types = {event.seq: event.type for event in effects.events}
    texts = []
    for delivery in effects.deliveries:
        if delivery.handler == handler:
            error = ""
            if delivery.error and delivery.state != "done":
                error = f": {delivery.error}"
            texts.append(f"{types[delivery.event]} by {delivery.route} is {delivery.state}{error}")
    if texts:
        return list_some(texts, MAX_LISTED)
    return None


def _explain_route(name: str, effects: Effects, routes: Routes) -> str:
    """Explains why a route matched no event: by the conditions that fail in the nearest one."""
    route: Route = routes.routes[name]
    if not route.enabled:
        return "the route is disabled"
    events = [event for event in effects.events if route.event_bus in (None, event.bus)]
    if effects.events and not events:
        buses = ", ".join(sorted({event.bus for event in effects.events}))
        return f"it takes only events of the bus {route.event_bus}; they are on {buses}"
    return _explain_nearest(route.pattern, events) or "no event was published"


def _explain_nearest(pattern: Pattern, events: Sequence[StoredEvent]) -> str | None:
    """Lists the conditions of a pattern that fail in the event that comes nearest; None without an event."""
    nearest: tuple[Explanation, StoredEvent] | None = None
    for event in events:
        explanation = explain(pattern, read_structure(event.raw))
        if nearest is None or explanation.distance < nearest[0].distance:
            nearest = explanation, event
    if nearest is None:
        return None
    explanation, event = nearest
    reasons = [f"{result.path}: {result.reason}" for result in explanation.failures]
    return f"{event.type} {event.id}: {list_some(reasons, MAX_LISTED)}"
