"""The delivery loop: claims due deliveries, has their handlers called and settles the results, in batches.

One thread has the store and decides; each handler is called in threads of its own (pool.py). A round settles all that
has come back since the last one and claims what the free threads can do, in one transaction.
"""

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress
from typing import NamedTuple

from evtool.delivery.intake import accept, is_key_taken
from evtool.delivery.lanes import FOREVER, Lanes
from evtool.delivery.lease import MAX_LEASE, START_WITHIN, lease_of
from evtool.delivery.lost_emits import report_lost_emits
from evtool.delivery.outcomes import (
    AttemptResult,
    given_up,
    interrupted,
    is_exhausted,
    policy_of,
    prepare_call,
    released,
    result_of,
)
from evtool.delivery.pool import MAX_BATCH, Batch, PoolThread
from evtool.delivery.recovery import EXIT_TIMEOUT, read_leftovers
from evtool.delivery.retry import last_attempt
from evtool.delivery.runtime import Runtime
from evtool.errors import StoreError
from evtool.handlers.base import Answer, Call, Failed
from evtool.handlers.processes.worker_protocol import GarbledError, outcome_of, parse_answer
from evtool.routes.models import Retry
from evtool.signals import collect_signals, defer_signals
from evtool.store.due_times import repair_due_times
from evtool.store.queue import MAX_CLAIM_BYTES, Chains, Claim, Lane, claim, find_lanes, first_due, settle, still_leased
from evtool.store.rows import Cause, Delivery, StoredEvent

MAX_HANDLERS = 4  # handlers that are called at a time, if nothing else is said
STOP_GRACE = 5.0  # seconds for calls to end when evtool is to end
LEFTOVER_INTERVAL = 1.0  # seconds between two looks for what those who were killed have left
POLL_INTERVAL = 0.1  # seconds between two looks for what others have stored, or for what has become due

WaitWhenIdle = Callable[[float], bool]


class SettledDelivery(NamedTuple):
    """A delivery as an attempt has left it, its event, and the ids of the events that it emitted."""

    delivery: Delivery
    event: StoredEvent
    emitted: tuple[str, ...] = ()


