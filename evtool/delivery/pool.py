"""Slots: the handlers of a project, kept warm, each in threads of its own in which it is called."""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Thread
from typing import NamedTuple

from evtool.handlers.base import Answer, Call, Failed, Handler, Unavailable
from evtool.handlers.processes.call_log import Diary
from evtool.handlers.processes.worker_protocol import KEEP
from evtool.routes.routes import HandlerEntry, Routes
from evtool.signals import Halted, halting
from evtool.store.queue import Claim

MOST = 250  # calls that a slot is given at once: a commit for more would cost hardly less for each
WORTH = 0.05  # seconds of work that a slot is given at once
WORTH_IN_VAIN = 1.0  # seconds of looking for a handler that is not available
GROWTH = 4  # how many times as many calls a slot is given as the time before, at most
PATIENCE = 5.0  # seconds for calls that are halted, and for handlers that are closed; what resists is left behind


class Job(NamedTuple):
    """Deliveries and the calls that they need, none of which begins after `latest`, a time of `time.monotonic()`."""

    claims: Sequence[Claim]
    calls: Sequence[Call]
    latest: float

    @property
    def deliveries(self) -> list[tuple[int, int]]:
        """Their numbers, and which attempts these are."""
        return [(claim.delivery.seq, claim.delivery.attempts) for claim in self.claims]


class Over(NamedTuple):
    """A job that is over: how many calls it had, the seconds they took, and whether the handler was there for none."""

    calls: int
    seconds: float
    in_vain: bool


class Slot:
    """A handler, and the thread that calls it. Without a thread it is called by whoever gives it a job."""

    def __init__(self, entry: HandlerEntry, over: "SimpleQueue[Slot]", diary: Diary | None):
        self.name = entry.name
        self.diary = diary
        self.claims: deque[Claim] = deque()  # of its jobs, those whose answers were not taken
        self.jobs = 0  # taken, and not known to be over
        self.size = 1  # how many calls it is given at once
        self._handler = entry.open()
        self._taken: deque[Job] = deque()  # to be begun
        self._begun = 0  # of its jobs
        self._answers: deque[Answer] = deque()
        self._over: deque[Over] = deque()
        self._ring = over
        self._error: BaseException | None = None
        self._broken = False  # whether a job did not come to its end: none is begun after it
        self._inbox: SimpleQueue[Job | None] = SimpleQueue()
        self.thread = None if entry.options.inside else _started(self._live)

    @property
    def is_over(self) -> bool:
        """Whether all jobs that were begun are over."""
        return len(self._over) >= self._begun

    @property
    def is_fast(self) -> bool:
        """Whether it has one job, and may be through with it before it could be given the next one."""
        return self.jobs == 1 and self.size > 1 and not (self.diary and self.diary.is_long)

    def take(self, job: Job) -> None:
        """Has one more job from now on."""
        if self.diary:
            self.diary.given(job.deliveries)
        self.claims.extend(job.claims)
        self._taken.append(job)
        self.jobs += 1

    def begin(self) -> None:
        """Has the calls made of the jobs that were taken."""
        if self.diary and not self._begun:
            self.diary.renew(each for job in self._taken for each in job.deliveries)
        while self._taken:
            job = self._taken.popleft()
            self._begun += 1
            if self.thread:
                self._inbox.put(job)
            else:
                self._do(job)

    def came(self) -> Iterator[tuple[Claim, Answer]]:
        """The answers that have come since the last time. Raises what has interrupted a call."""
        over = len(self._over)  # before the answers are looked at: of these jobs there are no more of them
        while self._answers:
            claim, answer = self.claims.popleft(), self._answers.popleft()
            if self.diary and isinstance(answer.outcome, Unavailable | None):
                self.diary.over(claim.delivery.seq)
            yield claim, answer
        error, self._error = self._error, None
        if error and not isinstance(error, Halted):
            raise error
        for _ in range(over):
            self._adapt(self._over.popleft())
            self._begun -= 1
            self.jobs -= 1

    def left(self) -> list[tuple[Claim, bool]]:
        """The claims without an answer, and whether the call was begun: the first one's, since they go in order."""
        begun = len(self.claims) > sum(len(job.claims) for job in self._taken)
        left = [(claim, begun and number == 0) for number, claim in enumerate(self.claims)]
        self.claims.clear()
        self._taken.clear()
        self.jobs = 0
        return left

    def close(self) -> None:
        """Has the handler closed and the thread ended, when its jobs are over."""
        if self.thread:
            self._inbox.put(None)
        else:
            self._handler.close()

    def _adapt(self, job: Over) -> None:
        """The next job is as long as it should be if its calls take as long as those of this one."""
        fitting = int(job.calls * (WORTH_IN_VAIN if job.in_vain else WORTH) / max(job.seconds, 1e-6))
        if hasattr(self._handler, "several"):
            self.size = max(1, min(fitting, job.calls * GROWTH, MOST))

    def _live(self) -> None:
        while job := self._inbox.get():
            self._do(job)
        self._handler.close()

    def _do(self, job: Job) -> None:
        begun, in_vain, left = time.monotonic(), True, len(job.calls)
        try:
            for answer in _answers(self._handler, job, self.diary) if not self._broken else ():
                in_vain = in_vain and isinstance(answer.outcome, Unavailable)
                self._answers.append(answer)
                left -= 1
        except Exception as error:  # noqa: BLE001  (an event that has evtool fail must not do so for ever)
            self._answers.extend([Answer(_bug(error)), *[Answer(None)] * left][:left])
            in_vain = False
        except BaseException as error:  # noqa: BLE001  (raised where the answers are taken)
            self._error, self._broken = error, True
        self._over.append(Over(len(job.calls), time.monotonic() - begun, in_vain))
        self._ring.put(self)


