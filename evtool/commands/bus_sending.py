"""Sends events to a bus and reports what was confirmed, for `evtool publish --bus` and `evtool push`."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from evtool.buses.base import Bus, SendReport
from evtool.cli.session import Session
from evtool.errors import EXIT_FINDINGS, EXIT_OK, EXIT_USAGE
from evtool.events.event import Event
from evtool.findings.finding import Finding
from evtool.reports.base import Subject
from evtool.reports.records import build_published_record, build_summary
from evtool.reports.transfers import FAILED, SENT, SendingReport
from evtool.schemas.validation import ValidationResult
from evtool.signals import catch_signals
from evtool.terminal.progress import Progress
from evtool.terminal.screen import Screen, open_stderr
from evtool.terminal.snippets import show_finding


def send_events(session: Session, command: str, bus: Bus, results: Iterable[ValidationResult]) -> int:
    """Sends the valid events to a bus, and reports each when the bus has confirmed or refused it.

    Returns the exit code: 0 if every event was valid and confirmed.
    """
    findings: list[Finding] = []
    counts: Counter[str] = Counter()
    notes: list[str] = []
    interrupts: list[KeyboardInterrupt] = []
    progress = Progress("sending", "event", quiet=session.quiet)
    subject = Subject(
        command,
        "events",
        lambda screen: SendingReport(screen, bus.name, quiet=session.quiet, show_all=session.verbose > 0),
    )
    with session.open_report(subject) as report:
        with catch_signals(interrupts):
            valid_events = _take_valid(session, results, findings, counts)
            for sent in progress.track(bus.send(valid_events)):
                counts[FAILED if sent.error else SENT] += 1
                report.add(build_sent_record(sent))
                if sent.note and sent.note not in notes:
                    notes.append(sent.note)
                    session.print_note(f"note: {sent.note}")
        report.end({"findings": [finding.as_dict() for finding in findings], "summary": _build_summary(counts)})
    if interrupts:
        open_sends = counts["read"] - counts["invalid"] - counts[SENT] - counts[FAILED]
        if open_sends:
            session.print_note(f"{open_sends:,} more may have been sent: no confirmation has come")
        raise interrupts[0]
    if any(finding.code == "EV001" for finding in findings):
        return EXIT_USAGE
    if counts[FAILED] or counts["invalid"]:
        return EXIT_FINDINGS
    return EXIT_OK


def build_sent_record(sent: SendReport) -> dict[str, Any]:
    """An event that was sent, as `publish` reports it, with the error if the bus did not confirm it."""
    record = build_published_record(sent.event, FAILED if sent.error else SENT, [])
    return {**record, "error": sent.error}


def _take_valid(
    session: Session, results: Iterable[ValidationResult], findings: list[Finding], counts: Counter[str]
) -> Iterator[Event]:
    """The valid events; shows the findings about the others."""
    screen = Screen(open_stderr(), color=session.color)
    for result in results:
        findings.extend(result.findings)
        for finding in result.findings:
            show_finding(screen, finding)
        counts["read"] += 1
        if result.event and result.is_valid:
            yield result.event
        else:
            counts["invalid"] += 1


def _build_summary(counts: Counter[str]) -> dict[str, int]:
    """The totals; those of deliveries are 0, since the consumers of the bus deliver."""
    sums = {key: counts[key] for key in ("read", "stored", "duplicates", SENT, FAILED, "invalid")}
    return build_summary(Counter(events=counts[SENT] + counts[FAILED])) | sums
