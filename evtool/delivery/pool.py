"""The handler pool: threads that call the handlers of a project, and how many calls each gets at once."""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Thread
from typing import NamedTuple

from evtool.handlers.base import Answer, Call, Failed, Handler, Outcome, Unavailable
from evtool.handlers.processes.call_log import CallLog
from evtool.handlers.processes.lost_emits import LostEmit
from evtool.handlers.processes.worker_protocol import OUTPUT_LIMIT
from evtool.routes.routes import HandlerEntry, Routes
from evtool.signals import CallsStopped, stop_calls
from evtool.store.queue import Claim

MAX_BATCH = 250  # calls that a thread is given at once: a commit for more would cost hardly less for each
BATCH_SECONDS = 0.05  # seconds of work that a thread is given at once
UNAVAILABLE_BATCH_SECONDS = 1.0  # seconds of looking for a handler that is not available
BATCH_GROWTH = 4  # how many times as many calls a thread is given as the time before, at most
STOP_TIMEOUT = 5.0  # seconds for calls that are stopped, and for handlers that are closed; what resists is left behind


class Batch(NamedTuple):
    """Deliveries and the calls that they need, none of which begins after `latest`, a time of `time.monotonic()`."""

    claims: Sequence[Claim]
    calls: Sequence[Call]
    latest: float

    @property
    def deliveries(self) -> list[tuple[int, int]]:
        """Their numbers, and which attempts these are."""
        return [(claim.delivery.seq, claim.delivery.attempts) for claim in self.claims]


class BatchTiming(NamedTuple):
    """How many calls a finished batch had, the seconds they took, and whether the handler was unavailable for all."""

    calls: int
    seconds: float
    unavailable: bool


class PoolThread:
    """A handler, and the thread that calls it. Without a thread it is called by whoever gives it a batch."""

    def __init__(
        self, entry: HandlerEntry, handler: Handler, finished: "SimpleQueue[PoolThread]", call_log: CallLog | None
    ):
        self.name = entry.name
        self.call_log = call_log
        self.claims: deque[Claim] = deque()  # of its batches, those whose answers were not taken
        self.batches = 0  # taken, and not known to be over
        self.size = 1  # how many calls it is given at once
        self._handler = handler
        self._queued: deque[Batch] = deque()  # to be begun
        self._started = 0  # of its batches
        self._answers: deque[Answer] = deque()
        self._timings: deque[BatchTiming] = deque()
        self._finished = finished
        self._error: BaseException | None = None
        self._is_broken = False  # whether a batch did not come to its end: none is begun after it
        self._inbox: SimpleQueue[Batch | None] = SimpleQueue()
        if entry.options.is_in_process:
            self.os_thread = None
        else:
            self.os_thread = _start_thread(self._run)

    @property
    def is_finished(self) -> bool:
        """Whether all batches that were begun are over."""
        return len(self._timings) >= self._started

    @property
    def is_fast(self) -> bool:
        """Whether it has one batch, and may be through with it before it could be given the next one."""
        return self.batches == 1 and self.size > 1 and not (self.call_log and self.call_log.is_long)

    def add_batch(self, batch: Batch) -> None:
        """Has one more batch from now on."""
        if self.call_log:
            self.call_log.log_given(batch.deliveries)
        self.claims.extend(batch.claims)
        self._queued.append(batch)
        self.batches += 1

    def start_batches(self) -> None:
        """Has the calls made of the batches that were taken."""
        if self.call_log and not self._started:
            self.call_log.restart_if_long(delivery for batch in self._queued for delivery in batch.deliveries)
        while self._queued:
            batch = self._queued.popleft()
            self._started += 1
            if self.os_thread:
                self._inbox.put(batch)
            else:
                self._run_batch(batch)

    def collect(self) -> Iterator[tuple[Claim, Answer]]:
        """The answers that have come since the last time. Raises what has interrupted a call."""
        finished = len(self._timings)  # before the answers are looked at: of these batches there are no more of them
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
        """The claims without an answer, and whether the call was begun: the first one's, since they go in order."""
        is_started = len(self.claims) > sum(len(batch.claims) for batch in self._queued)
        abandoned = [(claim, is_started and number == 0) for number, claim in enumerate(self.claims)]
        self.claims.clear()
        self._queued.clear()
        self.batches = 0
        return abandoned

    def take_lost(self) -> list[LostEmit]:
        """What the handler emitted after its calls were reported."""
        return list(getattr(self._handler, "take_lost", list)())

    def close(self) -> None:
        """Has the handler closed and the thread ended, when its batches are over."""
        if self.os_thread:
            self._inbox.put(None)
        else:
            self._handler.close()

    def _adapt_size(self, timing: BatchTiming) -> None:
        """The next batch is as long as it should be if its calls take as long as those of this one."""
        fitting_size = int(
            timing.calls
            * (UNAVAILABLE_BATCH_SECONDS if timing.unavailable else BATCH_SECONDS)
            / max(timing.seconds, 1e-6)
        )
        if hasattr(self._handler, "call_many"):
            self.size = max(1, min(fitting_size, timing.calls * BATCH_GROWTH, MAX_BATCH))

    def _run(self) -> None:
        while batch := self._inbox.get():
            self._run_batch(batch)
        self._handler.close()

    def _run_batch(self, batch: Batch) -> None:
        started, unavailable, remaining = time.monotonic(), True, len(batch.calls)
        try:
            for answer in _call_handler(self._handler, batch, self.call_log) if not self._is_broken else ():
                unavailable = unavailable and isinstance(answer.outcome, Unavailable)
                self._answers.append(answer)
                remaining -= 1
        except Exception as error:  # noqa: BLE001  (an event that has evtool fail must not do so for ever)
            self._answers.extend([Answer(_report_bug(error)), *[Answer(None)] * remaining][:remaining])
            unavailable = False
        except BaseException as error:  # noqa: BLE001  (raised where the answers are taken)
            self._error, self._is_broken = error, True
        self._timings.append(BatchTiming(len(batch.calls), time.monotonic() - started, unavailable))
        self._finished.put(self)