class _Run:
    """What a run of deliveries keeps in mind between its rounds."""

    def __init__(self, runtime: Runtime, workers: int, chains: Chains | None, *, forever: bool):
        self._runtime, self._workers, self._chains = runtime, workers, chains
        now = runtime.environment.now()
        if forever:
            self._started = FOREVER
        else:
            self._started = now
        self._lanes = Lanes()
        self._unsettled: list[tuple[Claim, Answer]] = []  # what came back and is not settled yet
        if chains is None:
            longest_lease = max([MAX_LEASE, *(self._lease_of(name) for name in runtime.routes.handlers)])
            longest_delay = max(round(self._policy_of(name).max_delay * 1000) for name in ["", *runtime.routes.routes])
            repair_due_times(runtime.store, now=now, max_lease=longest_lease, max_pause=longest_delay)

    def run_rounds(self, stop_signals: Sequence[object], idle: WaitWhenIdle | None) -> Iterator[SettledDelivery]:
        """Rounds until nothing is due or under way, or a signal has come."""
        handlers, next_check = self._runtime.handlers, 0.0
        while not stop_signals:
            if (self._chains is None or self._chains.replay) and time.monotonic() >= next_check:
                yield from self._settle_leftovers(timeout=0 if next_check else EXIT_TIMEOUT)
                next_check = time.monotonic() + LEFTOVER_INTERVAL
            lost = handlers.take_lost()  # before the answers are collected: a note is written after them
            yield from self.run_round()
            report_lost_emits(lost, self._runtime.store, self._runtime.environment)
            wait_ms = self._lanes.first_due - self._runtime.environment.now()
            if handlers.busy_threads:
                handlers.wait(POLL_INTERVAL)
            elif wait_ms > 0 and (idle is None or not idle(min(wait_ms / 1000, POLL_INTERVAL))):
                return

    def run_round(self, *, claim_more: bool = True) -> Iterator[SettledDelivery]:
        """Settles what has come back, and begins what can be."""
        self._collect_answers()
        if not self._unsettled:
            self._read_lanes(claim_more=claim_more)
            if not self._next_handler():
                return
        with self._runtime.store.transaction():
            settled = self._settle(self._unsettled)
            self._read_lanes(claim_more=claim_more)
            threads = self._claim_batches(settled)
        self._unsettled = []
        for thread in threads:
            if thread.os_thread:
                thread.start_batches()
        yield from settled
        for thread in threads:
            if not thread.os_thread:
                thread.start_batches()

    def stop(self) -> list[SettledDelivery]:
        """Ends what is under way and gives back what was not begun."""
        self._runtime.handlers.stop()
        self._collect_answers()
        undone, now = self._runtime.handlers.abandon(), self._runtime.environment.now()
        results = [AttemptResult(interrupted(claim, now) if begun else released(claim, now)) for claim, begun in undone]
        with self._runtime.store.transaction():
            settled = [*self._settle(self._unsettled), *self._write_results([claim for claim, _ in undone], results)]
        self._runtime.handlers.is_settled = True
        return settled

    def _settle_leftovers(self, timeout: float) -> Iterator[SettledDelivery]:
        """Settles what others had been told when they were killed, and frees what they had not begun."""
        store, now = self._runtime.store, self._runtime.environment.now()
        for leftover in read_leftovers(store.file, timeout=timeout):
            with store.transaction():
                attempts = {seq: answer.attempt for seq, answer in leftover.answers.items()}
                answered = []
                for seq, claim in still_leased(store, leftover.owner, attempts).items():
                    logged = leftover.answers[seq]
                    with suppress(GarbledError):  # else its lease ends
                        answered.append((claim, Answer(outcome_of(parse_answer(logged.answer)), logged.seconds)))
                settled = self._settle(answered)
                unstarted = [*still_leased(store, leftover.owner, leftover.unstarted).values()]
                self._write_results(unstarted, [AttemptResult(released(claim, now)) for claim in unstarted])
            yield from settled

    def _collect_answers(self) -> None:
        with defer_signals():  # else an answer might be lost, and those after it seem to be those of others
            for thread in self._runtime.handlers.busy_threads:
                self._unsettled.extend(thread.collect())

    def _read_lanes(self, *, claim_more: bool) -> None:
        store = self._runtime.store
        with store.transaction("DEFERRED"):
            self._lanes.replace(find_lanes(store, self._chains, run_start=self._started) if claim_more else ())

    def _next_handler(self) -> str | None:
        """The handler whose turn it is: of those that are free, the one that was served the longest time ago.

        When nobody waits for a worker, a handler that is fast is given its next calls before it is through.
        """
        handlers, due_lanes = self._runtime.handlers, self._lanes.list_due(self._runtime.environment.now())
        names = {lane.handler for lane in due_lanes}
        candidates = {*filter(handlers.is_free, names)}
        if len(handlers.busy_threads) >= self._workers or not candidates:
            waiting = names - {thread.name for thread in handlers.busy_threads}
            if waiting:
                candidates = set()
            else:
                candidates = {*filter(handlers.find_fast_thread, names)}
        return self._lanes.choose_handler(due_lanes, candidates)

    def _choose_thread(self, handler: str) -> PoolThread | None:
        """The thread that is to have calls of a handler that may have some; None if there is no such handler."""
        handlers = self._runtime.handlers
        if handler not in handlers:
            return None
        is_free = handlers.is_free(handler) and len(handlers.busy_threads) < self._workers
        if is_free:
            return handlers.get_thread(handler)
        return handlers.find_fast_thread(handler)

    def _claim_batches(self, settled: list[SettledDelivery]) -> list[PoolThread]:
        """Takes what free threads can do. What needs no call is settled at once."""
        threads = []
        while len(settled) < MAX_BATCH * 4 and (handler := self._next_handler()):
            thread = self._choose_thread(handler)
            latest = time.monotonic() + START_WITHIN
            claims = self._claim_lanes(handler, thread.size if thread else MAX_BATCH)
            steps = [(claim, prepare_call(claim, self._runtime.routes)) for claim in claims]
            calls = [(claim, step) for claim, step in steps if isinstance(step, Call)]
            if thread and calls:
                thread.add_batch(Batch([claim for claim, _ in calls], [call for _, call in calls], latest))
                threads.append(thread)
            settled += self._settle([(claim, step) for claim, step in steps if isinstance(step, Answer)])
        return threads

    def _claim_lanes(self, handler: str, most: int) -> list[Claim]:
        """Takes up to so many deliveries to a handler, from one lane after the other."""
        self._lanes.begin_turn()
        claims: list[Claim] = []
        for lane in self._lanes.list_due(self._runtime.environment.now()):
            if lane.handler != handler:
                continue
            new_claims = self._claim_lane(lane, most - len(claims), is_first=not claims)
            if not new_claims and claims:
                break  # one that must be first
            claims += new_claims
            self._lanes.serve(lane, first_due(self._runtime.store, lane, run_start=self._started))
            if len(claims) >= most or sum(len(claim.event.raw) for claim in claims) > MAX_CLAIM_BYTES:
                break
        return claims

    def _claim_lane(self, lane: Lane, most: int, *, is_first: bool) -> list[Claim]:
        environment = self._runtime.environment
        return claim(
            self._runtime.store,
            lane,
            now=environment.now(),
            run_start=self._started,
            owner=environment.owner,
            lease_ms=self._lease_of(lane.handler),
            limit=most,
            max_attempts=last_attempt(self._policy_of(lane.route)),
            is_first=is_first,
        )

    def _lease_of(self, handler: str) -> int:
        return lease_of(self._runtime.handlers.timeout_of(handler))

    def _policy_of(self, route: str) -> Retry:
        return policy_of(route, self._runtime.routes)

    def _settle(self, answered: Sequence[tuple[Claim, Answer]]) -> list[SettledDelivery]:
        """Writes down what came of deliveries, and lets in what they emitted."""
        return self._write_results([claim for claim, _ in answered], [self._result_of(*pair) for pair in answered])

    def _result_of(self, claim: Claim, answer: Answer) -> AttemptResult:
        """What comes of an attempt. An event whose key is taken cannot enter, and must not be lost in silence."""
        policy, environment = self._policy_of(claim.delivery.route), self._runtime.environment
        if answer.outcome is None and is_exhausted(claim.delivery, policy):
            return AttemptResult(given_up(claim, self._runtime.store.list_attempts(claim.delivery.seq)))
        result = result_of(claim, answer, policy, environment)
        self._runtime.handlers.note_load_failure(claim, answer.outcome)
        event = next((event for event in result.events if is_key_taken(event, self._runtime.store)), None)
        if not event:
            return result
        reason = f"emitted {event.type}, but its source and id {event.id} are those of another event in the store"
        return result_of(claim, Answer(Failed(reason, "bad-result", final=True), answer.seconds), policy, environment)

    def _write_results(self, claims: Sequence[Claim], results: Sequence[AttemptResult]) -> list[SettledDelivery]:
        """Whoever lost a lease meanwhile changes nothing: who has it now will tell the end."""
        store = self._runtime.store
        if results:
            settled_seqs = settle(store, [result.update for result in results])
        else:
            settled_seqs = set()
        settled = []
        for (delivery, event), result in zip(claims, results, strict=True):
            if delivery.seq in settled_seqs:
                settled.append(SettledDelivery(result.update.result, event, self._accept_emitted(result, event)))
            else:  # as it stands, unless somebody has purged it
                settled += [
                    SettledDelivery(current, event)
                    for current in store.list_deliveries(delivery.event)
                    if current.seq == delivery.seq
                ]
        return settled

    def _accept_emitted(self, result: AttemptResult, event: StoredEvent) -> tuple[str, ...]:
        """Stores the events that a delivery emitted; their ids."""
        runtime, delivery = self._runtime, result.update.delivery
        cause = Cause(delivery.seq, event.root, event.depth + 1, delivery.replay or None)
        stored = [
            (new.id, accept(new, store=runtime.store, routes=runtime.routes, now=runtime.environment.now, cause=cause))
            for new in result.events
        ]
        return tuple(event_id for event_id, entry in stored if entry.status == "stored")


