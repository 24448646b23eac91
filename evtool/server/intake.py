"""Stores the events of requests: all events of a request, or none."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from evtool.delivery.intake import describe_conflict, has_same_content, insert_event, match_handlers
from evtool.events.buses import DEFAULT_BUS
from evtool.events.envelopes import parse_event
from evtool.events.event import Event
from evtool.findings.finding import Finding
from evtool.server.context import Context
from evtool.server.http.errors import HttpError
from evtool.store.rows import NewDelivery
from evtool.store.store import Store


class RoutedEvent(NamedTuple):
    """An event that is ready to be stored, with its deliveries."""

    event: Event
    deliveries: Sequence[NewDelivery]


def route_event(context: Context, event: Event) -> RoutedEvent:
    """Returns an event with the deliveries that the routes make of it."""
    targets = match_handlers(event, context.routes)
    return RoutedEvent(
        event, [NewDelivery(route.name, handler) for route, handler, is_external in targets if not is_external]
    )


def note_buses(context: Context, events: Sequence[Event]) -> None:
    """Says once for each bus that no route names it."""
    for bus in {event.bus or DEFAULT_BUS for event in events}:
        if bus != DEFAULT_BUS and bus not in context.routes.event_buses:
            context.log.add_once(
                f"no route has `event-bus: {bus}`: only routes without event-bus take the events of this bus"
            )


async def store_events(context: Context, events: Sequence[RoutedEvent]) -> list[str]:
    """Stores events in one commit; "stored" or "duplicate" for each.

    Raises HttpError, with nothing stored, if an event has the source and id of one with other content, or if the
    store cannot be written.
    """
    statuses = await context.writer.run(_insert_all(events, context.now))
    note_buses(context, [event for event, _ in events])
    for event, _ in events:
        context.note_undecided(event)
    return statuses


def _insert_all(events: Sequence[RoutedEvent], now: Callable[[], int]) -> Callable[[Store], list[str]]:
    def insert(store: Store) -> list[str]:
        statuses, conflicts, stored_at = [], list[Finding](), now()
        for event, deliveries in events:
            result = insert_event(event, deliveries, store=store, now=stored_at)
            if result.status == "conflict":
                stored_raw = store.get_event(result.seq).raw
                if has_same_content(parse_event(stored_raw), event):
                    result = result._replace(status="duplicate")
                else:
                    conflicts.append(describe_conflict(event, result, stored_raw))
            statuses.append(result.status)
        if conflicts:
            raise HttpError(409, conflicts[0].message, findings=conflicts)
        return statuses

    return insert
