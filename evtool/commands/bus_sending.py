"""Sends events to a bus and reports the confirmed ones, for `evtool publish --bus` and `evtool push`."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from evtool.buses.base import Bus, SendReport
from evtool.cli.session import Session
from evtool.errors import EXIT_FINDINGS, EXIT_OK, EXIT_USAGE
from evtool.events.event import Event
from evtool.findings.finding import Finding, list_finding_records
from evtool.reports.base import Subject
from evtool.reports.records import build_published_record, build_summary
from evtool.reports.transfers import FAILED, SENT, SendingReport
from evtool.schemas.validation import ValidationResult
from evtool.signals import catch_signals
from evtool.terminal.progress import Progress
from evtool.terminal.screen import Screen


def send_events(session: Session, command: str, bus: Bus, results: Iterable[ValidationResult]) -> int:
    """Sends the valid events to a bus, and reports each when the bus has confirmed or refused it.

    Returns the exit code: 0 if every event was valid and confirmed.
    """
    findings: list[Finding] = []
    counts: Counter[str] = Counter()
    notes: list[str] = []
    interrupts: list[KeyboardInterrupt] = []
    progress = Progress("sending", "event", quiet=session.quiet)

    def build_text_report(screen: Screen) -> SendingReport:
        return SendingReport(screen, bus.name, quiet=session.quiet, show_all=session.verbose > 0)

    with session.open_report(Subject(command, "events", build_text_report)) as report:
        with catch_signals(interrupts):
            valid_events = _take_valid(session, results, findings, counts)
            for sent in progress.track(bus.send(valid_events)):
                counts[_name_status(sent)] += 1
                report.add_record(build_sent_record(sent))
                # The same note usually concerns every event: one line is enough.
                if sent.note and sent.note not in notes:
                    notes.append(sent.note)
                    session.print_note(f"note: {sent.note}")
        report.end({"findings": list_finding_records(findings), "summary": _build_summary(counts)})
    if interrupts:
        # The bus may have accepted events although the signal came before its confirmation.
        open_sends = counts["read"] - counts["invalid"] - counts[SENT] - counts[FAILED]
        if open_sends:
            session.print_note(f"{open_sends:,} more may have been sent: the bus has not confirmed them yet")
        raise interrupts[0]
    if any(finding.code == "EV001" for finding in findings):
        return EXIT_USAGE
    if counts[FAILED] or counts["invalid"]:
        return EXIT_FINDINGS
    return EXIT_OK


def build_sent_record(sent: SendReport) -> dict[str, Any]:
    """Returns a sent event as `publish` reports it, with the error if the bus did not confirm it."""
    return build_published_record(sent.event, _name_status(sent), []) | {"error": sent.error}


def _name_status(sent: SendReport) -> str:
    if sent.error:
        return FAILED
    return SENT


def _take_valid(
    session: Session, results: Iterable[ValidationResult], findings: list[Finding], counts: Counter[str]
) -> Iterator[Event]:
    """Yields the valid events, and shows the findings about the others."""
    for result in results:
        findings.extend(result.findings)
        session.show_findings(result.findings)
        counts["read"] += 1
        if result.event and result.is_valid:
            yield result.event
        else:
            counts["invalid"] += 1


def _build_summary(counts: Counter[str]) -> dict[str, int]:
    """Returns the totals. Those of deliveries are 0, since the consumers of the bus call the handlers."""
    sums = {key: counts[key] for key in ("read", "stored", "duplicates", SENT, FAILED, "invalid")}
    return build_summary(Counter(events=counts[SENT] + counts[FAILED])) | sums
