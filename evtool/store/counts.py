"""Counts the events and deliveries of a store by route, handler and state, and lists the names that occur in it."""

from typing import NamedTuple

from evtool.store.filters import build_condition
from evtool.store.rows import STATES, DeliveryCount, Filter, has_expected_types
from evtool.store.store import Store

TABLES = {"route": "delivery", "handler": "delivery", "type": "event", "source": "event"}  # where a name is found

StateCounts = dict[str, int]  # every state of a delivery, and how many are in it


class HandlerTotals(NamedTuple):
    """What one handler got by one route."""

    route: str
    handler: str
    states: StateCounts


class Totals(NamedTuple):
    """Of the events that were asked for, and of all their deliveries."""

    events: int
    states: StateCounts
    handlers: list[HandlerTotals]

    @property
    def deliveries(self) -> int:
        """How many deliveries there are, whatever their state."""
        return sum(self.states.values())


class LastCall(NamedTuple):
    """The attempt at a handler that was started last, and the event that it was for."""

    handler: str
    event: str
    type: str
    started: int
    duration_ms: int | None
    outcome: str | None
    error: str | None

    def damage(self) -> str | None:
        """What shows that evtool has not stored it so; None if nothing does."""
        if has_expected_types(self):
            return None
        return f"the last attempt at {self.handler!r} is not readable"


def list_last_calls(store: Store) -> dict[str, LastCall]:
    """The last attempt at each handler, by its name."""
    rows = store.execute(
        "SELECT handler, event.id, event.type, max(started), attempt.duration_ms, outcome, attempt.error"
        " FROM attempt JOIN delivery ON delivery.seq = attempt.delivery JOIN event ON event.seq = delivery.event"
        " GROUP BY handler"
    )
    return {call.handler: call for call in store.decode(LastCall, rows)}


def count_totals(store: Store, event_filter: Filter = Filter()) -> Totals:  # noqa: B008
    """Counts what a filter lets through."""
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
    total, by_handler = dict.fromkeys(STATES, 0), dict[tuple[str, str], StateCounts]()
    for state, count, route, handler in store.decode(DeliveryCount, rows):
        handler_states = by_handler.setdefault((route, handler), dict.fromkeys(STATES, 0))
        for state_counts in (handler_states, total):
            state_counts[state] += count
    return Totals(
        events, total, [HandlerTotals(route, handler, states) for (route, handler), states in by_handler.items()]
    )


def has_name(store: Store, column: str, name: str) -> bool:
    """Whether a route, handler, type or source occurs in the store; `column` says which of these it is."""
    return bool(store.execute(f"SELECT 1 FROM {TABLES[column]} WHERE {column} = ? LIMIT 1", name))


def list_names(store: Store, column: str) -> list[str]:
    """The routes, handlers, types or sources that occur in the store."""
    return [str(name) for (name,) in store.execute(f"SELECT DISTINCT {column} FROM {TABLES[column]} ORDER BY 1")]


def count_edges(store: Store) -> dict[tuple[str, str, str], int]:
    """Counts deliveries by type and route (`matches`) and by route and handler (`delivers`), and emitted events by
    handler and type (`emits`)."""
    queries = {
        "matches": "SELECT e.type, d.route, count(*) FROM delivery d JOIN event e ON e.seq = d.event GROUP BY 1, 2",
        "delivers": "SELECT route, handler, count(*) FROM delivery GROUP BY 1, 2",
        "emits": "SELECT d.handler, e.type, count(*) FROM event e JOIN delivery d ON d.seq = e.cause GROUP BY 1, 2",
    }
    with store.transaction("DEFERRED"):
        rows = {kind: store.execute(query) for kind, query in queries.items()}
    return {(kind, start, end): count for kind, found in rows.items() for start, end, count in found}


def list_sources(store: Store) -> list[tuple[str, str]]:
    """The types that occur in the store, each with every source of it."""
    return [(name, source) for name, source in store.execute("SELECT DISTINCT type, source FROM event ORDER BY 1, 2")]


def list_recent_types(store: Store, limit: int) -> list[str]:
    """The types of the events that were stored last, in alphabetical order."""
    query = "SELECT DISTINCT type FROM (SELECT type FROM event ORDER BY seq DESC LIMIT ?) ORDER BY 1"
    return [str(name) for (name,) in store.execute(query, limit)]
