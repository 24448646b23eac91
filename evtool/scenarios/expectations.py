"""Compares what a scenario expects with what resulted, and explains each difference."""

import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from evtool.findings.phrases import list_some
from evtool.patterns.explain.event_structure import read_structure
from evtool.patterns.explain.explanation import explain
from evtool.patterns.pattern import Pattern
from evtool.routes.routes import Route, Routes
from evtool.scenarios.model import ExpectModel, ForbiddenModel, ScenarioModel
from evtool.store.rows import Delivery, StoredEvent

MAX_LISTED = 3  # events, conditions or types that a sentence lists


class Failure(NamedTuple):
    """One expectation that does not hold. `path` leads to it in the scenario."""

    what: str
    expected: Any
    actual: Any
    reason: str | None
    path: tuple[str | int, ...] = ()


def describe_failure(what: str, expected: Any, actual: Any, reason: str | None) -> str:
    """A failure in one line."""
    text = f"{what}: expected {format_value(expected)}, got {format_value(actual)}"
    if reason:
        return f"{text} ({reason})"
    return text


def format_value(value: Any) -> str:
    """An expected or actual value in words."""
    if value == []:
        return "nothing"
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


class Effects(NamedTuple):
    """What resulted: the stored events, their deliveries, the routes that matched by event, attempts by handler."""

    events: Sequence[StoredEvent]
    deliveries: Sequence[Delivery]
    matched: Mapping[int, tuple[str, ...]]
    attempts: Counter[str]

    @property
    def emitted(self) -> list[StoredEvent]:
        """The events that handlers emitted."""
        return [event for event in self.events if event.cause is not None]

    def find_matching(self, route: str) -> list[StoredEvent]:
        """The events that a route matched."""
        return [event for event in self.events if route in self.matched[event.seq]]


def compare(model: ScenarioModel, effects: Effects, routes: Routes) -> Iterator[Failure]:
    """A failure for each expectation that does not hold, in the order of the scenario's keys."""
    expect = model.expect
    forbidden = expect.forbidden
    yield from _compare_routes(expect, effects, routes)
    yield from _compare_handlers(expect, effects, routes)
    for index, source in enumerate(expect.emits):
        pattern = Pattern(source)
        if not any(pattern.matches(event.raw) for event in effects.emitted):
            reason = _explain_nearest(pattern, effects.emitted) or "no handler emitted an event"
            reason += _describe_dead(effects)
            types = list(dict.fromkeys(event.type for event in effects.emitted))
            path = ("expect", "emits", index)
            yield Failure(f"emits[{index}]", source, types, reason, path)
    for handler, state in expect.states.items():
        yield from _compare_state(handler, state, expect, effects, routes)
    if forbidden is not None:
        yield from _compare_forbidden(forbidden, effects)


def _compare_routes(expect: ExpectModel, effects: Effects, routes: Routes) -> Iterator[Failure]:
    if not expect.routes:
        return
    for name in dict.fromkeys(expect.routes):
        if not effects.find_matching(name):
            reason = f"{_explain_route(name, effects, routes)}{_describe_dead(effects)}"
            path = ("expect", "routes", expect.routes.index(name))
            yield Failure(f"route {name}", "a match", "no match", reason, path)
    for name in dict.fromkeys(name for names in effects.matched.values() for name in names):
        if name not in expect.routes:
            actual, reason = _list_events(effects.find_matching(name)), "expect.routes does not name it"
            yield Failure(f"route {name}", "no match", actual, reason, ("expect", "routes"))


def _compare_handlers(expect: ExpectModel, effects: Effects, routes: Routes) -> Iterator[Failure]:
    for number, (handler, expected) in enumerate(expect.handler_counts.items()):
        attempts = effects.attempts[handler]
        if attempts == expected or (expected is None and attempts):
            continue
        key = handler if isinstance(expect.handlers, dict) else number
        wanted = "at least 1" if expected is None else expected
        reason = _explain_handler(handler, effects, routes, expect.routes)
        yield Failure(f"attempts of {handler}", wanted, attempts, reason, ("expect", "handlers", key))


def _compare_state(
    handler: str, state: str, expect: ExpectModel, effects: Effects, routes: Routes
) -> Iterator[Failure]:
    states = list(dict.fromkeys(delivery.state for delivery in effects.deliveries if delivery.handler == handler))
    if states != [state]:
        reason = _explain_handler(handler, effects, routes, expect.routes)
        if state in ("ready", "waiting"):
            reason = "a scenario ends when every delivery is done or dead"
        path = ("expect", "states", handler)
        yield Failure(f"state of {handler}", state, ", ".join(states) or "no delivery", reason, path)


def _compare_forbidden(forbidden: ForbiddenModel, effects: Effects) -> Iterator[Failure]:
    path = ("expect", "not")
    for index, name in enumerate(forbidden.routes):
        matching = effects.find_matching(name)
        if matching:
            yield Failure(f"route {name}", "no match", _list_events(matching), None, (*path, "routes", index))
    for index, handler in enumerate(forbidden.handlers):
        attempts = effects.attempts[handler]
        if attempts:
            reason = _describe_deliveries(handler, effects)
            yield Failure(f"attempts of {handler}", 0, attempts, reason, (*path, "handlers", index))
    for index, source in enumerate(forbidden.emits):
        pattern = Pattern(source)
        matching = [event for event in effects.emitted if pattern.matches(event.raw)]
        if matching:
            expected = {"no event matches": source}
            yield Failure(f"not.emits[{index}]", expected, _list_events(matching), None, (*path, "emits", index))


def _list_events(events: Sequence[StoredEvent]) -> str:
    return list_some([f"{event.type} {event.id}" for event in events], MAX_LISTED)


# --- reasons --------------------------------------------------------------------------------------------------------


def _explain_handler(handler: str, effects: Effects, routes: Routes, explained: Collection[str]) -> str:
    """What became of the deliveries to a handler; why there are none, if there are none.

    Routes that are `explained` elsewhere are only named.
    """
    description = _describe_deliveries(handler, effects)
    if description:
        return description
    if routes.handlers[handler].is_external:
        return "it is external, and called only where it is mocked"
    reasons = [
        f"route {name} matches no event" + ("" if name in explained else f": {_explain_route(name, effects, routes)}")
        for name, route in routes.routes.items()
        if handler in route.to
    ]
    return "; ".join(reasons) or f"no route goes to {handler}"


def _describe_dead(effects: Effects) -> str:
    """The deliveries that died, which may be why something else is missing; for the end of a reason."""
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
    """Why a route matched no event: the conditions that fail in the nearest one."""
    route: Route = routes.routes[name]
    if not route.enabled:
        return "the route is disabled"
    events = [event for event in effects.events if route.event_bus in (None, event.bus)]
    if effects.events and not events:
        buses = ", ".join(sorted({event.bus for event in effects.events}))
        return f"it takes only events of the bus {route.event_bus}; they are on {buses}"
    return _explain_nearest(route.pattern, events) or "no event was published"


def _explain_nearest(pattern: Pattern, events: Sequence[StoredEvent]) -> str | None:
    """The conditions of a pattern that fail in the event that comes nearest."""
    if not events:
        return None
    pairs = [(explain(pattern, read_structure(event.raw)), event) for event in events]
    explanation, event = min(pairs, key=lambda pair: pair[0].distance)
    reasons = [f"{result.path}: {result.reason}" for result in explanation.failures]
    return f"{event.type} {event.id}: {list_some(reasons, MAX_LISTED)}"
