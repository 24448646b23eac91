"""evtool dlq: dead letters, that is deliveries that were given up."""

from collections.abc import Mapping
from typing import Annotated, Any

from evtool.errors import EXIT_OK, UsageError
from evtool.event import identify
from evtool.options import Argument, OfHandler, OfRoute, Option
from evtool.records import delivery_record, history
from evtool.report import Record, Subject
from evtool.screen import Screen
from evtool.selection import check_ids
from evtool.session import Session, now_ms
from evtool.store import Store
from evtool.stored import Delivery
from evtool.trees import delivery_line, document_lines, history_lines
from evtool.validation import Verdict

Ids = Annotated[list[str], Argument("[ID]...", "ids of events; all of them when none is named")]


def dlq_list(session: Session, ids: Ids = [], *, route: OfRoute = None, handler: OfHandler = None) -> int:  # noqa: B006
    """List the dead letters: event, route, handler, attempts, and which limit was exhausted.

    Example: evtool dlq list --handler charge-card
    """
    return _tell(session, ids, route, handler, full=False)


def dlq_show(session: Session, ids: Ids = [], *, route: OfRoute = None, handler: OfHandler = None) -> int:  # noqa: B006
    """Show dead letters with their event and every attempt.

    Example: evtool dlq show 7c9e6679-7425-40de-944b-e07fc1f90ae7
    """
    return _tell(session, ids, route, handler, full=True)


def dlq_redrive(
    session: Session,
    ids: Ids = [],  # noqa: B006
    *,
    route: OfRoute = None,
    handler: OfHandler = None,
    dry_run: Annotated[bool, Option("--dry-run", "show which, change nothing")] = False,
) -> int:
    """Make dead letters ready again; `evtool deliver` then attempts them.

    Example: evtool dlq redrive --handler charge-card && evtool deliver
    """
    with Store(session.store_file(existing=True)) as store:
        letters = _letters(store, ids, route, handler)
        with session.report(Subject("dlq redrive", "deliveries", _Letters)) as report:
            revived = 0
            for letter in letters:
                revived += dry_run or store.revive(letter, now=now_ms())
                report.add(_record(store, letter if dry_run else store.delivery(letter.seq), full=False))
            report.end({"summary": {"deliveries": revived, "dry_run": dry_run}})
        if revived and not dry_run:
            session.note("now ready: `evtool deliver` attempts them")
    return EXIT_OK


def _tell(session: Session, ids: list[str], route: str | None, handler: str | None, *, full: bool) -> int:
    command = "dlq show" if full else "dlq list"
    with Store(session.store_file(existing=True)) as store:
        letters = _letters(store, ids, route, handler)
        subject = Subject(command, "deliveries", lambda screen: _Letters(screen, full=full))
        with session.report(subject) as report:
            for letter in letters:
                report.add(_record(store, letter, full=full))
            report.end({"summary": {"deliveries": len(letters)}})
    return EXIT_OK


def _letters(store: Store, ids: list[str], route: str | None, handler: str | None) -> list[Delivery]:
    check_ids(store, ids)
    letters = store.dead(ids=ids, route=route, handler=handler)
    if ids and not letters:
        raise UsageError(f"{', '.join(ids)}: no delivery of it is dead")
    return letters


def _record(store: Store, letter: Delivery, *, full: bool) -> dict[str, Any]:
    event = store.event(letter.event)
    record = {"event": event.id, "type": event.type, **delivery_record(store, letter)}
    if full:
        record["document"] = identify(event.raw).document
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


SUBCOMMANDS = {"list": dlq_list, "show": dlq_show, "redrive": dlq_redrive}
