"""Counts what a replay over Kafka would fire, if only the counts are reported: it keeps nothing of an event."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing

from evtool.buses.base import Bus, Message, TimeRange
from evtool.buses.decoding import decode_messages
from evtool.buses.kafka.bus import KafkaBus
from evtool.cli.filters import note_unknown
from evtool.cli.session import Session
from evtool.delivery.replays.plan import Fire, Planner
from evtool.errors import EXIT_FINDINGS, EXIT_OK
from evtool.events.buses import DEFAULT_BUS
from evtool.events.event import Event
from evtool.findings.finding import Finding
from evtool.reports.base import Subject
from evtool.reports.explanations import UnmatchedRoutes, list_candidates
from evtool.reports.replays import ReplayReport, ReplaySums
from evtool.routes.project import Project, without_gc
from evtool.routes.routes import Routes
from evtool.schemas.validation import ValidationResult
from evtool.signals import catch_signals
from evtool.store.rows import Filter
from evtool.store.sqlite.files import is_missing
from evtool.terminal.progress import Progress
from evtool.terminal.screen import Screen, open_stderr
from evtool.terminal.snippets import show_finding

MAX_NAMES = 1000  # types and sources that a note may name


def can_count(session: Session, project: Project, routes: Routes, buses: Sequence[Bus]) -> bool:
    """Whether counts are all that is reported for the events of buses: none is shown, or compared with a store."""
    is_kafka = bool(buses) and all(isinstance(bus, KafkaBus) for bus in buses)
    has_records = session.verbose or session.output or routes.has_unknown_values
    return is_kafka and not has_records and is_missing(session.locate_store(project))


def count_plan(
    session: Session,
    project: Project,
    routes: Routes,
    plan: Planner,
    buses: Sequence[Bus],
    selection: Filter,
    event_bus: str | None,
) -> int:
    """Reports how often the handlers would be called for the events of buses. Returns the exit code."""
    screen = Screen(open_stderr(), color=session.color)
    sums, interrupts = ReplaySums(), list[KeyboardInterrupt]()
    unmatched = UnmatchedRoutes(list_candidates(routes, project))
    counter = PlanCounter(plan, selection, event_bus)
    progress = Progress("replaying", "event", quiet=session.quiet)
    exit_code = EXIT_OK

    def build_text_report(out: Screen) -> ReplayReport:
        return ReplayReport(out, sums, None, unmatched, {}, verbose=False, quiet=session.quiet)

    with session.open_report(Subject("replay", "events", build_text_report)) as report:
        with catch_signals(interrupts), closing(progress):
            for done in counter.read([bus for bus in buses if isinstance(bus, KafkaBus)]):
                if isinstance(done, int):
                    progress.count(done)
                    continue
                exit_code = EXIT_FINDINGS
                for finding in done.findings:
                    show_finding(screen, finding)
        sums.add_counts(counter.counts)
        report.end(sums.build_tail(None, []))
    if interrupts:
        raise interrupts[0]
    for kind, value, names in (
        ("type", selection.type, counter.types),
        ("source", selection.source, counter.sources),
    ):
        if names:
            note_unknown(session, kind, value, sorted(names)[:MAX_NAMES], place="the bus")
    return exit_code


class PlanCounter:
    """Counts what the events of buses would fire."""

    def __init__(self, plan: Planner, selection: Filter, event_bus: str | None):
        """`plan` gives the deliveries of an event; `event_bus` is the bus of events that name none."""
        self._plan, self._bus = plan, event_bus or DEFAULT_BUS
        self._times = TimeRange(selection.since, selection.until)
        self._selection = selection._replace(since=None, until=None)
        self._has_selection = self._selection != Filter(published=selection.published)
        self.counts: Counter[tuple[Fire, ...]] = Counter()
        self.types, self.sources = set[str](), set[str]()

    def read(self, buses: Sequence[KafkaBus]) -> Iterator[int | ValidationResult]:
        """Reads the buses to their ends. Yields numbers of events that were read, and the problems of messages."""
        for bus in buses:
            for messages in bus.read_messages(self._times):
                events, unreadable = self._count(messages)
                yield events
                yield from unreadable

    # Decoding allocates many objects that are soon dropped.
    @without_gc()
    def _count(self, messages: list[Message]) -> tuple[int, list[ValidationResult]]:
        plan, counts = self._plan, self.counts
        events, unreadable = 0, []
        for message, item in decode_messages(messages):
            if isinstance(item, Finding):
                unreadable.append(ValidationResult(message.position, item.line or 1, None, (item,)))
                continue
            events += 1
            if not self._has_selection or self._is_selected(item):
                counts[plan(item.raw, item.bus or self._bus, item)] += 1
        return events, unreadable

    def _is_selected(self, event: Event) -> bool:
        self.types.add(event.type)
        self.sources.add(event.source)
        return self._selection.matches(event)
