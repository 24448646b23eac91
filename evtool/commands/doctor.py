"""The command `evtool doctor`: checks the store and shows its settings and versions."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from evtool.cli.session import Session
from evtool.errors import EXIT_FINDINGS, EXIT_OK, DamageError
from evtool.paths import display_path
from evtool.reports.base import Subject
from evtool.reports.formats.text import FindingsReport
from evtool.reports.trees import format_summary
from evtool.schemas.validation import ValidationResult
from evtool.store.counts import count_totals
from evtool.store.integrity import check_store, describe_store
from evtool.store.rows import STATES
from evtool.store.store import Store
from evtool.terminal.progress import Progress
from evtool.terminal.screen import Segment


def doctor(session: Session) -> int:
    """Check the store: its structure, the hash of every event, references, totals, permissions, versions.

    It reads the whole store and changes nothing. Other processes may use the store at the same time. Exit code 1 if
    it finds a problem, 4 if the store cannot be opened.

    Example: evtool doctor -o json
    """
    errors = 0
    subject = Subject("doctor", "findings", partial(_DoctorReport, quiet=session.quiet))
    with (
        Store(session.locate_store(existing=True), writing=False) as store,
        session.open_report(subject) as report,
    ):
        progress = Progress("checking", "event", total=store.last_seq, quiet=session.quiet)
        for finding in check_store(store, on_events=progress.add):
            errors += finding.severity == "error"
            report.add_result(ValidationResult(finding.file or "", 1, None, (finding,)))
        progress.erase()
        # A JUnit report without a test case would be an error for many CI systems.
        if not errors:
            report.add_result(ValidationResult(display_path(store.file), 1, None))
        info = {"file": display_path(store.file)} | describe_store(store)._asdict()
        report.end({"store": info, "summary": {"errors": errors} | _count_all(store)})
    if errors:
        return EXIT_FINDINGS
    return EXIT_OK


def _count_all(store: Store) -> dict[str, int | None]:
    """Counts the events and deliveries of the store; each count is None if the store is too damaged for that."""
    try:
        totals = count_totals(store)
    except DamageError:
        return dict.fromkeys(("events", "deliveries") + tuple(STATES))
    return {"events": totals.events, "deliveries": totals.deliveries, **totals.states}


class _DoctorReport(FindingsReport):
    """The text report: the problems, then file, settings, versions and contents of the store."""

    def end(self, tail: Mapping[str, Any]) -> None:
        if self._quiet:
            return
        info, summary = tail["store"], tail["summary"]
        wal_text = ""
        if info["wal_bytes"]:
            wal_text = f", and {info['wal_bytes']:,} of {info['file']}-wal"
        self._screen.print_line("store    ", info["file"], f"  {info['bytes']:,} bytes{wal_text}")
        self._screen.print_line(
            "kept     ", f"mode {info['mode']}, disk {info['disk'] or 'unknown'}, {_format_journal(info)}"
        )
        self._screen.print_line(
            "versions ", f"evtool {info['evtool']}, tables {info['tables']}, SQLite {info['sqlite']}"
        )
        contents: list[Segment] = ["unknown"]
        if summary["events"] is not None:
            contents = format_summary(summary)
        self._screen.print_line("holds    ", *contents)
        if summary["errors"]:
            self._screen.print_line((f"{summary['errors']:,} wrong", "bold red"))
        else:
            self._screen.print_line(("all is well", "bold green"))


def _format_journal(info: Mapping[str, Any]) -> str:
    return f"journal {info['journal']} ({info['journal_reason']})"
