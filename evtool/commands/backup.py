"""The command `evtool backup`: makes a consistent copy of the store."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from evtool.cli.options import Argument, Option
from evtool.cli.session import Session
from evtool.errors import EXIT_OK, UsageError
from evtool.paths import display_path
from evtool.reports.base import Report, Subject
from evtool.store import backup as store_backup
from evtool.store.store import Store
from evtool.terminal.progress import Progress
from evtool.terminal.screen import Screen, format_count


def backup(
    session: Session,
    file: Annotated[str, Argument("FILE", "file of the copy")],
    *,
    force: Annotated[bool, Option("--force", "replace an existing file")] = False,
) -> int:
    """Copy the store while it is in use. The copy shows one moment.

    The copy is checked, and its file appears only when it is complete. docs/store.md describes how to restore it.

    Example: evtool backup ~/shop-$(date +%F).db
    """
    # SQLite writes pages out of order, so that a copy cannot go to standard output.
    if file == "-":
        raise UsageError("a copy is a file, not a stream: name a file, or ./- if that is its name")
    target = Path(file)
    with Store(session.locate_store(existing=True), writing=False) as store:
        count_pages = partial(_count_pages, store)
        progress = Progress("copying", "page", total=count_pages, quiet=session.quiet)
        copy = store_backup.backup(store, target, force=force, on_pages=progress.add)
        progress.erase()
    subject = Subject("backup", "files", partial(_BackupReport, quiet=session.quiet))
    with session.open_report(subject) as report:
        report.add_record({"file": display_path(target), "bytes": copy.bytes})
        report.end({"summary": {"events": copy.events, "deliveries": copy.deliveries, "attempts": copy.attempts}})
    return EXIT_OK


def _count_pages(store: Store) -> int:
    pages: int = store.execute("PRAGMA page_count")[0][0]
    return pages


class _BackupReport(Report):
    """The text report: a line with the file, its size and the number of events and deliveries in it."""

    def __init__(self, screen: Screen, *, quiet: bool):
        self._screen, self._quiet = screen, quiet
        self._files: list[Mapping[str, Any]] = []

    def add_record(self, record: Mapping[str, Any]) -> None:
        self._files.append(record)

    def end(self, tail: Mapping[str, Any]) -> None:
        if self._quiet:
            return
        summary = tail["summary"]
        contents = f"{format_count(summary['events'], 'event')}, {format_count(summary['deliveries'], 'delivery')}"
        for file in self._files:
            self._screen.print_line(f"copied {contents} to {file['file']} ({file['bytes']:,} bytes)")
