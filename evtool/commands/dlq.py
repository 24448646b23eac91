"""The command `evtool dlq`: lists, shows, redrives and purges dead letters: deliveries that evtool gave up."""

from collections import Counter
from collections.abc import Iterable
from functools import partial
from typing import Annotated, Any

from evtool.cli.filters import check_ids, check_names, note_unknown_values, parse_older_than
from evtool.cli.options import Argument, GroupBus, OfHandler, OfRoute, OfType, OlderThan, Option
from evtool.cli.session import Session, now_ms
from evtool.errors import EXIT_OK, UsageError
from evtool.events.envelopes import parse_event
from evtool.reports.base import Report, Subject
from evtool.reports.records import load_delivery_record, load_history
from evtool.reports.trees import ChangedDeadLetters, DeadLetterList, format_states
from evtool.store.dead_letters import DeadLetterFilter, list_dead_letters, purge, redrive
from evtool.store.rows import Delivery, Filter, StoredEvent
from evtool.store.store import Store

Ids = Annotated[list[str], Argument("[ID]...", "ids of events; default: all dead letters")]
DryRun = Annotated[bool, Option("--dry-run", "show the selected dead letters, change nothing")]


def dlq_list(
    session: Session,
    ids: Ids = [],  # noqa: B006  (never changed)
    *,
    type: OfType = None,  # noqa: A002
    route: OfRoute = None,
    handler: OfHandler = None,
    older_than: OlderThan = None,
    bus: GroupBus = None,
) -> int:
    """List the dead letters: event, route, handler, attempts, and the limit that ended the attempts.

    Example: evtool dlq list --handler charge-card
    """
    return _report_dead_letters(session, "dlq list", _build_selection(ids, type, route, handler, older_than), bus)


def dlq_show(
    session: Session,
    ids: Ids = [],  # noqa: B006
    *,
    type: OfType = None,  # noqa: A002
    route: OfRoute = None,
    handler: OfHandler = None,
    older_than: OlderThan = None,
    bus: GroupBus = None,
) -> int:
    """Show dead letters with their event and every attempt: time, duration, outcome, code, and last output.

    Example: evtool dlq show 7c9e6679-7425-40de-944b-e07fc1f90ae7
    """
    selection = _build_selection(ids, type, route, handler, older_than)
    return _report_dead_letters(session, "dlq show", selection, bus, full=True)


def dlq_redrive(
    session: Session,
    ids: Ids = [],  # noqa: B006
    *,
    type: OfType = None,  # noqa: A002
    route: OfRoute = None,
    handler: OfHandler = None,
    older_than: OlderThan = None,
    bus: GroupBus = None,
    dry_run: DryRun = False,
) -> int:
    """Make dead letters ready again. `evtool deliver` then attempts them.

    Example: evtool dlq redrive --handler charge-card && evtool deliver
    """
    selection = _build_selection(ids, type, route, handler, older_than)
    return _change(session, "dlq redrive", selection, bus, dry_run=dry_run)


def dlq_purge(
    session: Session,
    ids: Ids = [],  # noqa: B006
    *,
    type: OfType = None,  # noqa: A002
    route: OfRoute = None,
    handler: OfHandler = None,
    older_than: OlderThan = None,
    all: Annotated[bool, Option("--all", "delete every dead letter")] = False,  # noqa: A002
    bus: GroupBus = None,
    dry_run: DryRun = False,
) -> int:
    """Delete dead letters permanently, with their attempts. Their events stay in the store.

    Select the dead letters by ids, by options, or with --all.

    Example: evtool dlq purge --handler email-platform --older-than 90d --dry-run
    """
    selection = _build_selection(ids, type, route, handler, older_than)
    # A forgotten option must not delete everything.
    if not all and selection == DeadLetterFilter():
        raise UsageError("select the dead letters to delete permanently: by ids, by options, or with --all")
    if all and selection != DeadLetterFilter():
        raise UsageError("--all means every dead letter: leave out the ids and the options that select some")
    return _change(session, "dlq purge", selection, bus, dry_run=dry_run)


def _build_selection(
    ids: list[str],
    type: str | None,  # noqa: A002
    route: str | None,
    handler: str | None,
    older_than: str | None,
) -> DeadLetterFilter:
    return DeadLetterFilter(tuple(ids), type, route, handler, parse_older_than(older_than))


