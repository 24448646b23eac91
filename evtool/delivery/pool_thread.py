"""The threads of the handler pool: each calls one handler, in batches of claimed deliveries.

The size of a batch adapts to the handler, so that a batch takes about BATCH_SECONDS. Example for calls of 1 ms each:

    batch   calls   seconds   next size: min(calls that fit into 0.05 s, 4 times as many calls, 250)
    1       1       0.001     min(50, 4, 250)  = 4
    2       4       0.004     min(50, 16, 250) = 16
    3       16      0.016     min(50, 64, 250) = 50

A small batch returns soon, so a slow handler holds few claims. A large one needs fewer commits for each call.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from queue import SimpleQueue
from threading import Thread
from typing import NamedTuple

from evtool.handlers.base import Answer, Call, Failed, Handler, Unavailable
from evtool.handlers.processes.call_log import CallLog
from evtool.handlers.processes.lost_emits import LostEmit
from evtool.handlers.processes.worker_protocol import OUTPUT_LIMIT
from evtool.routes.routes import HandlerEntry
from evtool.signals import CallsStopped
from evtool.store.queue import Claim

# Calls in a batch at most. With more of them, the share of a call in a commit hardly gets smaller.
MAX_BATCH = 250
# Seconds that a batch should take.
BATCH_SECONDS = 0.05
# The same for a handler that is unavailable: each call only fails to find it, and none of them does any work.
UNAVAILABLE_BATCH_SECONDS = 1.0
# A batch has at most this many times as many calls as the one before, since one fast call may be an exception.
BATCH_GROWTH = 4


class Batch(NamedTuple):
    """Claimed deliveries and their calls. No call starts after `latest`, a time of `time.monotonic()`."""

    claims: Sequence[Claim]
    calls: Sequence[Call]
    latest: float

    @property
    def deliveries(self) -> list[tuple[int, int]]:
        """The number of each delivery, and the number of its attempt."""
        return [(claim.delivery.seq, claim.delivery.attempts) for claim in self.claims]


class BatchTiming(NamedTuple):
    """The number of calls of a finished batch, their seconds, and whether the handler was unavailable for all."""

    calls: int
    seconds: float
    unavailable: bool


class PoolThread:
    """A handler and the thread that calls it. The main thread calls handlers that run inside evtool."""

    def __init__(
        self, entry: HandlerEntry, handler: Handler, finished: "SimpleQueue[PoolThread]", call_log: CallLog | None
    ):
        self.name = entry.name
        self.call_log = call_log
        # The claims whose answers were not collected yet, in the order of their calls.
        self.claims: deque[Claim] = deque()
        # Batches that were added and are not known to be finished.
        self.batches = 0
        # The number of calls that the next batch should have.
        self.size = 1
        self._handler = handler
        # Batches that were added and did not start.
        self._queued: deque[Batch] = deque()
        # Batches that started and are not known to be finished.
        self._started = 0
        # The thread appends to these two, and the main thread takes from them: a deque needs no lock for that.
        self._answers: deque[Answer] = deque()
        self._timings: deque[BatchTiming] = deque()
        self._finished = finished
        self._error: BaseException | None = None
        # Whether a batch was interrupted. The batches after it get no answers.
        self._is_broken = False
        self._inbox: SimpleQueue[Batch | None] = SimpleQueue()
        if entry.options.is_in_process:
            self.os_thread = None
        else:
            self.os_thread = _start_thread(self._run)

    @property
    def is_finished(self) -> bool:
        """Whether all started batches are finished."""
        return len(self._timings) >= self._started

    @property
    def is_fast(self) -> bool:
        """Whether it has one batch, and may finish it before a round could give it the next one."""
        return self.batches == 1 and self.size > 1 and not (self.call_log and self.call_log.is_long)

    def add_batch(self, batch: Batch) -> None:
        """Queues a batch. It starts with `start_batches`, after its claims are committed."""
        if self.call_log:
            self.call_log.log_given(batch.deliveries)
        self.claims.extend(batch.claims)
        self._queued.append(batch)
        self.batches += 1

    def start_batches(self) -> None:
        """Starts the queued batches."""
        if self.call_log and not self._started:
            self.call_log.restart_if_long(chain.from_iterable(batch.deliveries for batch in self._queued))
        while self._queued:
            batch = self._queued.popleft()
            self._started += 1
            if self.os_thread:
                self._inbox.put(batch)
            else:
                self._run_batch(batch)

    def collect(self) -> Iterator[tuple[Claim, Answer]]:
        """Takes the answers that came in since the last call. Raises the exception that interrupted a call."""
        # Counted before the answers are taken: all answers of these batches are in the queue by now.
        finished = len(self._timings)
        while self._answers:
            claim, answer = self.claims.popleft(), self._answers.popleft()
            if self.call_log and isinstance(answer.outcome, Unavailable | None):
                self.call_log.log_over(claim.delivery.seq)
            yield claim, answer
        error, self._error = self._error, None
        if error and not isinstance(error, CallsStopped):
            raise error
        for _ in range(finished):
            self._adapt_size(self._timings.popleft())
            self._started -= 1
            self.batches -= 1

    def abandon(self) -> list[tuple[Claim, bool]]:
        """Takes the claims without an answer, each with whether its call started.

        Calls run in order. So only the first claim without an answer can be running, and only if its batch started.
        """
        unstarted = sum(len(batch.claims) for batch in self._queued)
        is_started = len(self.claims) > unstarted
        abandoned = []
        for claim in self.claims:
            abandoned.append((claim, is_started))
            is_started = False
        self.claims.clear()
        self._queued.clear()
        self.batches = 0
        return abandoned

    def take_lost(self) -> list[LostEmit]:
        """Takes the events that the handler emitted after the results of their calls."""
        return list(getattr(self._handler, "take_lost", list)())

    def close(self) -> None:
        """Closes the handler and ends the thread when its batches are finished."""
        if self.os_thread:
            self._inbox.put(None)
        else:
            self._handler.close()

    def _adapt_size(self, timing: BatchTiming) -> None:
        """Sets the size of the next batch, on the assumption that its calls take as long as those of this one."""
        target_seconds = BATCH_SECONDS
        if timing.unavailable:
            target_seconds = UNAVAILABLE_BATCH_SECONDS
        fitting_size = int(timing.calls * target_seconds / max(timing.seconds, 1e-6))
        if hasattr(self._handler, "call_many"):
            self.size = max(1, min(fitting_size, timing.calls * BATCH_GROWTH, MAX_BATCH))

    def _run(self) -> None:
        for batch in iter(self._inbox.get, None):
            self._run_batch(batch)
        self._handler.close()

    def _run_batch(self, batch: Batch) -> None:
        started, unavailable, remaining = time.monotonic(), True, len(batch.calls)
        answers: Iterator[Answer] = iter(())
        if not self._is_broken:
            answers = _call_handler(self._handler, batch, self.call_log)
        try:
            for answer in answers:
                unavailable = unavailable and isinstance(answer.outcome, Unavailable)
                self._answers.append(answer)
                remaining -= 1
        # A bug in evtool counts as a failed attempt. Otherwise the same event would end evtool again and again.
        except Exception as error:  # noqa: BLE001
            unavailable = False
            if remaining:
                self._answers.append(Answer(_report_bug(error)))
                self._answers.extend([Answer(None)] * (remaining - 1))
        # An interrupt is raised again in the main thread, by `collect`.
        except BaseException as error:  # noqa: BLE001
            self._error, self._is_broken = error, True
        self._timings.append(BatchTiming(len(batch.calls), time.monotonic() - started, unavailable))
        self._finished.put(self)


def _start_thread(work: Callable[[], None]) -> Thread | None:
    """Starts a thread that does the work; None if the system cannot start another one."""
    thread = Thread(target=work, daemon=True)
    try:
        thread.start()
    except RuntimeError:
        return None
    return thread


def _report_bug(error: Exception) -> Failed:
    """The outcome of an attempt that failed by a bug in evtool."""
    # Imported late, since only a bug needs it.
    import traceback  # noqa: PLC0415

    message = f"a bug in evtool ({type(error).__name__}: {error}): please report it"
    return Failed(message, "crashed", "".join(traceback.format_exception(error))[-OUTPUT_LIMIT:])


def _call_handler(handler: Handler, batch: Batch, call_log: CallLog | None) -> Iterator[Answer]:
    call_many = getattr(handler, "call_many", None)
    if call_many:
        yield from call_many(batch.calls, batch.latest, call_log)
        return
    for call in batch.calls:
        started = time.monotonic()
        if started > batch.latest:
            yield Answer(None)
            continue
        if call_log:
            call_log.log_began(call.delivery)
        yield Answer(handler(call), time.monotonic() - started)
