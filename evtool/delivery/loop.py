"""The delivery loop: claims due deliveries, has their handlers called and settles the results, in batches.

The main thread is the only one that uses the store. Each handler is called in its own threads (pool.py). The loop
works in rounds. A round is one transaction: it settles all answers that came in since the last round, and claims new
deliveries for the threads that are free. Example: two deliveries to `charge` (1, 2) and one to `mail` (3) are due, and
both handlers emit nothing.

    round 1   settles nothing            claims 1 for charge, 3 for mail (the first batch of a thread is one call)
    round 2   settles 1                  claims 2 for charge (its calls were fast: the next batch may be larger)
    round 3   settles 3 and 2            claims nothing; nothing is due and no thread is busy: the loop ends

One commit for many answers is what makes the loop fast: a commit waits for the disk, an answer does not.
"""

import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import suppress

from evtool.delivery.lanes import FOREVER, Lanes
from evtool.delivery.lease import MAX_LEASE, START_WITHIN, lease_of
from evtool.delivery.outcomes import (
    AttemptResult,
    interrupted,
    policy_of,
    prepare_call,
    released,
)
from evtool.delivery.pool_thread import MAX_BATCH, Batch, PoolThread
from evtool.delivery.recovery import EXIT_TIMEOUT, read_leftovers
from evtool.delivery.retry import last_attempt
from evtool.delivery.runtime import Runtime
from evtool.delivery.settlement import SettledDelivery, report_lost_emits, settle_answers, write_results
from evtool.errors import StoreError
from evtool.handlers.base import Answer, Call
from evtool.handlers.processes.worker_protocol import GarbledError, outcome_of, parse_answer
from evtool.routes.models import Retry
from evtool.signals import collect_signals, defer_signals
from evtool.store.due_times import repair_due_times
from evtool.store.queue import MAX_CLAIM_BYTES, Chains, Claim, Lane, claim, find_lanes, first_due, still_leased

# How many handlers are called at a time by default.
MAX_HANDLERS = 4
# Seconds that running calls get to finish when evtool is asked to stop.
STOP_GRACE = 5.0
# Seconds between two searches for the call logs of killed processes.
LEFTOVER_INTERVAL = 1.0
# Seconds between two searches for deliveries that another process stored or that became due.
POLL_INTERVAL = 0.1
# A round claims no more batches after it settled this many deliveries without a call, so that it commits and reports.
MAX_SETTLED = MAX_BATCH * 4

WaitWhenIdle = Callable[[float], bool]


