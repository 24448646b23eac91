"""evtool dlq: dead letters, that is deliveries that were given up."""

from collections import Counter
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Annotated, Any

from evtool.cli.filters import before, check_ids
from evtool.cli.options import Argument, OfHandler, OfRoute, OfType, OlderThan, Option
from evtool.cli.session import Session, now_ms
from evtool.errors import EXIT_OK, UsageError
from evtool.events.envelopes import identify
from evtool.reports.base import Record, Report, Subject
from evtool.reports.records import delivery_record, history
from evtool.reports.trees import delivery_line, document_lines, history_lines, states_text
from evtool.schemas.validation import Verdict
from evtool.store.dead_letters import DeadLetterFilter, list_dead_letters, purge, redrive
from evtool.store.rows import Delivery, Filter
from evtool.store.store import Store
from evtool.terminal.screen import Screen

Ids = Annotated[list[str], Argument("[ID]...", "ids of events; all of them when none is named")]
DryRun = Annotated[bool, Option("--dry-run", "show which, change nothing")]


def dlq_list(
    session: Session,
    ids: Ids = [],  # noqa: B006  (never changed)
    *,
    type: OfType = None,  # noqa: A002
    route: OfRoute = None,
    handler: OfHandler = None,
    older_than: OlderThan = None,
) -> int:
    """List the dead letters: event, route, handler, attempts, and which limit was exhausted.

    Example: evtool dlq list --handler charge-card
    """
    return _tell(session, "dlq list", _wanted(ids, type, route, handler, older_than))


def dlq_show(
    session: Session,
    ids: Ids = [],  # noqa: B006
    *,
    type: OfType = None,  # noqa: A002
    route: OfRoute = None,
    handler: OfHandler = None,
    older_than: OlderThan = None,
) -> int:
    """Show dead letters with their event and every attempt: time, duration, outcome, code, and what was printed last.

    Example: evtool dlq show 7c9e6679-7425-40de-944b-e07fc1f90ae7
    """
    return _tell(session, "dlq show", _wanted(ids, type, route, handler, older_than), full=True)


def dlq_redrive(
    session: Session,
    ids: Ids = [],  # noqa: B006
    *,
    type: OfType = None,  # noqa: A002
    route: OfRoute = None,
    handler: OfHandler = None,
    older_than: OlderThan = None,
    dry_run: DryRun = False,
) -> int:
    """Make dead letters ready again; `evtool deliver` then attempts them.

    Example: evtool dlq redrive --handler charge-card && evtool deliver
    """
    return _change(session, "dlq redrive", _wanted(ids, type, route, handler, older_than), dry_run=dry_run)


def dlq_purge(
    session: Session,
    ids: Ids = [],  # noqa: B006
    *,
    type: OfType = None,  # noqa: A002
    route: OfRoute = None,
    handler: OfHandler = None,
    older_than: OlderThan = None,
    all: Annotated[bool, Option("--all", "every dead letter")] = False,  # noqa: A002
    dry_run: DryRun = False,
) -> int:
    """Delete dead letters for ever, with their attempts. Their events stay in the store.

    Which ones has to be said: by ids, by options, or with --all.

    Example: evtool dlq purge --handler email-platform --older-than 90d --dry-run
    """
    wanted = _wanted(ids, type, route, handler, older_than)
    if not all and wanted == DeadLetterFilter():
        raise UsageError("say which dead letters to delete for ever: by ids, options or --all")
    if all and wanted != DeadLetterFilter():
        raise UsageError("--all means every dead letter: leave out what chooses among them")
    return _change(session, "dlq purge", wanted, dry_run=dry_run)


def _wanted(
    ids: list[str],
    type: str | None,  # noqa: A002
    route: str | None,
    handler: str | None,
    older_than: str | None,
) -> DeadLetterFilter:
    return DeadLetterFilter(tuple(ids), type, route, handler, before(older_than))


def _tell(session: Session, command: str, wanted: DeadLetterFilter, *, full: bool = False) -> int:
    with Store(session.store_file(existing=True)) as store:
        check_ids(store, wanted.ids)
        with session.report(Subject(command, "deliveries", lambda screen: _Letters(screen, full=full))) as report:
            found = _told(report, list_dead_letters(store, wanted, partial(_record, store, full=full)))
            report.end({"summary": {"deliveries": sum(found.values())}})
        _note_others(session, store, wanted, found)
    return EXIT_OK


def _change(session: Session, command: str, wanted: DeadLetterFilter, *, dry_run: bool) -> int:
    """Redrives or purges, or shows what would be.

    What is redriven is told as it then stands, what is gone as it was.
    """
    redriving = command == "dlq redrive"
    with Store(session.store_file(existing=True)) as store:
        check_ids(store, wanted.ids)
        tell = partial(_record, store)
        with session.report(Subject(command, "deliveries", _Letters)) as report:
            changed = redrive(store, wanted, tell, now=now_ms()) if redriving else purge(store, wanted, tell)
            found = _told(report, list_dead_letters(store, wanted, tell) if dry_run else changed)
            count = sum(found.values())
            report.end({"summary": {"deliveries": count, "dry_run": dry_run}})
        if count and not dry_run:
            session.note("now ready: `evtool deliver` attempts them" if redriving else f"deleted: {count:,}")
        _note_others(session, store, wanted, found)
    return EXIT_OK


def _told(report: Report, letters: Iterable[dict[str, Any]]) -> Counter[str]:
    """Tells of dead letters; how many each event has."""
    found: Counter[str] = Counter()
    for letter in letters:
        if "document" in letter:
            letter["document"] = identify(letter["document"]).document
        report.add(letter)
        found[letter["event"]] += 1
    return found


def _note_others(session: Session, store: Store, wanted: DeadLetterFilter, found: Counter[str]) -> None:
    """Says of which events that were named there is no dead letter, and how their deliveries stand."""
    others = tuple(id for id in wanted.ids if id not in found)  # noqa: A001
    if others:
        stand = store.map_events(
            lambda event: f"{event.id} ({states_text(store.count_states(event.seq))})", Filter(ids=others)
        )
        session.note(f"no dead letter that was asked for: {', '.join(stand)}")


def _record(store: Store, letter: Delivery, *, full: bool = False) -> dict[str, Any]:
    event = store.get_event(letter.event)
    record = {"event": event.id, "type": event.type, **delivery_record(store, letter)}
    if full:
        record["document"] = event.raw  # parsed when it is told: not all of a page at once
        record["history"] = history(store, letter)
    return record


class _Letters:
    """The text report of dead letters: a line each; with `full`, the event and every attempt."""

    def __init__(self, screen: Screen, *, full: bool = False):
        self._screen, self._full = screen, full

    def add(self, record: Record) -> None:
        assert not isinstance(record, Verdict)
        self._screen.line((record["type"], "bold"), f"  {record['event']}  ", *delivery_line(record))
        if self._full:
            history_lines(self._screen, record)
            document_lines(self._screen, record["document"])

    def end(self, tail: Mapping[str, Any]) -> None:
        if not tail["summary"]["deliveries"]:
            self._screen.line("no dead letters")


SUBCOMMANDS = {"list": dlq_list, "show": dlq_show, "redrive": dlq_redrive, "purge": dlq_purge}
