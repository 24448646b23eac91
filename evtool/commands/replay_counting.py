"""Plans a replay over Kafka in several processes, if only the sums are wanted: three times as fast.

This process reads the topics and gives blocks of messages to the others. They decode and match what is certainly an
event, and answer with counts. Whatever they do not decode takes the usual way here.
"""

import os
import pickle
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import NamedTuple

from evtool.buses.base import Bus, Message, TimeRange
from evtool.buses.decoding import decode_message, decode_simple, is_simple
from evtool.buses.kafka.bus import KafkaBus
from evtool.cli.filters import note_unknown
from evtool.cli.session import Session
from evtool.commands.block_workers import BlockWorkers
from evtool.delivery.replays.plan import Fire, Planner
from evtool.errors import EXIT_FINDINGS, EXIT_OK
from evtool.events.buses import DEFAULT_BUS
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

MAX_PROCESSES = 4  # reading is no faster than so many can plan
MAX_NAMES = 1000  # types and sources that a note may name

Fires = tuple[Fire, ...]


class _Answer(NamedTuple):
    """What a process has found in a block: how often which deliveries fire, and the messages that it left."""

    counts: Counter[Fires]
    types: set[str]
    sources: set[str]
    left: list[int]


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
        self._selection = selection._replace(since=None, until=None)
        self._times = TimeRange(selection.since, selection.until)
        self.counts: Counter[Fires] = Counter()
        self.types, self.sources = set[str](), set[str]()

    def read(self, buses: Sequence[KafkaBus]) -> Iterator[int | ValidationResult]:
        """Reads the buses to their ends. Yields the number of messages done, and the findings of the others."""
        workers = BlockWorkers(self._answer, max(1, min(MAX_PROCESSES, len(os.sched_getaffinity(0)))))
        workers.start()  # before the client of Kafka has threads
        pending: deque[tuple[list[Message], Callable[[], bytes | None]]] = deque()
        with closing(workers):
            for bus in buses:
                for messages in bus.read_messages(self._times):
                    simple = [message for message in messages if is_simple(message)]
                    block = pickle.dumps([message.value for message in simple], pickle.HIGHEST_PROTOCOL)
                    pending.append((simple, workers.begin(block)))
                    yield from self._take_slowly([message for message in messages if not is_simple(message)])
                    if len(pending) >= workers.most_begun:
                        yield from self._take(*pending.popleft())
            while pending:
                yield from self._take(*pending.popleft())

    def _take(
        self, messages: list[Message], take_answer: Callable[[], bytes | None]
    ) -> Iterator[int | ValidationResult]:
        """Adds the answer of a process about messages."""
        raw = take_answer()
        if raw is None:  # it was killed
            yield from self._take_slowly(messages)
            return
        answer = _Answer(*pickle.loads(raw))  # noqa: S301  (of a process that this one has forked)
        self.counts.update(answer.counts)
        self.types |= answer.types
        self.sources |= answer.sources
        yield len(messages) - len(answer.left)
        yield from self._take_slowly([messages[index] for index in answer.left])

    def _take_slowly(self, messages: list[Message]) -> Iterator[int | ValidationResult]:
        """Decodes and plans messages one by one."""
        for message in messages:
            for item in decode_message(message):
                if isinstance(item, Finding):
                    yield ValidationResult(message.position, item.line or 1, None, (item,))
                    continue
                self.types.add(item.type)
                self.sources.add(item.source)
                if self._selection.matches(item):
                    self.counts[self._plan(item.raw, item.bus or self._bus)] += 1
                yield 1

    @without_gc()  # the values of a block are many, and none refers to itself
    def _answer(self, block: bytes) -> bytes:
        """What a process makes of a block."""
        values: list[bytes] = pickle.loads(block)  # noqa: S301  (of the process that has forked this one)
        answer = _Answer(Counter(), set(), set(), [])
        plan, bus, selection = self._plan, self._bus, self._selection
        has_selection = selection != Filter(published=selection.published)
        for index, (raw, event) in enumerate(zip(values, decode_simple(values), strict=True)):
            if event is None:
                answer.left.append(index)
                continue
            if has_selection:
                answer.types.add(event.type)
                answer.sources.add(event.source)
                if not selection.matches(event):
                    continue
            answer.counts[plan(raw, bus)] += 1
        return pickle.dumps(tuple(answer), pickle.HIGHEST_PROTOCOL)
