"""The audit: everything that must be true of a store at any moment, by statements of its own on its tables."""

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import apsw

from proofs.project import EXPECTED, Project
from proofs.trial import Broken, hold


class Sums(NamedTuple):
    """What is in a store."""

    events: int
    deliveries: int
    done: int
    unfinished: int  # attempts that never came to an end: evtool was killed in them


class _Row(NamedTuple):
    seq: int
    event: str
    type: str
    route: str
    handler: str
    state: str
    attempts: int


def rows(file: Path, query: str) -> list[Any]:
    """The rows of a query on a store, from a connection of its own. Raises Broken if the store is damaged."""
    connection = apsw.Connection(str(file), flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        connection.set_busy_timeout(30_000)
        return connection.execute(query).fetchall()
    except apsw.CorruptError as error:
        raise Broken(f"{query}: {error}") from None
    finally:
        connection.close()


def audit(project: Project, acknowledged: Iterable[Mapping[str, Any]] = (), *, file: Path | None = None) -> Sums:
    """Raises Broken for whatever is not as promised; what is in the store. `file` is another file than the project's.

    `acknowledged` are the records that evtool told: what they say must be there.
    """
    file = file or project.store
    hold([tuple(row) for row in rows(file, "PRAGMA integrity_check")] == [("ok",)], "integrity_check finds damage")
    hold(not rows(file, "PRAGMA foreign_key_check"), "a row refers to one that is not there")
    events = _events(project, file)
    deliveries = [_Row(*row) for row in rows(file, DELIVERIES)]
    _together(events, deliveries)
    _emitted(file, deliveries)
    unfinished = _attempts(file, deliveries)
    _told(acknowledged, events, deliveries)
    done = sum(delivery.state == "done" for delivery in deliveries)
    return Sums(len(events), len(deliveries), done, unfinished)


DELIVERIES = """
SELECT delivery.seq, event.id, event.type, route, handler, state, attempts
FROM delivery JOIN event ON event.seq = delivery.event
"""


def _events(project: Project, file: Path) -> dict[str, str]:
    """The types of the events by their ids: each as it was sent, or emitted, and its bytes as their hash says."""
    found: dict[str, str] = {}
    for name, kind, raw, digest, cause in rows(file, "SELECT id, type, raw, sha256, cause FROM event"):
        document = json.loads(raw)
        hold(name not in found, f"event {name} is stored twice")
        hold(hashlib.sha256(raw).digest() == digest, f"event {name}: its bytes are not those of its hash")
        hold((document["id"], document["detail-type"]) == (name, kind), f"event {name}: its columns are not its bytes'")
        hold(cause is not None or project.sent.get(name) == kind, f"event {name} was never sent")
        found[name] = kind
    return found


def _together(events: Mapping[str, str], deliveries: list[_Row]) -> None:
    """An event is there with all its deliveries, and no others."""
    made: dict[str, Counter[tuple[str, str]]] = defaultdict(Counter)
    for delivery in deliveries:
        made[delivery.event][delivery.route, delivery.handler] += 1
    for name, kind in events.items():
        expected = Counter(EXPECTED[kind])
        hold(made[name] == expected, f"event {name} ({kind}) is there with the deliveries {dict(made[name])}")


def _emitted(file: Path, deliveries: list[_Row]) -> None:
    """What a delivery emitted is there if and only if the delivery is done."""
    emitted = Counter(cause for (cause,) in rows(file, "SELECT cause FROM event WHERE cause IS NOT NULL"))
    for d in deliveries:
        expected = int(d.handler == "pay" and d.state == "done")
        hold(emitted[d.seq] == expected, f"{d.event} by {d.handler} is {d.state} and has emitted {emitted[d.seq]}")


def _attempts(file: Path, deliveries: list[_Row]) -> int:
    """Attempts are counted; exactly one of a delivery that is done ended well, none of any other. The unfinished."""
    made, ended, unfinished = Counter[int](), Counter[int](), 0
    for delivery, outcome in rows(file, "SELECT delivery, outcome FROM attempt"):
        made[delivery] += 1
        ended[delivery] += outcome == "done"
        unfinished += outcome is None
    for d in deliveries:
        hold(
            made[d.seq] == d.attempts, f"{d.event} to {d.handler}: {d.attempts} attempts, {made[d.seq]} in its history"
        )
        hold(
            ended[d.seq] == (d.state == "done"), f"{d.event} to {d.handler} is {d.state}, finished {ended[d.seq]} times"
        )
    return unfinished


def _told(records: Iterable[Mapping[str, Any]], events: Mapping[str, str], deliveries: list[_Row]) -> None:
    """What evtool told is so: the event is there, and what was done is done."""
    done = {(d.event, d.route, d.handler) for d in deliveries if d.state == "done"}
    for record in records:
        name = record.get("id") or record["event"]
        hold(name in events, f"event {name} was acknowledged and is lost")
        for told in record.get("deliveries", [record]):
            if told["state"] == "done":
                hold((name, told["route"], told["handler"]) in done, f"{name} to {told['handler']} was done and is not")
                lost = [each for each in told["emitted"] if each not in events]
                hold(not lost, f"{name} to {told['handler']}: what it emitted is lost")


def settled(project: Project, most: int) -> tuple[Sums, int]:
    """After the last run: every delivery is done, and no more than `most` calls were cut short or made twice.

    Raises Broken; what is in the store, and how many calls were one too many.
    """
    sums = audit(project)
    hold(sums.done == sums.deliveries, f"{sums.deliveries - sums.done} of {sums.deliveries} deliveries are stuck")
    hold(sums.unfinished <= most, f"{sums.unfinished} attempts were cut short, not {most}")
    calls = project.calls()
    attempts = Counter[tuple[str, str]]()
    for d in (_Row(*row) for row in rows(project.store, DELIVERIES)):
        attempts[d.event, d.handler] += d.attempts
    for key, counted in attempts.items():
        hold(1 <= calls[key] <= counted, f"{key[0]}: {key[1]} was called {calls[key]} times in {counted} attempts")
    hold(not calls.keys() - attempts.keys(), "a handler was called for an event that is not there")
    twice = calls.total() - len(attempts)
    hold(twice <= most, f"{twice} calls were made twice, not {most}")
    return sums, twice