def _started(work: Callable[[], None]) -> Thread | None:
    """A thread that does the work; None if the system has no more of them."""
    thread = Thread(target=work, daemon=True)
    try:
        thread.start()
    except RuntimeError:
        return None
    return thread


def _bug(error: Exception) -> Failed:
    """What an attempt came to in which evtool itself failed."""
    import traceback  # noqa: PLC0415  (not worth its time until there is a bug)

    told = f"a bug in evtool ({type(error).__name__}: {error}): please report it"
    return Failed(told, "crashed", "".join(traceback.format_exception(error))[-KEEP:])


def _answers(handler: Handler, job: Job, diary: Diary | None) -> Iterator[Answer]:
    several = getattr(handler, "several", None)
    if several:
        yield from several(job.calls, job.latest, diary)
        return
    for call in job.calls:
        begun = time.monotonic()
        if begun > job.latest:
            yield Answer(None)
            continue
        if diary:
            diary.began(call.delivery)
        yield Answer(handler(call), time.monotonic() - begun)


class Handlers:
    """The handlers of a project: opened when they are first called, for as many calls at a time as each may have.

    `keep` makes the diary of a slot, if there is to be one.
    """

    def __init__(self, routes: Routes, keep: Callable[[], Diary | None] = lambda: None):
        self._entries = routes.handlers
        self._keep = keep
        self._slots: list[Slot] = []
        self._over: SimpleQueue[Slot] = SimpleQueue()
        self.settled = True  # whether the store knows what came of all calls, and no diary is needed

    def __enter__(self) -> "Handlers":
        return self

    def __exit__(self, *_: object) -> None:
        for slot in self._slots:
            slot.close()
        until = time.monotonic() + PATIENCE
        for slot in self._slots:
            if slot.thread:
                slot.thread.join(max(until - time.monotonic(), 0))
            if slot.diary:
                slot.diary.close(settled=self.settled)
        self._slots.clear()

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    @property
    def busy(self) -> list[Slot]:
        """The slots that have a job."""
        return [slot for slot in self._slots if slot.jobs]

    def timeout(self, name: str) -> float:
        """The time limit of a handler in seconds."""
        return self._entries[name].options.timeout if name in self._entries else 0.0

    def is_free(self, name: str) -> bool:
        """Whether a handler may have one more call. One that is not there may: what it is told needs no call."""
        return name not in self._entries or (
            sum(slot.name == name for slot in self.busy) < self._entries[name].options.concurrency
        )

    def slot(self, name: str) -> Slot:
        """A slot without a job, of a handler that is free."""
        for slot in self._slots:
            if slot.name == name and not slot.jobs:
                return slot
        self._slots.append(Slot(self._entries[name], self._over, self._keep()))
        return self._slots[-1]

    def fast(self, name: str) -> Slot | None:
        """A slot of a handler that has one job, and will be through with it before it could be given the next one."""
        return next((slot for slot in self._slots if slot.name == name and slot.is_fast), None)

    def wait(self, seconds: float) -> None:
        """Waits until a job is over, or so many seconds."""
        with suppress(Empty):
            self._over.get(timeout=max(seconds, 0))
            while True:
                self._over.get_nowait()

    def halt(self) -> None:
        """Ends all calls that are under way; what resists is left behind."""
        until = time.monotonic() + PATIENCE
        if all(slot.is_over for slot in self._slots):
            return
        with halting():
            while time.monotonic() < until and not all(slot.is_over for slot in self._slots):
                self.wait(until - time.monotonic())

    def left(self) -> list[tuple[Claim, bool]]:
        """What `Slot.left` says of all slots."""
        return [each for slot in self._slots for each in slot.left()]
