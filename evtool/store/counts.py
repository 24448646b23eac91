"""Counts events and deliveries by route, handler and state, and lists the names that occur in a store."""

from typing import NamedTuple

from evtool.store.filters import build_condition
from evtool.store.rows import STATES, DeliveryCount, Filter, has_expected_types
from evtool.store.store import Store

# The table that has the names of each kind.
TABLES = {"route": "delivery", "handler": "delivery", "type": "event", "source": "event"}

# The number of deliveries in each state.
StateCounts = dict[str, int]


class HandlerTotals(NamedTuple):
    """The deliveries of one route to one handler, by state."""

    route: str
    handler: str
    states: StateCounts


class Totals(NamedTuple):
    """The number of the selected events, and of all their deliveries by state, route and handler."""

    events: int
    states: StateCounts
    handlers: list[HandlerTotals]

    @property
    def deliveries(self) -> int:
        """The number of deliveries in all states."""
        return sum(self.states.values())


class LastCall(NamedTuple):
    """The most recent attempt at a handler, and its event."""

    handler: str
    event: str
    type: str
    started: int
    duration_ms: int | None
    outcome: str | None
    error: str | None

    def damage(self) -> str | None:
        """Returns what is wrong with it; None if it is as evtool writes it."""
        if has_expected_types(self):
            return None
        return f"the last attempt at {self.handler!r} is not readable"


def list_last_calls(store: Store) -> dict[str, LastCall]:
    """Returns the most recent attempt at each handler, by the name of the handler."""
    rows = store.execute(
        "SELECT handler, event.id, event.type, max(started), attempt.duration_ms, outcome, attempt.error"
        " FROM attempt JOIN delivery ON delivery.seq = attempt.delivery JOIN event ON event.seq = delivery.event"
        " GROUP BY handler"
    )
    return {call.handler: call for call in store.decode(LastCall, rows)}


def count_totals(store: Store, event_filter: Filter = Filter()) -> Totals:  # noqa: B008
    """Counts the events that a filter selects, and their deliveries."""
    condition, values = build_condition(event_filter)
    of_events = "1"
    if event_filter != Filter():
        of_events = f"event IN (SELECT seq FROM event WHERE {condition})"
    with store.transaction("DEFERRED"):
        events = store.execute(f"SELECT count(*) FROM event WHERE {condition}", *values)[0][0]
        rows = store.execute(
            f"SELECT state, count(*), route, handler FROM delivery WHERE {of_events} GROUP BY 1, 3, 4 ORDER BY 3, 4",
            *values,
        )
    total = dict.fromkeys(STATES, 0)
    handlers: list[HandlerTotals] = []
    # Sorted by route and handler: the states of one handler follow each other.
    for state, count, route, handler in store.decode(DeliveryCount, rows):
        if not handlers or (handlers[-1].route, handlers[-1].handler) != (route, handler):
            handlers.append(HandlerTotals(route, handler, dict.fromkeys(STATES, 0)))
        handlers[-1].states[state] += count
        total[state] += count
    return Totals(events, total, handlers)


def has_name(store: Store, column: str, name: str) -> bool:
    """Whether a name occurs in the store; `column` is route, handler, type or source."""
    return bool(store.execute(f"SELECT 1 FROM {TABLES[column]} WHERE {column} = ? LIMIT 1", name))


def list_names(store: Store, column: str) -> list[str]:
    """Returns the names that occur in the store; `column` is route, handler, type or source."""
    return [str(name) for (name,) in store.execute(f"SELECT DISTINCT {column} FROM {TABLES[column]} ORDER BY 1")]


def count_edges(store: Store) -> dict[tuple[str, str, str], int]:
    """Counts the edges of the graph of a store.

    `matches` are deliveries by type and route, `delivers` deliveries by route and handler, `emits` emitted events by
    handler and type.
    """
    queries = {
        "matches": "SELECT e.type, d.route, count(*) FROM delivery d JOIN event e ON e.seq = d.event GROUP BY 1, 2",
        "delivers": "SELECT route, handler, count(*) FROM delivery GROUP BY 1, 2",
        "emits": "SELECT d.handler, e.type, count(*) FROM event e JOIN delivery d ON d.seq = e.cause GROUP BY 1, 2",
    }
    counts = {}
    with store.transaction("DEFERRED"):
        for kind, query in queries.items():
            for start, end, count in store.execute(query):
                counts[kind, start, end] = count
    return counts


def list_sources(store: Store) -> list[tuple[str, str]]:
    """Returns the pairs of type and source that occur in the store."""
    return list(map(tuple, store.execute("SELECT DISTINCT type, source FROM event ORDER BY 1, 2")))


def list_recent_types(store: Store, limit: int) -> list[str]:
    """Returns the types of the `limit` events that were stored last, in alphabetical order."""
    query = "SELECT DISTINCT type FROM (SELECT type FROM event ORDER BY seq DESC LIMIT ?) ORDER BY 1"
    return [str(name) for (name,) in store.execute(query, limit)]
