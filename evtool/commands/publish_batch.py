"""Publishes a batch of events: stores them in one commit, and yields the result of each as soon as it is known.

Results keep the order of the batch, though handlers finish in any order. With three events A, B, C:

    one commit stores A, B and C with their deliveries
    B is finished          nothing is yielded: A comes first
    A is finished          A and B are yielded
    a signal arrives       C is yielded with the states that its deliveries have now, then the signal is raised

So a reader sees each event as early as possible, and always in the same order.
"""

from collections import deque
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import lru_cache
from types import MappingProxyType
from typing import Any, NamedTuple

from evtool.cli.runtime import take_load_findings
from evtool.delivery.intake import describe_conflict, insert_events, list_external_targets, match_handlers, parse_stored
from evtool.delivery.loop import deliver
from evtool.delivery.runtime import Runtime
from evtool.events.buses import DEFAULT_BUS
from evtool.events.event import Event
from evtool.findings.finding import Finding
from evtool.reports.records import (
    ChainMember,
    OutputKey,
    build_chain_records,
    build_planned_record,
    build_published_record,
    load_outputs,
)
from evtool.routes.project import Project
from evtool.schemas.validation import ValidationResult
from evtool.signals import catch_signals
from evtool.store.queue import Chains, find_open_roots
from evtool.store.rows import NewDelivery, NewEvent, StoreResult

# Route and handler of each delivery, and whether the handler is external: evtool does not call it.
Targets = Sequence[tuple[str, str, bool]]


class PublishResult(NamedTuple):
    """The result of an event.

    `records` and `events` (bytes and buses) are those of the event and of the events that it led to. A finding says
    why the event was refused, or which handler cannot be loaded.
    """

    records: list[dict[str, Any]]
    events: Sequence[tuple[bytes, str]] = ()
    findings: Sequence[Finding] = ()
    outputs: Mapping[OutputKey, str] = MappingProxyType({})


Published = tuple[ValidationResult, PublishResult]


class Publisher(NamedTuple):
    """How events are published. With `call` the handlers are called, also for the events that these emit."""

    runtime: Runtime
    project: Project
    call: bool
    workers: int
    with_outputs: bool

    def publish(self, batch: Sequence[ValidationResult]) -> Iterator[Published]:
        """Stores the valid events of a batch in one commit. Yields the result of each event, in the same order."""
        store, now = self.runtime.store, self.runtime.environment.now()
        events = [result.event for result in batch if result.event and result.is_valid]
        targets = [self._list_targets(event) for event in events]
        new_events = []
        for event, event_targets in zip(events, targets, strict=True):
            new_events.append(NewEvent(event, _list_deliveries(event_targets)))
        stored = insert_events(new_events, store=store, now=now)
        roots = [entry.seq for entry in stored if self.call and entry.status == "stored"]
        problems: list[Exception | KeyboardInterrupt] = []
        outcomes = zip(stored, targets, strict=True)
        finished = self._finish_chains(roots, problems)
        for result in batch:
            if not (result.event and result.is_valid):
                yield result, PublishResult([])
                continue
            entry, event_targets = next(outcomes)
            if entry.status != "stored":
                yield result, self._describe_known(result.event, entry)
            elif self.call:
                yield result, self._describe_chain(next(finished))
            else:
                yield result, _describe_stored(result.event, event_targets, now)
        # The generator must reach its end, where it closes the delivery loop.
        deque(finished, maxlen=0)
        for problem in problems:
            raise problem

    def _list_targets(self, event: Event) -> Targets:
        matches = match_handlers(event, self.runtime.routes)
        return [(route.name, handler, is_external) for route, handler, is_external in matches]

    def _describe_known(self, event: Event, entry: StoreResult) -> PublishResult:
        stored = self.runtime.store.get_event(entry.seq)
        if entry.status == "conflict":
            return PublishResult([], findings=[describe_conflict(event, entry, stored.raw)])
        return PublishResult([build_published_record(stored, entry.status, [])])

    def _finish_chains(self, roots: Sequence[int], problems: list[Exception | KeyboardInterrupt]) -> Iterator[int]:
        """Delivers the chains of events. Yields the numbers of the events in order, each when its chain is finished.

        A signal or an error is appended to `problems`: the other events are stored, so that they are yielded, too.
        """
        finished: set[int] = set()
        position = 0
        try:
            with (
                catch_signals(problems),
                closing(_deliver_chains(self.runtime, roots, workers=self.workers)) as chains,
            ):
                for root in chains:
                    finished.add(root)
                    while position < len(roots) and roots[position] in finished:
                        position += 1
                        yield roots[position - 1]
        # `publish` raises it after the last event.
        except Exception as error:  # noqa: BLE001
            problems.append(error)
        yield from roots[position:]

    def _describe_chain(self, root: int) -> PublishResult:
        store, routes = self.runtime.store, self.runtime.routes
        chain: list[ChainMember] = []
        outputs: dict[OutputKey, str] = {}
        for event in store.list_chain(root):
            deliveries = store.list_deliveries(event.seq)
            external: Sequence[tuple[str, str]] = ()
            # The store has no deliveries to external handlers, so that they are matched again for the report.
            if routes.has_external_handlers:
                external = list_external_targets(parse_stored(event), routes)
            chain.append(ChainMember(event, deliveries, external))
            if self.with_outputs:
                outputs |= load_outputs(store, event.id, deliveries)
        findings = take_load_findings(self.runtime.handlers, self.project)
        events = [(member.event.raw, member.event.bus) for member in chain]
        return PublishResult(build_chain_records(chain), events, findings, outputs)


def _list_deliveries(targets: Targets) -> list[NewDelivery]:
    return [NewDelivery(route, handler) for route, handler, is_external in targets if not is_external]


# Many events of a batch take the same route at the same time.
@lru_cache(maxsize=1000)
def _build_ready_record(route: str, handler: str, now: int) -> dict[str, Any]:
    return build_planned_record(route, handler, "ready", now)


def _describe_stored(event: Event, targets: Targets, now: int) -> PublishResult:
    """Returns the result of an event that is only stored, for `evtool deliver`."""
    deliveries, external = [], []
    for route, handler, is_external in targets:
        if is_external:
            external.append((route, handler))
        else:
            deliveries.append(_build_ready_record(route, handler, now))
    record = build_published_record(event, "stored", deliveries, external)
    return PublishResult([record], [(event.raw, event.bus or DEFAULT_BUS)])


def _deliver_chains(runtime: Runtime, roots: Sequence[int], *, workers: int) -> Generator[int]:
    """Attempts the due deliveries of chains, as `deliver` does. `roots` are the first events of the chains.

    Yields a root when no delivery of its chain is due or in progress. From then on the chain is not attempted in this
    run, even if a retry becomes due while other chains continue. A root that is not yielded was interrupted, or
    another process delivers its chain.
    """
    environment, run_start = runtime.environment, runtime.environment.now()

    def find_open(some_roots: Iterable[int]) -> set[int]:
        now, owner = environment.now(), environment.owner
        return find_open_roots(runtime.store, some_roots, now=now, run_start=run_start, owner=owner)

    unfinished = find_open(roots)
    for root in roots:
        if root not in unfinished:
            yield root
    with closing(deliver(runtime, workers=workers, chains=Chains(unfinished))) as settlements:
        for settlement in settlements:
            root = settlement.event.root
            if root in unfinished and not find_open([root]):
                unfinished.remove(root)
                yield root
