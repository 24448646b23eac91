"""Sums: how many events and deliveries a store holds, counted at one moment so that they add up."""

from typing import NamedTuple

from evtool.store.rows import STATES, Counted, Filter
from evtool.store.store import Store, clause

States = dict[str, int]  # every state of a delivery, and how many are in it


class Taken(NamedTuple):
    """What one handler got by one route."""

    route: str
    handler: str
    states: States


class Sums(NamedTuple):
    """Of the events that were asked for, and of all their deliveries."""

    events: int
    states: States
    taken: list[Taken]

    @property
    def deliveries(self) -> int:
        """How many deliveries there are, whatever their state."""
        return sum(self.states.values())


def sums(store: Store, wanted: Filter = Filter()) -> Sums:  # noqa: B008
    """Counts what a filter lets through."""
    condition, values = clause(wanted)
    with store.transaction("DEFERRED"):
        events = store.rows(f"SELECT count(*) FROM event WHERE {condition}", *values)[0][0]
        rows = store.rows(
            "SELECT state, count(*), route, handler FROM delivery"
            f" WHERE event IN (SELECT seq FROM event WHERE {condition}) GROUP BY 1, 3, 4 ORDER BY 3, 4",
            *values,
        )
    total, taken = dict.fromkeys(STATES, 0), dict[tuple[str, str], States]()
    for state, count, route, handler in store.read(Counted, rows):
        of_handler = taken.setdefault((route, handler), dict.fromkeys(STATES, 0))
        for counted in (of_handler, total):
            counted[state] += count
    return Sums(events, total, [Taken(route, handler, states) for (route, handler), states in taken.items()])
