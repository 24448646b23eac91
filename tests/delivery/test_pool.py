"""The pool of handlers: calls in threads, their concurrency, and the state of unfinished calls at the end."""

import select
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from evtool.delivery import pool, pool_thread
from evtool.delivery.pool import HandlerPool
from evtool.delivery.pool_thread import Batch, PoolThread
from evtool.handlers.base import Answer, Call, Done, Failed, HandlerOptions, Outcome, Unavailable
from evtool.handlers.processes import call_log
from evtool.handlers.processes.call_log import CallLog
from evtool.routes.routes import Routes
from evtool.signals import CallsStopped, stop_pipe
from evtool.store.queue import Claim
from evtool.store.rows import Delivery, StoredEvent
from evtool.store.sqlite.files import call_log_prefix
from tests.support.fake_handlers import Answers, FakeBatchHandler, FakeHandler, InProcessOptions, fake_entry

EVENT = StoredEvent(1, "e-1", "t", "s", None, 0, "", b"{}", 1, 0, None, None)
LATER = 1e12


class Place:
    """Handlers, and the names of those that were closed."""

    def __init__(
        self,
        answer: Answers,
        *,
        kind: type[FakeHandler] = FakeHandler,
        keep: Callable[[], CallLog | None] = lambda: None,
    ):
        self.closed: list[str] = []
        entries = {}
        for name, options in {
            "h": HandlerOptions(emits=[], concurrency=2, timeout=7.0),
            "g": HandlerOptions(emits=[]),
            "inside": InProcessOptions(emits=[]),
        }.items():
            entries[name] = fake_entry(name, options, lambda: kind(answer, self.closed))
        self.handlers = HandlerPool(Routes([], entries), keep)

    def run_batches(self, slot: PoolThread, *jobs: Batch) -> list[tuple[int, Answer]]:
        """Runs batches in a thread of the pool. Returns deliveries and answers."""
        for each in jobs:
            slot.add_batch(each)
        slot.start_batches()
        came: list[tuple[int, Answer]] = []
        while slot.batches:
            self.handlers.wait(0.05)
            came += [(claim.delivery.seq, answer) for claim, answer in slot.collect()]
        return came


def job(*numbers: int, latest: float = LATER) -> Batch:
    """A job of these deliveries, in their second attempts."""
    claims = [
        Claim(Delivery(seq, 1, "r", "h", "", "leased", 2, 0, 0, 1, "me", None, None, None), EVENT) for seq in numbers
    ]
    return Batch(claims, [Call(b"{}", "e-1", "t", "r", 2, seq) for seq in numbers], latest)


# --- calls -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [FakeHandler, FakeBatchHandler])
@pytest.mark.parametrize("name", ["h", "inside"])
def test_each_call_of_each_batch_has_an_answer(kind: type[FakeHandler], name: str) -> None:
    """In order, and in the handler's own thread unless the handler runs inside evtool."""
    threads: set[str] = set()

    def answer(call: Call) -> Outcome:
        threads.add(threading.current_thread().name)
        return Done((), str(call.delivery))

    place = Place(answer, kind=kind)
    with place.handlers as handlers:
        slot = handlers.get_thread(name)
        came = place.run_batches(slot, job(3, 1), job(2))
        came += place.run_batches(slot, job(4))
        assert handlers.busy_threads == []

    assert [(seq, answer.outcome) for seq, answer in came] == [(seq, Done((), str(seq))) for seq in (3, 1, 2, 4)]
    assert all(0 <= answer.seconds < 60 for _, answer in came)
    assert (threads == {threading.main_thread().name}) is (name == "inside")
    assert set(place.closed) == threads


def test_a_call_does_not_start_after_its_latest_start() -> None:
    """Its answer has no outcome, and the delivery is released."""
    called: list[int] = []
    place = Place(lambda call: called.append(call.delivery) or Done())
    with place.handlers as handlers:
        came = place.run_batches(handlers.get_thread("h"), job(1, latest=0.0), job(2))

    assert [(seq, answer.outcome) for seq, answer in came] == [(1, None), (2, Done())]
    assert called == [2]


class Clock:
    """A clock that moves only when the test moves it."""

    now = 1000.0

    def monotonic(self) -> float:
        """The time in seconds."""
        return self.now


