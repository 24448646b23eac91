"""Audit: checks everything that must be true of a store at any moment, with separate SQL statements on its tables.

The audit does not use the store's own code, so a bug in that code cannot hide itself. It compares three sources: the
events that were sent (`Project.sent`), the records that evtool has printed (the acknowledgements), and the tables.
"""

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import apsw

from proofs.project import EXPECTED, Project
from proofs.trial import Broken, hold

BUSY_TIMEOUT_MS = 30_000
DELIVERIES = """
SELECT delivery.seq, event.id, event.type, route, handler, state, attempts
FROM delivery JOIN event ON event.seq = delivery.event
"""


class Sums(NamedTuple):
    """The numbers of a store's rows. `unfinished` are attempts without an end: evtool was killed during them."""

    events: int
    deliveries: int
    done: int
    unfinished: int


class _Row(NamedTuple):
    seq: int
    event: str
    type: str
    route: str
    handler: str
    state: str
    attempts: int


def read_rows(file: Path, query: str) -> list[Any]:
    """Returns the rows of a query on a store, through a new connection. Raises Broken if the store is damaged."""
    connection = apsw.Connection(str(file), flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        connection.set_busy_timeout(BUSY_TIMEOUT_MS)
        return connection.execute(query).fetchall()
    except apsw.CorruptError as error:
        raise Broken(f"{query}: {error}") from None
    finally:
        connection.close()


def audit(project: Project, acknowledged: Iterable[Mapping[str, Any]] = (), *, file: Path | None = None) -> Sums:
    """Checks a store and returns its numbers. Raises Broken for every violated promise.

    `acknowledged` are the records that evtool has printed; the store must contain what they say. `file` is a store
    other than the project's own.
    """
    if file is None:
        file = project.store
    integrity = [tuple(row) for row in read_rows(file, "PRAGMA integrity_check")]
    hold(integrity == [("ok",)], "integrity_check finds damage")
    hold(not read_rows(file, "PRAGMA foreign_key_check"), "a row refers to a missing row")
    events = _check_events(project, file)
    deliveries = _read_deliveries(file)
    _check_deliveries(events, deliveries)
    _check_emitted(file, deliveries)
    unfinished = _check_attempts(file, deliveries)
    _check_acknowledged(acknowledged, events, deliveries)
    done = sum(delivery.state == "done" for delivery in deliveries)
    return Sums(len(events), len(deliveries), done, unfinished)


def _read_deliveries(file: Path) -> list[_Row]:
    return [_Row._make(row) for row in read_rows(file, DELIVERIES)]


def _check_events(project: Project, file: Path) -> dict[str, str]:
    """Returns the types of the events by id. Each must be sent or emitted, and its bytes must have their hash."""
    types: dict[str, str] = {}
    for name, kind, raw, digest, cause in read_rows(file, "SELECT id, type, raw, sha256, cause FROM event"):
        document = json.loads(raw)
        hold(name not in types, f"event {name} is stored twice")
        hold(hashlib.sha256(raw).digest() == digest, f"event {name}: the hash does not match the bytes")
        hold((document["id"], document["detail-type"]) == (name, kind), f"event {name}: columns and bytes differ")
        hold(cause is not None or project.sent.get(name) == kind, f"event {name} was never sent")
        types[name] = kind
    return types


def _check_deliveries(events: Mapping[str, str], deliveries: list[_Row]) -> None:
    """An event is stored together with all its deliveries, and with no others."""
    stored: dict[str, Counter[tuple[str, str]]] = defaultdict(Counter)
    for delivery in deliveries:
        stored[delivery.event][delivery.route, delivery.handler] += 1
    for name, kind in events.items():
        expected = Counter(EXPECTED[kind])
        hold(stored[name] == expected, f"event {name} ({kind}) is stored with the deliveries {dict(stored[name])}")


def _check_emitted(file: Path, deliveries: list[_Row]) -> None:
    """The event that a delivery emits is stored if and only if the delivery is done."""
    causes = read_rows(file, "SELECT cause FROM event WHERE cause IS NOT NULL")
    emitted = Counter(cause for (cause,) in causes)
    for d in deliveries:
        expected = int(d.handler == "pay" and d.state == "done")
        hold(emitted[d.seq] == expected, f"{d.event} by {d.handler} is {d.state} and has emitted {emitted[d.seq]}")


def _check_attempts(file: Path, deliveries: list[_Row]) -> int:
    """All attempts are counted; a finished delivery has one successful attempt, others have none.

    Returns the number of attempts without an end.
    """
    started = Counter[int]()
    succeeded = Counter[int]()
    unfinished = 0
    for delivery, outcome in read_rows(file, "SELECT delivery, outcome FROM attempt"):
        started[delivery] += 1
        succeeded[delivery] += outcome == "done"
        unfinished += outcome is None
    for d in deliveries:
        name = f"{d.event} to {d.handler}"
        hold(started[d.seq] == d.attempts, f"{name}: {d.attempts} attempts, {started[d.seq]} in its history")
        hold(succeeded[d.seq] == (d.state == "done"), f"{name} is {d.state}, finished {succeeded[d.seq]} times")
    return unfinished


def _check_acknowledged(
    records: Iterable[Mapping[str, Any]], events: Mapping[str, str], deliveries: list[_Row]
) -> None:
    """Acknowledged events are stored, acknowledged deliveries are done, and their emitted events are stored."""
    done = {(d.event, d.route, d.handler) for d in deliveries if d.state == "done"}
    for record in records:
        # A record of publish has an id and deliveries. A record of deliver is one delivery and names its event.
        name = record.get("id") or record["event"]
        hold(name in events, f"event {name} was acknowledged and is lost")
        for delivery in record.get("deliveries", [record]):
            if delivery["state"] != "done":
                continue
            handler = delivery["handler"]
            hold((name, delivery["route"], handler) in done, f"{name} to {handler} was done and is not")
            hold(events.keys() >= set(delivery["emitted"]), f"{name} to {handler}: an emitted event is lost")


def audit_settled(project: Project, most: int) -> tuple[Sums, int]:
    """Checks a store after the last run: every delivery is done, and at most `most` calls were cut short or repeated.

    Returns the store's numbers and the number of repeated calls. Raises Broken.
    """
    sums = audit(project)
    hold(sums.done == sums.deliveries, f"{sums.deliveries - sums.done} of {sums.deliveries} deliveries are stuck")
    hold(sums.unfinished <= most, f"{sums.unfinished} attempts were cut short; {most} are allowed")
    calls = project.count_calls()
    attempts = Counter[tuple[str, str]]()
    for delivery in _read_deliveries(project.store):
        attempts[delivery.event, delivery.handler] += delivery.attempts
    for key, count in attempts.items():
        hold(1 <= calls[key] <= count, f"{key[0]}: {key[1]} was called {calls[key]} times in {count} attempts")
    hold(not calls.keys() - attempts.keys(), "a handler was called for an event that is not stored")
    repeated = calls.total() - len(attempts)
    hold(repeated <= most, f"{repeated} calls were repeated; {most} are allowed")
    return sums, repeated