class _Run:
    """The state of one run of the loop between its rounds."""

    def __init__(self, runtime: Runtime, workers: int, chains: Chains | None, *, forever: bool):
        self._runtime, self._workers, self._chains = runtime, workers, chains
        now = runtime.environment.now()
        if forever:
            self._started = FOREVER
        else:
            self._started = now
        self._lanes = Lanes()
        # Answers that came in and are not settled yet.
        self._unsettled: list[tuple[Claim, Answer]] = []
        if chains is None:
            self._repair_due_times(now)

    def _repair_due_times(self, now: int) -> None:
        """Makes deliveries due whose time lies further ahead than any lease or pause: the clock was set back."""
        longest_lease = MAX_LEASE
        for handler in self._runtime.routes.handlers:
            longest_lease = max(longest_lease, self._lease_of(handler))
        longest_delay = Retry().max_delay
        for route in self._runtime.routes.routes:
            longest_delay = max(longest_delay, self._policy_of(route).max_delay)
        max_pause = round(longest_delay * 1000)
        repair_due_times(self._runtime.store, now=now, max_lease=longest_lease, max_pause=max_pause)

    def run_rounds(self, stop_signals: Sequence[object], idle: WaitWhenIdle | None) -> Iterator[SettledDelivery]:
        """Runs rounds until nothing is due and no call runs, or until a signal arrives."""
        handlers, next_check = self._runtime.handlers, 0.0
        # Only the first search waits for the workers of a killed process to exit: later ones must not delay a round.
        exit_timeout = EXIT_TIMEOUT
        while not stop_signals:
            if (self._chains is None or self._chains.replay) and time.monotonic() >= next_check:
                yield from self._settle_leftovers(timeout=exit_timeout)
                next_check = time.monotonic() + LEFTOVER_INTERVAL
                exit_timeout = 0.0
            # A note about a lost event belongs to a stored attempt, so it is taken before the answers are collected
            # and written after the round has settled them.
            lost = handlers.take_lost()
            yield from self.run_round()
            report_lost_emits(lost, self._runtime.store, self._runtime.environment)
            wait_ms = self._lanes.first_due - self._runtime.environment.now()
            if handlers.busy_threads:
                handlers.wait(POLL_INTERVAL)
            elif wait_ms > 0 and (idle is None or not idle(min(wait_ms / 1000, POLL_INTERVAL))):
                return

    def run_round(self, *, claim_more: bool = True) -> Iterator[SettledDelivery]:
        """Settles the answers that came in, and starts new batches."""
        self._collect_answers()
        if not self._unsettled:
            self._read_lanes(claim_more=claim_more)
            if not self._next_handler():
                return
        with self._runtime.store.transaction():
            settled = settle_answers(self._runtime, self._unsettled)
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
        """Ends the running calls, and releases the claims whose calls did not start."""
        self._runtime.handlers.stop()
        self._collect_answers()
        now = self._runtime.environment.now()
        claims, results = [], []
        for undone, is_started in self._runtime.handlers.abandon():
            claims.append(undone)
            if is_started:
                results.append(AttemptResult(interrupted(undone, now)))
            else:
                results.append(AttemptResult(released(undone, now)))
        with self._runtime.store.transaction():
            settled = settle_answers(self._runtime, self._unsettled) + write_results(self._runtime, claims, results)
        self._runtime.handlers.is_settled = True
        return settled

    def _settle_leftovers(self, timeout: float) -> Iterator[SettledDelivery]:
        """Settles the answers that killed processes had received, and releases the calls they had not started."""
        store, now = self._runtime.store, self._runtime.environment.now()
        for leftover in read_leftovers(store.file, timeout=timeout):
            with store.transaction():
                attempts = {seq: answer.attempt for seq, answer in leftover.answers.items()}
                answered = []
                for seq, claim in still_leased(store, leftover.owner, attempts).items():
                    logged = leftover.answers[seq]
                    # An answer that cannot be read is not settled: its delivery becomes due when its lease ends.
                    with suppress(GarbledError):
                        answered.append((claim, Answer(outcome_of(parse_answer(logged.answer)), logged.seconds)))
                settled = settle_answers(self._runtime, answered)
                unstarted = list(still_leased(store, leftover.owner, leftover.unstarted).values())
                write_results(self._runtime, unstarted, [AttemptResult(released(claim, now)) for claim in unstarted])
            yield from settled

    def _collect_answers(self) -> None:
        # A signal between two answers would lose one, and each answer after it would go to the wrong claim.
        with defer_signals():
            for thread in self._runtime.handlers.busy_threads:
                self._unsettled.extend(thread.collect())

    def _read_lanes(self, *, claim_more: bool) -> None:
        store = self._runtime.store
        lanes: Iterable[Lane] = ()
        with store.transaction("DEFERRED"):
            if claim_more:
                lanes = find_lanes(store, self._chains, run_start=self._started)
            self._lanes.replace(lanes)

    def _next_handler(self) -> str | None:
        """Returns the handler whose turn it is: of the free ones, the one that was served least recently.

        If no handler waits for a worker, a fast handler gets its next batch before it finishes the present one, so
        that it does not idle while the round is committed.
        """
        handlers, due_lanes = self._runtime.handlers, self._lanes.list_due(self._runtime.environment.now())
        names = {lane.handler for lane in due_lanes}
        busy_names = {thread.name for thread in handlers.busy_threads}
        candidates = set(filter(handlers.is_free, names))
        has_free_worker = len(handlers.busy_threads) < self._workers
        if not (has_free_worker and candidates):
            candidates = set()
            if names <= busy_names:
                candidates = set(filter(handlers.find_fast_thread, names))
        return self._lanes.choose_handler(due_lanes, candidates)

    def _choose_thread(self, handler: str) -> PoolThread | None:
        """Returns the thread that gets the next calls of a handler; None if routes.yaml has no such handler."""
        handlers = self._runtime.handlers
        if handler not in handlers:
            return None
        is_free = handlers.is_free(handler) and len(handlers.busy_threads) < self._workers
        if is_free:
            return handlers.get_thread(handler)
        return handlers.find_fast_thread(handler)

    def _claim_batches(self, settled: list[SettledDelivery]) -> list[PoolThread]:
        """Claims a batch for each free thread. Deliveries that need no call are settled at once."""
        threads: list[PoolThread] = []
        while len(settled) < MAX_SETTLED:
            handler = self._next_handler()
            if not handler:
                break
            thread = self._choose_thread(handler)
            latest = time.monotonic() + START_WITHIN
            size = MAX_BATCH
            if thread:
                size = thread.size
            claims, calls, answered = [], [], []
            for claimed in self._claim_lanes(handler, size):
                step = prepare_call(claimed, self._runtime.routes)
                if isinstance(step, Call):
                    claims.append(claimed)
                    calls.append(step)
                else:
                    answered.append((claimed, step))
            if thread and calls:
                thread.add_batch(Batch(claims, calls, latest))
                threads.append(thread)
            settled += settle_answers(self._runtime, answered)
        return threads

    def _claim_lanes(self, handler: str, most: int) -> list[Claim]:
        """Claims up to `most` deliveries to a handler, from one lane after the other."""
        self._lanes.begin_turn()
        claims: list[Claim] = []
        for lane in self._lanes.list_due(self._runtime.environment.now()):
            if lane.handler != handler:
                continue
            new_claims = self._claim_lane(lane, most - len(claims), is_first=not claims)
            # The lane has a delivery that must be the first call of a batch: it waits for the next batch.
            if not new_claims and claims:
                break
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


def deliver(
    runtime: Runtime,
    *,
    workers: int = MAX_HANDLERS,
    chains: Chains | None = None,
    idle: WaitWhenIdle | None = None,
    grace: float = STOP_GRACE,
) -> Generator[SettledDelivery]:
    """Attempts all deliveries that are due, and those that become due by this, and yields each one after its attempt.

    At most `workers` handlers are called at a time. `chains` limits the run to the chains of some events. Deliveries
    that wait for an unavailable handler are attempted once. With `idle` the run does not end by itself: if nothing is
    due, it calls `idle` with the seconds until something may be due. `idle` sleeps and returns whether to continue;
    waiting deliveries are attempted whenever they are due.

    After a signal the run claims nothing more, waits up to `grace` seconds for the running calls, releases the rest and
    raises the exception of the signal. A second signal ends it at once. A caller that stops early must close the
    generator.
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
            # The store may be locked. The user has already waited for the lock once.
            if isinstance(error, StoreError):
                runtime.store.set_busy_timeout(0)
            # A second error while stopping must not hide the first one.
            with suppress(Exception):
                settled = run.stop()
                if isinstance(error, KeyboardInterrupt):
                    yield from settled
            raise