def _report_dead_letters(
    session: Session, command: str, selection: DeadLetterFilter, bus: str | None, *, full: bool = False
) -> int:
    if bus is not None:
        return int(_import_bus_commands().report_dead_letters(session, command, bus, selection, full=full))
    with Store(session.locate_store(existing=True)) as store:
        _check_selection(session, store, selection, "no dead letter is selected")
        subject = Subject(command, "deliveries", partial(DeadLetterList, full=full, quiet=session.quiet))
        with session.open_report(subject) as report:
            counts = _add_records(report, list_dead_letters(store, selection, partial(_build_record, store, full=full)))
            report.end({"summary": {"deliveries": counts.total()}})
        _note_unmatched(session, store, selection, counts)
    return EXIT_OK


def _change(session: Session, command: str, selection: DeadLetterFilter, bus: str | None, *, dry_run: bool) -> int:
    """Redrives or purges dead letters, or with `dry_run` only shows them.

    A redriven delivery is reported with its new state, a purged one with its last state.
    """
    if bus is not None:
        return int(_import_bus_commands().change_dead_letters(session, command, bus, selection, dry_run=dry_run))
    redriving = command == "dlq redrive"
    effect = "nothing is deleted"
    if redriving:
        effect = "nothing is redriven"
    with Store(session.locate_store(existing=True)) as store:
        _check_selection(session, store, selection, effect)
        to_record = partial(_build_record, store)
        subject = Subject(command, "deliveries", partial(ChangedDeadLetters, quiet=session.quiet))
        with session.open_report(subject) as report:
            # The three functions are generators: each changes a page of dead letters when its records are taken.
            if dry_run:
                records = list_dead_letters(store, selection, to_record)
            elif redriving:
                records = redrive(store, selection, to_record, now=now_ms())
            else:
                records = purge(store, selection, to_record)
            counts = _add_records(report, records)
            total = counts.total()
            report.end({"summary": {"deliveries": total, "dry_run": dry_run}})
        if total and not dry_run:
            note = f"deleted: {total:,}"
            if redriving:
                note = "now ready: `evtool deliver` attempts them"
            session.print_note(note)
        _note_unmatched(session, store, selection, counts)
    return EXIT_OK


def _import_bus_commands() -> Any:
    """Imports the module for `--bus`. It needs the client of Kafka, which is an extra."""
    from evtool.commands import dlq_on_bus  # noqa: PLC0415

    return dlq_on_bus


def _check_selection(session: Session, store: Store, selection: DeadLetterFilter, effect: str) -> None:
    """Raises UsageError for an unknown event, route or handler, and prints a note for an unknown type."""
    check_ids(store, selection.ids)
    check_names(session, store, route=selection.route, handler=selection.handler)
    note_unknown_values(session, store, type=selection.type, effect=effect)


def _add_records(report: Report, records: Iterable[dict[str, Any]]) -> Counter[str]:
    """Reports dead letters, and returns how many each event has."""
    counts: Counter[str] = Counter()
    for record in records:
        # Documents are parsed here, one at a time, since all events of a page may take too much memory.
        if "document" in record:
            record["document"] = parse_event(record["document"]).document
        report.add_record(record)
        counts[record["event"]] += 1
    return counts


def _note_unmatched(session: Session, store: Store, selection: DeadLetterFilter, counts: Counter[str]) -> None:
    """Notes which of the named events have no selected dead letter, and the states of their deliveries."""

    def describe(event: StoredEvent) -> str:
        return f"{event.id} ({format_states(store.count_states(event.seq))})"

    unmatched = tuple(event_id for event_id in selection.ids if event_id not in counts)
    if unmatched:
        states = store.map_events(describe, Filter(ids=unmatched))
        session.print_note(f"no selected dead letter: {', '.join(states)}")


def _build_record(store: Store, delivery: Delivery, *, full: bool = False) -> dict[str, Any]:
    event = store.get_event(delivery.event)
    record = {"event": event.id, "type": event.type} | load_delivery_record(store, delivery)
    if full:
        record["document"] = event.raw
        record["history"] = load_history(store, delivery)
    return record


SUBCOMMANDS = {"list": dlq_list, "show": dlq_show, "redrive": dlq_redrive, "purge": dlq_purge}