def _start_thread(work: Callable[[], None]) -> Thread | None:
    """A thread that does the work; None if the system has no more of them."""
    thread = Thread(target=work, daemon=True)
    try:
        thread.start()
    except RuntimeError:
        return None
    return thread


def _report_bug(error: Exception) -> Failed:
    """What an attempt came to in which evtool itself failed."""
    import traceback  # noqa: PLC0415  (not worth its time until there is a bug)

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


class HandlerPool:
    """The handlers of a project: opened when they are first called, for as many calls at a time as each may have.

    `open_call_log` opens the call log of a thread; it returns None if there is none. `open_handler` opens a handler.
    """

    def __init__(
        self,
        routes: Routes,
        open_call_log: Callable[[], CallLog | None] = lambda: None,
        open_handler: Callable[[HandlerEntry], Handler] = lambda entry: entry.open(),
    ):
        self._entries = routes.handlers
        self._open_call_log = open_call_log
        self._open_handler = open_handler
        self._threads: list[PoolThread] = []
        self._lost: list[LostEmit] = []
        self._finished: SimpleQueue[PoolThread] = SimpleQueue()
        self._load_failures: dict[tuple[str, str], tuple[Claim, Unavailable]] = {}  # by handler and code
        self._taken_failures = 0
        self.is_settled = True  # whether the store knows what came of all calls, and no call log is needed

    def __enter__(self) -> "HandlerPool":
        return self

    def __exit__(self, *_: object) -> None:
        for thread in self._threads:
            thread.close()
        deadline = time.monotonic() + STOP_TIMEOUT
        for thread in self._threads:
            if thread.os_thread:
                thread.os_thread.join(max(deadline - time.monotonic(), 0))
            if thread.call_log:
                thread.call_log.close(settled=self.is_settled)
            self._lost += thread.take_lost()
        self._threads.clear()

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    @property
    def busy_threads(self) -> list[PoolThread]:
        """The threads that have a batch."""
        return [thread for thread in self._threads if thread.batches]

    def note_load_failure(self, claim: Claim, failure: Outcome | None) -> None:
        """Remembers that a handler cannot be loaded, and the first delivery that met it."""
        if isinstance(failure, Unavailable) and failure.code:
            self._load_failures.setdefault((claim.delivery.handler, failure.code), (claim, failure))

    def take_load_failures(self) -> list[tuple[Claim, Unavailable]]:
        """Those that are new since the last time."""
        new = [*self._load_failures.values()][self._taken_failures :]
        self._taken_failures += len(new)
        return new

    def timeout_of(self, name: str) -> float:
        """How many seconds a call of a handler may take."""
        if name in self._entries:
            return self._entries[name].options.longest_call
        return 0.0

    def is_free(self, name: str) -> bool:
        """Whether a handler may have one more call. One that is not there may: what it is told needs no call."""
        return name not in self._entries or (
            sum(thread.name == name for thread in self.busy_threads) < self._entries[name].options.concurrency
        )

    def get_thread(self, name: str) -> PoolThread:
        """A thread without a batch, of a handler that is free."""
        for thread in self._threads:
            if thread.name == name and not thread.batches:
                return thread
        entry = self._entries[name]
        self._threads.append(PoolThread(entry, self._open_handler(entry), self._finished, self._open_call_log()))
        return self._threads[-1]

    def find_fast_thread(self, name: str) -> PoolThread | None:
        """A thread of a handler that has one batch, and will finish it before it could be given the next one."""
        return next((thread for thread in self._threads if thread.name == name and thread.is_fast), None)

    def wait(self, seconds: float) -> None:
        """Waits until a batch is over, or so many seconds."""
        with suppress(Empty):
            self._finished.get(timeout=max(seconds, 0))
            while True:
                self._finished.get_nowait()

    def take_lost(self) -> list[LostEmit]:
        """What handlers emitted after their calls were reported; also when the handlers are closed."""
        lost, self._lost = self._lost, []
        return [*lost, *(entry for thread in self._threads for entry in thread.take_lost())]

    def stop(self) -> None:
        """Ends all calls that are under way; what resists is left behind."""
        deadline = time.monotonic() + STOP_TIMEOUT
        if all(thread.is_finished for thread in self._threads):
            return
        with stop_calls():
            while time.monotonic() < deadline and not all(thread.is_finished for thread in self._threads):
                self.wait(deadline - time.monotonic())

    def abandon(self) -> list[tuple[Claim, bool]]:
        """The results of `PoolThread.abandon` of all threads."""
        return [abandoned for thread in self._threads for abandoned in thread.abandon()]
