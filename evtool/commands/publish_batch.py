"""Publishes a batch of events: stores them in one commit, and says what became of each as soon as that is known."""

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

Targets = Sequence[tuple[str, str, bool]]  # route and handler of each delivery, and whether evtool leaves it out


class PublishResult(NamedTuple):
    """What became of an event: records, bytes and buses of it and of what it led to, findings, outputs.

    A finding says why it was not taken, or which handlers cannot be loaded.
    """

    records: list[dict[str, Any]]
    events: Sequence[tuple[bytes, str]] = ()
    findings: Sequence[Finding] = ()
    outputs: Mapping[OutputKey, str] = MappingProxyType({})


Published = tuple[ValidationResult, PublishResult]


class Publisher(NamedTuple):
    """How events are published. With `call` what is due for them is attempted, and what comes of that."""

    runtime: Runtime
    project: Project
    call: bool
    workers: int
    with_outputs: bool

    def publish(self, batch: Sequence[ValidationResult]) -> Iterator[Published]:
        """Stores the valid events of a batch in one commit. Yields what became of each, in order, when it is known."""
        store, now = self.runtime.store, self.runtime.environment.now()
        events = [result.event for result in batch if result.event and result.is_valid]
        all_targets = [self._list_targets(event) for event in events]
        entries = [NewEvent(event, _list_deliveries(some)) for event, some in zip(events, all_targets, strict=True)]
        stored = [*zip(insert_events(entries, store=store, now=now), all_targets, strict=True)]
        problems: list[Exception | KeyboardInterrupt] = []
        roots = [entry.seq for entry, _ in stored if self.call and entry.status == "stored"]
        outcomes, finished = iter(stored), self._finish_chains(roots, problems)
        for result in batch:
            if not (result.event and result.is_valid):
                yield result, PublishResult([])
                continue
            entry, targets = next(outcomes)
            if entry.status != "stored":
                yield result, self._describe_known(result.event, entry)
            elif self.call:
                yield result, self._describe_chain(next(finished))
            else:
                yield result, _describe_stored(result.event, targets, now)
        deque(finished, maxlen=0)
        for problem in problems:
            raise problem

    def _list_targets(self, event: Event) -> Targets:
        return [
            (route.name, handler, is_external)
            for route, handler, is_external in match_handlers(event, self.runtime.routes)
        ]

    def _describe_known(self, event: Event, entry: StoreResult) -> PublishResult:
        stored = self.runtime.store.get_event(entry.seq)
        if entry.status == "conflict":
            return PublishResult([], findings=[describe_conflict(event, entry, stored.raw)])
        return PublishResult([build_published_record(stored, entry.status, [])])

    def _finish_chains(self, roots: Sequence[int], problems: list[Exception | KeyboardInterrupt]) -> Iterator[int]:
        """Delivers what the events lead to. Yields their numbers in order, each when its chain is finished.

        A signal, or an error, goes into `problems`: the other events are stored, so they are to be reported, too.
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
        except Exception as error:  # noqa: BLE001  (raised at the end)
            problems.append(error)
        yield from roots[position:]

    def _describe_chain(self, root: int) -> PublishResult:
        store, routes = self.runtime.store, self.runtime.routes
        has_external = routes.has_external_handlers
        chain = [
            ChainMember(
                member,
                store.list_deliveries(member.seq),
                list_external_targets(parse_stored(member), routes) if has_external else (),
            )
            for member in store.list_chain(root)
        ]
        outputs: dict[OutputKey, str] = {}
        for member in chain if self.with_outputs else ():
            outputs |= load_outputs(store, member.event.id, member.deliveries)
        findings = take_load_findings(self.runtime.handlers, self.project)
        events = [(member.event.raw, member.event.bus) for member in chain]
        return PublishResult(build_chain_records(chain), events, findings, outputs)


def _list_deliveries(targets: Targets) -> list[NewDelivery]:
    return [NewDelivery(route, handler) for route, handler, is_external in targets if not is_external]


@lru_cache(maxsize=1000)  # many events of a batch go by the same route
def _build_ready_record(route: str, handler: str, now: int) -> dict[str, Any]:
    return build_planned_record(route, handler, "ready", now)


def _describe_stored(event: Event, targets: Targets, now: int) -> PublishResult:
    """What is said of an event that waits for `evtool deliver`."""
    deliveries = [
        _build_ready_record(route, handler, now) for route, handler, is_external in targets if not is_external
    ]
    external = [(route, handler) for route, handler, is_external in targets if is_external]
    record = build_published_record(event, "stored", deliveries, external)
    return PublishResult([record], [(event.raw, event.bus or DEFAULT_BUS)])


def _deliver_chains(runtime: Runtime, roots: Sequence[int], *, workers: int) -> Generator[int]:
    """Attempts what is due of the chains that begin with some events, as `deliver` does.

    Yields the root of a chain when nothing of it is due or under way. From then on nothing of it is attempted, though
    it may become due while others go on. What is not yielded was interrupted, or others are at work on it.
    """
    environment, run_start = runtime.environment, runtime.environment.now()

    def find_open(some_roots: Iterable[int]) -> set[int]:
        now, owner = environment.now(), environment.owner
        return find_open_roots(runtime.store, some_roots, now=now, run_start=run_start, owner=owner)

    unfinished = find_open(roots)
    yield from (root for root in roots if root not in unfinished)
    with closing(deliver(runtime, workers=workers, chains=Chains(unfinished))) as settlements:
        for settlement in settlements:
            root = settlement.event.root
            if root in unfinished and not find_open([root]):
                unfinished.remove(root)
                yield root
