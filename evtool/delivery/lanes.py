"""The lanes of a run: which of them have due deliveries, and which is next.

A lane is the deliveries of one route to one handler. The lane that was served least recently is next, so that a route
with many deliveries does not delay another one.
"""

from collections.abc import Collection, Iterable

from evtool.store.queue import Lane

# A time in ms that never comes.
FOREVER = 1 << 62


class Lanes:
    """Lanes with deliveries, and the turns in which they and their handlers were served."""

    def __init__(self) -> None:
        # By handler and route.
        self._lanes: dict[tuple[str, str], Lane] = {}
        # The turn in which each lane, and each handler, was served last.
        self._last_served: dict[object, int] = {}
        self._turn = 0

    @property
    def first_due(self) -> int:
        """The time in ms when the first delivery is due; FOREVER if there is none."""
        return min((lane.due for lane in self._lanes.values()), default=FOREVER)

    def replace(self, lanes: Iterable[Lane]) -> None:
        """Replaces the lanes by those of the store now. The turns stay."""
        self._lanes = {(lane.handler, lane.route): lane for lane in lanes}

    def list_due(self, now: int) -> list[Lane]:
        """Returns the lanes with due deliveries, the one that was served least recently first."""
        due_lanes = [lane for lane in self._lanes.values() if lane.due <= now]
        return sorted(due_lanes, key=self._order_of)

    def _order_of(self, lane: Lane) -> tuple[int, int]:
        return self._last_served.get((lane.handler, lane.route), 0), lane.due

    def choose_handler(self, due_lanes: Iterable[Lane], candidates: Collection[str]) -> str | None:
        """Returns the candidate with a due lane that was served least recently."""
        chosen, its_turn = None, 0
        for lane in due_lanes:
            turn = self._last_served.get(lane.handler, 0)
            if lane.handler in candidates and (chosen is None or turn < its_turn):
                chosen, its_turn = lane.handler, turn
        return chosen

    def begin_turn(self) -> None:
        """Starts a turn: all that is served from now on counts as more recent than all before."""
        self._turn += 1

    def serve(self, lane: Lane, next_due: int | None) -> None:
        """Notes that a lane was served, and when its next delivery is due in ms (None: it has no more)."""
        key = (lane.handler, lane.route)
        self._last_served[lane.handler] = self._last_served[key] = self._turn
        del self._lanes[key]
        if next_due is not None:
            self._lanes[key] = lane._replace(due=next_due)