@pytest.mark.parametrize(
    ("calls", "seconds", "outcomes", "size"),
    [
        (1, 0.0, [Done()], 4),
        (100, 0.0, [Done()], 250),
        (100, 0.001, [Done()], 50),
        (10, 0.02, [Failed("no")], 2),
        (10, 1.0, [Done()], 1),
        (100, 0.01, [Unavailable("away")], 100),
        (100, 0.01, [Unavailable("away"), Done()], 5),
        (10, 0.001, [Done()], 40),
    ],
)
def test_the_batch_size_adapts_to_the_speed_of_the_handler(
    monkeypatch: pytest.MonkeyPatch, calls: int, seconds: float, outcomes: list[Outcome], size: int
) -> None:
    """A batch takes about 50 ms, or a second if the handler is unavailable, and has at most four times as many calls as
    the last one."""
    clock = Clock()
    monkeypatch.setattr(pool_thread, "time", clock)

    def answer(call: Call) -> Outcome:
        clock.now += seconds
        return outcomes[call.delivery % len(outcomes)]

    for kind, wanted in ((FakeBatchHandler, size), (FakeHandler, 1)):
        place = Place(answer, kind=kind)
        with place.handlers as handlers:
            slot = handlers.get_thread("h")
            place.run_batches(slot, job(*range(calls)))
            assert slot.size == wanted


def test_only_a_fast_thread_gets_a_second_batch_early() -> None:
    """It gets one more batch, not two, and none before it has shown that it is fast."""
    free = threading.Event()
    place = Place(
        lambda call: Done() if call.delivery != 9 or free.wait(30) else Failed("nobody let it go"),
        kind=FakeBatchHandler,
    )
    with place.handlers as handlers:
        slot = handlers.get_thread("h")
        found = [handlers.find_fast_thread("h")]
        slot.add_batch(job(1))
        found.append(handlers.find_fast_thread("h"))
        place.run_batches(slot)
        found.append(handlers.find_fast_thread("h"))
        for number in (9, 2):
            slot.add_batch(job(number))
            slot.start_batches()
            found += [handlers.find_fast_thread("h"), handlers.find_fast_thread("g")]
        free.set()
        place.run_batches(slot)

    assert found == [None, None, None, slot, None, None, None]


def test_wait_returns_when_a_batch_finishes() -> None:
    """It returns at once, so that the answers can be settled and the next batch can start."""
    place = Place(lambda _: Done())
    with place.handlers as handlers:
        slot = handlers.get_thread("h")
        slot.add_batch(job(1))
        slot.start_batches()
        begun = time.monotonic()
        handlers.wait(30)
        assert time.monotonic() - begun < 15
        assert [answer.outcome for _, answer in slot.collect()] == [Done()]
        begun = time.monotonic()
        handlers.stop()  # nothing is under way
        assert time.monotonic() - begun < pool.STOP_TIMEOUT


# --- which slot ------------------------------------------------------------------------------------------------------


def test_a_handler_has_at_most_concurrency_threads() -> None:
    """A thread without a batch is used again. A handler that routes.yaml does not have is always free."""
    free = threading.Event()
    place = Place(lambda call: Done() if free.wait(30) else Failed("nobody let it go"))
    with place.handlers as handlers:
        assert [name in handlers for name in ("h", "g", "gone")] == [True, True, False]
        assert [handlers.timeout_of(name) for name in ("h", "g", "gone")] == [7.0, 30.0, 0.0]
        first = handlers.get_thread("h")
        assert handlers.get_thread("h") is first
        assert handlers.busy_threads == []
        first.add_batch(job(1))
        first.start_batches()
        assert [handlers.is_free(name) for name in ("h", "g", "gone")] == [True, True, True]
        second = handlers.get_thread("h")
        assert second is not first
        second.add_batch(job(2))
        second.start_batches()
        assert [handlers.is_free(name) for name in ("h", "g", "gone")] == [False, True, True]
        assert handlers.busy_threads == [first, second]
        assert handlers.get_thread("g") not in (first, second)
        free.set()
        for slot in (first, second):
            place.run_batches(slot)
        assert handlers.get_thread("h") is first

    assert len(place.closed) == 3


