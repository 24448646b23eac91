"""Compares two versions of the routes: which deliveries of an event one version makes and the other does not.

A delivery is (event, handler), so a renamed route changes nothing. Both versions are matched in one pass: equal
patterns are matched once, and what follows from the patterns that match is computed once for each combination.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from evtool.patterns.pattern import Pattern
from evtool.routes.comparison.branches import describe_conditions, describe_fields
from evtool.routes.router import Router
from evtool.routes.routes import Route, Routes

MAX_COMBINATIONS = 10_000  # of matching patterns that are remembered


class Delivery(NamedTuple):
    """What a version of the routes does with an event: a handler, and the first route that goes to it."""

    route: Route
    handler: str


class Difference(NamedTuple):
    """The deliveries of an event: those that only the base makes, only the current routes make, and both make."""

    lost: tuple[Delivery, ...]
    gained: tuple[Delivery, ...]
    same: tuple[Delivery, ...]  # as the current routes make them


class RouteComparison:
    """Two versions of the routes, matched together. What unknown values decide is neither lost nor gained."""

    def __init__(self, current: Routes, base: Routes, open_routes: tuple[Collection[str], Collection[str]] = ((), ())):
        """`open_routes` are the routes of both versions of which something besides the pattern is unknown."""
        self._open_routes = open_routes
        self._routes_of_pattern: list[tuple[list[Route], list[Route]]] = []  # by number: current, base
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
        self._positions = [
            {name: position for position, name in enumerate(routes.routes)} for routes in (current, base)
        ]
        self._router = Router(patterns)
        self._differences: dict[tuple[object, ...], Difference] = {}

    def compare(self, raw: bytes, bus: str) -> Difference:
        """The deliveries of an event that is well-formed JSON without duplicate keys."""
        numbers = self._router.match_checked(raw)
        undecided = self._router.find_undecided_checked(raw)
        if undecided:
            key = (bus, *numbers, None, *undecided)
        else:
            key = (bus, *numbers)
        difference = self._differences.get(key)
        if difference is None:
            if len(self._differences) >= MAX_COMBINATIONS:
                self._differences.clear()
            difference = self._differences[key] = self._build_difference(numbers, undecided, bus)
        return difference

    def _build_difference(self, numbers: Sequence[int], undecided: Sequence[int], bus: str) -> Difference:
        current, base = (self._list_deliveries(numbers, bus, side) for side in (0, 1))
        possible, possible_before = (self._list_possible(numbers, undecided, bus, side) for side in (0, 1))
        return Difference(
            tuple(delivery for handler, delivery in base.items() if handler not in {*current, *possible}),
            tuple(delivery for handler, delivery in current.items() if handler not in {*base, *possible_before}),
            tuple(delivery for handler, delivery in current.items() if handler in base),
        )

    def _list_deliveries(self, numbers: Iterable[int], bus: str, side: int) -> dict[str, Delivery]:
        """The deliveries of one version by handler, without those that unknown values decide."""
        deliveries: dict[str, Delivery] = {}
        for route in self._list_routes(numbers, bus, side):
            if route.name not in self._open_routes[side]:
                for handler in route.to:
                    deliveries.setdefault(handler, Delivery(route, handler))
        return deliveries

    def _list_possible(self, numbers: Iterable[int], undecided: Iterable[int], bus: str, side: int) -> set[str]:
        """The handlers of one version that get the event or not, as unknown values decide."""
        routes = self._list_routes(undecided, bus, side)
        routes += [route for route in self._list_routes(numbers, bus, side) if route.name in self._open_routes[side]]
        return {handler for route in routes for handler in route.to}

    def _list_routes(self, numbers: Iterable[int], bus: str, side: int) -> list[Route]:
        positions = self._positions[side]
        routes = [route for number in numbers for route in self._routes_of_pattern[number][side]]
        matching = [route for route in routes if route.event_bus in (None, bus)]
        return sorted(matching, key=lambda route: positions[route.name])


def pattern_key(pattern: Pattern) -> object:
    """A value that is equal for patterns with the same conditions."""
    return repr(
        [
            [(field.path, field.can_be_absent, describe_conditions(field)) for field in branch]
            for branch in pattern.branches
        ]
    )


def list_conditions(route: Route, path: str) -> list[tuple[str, str]]:
    """The operators and operands of a route on a field, as values that can be compared."""
    return [entry for branch in route.pattern.branches for entry in describe_fields(branch, path)]