def deliver(
    runtime: Runtime,
    *,
    workers: int = MAX_HANDLERS,
    chains: Chains | None = None,
    idle: WaitWhenIdle | None = None,
    grace: float = STOP_GRACE,
) -> Generator[SettledDelivery]:
    """Attempts what is due, and what becomes due by it, until nothing is; yields each delivery as it then stands.

    `workers` handlers at most are called at a time. `chains` limits it to what some events led to. What waits is looked
    for once. With `idle` it never ends by itself: when nothing is due, that is called with the seconds until something
    may be, sleeps, and returns whether to go on; what waits is looked for whenever it is due.

    A signal has it claim no more, wait for what is under way, `grace` seconds at most, give the rest back, and raise
    what the signal raises; another one ends it at once. A caller that stops early must close it.
    """
    run = _Run(runtime, workers, chains, forever=idle is not None)
    runtime.handlers.is_settled = False
    with collect_signals() as stop_signals:
        try:
            yield from run.run_rounds(stop_signals, idle)
            deadline = time.monotonic() + grace
            while runtime.handlers.busy_threads and time.monotonic() < deadline:
                runtime.handlers.wait(min(POLL_INTERVAL, deadline - time.monotonic()))
                yield from run.run_round(claim_more=False)
            yield from run.stop()
        except BaseException as error:
            if isinstance(error, StoreError):  # nobody is to wait for a lock twice
                runtime.store.set_busy_timeout(0)
            with suppress(Exception):  # the first error is the one to report
                settled = run.stop()
                yield from settled if isinstance(error, KeyboardInterrupt) else ()
            raise