def test_without_threads_the_main_thread_calls_the_handler(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the system starts no more threads, the calls run one after the other."""

    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    place = Place(lambda _: Done())
    with place.handlers as handlers:
        assert [answer.outcome for _, answer in place.run_batches(handlers.get_thread("h"), job(1, 2))] == [Done()] * 2


# --- the end ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["h", "inside"])
def test_a_bug_in_evtool_is_a_failed_attempt(name: str) -> None:
    """So an event that triggers a bug becomes a dead letter in the end; the calls after it are released."""
    called: list[int] = []

    def answer(call: Call) -> Outcome:
        called.append(call.delivery)
        return Done() if call.delivery != 2 else Failed(str(1 // (call.delivery - 2)))

    place = Place(answer)
    with place.handlers as handlers:
        slot = handlers.get_thread(name)
        came = {seq: answer.outcome for seq, answer in place.run_batches(slot, job(1, 2, 3), job(4))}

    failed = came[2]
    assert isinstance(failed, Failed)
    assert (failed.outcome, failed.final) == ("crashed", False)
    assert failed.error.startswith("a bug in evtool (ZeroDivisionError: ")
    assert "in answer" in failed.output
    assert (came[1], came[3], came[4]) == (Done(), None, Done())
    assert called == [1, 2, 4]


@pytest.mark.parametrize("name", ["h", "inside"])
def test_an_interrupt_during_a_call_is_raised_by_collect(name: str) -> None:
    """No batch starts after it."""
    called: list[int] = []

    def answer(call: Call) -> Outcome:
        called.append(call.delivery)
        if call.delivery == 2:
            raise KeyboardInterrupt
        return Done()

    place = Place(answer)
    with place.handlers as handlers:
        slot = handlers.get_thread(name)
        with pytest.raises(KeyboardInterrupt):
            place.run_batches(slot, job(1, 2, 3), job(4))
        assert list(slot.collect()) == []
        assert [(claim.delivery.seq, begun) for claim, begun in slot.abandon()] == [(2, True), (3, False), (4, False)]

    assert called == [1, 2]


def test_stop_ends_calls_that_wait_for_a_process() -> None:
    """Only the running call counts as started, not the ones after it, nor those of queued batches."""
    under_way = threading.Event()

    def answer(_: Call) -> Outcome:
        under_way.set()
        if select.select([stop_pipe()[0]], [], [], 30)[0]:
            raise CallsStopped
        return Failed("nobody rang the bell")

    place = Place(answer)
    with place.handlers as handlers:
        handlers.stop()
        one, other = handlers.get_thread("h"), handlers.get_thread("g")
        one.add_batch(job(1, 2))
        one.start_batches()
        other.add_batch(job(3))
        assert under_way.wait(30)
        handlers.stop()
        assert one.is_finished
        assert [*one.collect(), *other.collect()] == []
        left = [(claim.delivery.seq, begun) for claim, begun in handlers.abandon()]
        assert (handlers.busy_threads, handlers.abandon()) == ([], [])

    assert left == [(1, True), (2, False), (3, False)]


# --- its call log ----------------------------------------------------------------------------------------------------


def test_the_call_log_has_claims_starts_and_released_calls(tmp_path: Path) -> None:
    """Each step is logged before it happens. A call that waits for its handler or is too late has no attempt."""
    store = tmp_path / "s.db"
    said: dict[int, list[str]] = {}

    def lines() -> list[str]:
        [file] = tmp_path.iterdir()
        return [line for line in file.read_text().splitlines()[1:] if line and not line.startswith("evtool")]

    def answer(call: Call) -> Outcome:
        said[call.delivery] = lines()
        return Unavailable("away") if call.delivery == 2 else Done()

    place = Place(answer, keep=lambda: call_log.open_call_log(call_log_prefix(store), "1-me"))
    with place.handlers as handlers:
        slot = handlers.get_thread("h")
        slot.add_batch(job(1, 2))
        assert lines() == ["given 1:2 2:2"]
        place.run_batches(slot)
        place.run_batches(slot, job(3, latest=0.0))
        assert lines() == ["given 1:2 2:2", "began 1", "began 2", "over 2", "given 3:2", "over 3"]

    assert said == {1: ["given 1:2 2:2", "began 1"], 2: ["given 1:2 2:2", "began 1", "began 2"]}
    assert list(tmp_path.iterdir()) == []


def test_a_long_call_log_restarts_when_no_other_call_is_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread whose call log is too long gets no second batch, so that there is such a moment."""
    monkeypatch.setattr(call_log, "RESTART_BYTES", 100)
    free = threading.Event()
    place = Place(
        lambda call: Done() if call.delivery < 90 or free.wait(30) else Failed("nobody let it go"),
        kind=FakeBatchHandler,
        keep=lambda: call_log.open_call_log(call_log_prefix(tmp_path / "s.db"), "1-me"),
    )
    with place.handlers as handlers:
        slot = handlers.get_thread("h")
        place.run_batches(slot, job(*range(50)))
        [file] = tmp_path.iterdir()
        before = file.read_text()
        slot.add_batch(job(98))
        assert handlers.find_fast_thread("h") is None
        slot.start_batches()
        after = file.read_text()
        slot.add_batch(job(99))
        slot.start_batches()
        both = file.read_text()
        free.set()
        place.run_batches(slot)

    assert "given 0:2 1:2" in before
    assert "0:2" not in after
    assert "given 98:2" in after
    assert both.index("given 98:2") < both.index("given 99:2")
