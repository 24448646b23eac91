"""Lists, redrives and purges the dead letters of a bus: `evtool dlq ... --bus`."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from evtool.buses.base import Message
from evtool.buses.kafka.connection import KafkaConnection, open_kafka
from evtool.buses.kafka.dead_letters import DeadLetter, list_dead_letters, purge, redrive
from evtool.buses.worker.tiers import GroupTopics
from evtool.cli.session import Session, now_ms
from evtool.errors import EXIT_OK
from evtool.reports.base import Report, Subject
from evtool.reports.records import build_attempt_record
from evtool.reports.trees import ChangedDeadLetters, DeadLetterList
from evtool.store.dead_letters import DeadLetterFilter
from evtool.terminal.sanitize import sanitize

# In place of the type of a message that is not an event.
UNREADABLE_TYPE = "(not an event)"


def report_dead_letters(session: Session, command: str, bus: str, selection: DeadLetterFilter, *, full: bool) -> int:
    """Lists the dead letters of a bus, with event and history if `full`. Returns the exit code."""
    connection, topics = _open(session, bus)
    subject = Subject(command, "deliveries", partial(DeadLetterList, full=full, quiet=session.quiet))
    with session.open_report(subject) as report:
        counts = _add_records(report, _select(connection, topics, selection), full=full)
        report.end({"summary": {"deliveries": counts.total()}})
    _note_unmatched(session, selection, counts)
    return EXIT_OK


def change_dead_letters(session: Session, command: str, bus: str, selection: DeadLetterFilter, *, dry_run: bool) -> int:
    """Redrives or purges dead letters of a bus, or with `dry_run` only shows them. Returns the exit code."""
    connection, topics = _open(session, bus)
    redriving = command == "dlq redrive"
    selected = _select(connection, topics, selection)
    if dry_run:
        changed = selected
    elif redriving:
        changed = redrive(connection, topics, _leave_out_incomplete(session, selected), now=now_ms())
    else:
        changed = purge(connection, selected)
    with session.open_report(
        Subject(command, "deliveries", partial(ChangedDeadLetters, quiet=session.quiet))
    ) as report:
        counts = _add_records(report, changed)
        total = counts.total()
        report.end({"summary": {"deliveries": total, "dry_run": dry_run}})
    if total and not dry_run:
        note = f"purged: {total:,}"
        if redriving:
            note = "in the retry topics: `evtool deliver --bus` attempts them"
        session.print_note(note)
    _note_unmatched(session, selection, counts)
    return EXIT_OK


def _open(session: Session, bus: str) -> tuple[KafkaConnection, GroupTopics]:
    connection = open_kafka(bus, session.try_project(), "dead letters are in topics of Kafka and Event Hubs")
    return connection, GroupTopics(connection.topics, connection.group, connection.tiers)


def _select(connection: KafkaConnection, topics: GroupTopics, selection: DeadLetterFilter) -> Iterator[DeadLetter]:
    for letter in list_dead_letters(connection, topics):
        if _is_selected(letter, selection):
            yield letter


def _is_selected(letter: DeadLetter, selection: DeadLetterFilter) -> bool:
    handover = letter.handover
    event_type = None
    if letter.event:
        event_type = letter.event.type
    # A message that is not an event has no id, but every message has a position.
    names = (_name(letter), handover.origin.position)
    if selection.ids and not any(name in selection.ids for name in names):
        return False
    if selection.before is not None and letter.death.died >= selection.before:
        return False
    return (
        selection.type in (None, event_type)
        and selection.route in (None, handover.route)
        and selection.handler in (None, handover.handler)
    )


def _leave_out_incomplete(session: Session, letters: Iterable[DeadLetter]) -> Iterator[DeadLetter]:
    """Yields the dead letters that have their value; prints an error for the others."""
    for letter in letters:
        if letter.has_value:
            yield letter
            continue
        # A value that is too large for the dead topic stays in the original message.
        origin = letter.handover.origin.position
        session.print_error(f"{_name(letter)} is not redriven: its value is only in the message {origin}")


def _name(letter: DeadLetter) -> str:
    """Returns the id of the event, or the position of a message that is not an event."""
    if letter.event:
        return letter.event.id
    return letter.handover.origin.position


def _add_records(report: Report, letters: Iterable[DeadLetter], *, full: bool = False) -> Counter[str]:
    counts: Counter[str] = Counter()
    for letter in letters:
        record = _build_record(letter)
        if full:
            record["document"] = _get_document(letter)
            record["history"] = [build_attempt_record(attempt) for attempt in letter.handover.history]
        report.add_record(record)
        counts[record["event"]] += 1
    return counts


def _build_record(letter: DeadLetter) -> dict[str, Any]:
    handover, death = letter.handover, letter.death
    event_type, duration_ms = UNREADABLE_TYPE, None
    if letter.event:
        event_type = letter.event.type
    if handover.history:
        duration_ms = handover.history[-1].duration_ms
    return {
        "event": _name(letter),
        "type": event_type,
        "route": handover.route,
        "handler": handover.handler,
        "state": "dead",
        "attempts": handover.attempts,
        "duration_ms": duration_ms,
        "error": death.reason or None,
        "condition": death.condition or None,
        "due": None,
        "replay": None,
        "emitted": [],
        "origin": handover.origin.position,
    }


def _get_document(letter: DeadLetter) -> Any:
    if letter.event:
        return letter.event.document
    return _describe_message(letter.original)


def _describe_message(message: Message) -> Mapping[str, Any]:
    """Returns key, value and headers of a message that is not an event, as strings."""
    headers = [[name, _show_bytes(value)] for name, value in message.headers]
    return {"key": _show_bytes(message.key), "value": _show_bytes(message.value), "headers": headers}


def _show_bytes(value: bytes | None) -> str | None:
    if value is None:
        return None
    return sanitize(value.decode(errors="backslashreplace"))


def _note_unmatched(session: Session, selection: DeadLetterFilter, counts: Counter[str]) -> None:
    unmatched = [event_id for event_id in selection.ids if not counts[event_id]]
    if unmatched:
        session.print_note(f"no selected dead letter: {', '.join(unmatched)}")
