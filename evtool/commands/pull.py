"""The command `evtool pull`: records the events of a bus in the store, or in a file."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Protocol

from evtool.buses.base import TimeRange
from evtool.buses.json_file import format_line
from evtool.buses.registry import describe_bus, open_named_bus
from evtool.cli.filters import build_filter
from evtool.cli.inputs import group_results
from evtool.cli.options import Argument, Limit, Option, Since, Until
from evtool.cli.outputs import open_atomic
from evtool.cli.session import Session, now_ms
from evtool.cli.store_project import claim_store
from evtool.delivery.intake import describe_conflict, insert_event
from evtool.errors import EXIT_FINDINGS, EXIT_OK, UsageError
from evtool.events.event import Event
from evtool.findings.finding import Finding
from evtool.paths import display_path
from evtool.reports.base import Subject
from evtool.reports.transfers import PullReport
from evtool.routes.project import Project
from evtool.schemas.validation import ValidationResult
from evtool.signals import catch_signals
from evtool.store.store import Store
from evtool.terminal.progress import Progress
from evtool.terminal.screen import Screen, open_stderr
from evtool.terminal.snippets import show_finding

BATCH_EVENTS = 1000  # events that are stored in one commit
SUMMARY = ("read", "stored", "duplicates", "sent", "failed", "invalid")


class _Target(Protocol):
    """Where the events go."""

    name: str

    def add(self, events: list[Event], counts: Counter[str]) -> Iterator[Finding]:
        """Keeps events, counts what became of them, and yields a finding for each that cannot be kept."""


def pull(
    session: Session,
    bus: Annotated[str, Argument("URL|NAME", describe_bus(must_be_readable=True))],
    *,
    since: Since = None,
    until: Until = None,
    limit: Limit = None,
    to: Annotated[
        str | None, Option("--to", "write the events to this file, one per line, not to the store", "FILE")
    ] = None,
) -> int:
    """Record the events of a bus in the store, or with --to in a file.

    Reads up to the end that the bus has at the start, joins no consumer group and changes nothing on the bus. An event
    that is already stored is counted and not changed, so a second pull adds only new events. No handler is called and
    no delivery is created: `replay` shows what the routes would fire. --since and --until select by the times at which
    the messages were written. Exit code 1 if a message is not an event.

    Example: evtool pull kafka://localhost:9092/orders --since 1d
    """
    project = session.find_project()
    source = open_named_bus(bus, project)
    times = build_filter(since=since, until=until)
    screen = Screen(open_stderr(), color=session.color)
    counts: Counter[str] = Counter()
    findings: list[Finding] = []
    interrupts: list[KeyboardInterrupt] = []
    progress = Progress("reading", "event", quiet=session.quiet)
    with _open_target(session, project, to) as target:
        subject = Subject("pull", "events", lambda out: PullReport(out, source.name, target.name, quiet=session.quiet))
        with session.open_report(subject) as report:
            with catch_signals(interrupts):
                results = islice(progress.track(source.read(TimeRange(times.since, times.until))), limit)
                for batch in group_results(results, BATCH_EVENTS, stream=False):
                    for finding in _take_batch(batch, target, counts):
                        findings.append(finding)
                        progress.erase()
                        show_finding(screen, finding)
            if interrupts and to is not None:  # a file appears only when it is complete
                session.print_note(f"{to} was not written")
                raise interrupts[0]
            summary: dict[str, Any] = {key: counts[key] for key in SUMMARY}
            report.end({"findings": [finding.as_dict() for finding in findings], "summary": summary})
        if interrupts:
            raise interrupts[0]
    if counts["failed"] or counts["invalid"]:
        return EXIT_FINDINGS
    return EXIT_OK


def _take_batch(batch: list[ValidationResult], target: _Target, counts: Counter[str]) -> Iterator[Finding]:
    """Keeps the events of a batch. Yields the problems of the others."""
    counts["read"] += len(batch)
    for result in batch:
        if not result.is_valid:
            counts["invalid"] += 1
            yield from result.findings
    yield from target.add([result.event for result in batch if result.event and result.is_valid], counts)


@contextmanager
def _open_target(session: Session, project: Project | None, to: str | None) -> Iterator[_Target]:
    if to is None:
        with Store(session.locate_store(project)) as store:
            if project:
                claim_store(session, store, project)
            yield _StoreTarget(store)
    elif to == "-":
        raise UsageError("--to names a file, not a stream: name one, or ./- if that is its name")
    else:
        with open_atomic(Path(to)) as file:
            yield _FileTarget(file, to)


class _StoreTarget:
    """The store: each event once."""

    def __init__(self, store: Store):
        self._store, self.name = store, display_path(store.file)

    def add(self, events: list[Event], counts: Counter[str]) -> Iterator[Finding]:
        """Stores the events in one commit."""
        conflicts = []
        with self._store.transaction():
            for event in events:
                result = insert_event(event, [], store=self._store, now=now_ms())
                if result.status == "conflict":
                    conflicts.append((event, result))
                    counts["failed"] += 1
                else:
                    counts["stored" if result.status == "stored" else "duplicates"] += 1
        for event, result in conflicts:
            yield describe_conflict(event, result, self._store.get_event(result.seq).raw)


class _FileTarget:
    """A file, which appears when it is complete."""

    def __init__(self, file: Any, name: str):
        self._file, self.name = file, name

    def add(self, events: list[Event], counts: Counter[str]) -> Iterator[Finding]:
        """Writes the events."""
        for event in events:
            self._file.write(format_line(event.raw).decode())
        counts["stored"] += len(events)
        return iter(())
