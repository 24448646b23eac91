"""Compares two versions of the routes: which deliveries of an event one version makes and the other does not.

A delivery is identified by event and handler, so renaming a route changes nothing. Both versions are matched in one
pass: each different pattern is matched once, and the result is computed once for each combination of matching patterns.
Example: the routes changed from A: {type: a} -> mail to A: {type: a} -> mail, log and B: {type: b} -> log.

    event   matching patterns      base    current     difference
    type a  {type: a}              mail    mail, log   gained: log (by A); same: mail
    type b  {type: b}                      log         gained: log (by B)
    type a  {type: a}                                  known from the first event
"""

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from evtool.patterns.pattern import Pattern
from evtool.routes.comparison.branches import describe_conditions, describe_fields
from evtool.routes.router import Router
from evtool.routes.routes import Route, Routes

# Combinations of matching patterns whose results are kept.
MAX_COMBINATIONS = 10_000


class Delivery(NamedTuple):
    """A handler that gets an event in one version of the routes, and the first route that leads to it."""

    route: Route
    handler: str


class Difference(NamedTuple):
    """The deliveries of an event that only the base makes, that only the current routes make, and that both make.

    `same` has the routes of the current version.
    """

    lost: tuple[Delivery, ...]
    gained: tuple[Delivery, ...]
    same: tuple[Delivery, ...]


class RouteComparison:
    """Two versions of the routes, matched together.

    A delivery that depends on an unknown value of a template is neither lost nor gained.
    """

    def __init__(self, current: Routes, base: Routes, open_routes: tuple[Collection[str], Collection[str]] = ((), ())):
        """`open_routes` are the routes of both versions whose bus or state is unknown."""
        self._open_routes = open_routes
        # The routes of each pattern, by the number of the pattern: those of the current version, those of the base.
        self._routes_of_pattern: list[tuple[list[Route], list[Route]]] = []
        patterns: list[Pattern] = []
        numbers: dict[object, int] = {}
        for side, routes in enumerate((current, base)):
            for route in routes.routes.values():
                if not route.enabled:
                    continue
                number = numbers.setdefault(pattern_key(route.pattern), len(patterns))
                if number == len(patterns):
                    patterns.append(route.pattern)
                    self._routes_of_pattern.append(([], []))
                self._routes_of_pattern[number][side].append(route)
        self._positions = [_number_routes(current), _number_routes(base)]
        self._router = Router(patterns)
        self._differences: dict[tuple[object, ...], Difference] = {}

    def compare(self, raw: bytes, bus: str) -> Difference:
        """Returns the difference for an event, which must be well-formed JSON without duplicate keys."""
        numbers = self._router.match_checked(raw)
        undecided = self._router.find_undecided_checked(raw)
        key = (bus, tuple(numbers), tuple(undecided))
        difference = self._differences.get(key)
        if difference is None:
            if len(self._differences) >= MAX_COMBINATIONS:
                self._differences.clear()
            difference = self._differences[key] = self._build_difference(numbers, undecided, bus)
        return difference

    def _build_difference(self, numbers: Sequence[int], undecided: Sequence[int], bus: str) -> Difference:
        current, base = self._list_deliveries(numbers, bus, 0), self._list_deliveries(numbers, bus, 1)
        possible_now = self._list_possible(numbers, undecided, bus, 0)
        possible_before = self._list_possible(numbers, undecided, bus, 1)
        lost, gained, same = [], [], []
        for handler, delivery in base.items():
            if handler not in current and handler not in possible_now:
                lost.append(delivery)
        for handler, delivery in current.items():
            if handler in base:
                same.append(delivery)
            elif handler not in possible_before:
                gained.append(delivery)
        return Difference(tuple(lost), tuple(gained), tuple(same))

    def _list_deliveries(self, numbers: Iterable[int], bus: str, side: int) -> dict[str, Delivery]:
        """Returns the deliveries of one version by handler, without those that depend on unknown values."""
        deliveries: dict[str, Delivery] = {}
        for route in self._list_routes(numbers, bus, side):
            if route.name not in self._open_routes[side]:
                for handler in route.to:
                    deliveries.setdefault(handler, Delivery(route, handler))
        return deliveries

    def _list_possible(self, numbers: Iterable[int], undecided: Iterable[int], bus: str, side: int) -> set[str]:
        """Returns the handlers of one version that get the event for some of the unknown values only."""
        handlers: set[str] = set()
        for route in self._list_routes(undecided, bus, side):
            handlers.update(route.to)
        for route in self._list_routes(numbers, bus, side):
            if route.name in self._open_routes[side]:
                handlers.update(route.to)
        return handlers

    def _list_routes(self, numbers: Iterable[int], bus: str, side: int) -> list[Route]:
        """Returns the routes of one version with these patterns, in the order of the file."""
        positions = self._positions[side]
        routes = {}
        for number in numbers:
            for route in self._routes_of_pattern[number][side]:
                if route.event_bus in (None, bus):
                    routes[positions[route.name]] = route
        return [routes[position] for position in sorted(routes)]


def _number_routes(routes: Routes) -> dict[str, int]:
    return {name: position for position, name in enumerate(routes.routes)}


def pattern_key(pattern: Pattern) -> object:
    """Returns a value that is equal for patterns with the same conditions."""
    key = []
    for branch in pattern.branches:
        key.append([(field.path, field.can_be_absent, describe_conditions(field)) for field in branch])
    return repr(key)


def list_conditions(route: Route, path: str) -> list[tuple[str, str]]:
    """Returns the operators and operands of a route for a path, as values that can be compared."""
    conditions = []
    for branch in route.pattern.branches:
        conditions += describe_fields(branch, path)
    return conditions
