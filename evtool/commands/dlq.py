"""The command `evtool dlq`: lists, shows, redrives and purges dead letters, that is deliveries that were given up."""

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
from evtool.store.rows import Delivery, Filter
from evtool.store.store import Store

Ids = Annotated[list[str], Argument("[ID]...", "ids of events; default: all dead letters")]
DryRun = Annotated[bool, Option("--dry-run", "show the dead letters that are meant, change nothing")]


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
    """List the dead letters: event, route, handler, attempts, and which limit was exhausted.

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
    """Show dead letters with their event and every attempt: time, duration, outcome, code, and what was printed last.

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
    """Make dead letters ready again; `evtool deliver` then attempts them.

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
    all: Annotated[bool, Option("--all", "every dead letter")] = False,  # noqa: A002
    bus: GroupBus = None,
    dry_run: DryRun = False,
) -> int:
    """Delete dead letters permanently, with their attempts. Their events stay in the store.

    Select them by ids, by options, or with --all.

    Example: evtool dlq purge --handler email-platform --older-than 90d --dry-run
    """
    selection = _build_selection(ids, type, route, handler, older_than)
    if not all and selection == DeadLetterFilter():
        raise UsageError("say which dead letters to delete for ever: by ids, options or --all")
    if all and selection != DeadLetterFilter():
        raise UsageError("--all means every dead letter: leave out what chooses among them")
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
        with session.open_report(
            Subject(command, "deliveries", lambda screen: DeadLetterList(screen, full=full, quiet=session.quiet))
        ) as report:
            counts = _add_records(report, list_dead_letters(store, selection, partial(_build_record, store, full=full)))
            report.end({"summary": {"deliveries": sum(counts.values())}})
        _note_unmatched(session, store, selection, counts)
    return EXIT_OK


def _change(session: Session, command: str, selection: DeadLetterFilter, bus: str | None, *, dry_run: bool) -> int:
    """Redrives or purges, or shows what would be.

    What is redriven is told as it then stands, what is gone as it was.
    """
    if bus is not None:
        return int(_import_bus_commands().change_dead_letters(session, command, bus, selection, dry_run=dry_run))
    redriving = command == "dlq redrive"
    with Store(session.locate_store(existing=True)) as store:
        _check_selection(session, store, selection, f"nothing is {'redriven' if redriving else 'deleted'}")
        to_record = partial(_build_record, store)
        with session.open_report(
            Subject(command, "deliveries", lambda screen: ChangedDeadLetters(screen, quiet=session.quiet))
        ) as report:
            if redriving:
                changed = redrive(store, selection, to_record, now=now_ms())
            else:
                changed = purge(store, selection, to_record)
            counts = _add_records(report, list_dead_letters(store, selection, to_record) if dry_run else changed)
            total = sum(counts.values())
            report.end({"summary": {"deliveries": total, "dry_run": dry_run}})
        if total and not dry_run:
            session.print_note("now ready: `evtool deliver` attempts them" if redriving else f"deleted: {total:,}")
        _note_unmatched(session, store, selection, counts)
    return EXIT_OK


def _import_bus_commands() -> Any:
    """The module for `--bus`, which is imported only then."""
    from evtool.commands import dlq_on_bus  # noqa: PLC0415  (needs an extra)

    return dlq_on_bus


def _check_selection(session: Session, store: Store, selection: DeadLetterFilter, effect: str) -> None:
    """Raises UsageError for an event, route or handler that is not known, and prints a note for such a type."""
    check_ids(store, selection.ids)
    check_names(session, store, route=selection.route, handler=selection.handler)
    note_unknown_values(session, store, type=selection.type, effect=effect)


def _add_records(report: Report, records: Iterable[dict[str, Any]]) -> Counter[str]:
    """Tells of dead letters; how many each event has."""
    counts: Counter[str] = Counter()
    for record in records:
        if "document" in record:
            record["document"] = parse_event(record["document"]).document
        report.add(record)
        counts[record["event"]] += 1
    return counts


def _note_unmatched(session: Session, store: Store, selection: DeadLetterFilter, counts: Counter[str]) -> None:
    """Says of which events that were named there is no dead letter, and how their deliveries stand."""
    unmatched = tuple(id for id in selection.ids if id not in counts)  # noqa: A001
    if unmatched:
        states = store.map_events(
            lambda event: f"{event.id} ({format_states(store.count_states(event.seq))})", Filter(ids=unmatched)
        )
        session.print_note(f"no dead letter that was asked for: {', '.join(states)}")


def _build_record(store: Store, delivery: Delivery, *, full: bool = False) -> dict[str, Any]:
    event = store.get_event(delivery.event)
    record = {"event": event.id, "type": event.type, **load_delivery_record(store, delivery)}
    if full:
        record["document"] = event.raw  # parsed when it is told: not all of a page at once
        record["history"] = load_history(store, delivery)
    return record


SUBCOMMANDS = {"list": dlq_list, "show": dlq_show, "redrive": dlq_redrive, "purge": dlq_purge}
