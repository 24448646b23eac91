"""The lanes of a run: which have something due, and whose turn it is."""

from collections.abc import Collection, Iterable

from evtool.store.queue import Lane

FOREVER = 1 << 62  # ms


class Lanes:
    """Lanes with deliveries, and the turns in which they and their handlers were served."""

    def __init__(self) -> None:
        self._lanes: dict[tuple[str, str], Lane] = {}  # by handler and route
        self._last_served: dict[object, int] = {}
        self._turn = 0

    @property
    def first_due(self) -> int:
        """When the first delivery is due."""
        return min((lane.due for lane in self._lanes.values()), default=FOREVER)

    def replace(self, lanes: Iterable[Lane]) -> None:
        """Takes what the store has now. The turns stay."""
        self._lanes = {(lane.handler, lane.route): lane for lane in lanes}

    def list_due(self, now: int) -> list[Lane]:
        """The lanes with something due: the one that was served the longest time ago is first."""
        due_lanes = [lane for lane in self._lanes.values() if lane.due <= now]
        return sorted(due_lanes, key=lambda lane: (self._last_served.get((lane.handler, lane.route), 0), lane.due))

    def choose_handler(self, due_lanes: Iterable[Lane], candidates: Collection[str]) -> str | None:
        """Of some handlers with lanes that are due, the one that was served the longest time ago."""
        handlers = [lane.handler for lane in due_lanes if lane.handler in candidates]
        return min(handlers, key=lambda handler: self._last_served.get(handler, 0), default=None)

    def begin_turn(self) -> None:
        """What is served from now on is served later than all before."""
        self._turn += 1

    def serve(self, lane: Lane, next_due: int | None) -> None:
        """Notes that a lane was served, and when its next delivery is due."""
        key = (lane.handler, lane.route)
        self._last_served[lane.handler] = self._last_served[key] = self._turn
        del self._lanes[key]
        if next_due is not None:
            self._lanes[key] = lane._replace(due=next_due)
