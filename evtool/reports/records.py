"""Builds the records of stored events and deliveries that `-o json` promises (docs/output.md)."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from evtool.events.event import Event
from evtool.events.timestamps import format_timestamp
from evtool.store.rows import Attempt, Delivery, StoredEvent
from evtool.store.store import Store


class ChainMember(NamedTuple):
    """An event of a chain, its deliveries, and the routes and handlers to which evtool does not deliver."""

    event: StoredEvent
    deliveries: Sequence[Delivery]
    external: Sequence[tuple[str, str]] = ()


def load_delivery_record(store: Store, delivery: Delivery) -> dict[str, Any]:
    """Loads the record of a delivery in its present state."""
    emitted: list[str] = []
    # Emitted events are stored with the outcome, so a delivery that is not done has none.
    if delivery.state == "done":
        emitted = [event.id for event in store.list_emitted_events(delivery.seq)]
    return build_delivery_record(delivery, emitted)


def build_delivery_record(delivery: Delivery, emitted: Iterable[str]) -> dict[str, Any]:
    """Builds the record of a delivery in its present state. `emitted` has the ids of the events that it emitted."""
    return {
        "route": delivery.route,
        "handler": delivery.handler,
        "state": delivery.state,
        "attempts": delivery.attempts,
        "duration_ms": delivery.duration_ms,
        "error": delivery.error,
        "condition": delivery.condition,
        "due": _format_time(delivery.due),
        "replay": delivery.replay or None,
        "emitted": list(emitted),
    }


def _format_time(milliseconds: int | None) -> str | None:
    if milliseconds is None:
        return None
    return format_timestamp(milliseconds)


# The state of a delivery to an external handler.
EXTERNAL = "external"
# The event's id, the route and the handler.
OutputKey = tuple[str, str, str]


def load_outputs(store: Store, event_id: str, deliveries: Iterable[Delivery]) -> dict[OutputKey, str]:
    """Loads what the handlers printed in the last attempts of an event's deliveries.

    Of the records only that of `events ID` has it, so text reports get it separately.
    """
    outputs: dict[OutputKey, str] = {}
    for delivery in deliveries:
        attempts = store.list_attempts(delivery.seq)
        if attempts and attempts[-1].output:
            outputs[event_id, delivery.route, delivery.handler] = attempts[-1].output
    return outputs


def add_outputs(
    store: Store, outputs: dict[OutputKey, str] | None, event: StoredEvent, deliveries: Iterable[Delivery]
) -> None:
    """Adds what the handlers of an event printed to `outputs`. Does nothing if the report does not show it."""
    if outputs is not None:
        outputs |= load_outputs(store, event.id, deliveries)


def load_history(store: Store, delivery: Delivery) -> list[dict[str, Any]]:
    """Loads the attempts of a delivery. An attempt without an outcome is under way, or evtool was killed during it."""
    return [build_attempt_record(attempt) for attempt in store.list_attempts(delivery.seq)]


def build_attempt_record(attempt: Attempt) -> dict[str, Any]:
    """Builds the record of an attempt."""
    return {
        "attempt": attempt.number,
        "started": format_timestamp(attempt.started),
        "duration_ms": attempt.duration_ms,
        "outcome": attempt.outcome,
        "code": attempt.code,
        "error": attempt.error,
        "output": attempt.output,
    }


def load_cause_record(store: Store, event: StoredEvent) -> dict[str, str] | None:
    """Loads the cause of an event: another event, and the handler that emitted this one. None if it was published."""
    if event.cause is None:
        return None
    delivery = store.get_delivery(event.cause)
    return {"event": store.get_event(delivery.event).id, "handler": delivery.handler}


def build_planned_record(route: str, handler: str, state: str, due: int | None = None) -> dict[str, Any]:
    """Builds the record of a delivery without an attempt: new, of a dry run, or to an external handler."""
    return {
        "route": route,
        "handler": handler,
        "state": state,
        "attempts": 0,
        "duration_ms": None,
        "error": None,
        "condition": None,
        "due": _format_time(due),
        "replay": None,
        "emitted": [],
    }


def build_published_record(
    event: Event | StoredEvent,
    status: str,
    deliveries: Iterable[Mapping[str, Any]],
    external: Iterable[tuple[str, str]] = (),
    cause: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Builds the record of an event. `external` are pairs of a route and a handler to which evtool does not deliver."""
    all_deliveries = list(deliveries)
    for route, handler in external:
        all_deliveries.append(build_planned_record(route, handler, EXTERNAL))
    return {
        "id": event.id,
        "type": event.type,
        "source": event.source,
        "status": status,
        "cause": cause,
        "deliveries": all_deliveries,
    }


def build_chain_records(chain: Sequence[ChainMember]) -> list[dict[str, Any]]:
    """Builds the records of a whole chain of events in their present state, in the order in which they were stored."""
    # The chain has all causes and all emitted events, so the store need not be asked again.
    causes: dict[int | None, dict[str, str]] = {}
    emitted: defaultdict[int | None, list[str]] = defaultdict(list)
    for event, deliveries, _ in chain:
        for delivery in deliveries:
            causes[delivery.seq] = {"event": event.id, "handler": delivery.handler}
        emitted[event.cause].append(event.id)
    records = []
    for event, deliveries, external in chain:
        delivery_records = [build_delivery_record(delivery, emitted[delivery.seq]) for delivery in deliveries]
        cause = causes.get(event.cause)
        records.append(build_published_record(event, "stored", delivery_records, external, cause))
    return records


def load_log_record(store: Store, event: StoredEvent) -> dict[str, Any]:
    """Loads the record of an event in the list of `events`."""
    return {
        "id": event.id,
        "type": event.type,
        "source": event.source,
        "bus": event.bus,
        "time": _format_time(event.time),
        "stored_at": format_timestamp(event.stored_at),
        "cause": load_cause_record(store, event),
        "states": store.count_states(event.seq),
    }


def count_event(counts: Counter[str], record: Mapping[str, Any]) -> None:
    """Counts an event and the states of its deliveries; "failed" counts those that cause the exit code 1."""
    counts["events"] += 1
    for delivery in record["deliveries"]:
        count_delivery(counts, delivery)


def count_delivery(counts: Counter[str], delivery: Mapping[str, Any]) -> None:
    """Counts a delivery by its state. It failed if it is dead, or if it is ready for another attempt."""
    counts["deliveries"] += 1
    counts[delivery["state"]] += 1
    counts["failed"] += has_failed(delivery)


def has_failed(delivery: Mapping[str, Any]) -> bool:
    """Whether a delivery is dead, or ready for another attempt after one that failed."""
    return delivery["state"] == "dead" or (delivery["state"] == "ready" and delivery["error"] is not None)


def build_summary(counts: Counter[str]) -> dict[str, int]:
    """Builds the summary of a command that publishes or delivers; it has external deliveries only if some exist."""
    keys = ["events", "deliveries", "done", "waiting", "ready", "leased", "dead"]
    if counts[EXTERNAL]:
        keys.append(EXTERNAL)
    return {key: counts[key] for key in keys}
