"""evtool doctor: whether the store is well, and how it is kept."""

from collections.abc import Mapping
from typing import Any

from evtool.cli.session import Session
from evtool.errors import EXIT_FINDINGS, EXIT_OK, DamageError
from evtool.paths import display
from evtool.reports.base import Subject
from evtool.reports.formats.text import Findings
from evtool.reports.trees import summary_line
from evtool.schemas.validation import Verdict
from evtool.store.counts import count_totals
from evtool.store.integrity import check_store, describe_store
from evtool.store.rows import STATES
from evtool.store.store import Store


def doctor(session: Session) -> int:
    """Check the store: its structure, the bytes of every event, references, sums, permissions, versions.

    Reads all of it and changes nothing; others may work with the store meanwhile. Exit code 1 if something is wrong,
    4 if the store cannot be used at all.

    Example: evtool doctor -o json
    """
    errors = 0
    with (
        Store(session.store_file(existing=True), writing=False) as store,
        session.report(Subject("doctor", "findings", lambda screen: _Checkup(screen, quiet=session.quiet))) as report,
    ):
        for finding in check_store(store):
            errors += finding.severity == "error"
            report.add(Verdict(finding.file or "", 1, None, (finding,)))
        told = {"file": display(store.file), **describe_store(store)._asdict()}
        report.end({"store": told, "summary": {"errors": errors, **_counts(store)}})
    return EXIT_FINDINGS if errors else EXIT_OK


def _counts(store: Store) -> dict[str, int | None]:
    """What the store holds, unless it is too damaged to count."""
    try:
        counted = count_totals(store)
    except DamageError:
        return dict.fromkeys(("events", "deliveries", *STATES))
    return {"events": counted.events, "deliveries": counted.deliveries, **counted.states}


class _Checkup(Findings):
    """The text report: what is wrong, then what the store is and holds."""

    def end(self, tail: Mapping[str, Any]) -> None:
        if self._quiet:
            return
        told, summary = tail["store"], tail["summary"]
        wal = f", and {told['wal_bytes']:,} of {told['file']}-wal" if told["wal_bytes"] else ""
        self._screen.line("store    ", told["file"], f"  {told['bytes']:,} bytes{wal}")
        self._screen.line("kept     ", f"mode {told['mode']}, disk {told['disk'] or 'unknown'}, {_journal(told)}")
        self._screen.line("versions ", f"evtool {told['evtool']}, tables {told['tables']}, SQLite {told['sqlite']}")
        self._screen.line("holds    ", *(summary_line(summary) if summary["events"] is not None else ["unknown"]))
        wrong = summary["errors"]
        self._screen.line((f"{wrong:,} wrong", "bold red") if wrong else ("all is well", "bold green"))


def _journal(told: Mapping[str, Any]) -> str:
    return f"journal {told['journal']} ({told['journal_reason']})"
