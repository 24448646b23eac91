"""Builds the records of stored events and deliveries that `-o json` promises (docs/output.md)."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from evtool.events.event import Event
from evtool.events.timestamps import format_timestamp
from evtool.store.rows import Attempt, Delivery, StoredEvent
from evtool.store.store import Store


class ChainMember(NamedTuple):
    """An event of a chain, its deliveries, and the routes and handlers of what is not delivered by evtool."""

    event: StoredEvent
    deliveries: Sequence[Delivery]
    external: Sequence[tuple[str, str]] = ()


def load_delivery_record(store: Store, delivery: Delivery) -> dict[str, Any]:
    """A delivery as it stands."""
    if delivery.state == "done":
        emitted = store.list_emitted_events(delivery.seq)
    else:
        emitted = []
    return build_delivery_record(delivery, [event.id for event in emitted])


def build_delivery_record(delivery: Delivery, emitted: Iterable[str]) -> dict[str, Any]:
    """A delivery as it stands, by somebody who knows the ids of the events that it emitted."""
    return {
        "route": delivery.route,
        "handler": delivery.handler,
        "state": delivery.state,
        "attempts": delivery.attempts,
        "duration_ms": delivery.duration_ms,
        "error": delivery.error,
        "condition": delivery.condition,
        "due": format_timestamp(delivery.due) if delivery.due is not None else None,
        "replay": delivery.replay or None,
        "emitted": list(emitted),
    }


EXTERNAL = "external"  # the state of a delivery to an external handler
OutputKey = tuple[str, str, str]  # the event's id, the route and the handler


def load_outputs(store: Store, event_id: str, deliveries: Iterable[Delivery]) -> dict[OutputKey, str]:
    """What the handlers printed in the last attempts of an event's deliveries. No record has it, only `events ID`."""
    attempts = [(delivery, store.list_attempts(delivery.seq)[-1:]) for delivery in deliveries]
    return {
        (event_id, delivery.route, delivery.handler): attempt.output
        for delivery, last_attempt in attempts
        for attempt in last_attempt
        if attempt.output
    }


def add_outputs(
    store: Store, outputs: dict[OutputKey, str] | None, event: StoredEvent, deliveries: Iterable[Delivery]
) -> None:
    """Adds what the handlers of an event printed to what is reported next, if it is wanted."""
    if outputs is not None:
        outputs |= load_outputs(store, event.id, deliveries)


def load_history(store: Store, delivery: Delivery) -> list[dict[str, Any]]:
    """The attempts of a delivery. One without an outcome is under way, or evtool was ended in it."""
    return [build_attempt_record(attempt) for attempt in store.list_attempts(delivery.seq)]


def build_attempt_record(attempt: Attempt) -> dict[str, Any]:
    """An attempt, as `-o json` has it."""
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
    """What caused an event: the event, and the handler that emitted it."""
    if event.cause is None:
        return None
    delivery = store.get_delivery(event.cause)
    return {"event": store.get_event(delivery.event).id, "handler": delivery.handler}


def build_planned_record(route: str, handler: str, state: str, due: int | None = None) -> dict[str, Any]:
    """A delivery without an attempt: a new one, one of a dry run, or one to an external handler."""
    return {
        "route": route,
        "handler": handler,
        "state": state,
        "attempts": 0,
        "duration_ms": None,
        "error": None,
        "condition": None,
        "due": format_timestamp(due) if due is not None else None,
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
    """An event as `publish` tells it. `external` are the routes and handlers of what is not delivered by evtool."""
    return {
        "id": event.id,
        "type": event.type,
        "source": event.source,
        "status": status,
        "cause": cause,
        "deliveries": [*deliveries, *(build_planned_record(route, handler, EXTERNAL) for route, handler in external)],
    }


def build_chain_records(chain: Sequence[ChainMember]) -> list[dict[str, Any]]:
    """The events of a whole chain as they stand, in the order in which they were stored."""
    causes = {
        delivery.seq: {"event": member.event.id, "handler": delivery.handler}
        for member in chain
        for delivery in member.deliveries
    }
    emitted: defaultdict[int | None, list[str]] = defaultdict(list)
    for member in chain[1:]:
        emitted[member.event.cause].append(member.event.id)
    return [
        build_published_record(
            event,
            "stored",
            [build_delivery_record(delivery, emitted[delivery.seq]) for delivery in deliveries],
            external,
            causes[event.cause] if event.cause is not None else None,
        )
        for event, deliveries, external in chain
    ]


def load_log_record(store: Store, event: StoredEvent) -> dict[str, Any]:
    """An event as `events` lists it."""
    return {
        "id": event.id,
        "type": event.type,
        "source": event.source,
        "bus": event.bus,
        "time": format_timestamp(event.time) if event.time is not None else None,
        "stored_at": format_timestamp(event.stored_at),
        "cause": load_cause_record(store, event),
        "states": store.count_states(event.seq),
    }


def count_event(counts: Counter[str], record: Mapping[str, Any]) -> None:
    """Counts an event and the states of its deliveries; "failed" counts those that an exit code 1 tells of."""
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
    """The summary of a command that publishes or delivers; external deliveries are counted if there are any."""
    keys = ["events", "deliveries", "done", "waiting", "ready", "leased", "dead"]
    return {key: counts[key] for key in (*keys, *([EXTERNAL] if counts[EXTERNAL] else []))}
