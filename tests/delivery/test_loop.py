"""The delivery engine: many handlers at a time, many deliveries in a commit, and an end whenever one is asked for."""

import errno
import fcntl
import json
import os
import pty
import signal
import subprocess
import sys
import termios
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from math import inf
from pathlib import Path
from random import Random
from typing import Any

import pytest

from evtool.delivery.intake import accept
from evtool.delivery.loop import POLL_INTERVAL, deliver
from evtool.delivery.pool import HandlerPool
from evtool.delivery.runtime import Environment, Runtime
from evtool.delivery.settlement import SettledDelivery
from evtool.errors import StoreError
from evtool.events.envelopes import build_envelope, parse_event
from evtool.handlers.base import Answer, Call, Done, Emitted, Failed, HandlerOptions, Outcome, Unavailable
from evtool.handlers.registry import KINDS
from evtool.patterns.pattern import Pattern
from evtool.routes.models import Retry
from evtool.routes.routes import Route, Routes
from evtool.schemas.validation import Rules
from evtool.signals import CallsStopped, stop_calls
from evtool.store.queue import Claim
from evtool.store.store import Store
from tests.conftest import ROOT, Evtool
from tests.support.fake_handlers import FakeBatchHandler, FakeHandler, fake_entry

Answers = Callable[[str, Call], Outcome]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}


def fake_for(name: str, answers: Answers) -> FakeHandler:
    """Returns an open handler. A handler whose name begins with "many" accepts many calls at once."""
    kind = FakeBatchHandler if name.startswith("many") else FakeHandler
    return kind(partial(answers, name))


class Place:
    """A store with events, and a clock that does not move."""

    def __init__(self, file: Path):
        self.store = Store(file)
        self.now = 1_000_000
        self.number = 0

    def road(self, handlers: dict[str, int], to: dict[str, list[str]], answers: Answers, retry: Retry) -> Runtime:
        """Handlers with their concurrency, routes with their handlers; a route takes the type of its name."""
        entries = {}
        for name, concurrency in handlers.items():
            options = HandlerOptions(emits=[], concurrency=concurrency)
            entries[name] = fake_entry(name, options, partial(fake_for, name, answers))
        routes = Routes([Route(n, Pattern({"detail-type": [n]}), tuple(h), retry) for n, h in to.items()], entries)
        world = Environment(lambda: self.now, Random(1), f"owner-{threading.get_native_id()}", Rules(None))
        return Runtime(self.store, routes, HandlerPool(routes), world)

    def publish(self, road: Runtime, kind: str, count: int = 1) -> None:
        """Stores a number of events of a type."""
        for _ in range(count):
            self.number += 1
            raw = build_envelope(b"{}", type=kind, source="s", id=str(self.number), time="2026-11-23T10:00:00Z")
            accept(parse_event(raw), store=self.store, routes=road.routes, now=lambda: self.now)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """An empty store."""
    place = Place(tmp_path / "store.db")
    with place.store:
        yield place


def run(road: Runtime, **options: Any) -> list[SettledDelivery]:
    """All that a run settles."""
    with road.handlers, closing(deliver(road, **options)) as settled:
        return list(settled)


def states(settled: Sequence[SettledDelivery]) -> list[str]:
    """Returns the state of each delivery."""
    return [each.delivery.state for each in settled]


# --- many at a time --------------------------------------------------------------------------------------------------


def test_a_slow_handler_does_not_delay_other_handlers(place: Place) -> None:
    """While one handler is busy, all due deliveries to the others are done."""
    free = threading.Event()
    road = place.road(
        {"slow": 1, "fast": 1},
        {"t": ["slow", "fast"]},
        lambda name, call: Done() if name == "fast" or free.wait(30) else Failed("nobody let it go"),
        Retry(),
    )
    place.publish(road, "t", 5)
    with road.handlers, closing(deliver(road)) as settled:
        first = [next(settled).delivery.handler for _ in range(5)]
        free.set()
        rest = list(settled)

    assert first == ["fast"] * 5
    assert [each.delivery.handler for each in rest] == ["slow"] * 5
    assert states(rest) == ["done"] * 5


def test_concurrency_and_workers_limit_the_calls_at_a_time(place: Place) -> None:
    """A handler runs `concurrency` calls at a time and not more, and at most `workers` handlers run at a time."""
    together = threading.Barrier(3)
    under_way: list[str] = []
    most: dict[str, int] = {}

    def answer(name: str, call: Call) -> Outcome:
        under_way.append(name)
        most[name] = max(most.get(name, 0), under_way.count(name))
        most["all"] = max(most.get("all", 0), len(under_way))
        if name == "wide":
            together.wait(30)  # only three together get on
        under_way.remove(name)
        return Done()

    road = place.road({"wide": 3, "narrow": 1}, {"t": ["wide", "narrow"]}, answer, Retry())
    place.publish(road, "t", 6)

    assert states(run(road, workers=4)) == ["done"] * 12
    assert (most["wide"], most["narrow"]) == (3, 1)
    assert most["all"] <= 4


def test_four_handlers_run_at_a_time_by_default(place: Place) -> None:
    """No delivery is claimed that would have to wait for one of the four."""
    together = threading.Barrier(4)
    leased: list[int] = []

    def answer(_: str, call: Call) -> Outcome:
        with Store(place.store.file) as store:
            leased.append(store.count_states(1)["leased"])
        together.wait(30)  # only four together get on
        return Done()

    names = [f"h{number}" for number in range(8)]
    road = place.road(dict.fromkeys(names, 1), {"t": names}, answer, Retry())
    place.publish(road, "t")

    assert states(run(road)) == ["done"] * 8
    assert max(leased) == 4


def test_a_lease_is_as_long_as_documented(place: Place) -> None:
    """A lease lasts for the time limit of the handler and one minute."""
    leases: list[int] = []

    def answer(_: str, call: Call) -> Outcome:
        with Store(place.store.file) as store:
            leases.append((store.get_delivery(call.delivery).due or 0) - place.now)
        return Done()

    road = place.road({"h": 1}, {"t": ["h"]}, answer, Retry())
    place.publish(road, "t")

    assert states(run(road)) == ["done"]
    assert leases == [90_000]


def test_routes_and_handlers_take_turns(place: Place) -> None:
    """With one worker, a long queue of one route delays neither another route nor another handler."""
    told: list[str] = []
    road = place.road(
        {"h": 1, "g": 1}, {"many": ["h"], "few": ["h", "g"]}, lambda n, c: told.append(n + c.route) or Done(), Retry()
    )
    place.publish(road, "many", 20)
    place.now += 1
    place.publish(road, "few", 2)
    run(road, workers=1)

    assert set(told[:3]) == {"hmany", "gfew", "hfew"}
    assert max(number for number, name in enumerate(told) if name.endswith("few")) < 8


def test_a_fast_handler_gives_way_after_two_batches(place: Place) -> None:
    """A handler with thousands of deliveries runs at most two batches before a handler whose delivery came later."""
    told: list[str] = []
    to = {"t": ["many"], "u": ["g"]}
    road = place.road({"many": 1, "g": 1}, to, lambda n, c: told.append(n) or Done(), Retry())
    with place.store.transaction():
        place.publish(road, "t", 2000)
        place.now += 1
        place.publish(road, "u", 3)

    assert states(run(road, workers=1)) == ["done"] * 2003
    assert [number for number, name in enumerate(told) if name == "g"][-1] < 1000


def test_emitted_events_are_delivered_in_the_same_run(place: Place) -> None:
    """Each settled delivery lists the events that it emitted."""
    road = place.road(
        {"h": 1, "g": 1},
        {"a": ["h"], "b": ["g"]},
        lambda n, c: Done((Emitted("b", b"{}"),) if n == "h" else ()),
        Retry(),
    )
    place.publish(road, "a", 3)
    settled = run(road)

    assert sorted(each.delivery.handler for each in settled) == ["g"] * 3 + ["h"] * 3
    emitted = {name for each in settled for name in each.emitted}
    assert emitted == {each.event.id for each in settled if each.delivery.handler == "g"}


def test_emitting_an_event_with_a_taken_key_fails(evtool: Evtool, tmp_path: Path) -> None:
    """The delivery becomes a dead letter with the reason, and none of its events is stored."""
    (tmp_path / "routes.yaml").write_text(
        "version: 1\nhandlers: {h: {python: 'h.py:tell'}}\nroutes: {r: {pattern: {detail-type: [t]}, to: [h]}}\n"
    )
    (tmp_path / "h.py").write_text(
        "import pathlib\ndef tell(event, context):\n"
        "    context.emit('other', {})\n    context.emit('u', {'n': pathlib.Path('n').read_text()})\n"
    )
    (tmp_path / "n").write_text("1")
    (tmp_path / "e.json").write_text('{"id": "e", "source": "s", "detail-type": "t", "detail": {}}')
    first = evtool("publish", "e.json", "-o", "json").json["events"]
    with Store(tmp_path / ".evtool/store.db") as store:
        (tmp_path / "u.json").write_bytes(store.find_event("h", first[2]["id"]).raw)
    (tmp_path / ".evtool/store.db").unlink()
    evtool("publish", "u.json")

    assert evtool("publish", "e.json", "-o", "json").code == 0  # the same, told again at another time
    (tmp_path / ".evtool/store.db").unlink()
    evtool("publish", "u.json")
    (tmp_path / "n").write_text("2")
    ran = evtool("publish", "e.json", "-o", "json")
    [told] = ran.json["events"]
    [delivery] = told["deliveries"]
    assert (ran.code, delivery["state"], delivery["emitted"]) == (1, "dead", [])
    assert first[2]["id"] in delivery["error"]
    assert "another event in the store" in delivery["error"]
    assert evtool("doctor").code == 0


# --- chunks of calls to a warm worker --------------------------------------------------------------------------------

WORK = """
import os, pathlib, signal, time
def work(event, context):
    n = event['detail']['n']
    with open('called', 'a') as file:
        file.write(f'{n}\\n')
    if n == 150 and not os.path.exists('poisoned'):
        open('poisoned', 'w').close()
        %s
    print('this is', n)
"""


@pytest.fixture
def many(tmp_path: Path, evtool: Evtool) -> Path:
    """A project with 300 events that a Python handler takes."""
    (tmp_path / "work.py").write_text(WORK % "pass")
    (tmp_path / "routes.yaml").write_text(
        "version: 1\nhandlers: {h: {python: 'work.py:work', timeout: 1500ms}}\n"
        "routes: {r: {pattern: {detail-type: [t]}, to: [h], retry: {first_delay: 1h}}}\n"
    )
    (tmp_path / "many.jsonl").write_text("".join(f'{{"n": {number}}}\n' for number in range(300)))
    evtool("publish", "many.jsonl", "--type", "t", "--no-deliver", "-q")
    return tmp_path


@pytest.mark.parametrize(
    ("harm", "outcome"),
    [
        ("os._exit(3)", "crashed"),
        ("os.kill(0, 9)", "crashed"),
        ("time.sleep(60)", "timeout"),
        ("signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(1.7)", "timeout"),
        ("1 / 0", "failed"),
        (r"raise OSError('\udcff', '\0\ud800')", "failed"),
    ],
)
def test_an_event_that_breaks_its_worker_does_not_affect_its_batch(
    evtool: Evtool, many: Path, harm: str, outcome: str
) -> None:
    """The other events of the batch are called once, in their first attempt; only this one is attempted again."""
    (many / "work.py").write_text(WORK % harm)
    ran = evtool("deliver", "-o", "json")
    with Store(many / ".evtool/store.db") as store:
        found = [store.list_deliveries(each.seq)[0] for each in store.read_events()]
        [poison] = [each for each in found if each.state != "done"]

        assert ran.json["summary"] == {"deliveries": 300, "done": 299, "waiting": 0, "ready": 1, "leased": 0, "dead": 0}
        assert [attempt.outcome for attempt in store.list_attempts(poison.seq)] == [outcome]
        assert {each.attempts for each in found} == {1}
    called = (many / "called").read_text().split()
    assert (len(called), len(set(called))) == (300, 300)


def test_output_is_kept_with_the_attempt_that_printed_it(evtool: Evtool, many: Path) -> None:
    """Each call of a batch has its own output."""
    evtool("deliver", "-q")
    with Store(many / ".evtool/store.db") as store:
        for each in store.read_events():
            [attempt] = store.list_attempts(store.list_deliveries(each.seq)[0].seq)
            assert attempt.output == f"this is {json.loads(each.raw)['detail']['n']}\n"


def test_waiting_for_an_unavailable_handler_uses_no_attempt(evtool: Evtool, many: Path) -> None:
    """When the handler is back, all deliveries succeed in their first attempt."""
    (many / "work.py").rename(many / "away.py")
    assert evtool("deliver", "-o", "json").json["summary"]["waiting"] == 300
    (many / "away.py").rename(many / "work.py")
    ran = evtool("deliver", "-o", "json")

    assert ran.json["summary"]["done"] == 300
    assert {each["attempts"] for each in ran.json["deliveries"]} == {1}


def test_a_worker_does_not_start_a_call_after_its_latest_start(tmp_path: Path) -> None:
    """A call that could outlive its lease is released by the worker."""
    (tmp_path / "work.py").write_text(WORK % "pass")
    kind = KINDS["python"]
    handler = kind.open("h", kind.options.model_validate({"python": "work.py:work"}), tmp_path)
    calls = [Call(b'{"detail": {"n": %d}}' % number, "1", "t", "r", 1) for number in range(3)]
    with closing(handler):
        call_many = handler.call_many  # type: ignore[attr-defined]
        assert [answer.outcome for answer in call_many(calls, 0.0)] == [None] * 3
        assert not (tmp_path / "called").exists()
        assert [answer.outcome for answer in call_many(calls, 1e9)] == [Done((), f"this is {n}\n") for n in range(3)]


IGNORING = "signal.signal(signal.SIGTERM, signal.SIG_IGN); open('begun', 'w').close(); time.sleep(0.2)"


def test_a_call_that_finishes_while_its_worker_is_ended_counts(tmp_path: Path) -> None:
    """The worker answers it and starts no further call."""
    (tmp_path / "work.py").write_text(WORK % IGNORING)
    kind = KINDS["python"]
    handler = kind.open("h", kind.options.model_validate({"python": "work.py:work"}), tmp_path)
    answers: list[Answer] = []

    def work() -> None:
        calls = [Call(b'{"detail": {"n": %d}}' % number, "1", "t", "r", 1) for number in range(149, 300)]
        with pytest.raises(CallsStopped):
            answers.extend(handler.call_many(calls, inf))  # type: ignore[attr-defined]

    thread = threading.Thread(target=work)
    thread.start()
    while not (tmp_path / "begun").exists():
        os.sched_yield()
    with stop_calls():
        thread.join(30)

    called = (tmp_path / "called").read_text().split()
    assert [answer.outcome for answer in answers] == [Done((), f"this is {n}\n") for n in called]
    assert called == ["149", "150"]


def test_several_processes_share_the_deliveries(evtool: Evtool, many: Path) -> None:
    """Every handler is called once for every event, and no process fails.

    A process that finds all deliveries leased reports that other processes hold them.
    """
    with ThreadPoolExecutor(3) as pool:
        ran = list(pool.map(lambda _: evtool("deliver", "-o", "json"), range(3)))

    assert {each.code for each in ran} == {0}
    assert all(not each.err or each.err.startswith("held by another evtool: ") for each in ran)
    assert sum(each.json["summary"]["done"] for each in ran) == 300
    assert sorted((many / "called").read_text().split(), key=int) == [str(number) for number in range(300)]


def test_a_locked_store_is_waited_for_once(place: Place) -> None:
    """If another process keeps the store locked, the end of the run does not wait for the lock again."""
    others: list[Store] = []

    def lock(*_: object) -> Outcome:
        others.append(Store(place.store.file))
        others[0].execute("BEGIN IMMEDIATE")
        return Done()

    road = place.road({"h": 1}, {"a": ["h"]}, lock, Retry())
    place.publish(road, "a")
    place.store.set_busy_timeout(0.01)

    with pytest.raises(StoreError, match=r"locked for 0\.01 s"):
        list(deliver(road))
    with pytest.raises(StoreError, match="locked for 0 s"), closing(others[0]):
        place.store.execute("BEGIN IMMEDIATE")


# --- going on for ever -----------------------------------------------------------------------------------------------


def test_watching_attempts_deliveries_as_they_become_due(place: Place) -> None:
    """Failed deliveries are attempted again when they are due, also those that wait for a handler; pauses are short."""
    outcomes = {"1": [Failed("no"), Failed("no"), Done()], "2": [Unavailable("away"), Unavailable("away"), Done()]}
    rests: list[float] = []

    def idle(seconds: float) -> bool:
        rests.append(seconds)
        place.now += max(round(seconds * 1000), 1)
        return len(rests) < 1000 and bool(outcomes["1"] or outcomes["2"])

    road = place.road({"h": 1}, {"t": ["h"]}, lambda n, c: outcomes[c.event_id].pop(0), Retry())
    place.publish(road, "t", 2)
    settled = run(road, idle=idle)

    last = {each.event.id: each.delivery for each in settled}
    assert {name: (each.state, each.attempts) for name, each in last.items()} == {"1": ("done", 3), "2": ("done", 1)}
    assert max(rests) <= POLL_INTERVAL


def test_watching_finds_events_that_another_process_stores(place: Place, tmp_path: Path) -> None:
    """The event is delivered without a message from the other process."""
    road = place.road({"h": 1}, {"t": ["h"]}, lambda n, c: Done(), Retry())
    other = Place(tmp_path / "store.db")
    rests = 0

    def idle(seconds: float) -> bool:
        nonlocal rests
        rests += 1
        if rests == 1:
            other.publish(road, "t")
        return rests < 2

    assert states(run(road, idle=idle)) == ["done"]


@pytest.mark.parametrize("jump", [-3 * 86_400_000, 3 * 86_400_000])
def test_a_clock_that_jumps_loses_no_delivery(place: Place, jump: int) -> None:
    """If the clock is set back or forward during a call, the delivery is done once, and the next ones follow."""

    def answer(name: str, call: Call) -> Outcome:
        place.now += jump if call.event_id == "1" else 0
        return Done()

    road = place.road({"h": 1}, {"t": ["h"]}, answer, Retry())
    place.publish(road, "t", 2)
    first = run(road)
    place.now = max(place.now, 1_000_000)

    assert states(first + run(road._replace(handlers=HandlerPool(road.routes)))) == ["done", "done"]


# --- the end ---------------------------------------------------------------------------------------------------------


def test_ctrl_c_waits_for_running_calls_and_releases_the_rest(place: Place) -> None:
    """A running call is settled and reported; a claim that did not start is ready again, without an attempt."""
    begun, free = threading.Event(), threading.Event()

    def answer(name: str, call: Call) -> Outcome:
        begun.set()
        return Done() if free.wait(30) else Failed("nobody let it go")

    road = place.road({"h": 1, "g": 1}, {"t": ["h"], "u": ["g"]}, answer, Retry())
    place.publish(road, "t", 3)

    def interrupt() -> None:
        begun.wait(30)
        signal.raise_signal(signal.SIGINT)
        free.set()

    settled: list[SettledDelivery] = []
    asked = time.monotonic()
    with road.handlers, closing(deliver(road, grace=25)) as run:
        threading.Thread(target=interrupt).start()
        with pytest.raises(KeyboardInterrupt):
            settled.extend(run)

    assert time.monotonic() - asked < 20
    there = [place.store.list_deliveries(seq)[0] for seq in (1, 2, 3)]
    assert [each.state for each in there] == ["done", "ready", "ready"]
    assert [each.attempts for each in there] == [1, 0, 0]


def test_closing_the_run_early_leaves_nothing_leased(place: Place) -> None:
    """If the caller stops reading, answers are settled, and running calls are settled or released."""
    road = place.road({"h": 1, "g": 1}, {"t": ["h", "g"]}, lambda n, c: Done(), Retry())
    place.publish(road, "t", 10)
    with road.handlers, closing(deliver(road)) as settled:
        next(settled)

    found = [each for seq in range(1, 11) for each in place.store.list_deliveries(seq)]
    assert {each.state for each in found} == {"done", "ready"}
    assert all(each.attempts == len(place.store.list_attempts(each.seq)) for each in found)


class Interrupting(deque[Claim]):
    """Claims that are interrupted by a second Ctrl-C."""

    def popleft(self) -> Claim:
        """The first one."""
        signal.raise_signal(signal.SIGINT)
        return super().popleft()


def test_a_signal_while_answers_are_collected_mixes_up_no_answer(place: Place) -> None:
    """After two signals no answer is lost, and none is given to another delivery."""
    road = place.road({"many": 1}, {"t": ["many"]}, lambda n, c: Done(output=c.event_id), Retry())
    place.publish(road, "t", 10)
    road.handlers.get_thread("many").claims = Interrupting()
    road.handlers.get_thread("many").size = 10
    with road.handlers, closing(deliver(road)) as settled, pytest.raises(KeyboardInterrupt):
        deque(settled, maxlen=0)

    found = [place.store.list_deliveries(seq)[0] for seq in range(1, 11)]
    assert {each.state for each in found} == {"done"}
    assert [place.store.list_attempts(each.seq)[0].output for each in found] == [str(each.event) for each in found]


def test_a_full_disk_keeps_the_call_log(place: Place) -> None:
    """If the results could not be written, the call log stays, also if another error ends the run."""
    many = Done((Emitted("x", b'{"much": "%b"}' % (b"x" * 1_000_000)),))
    road = place.road({"h": 1}, {"t": ["h"]}, lambda n, c: many, Retry())
    place.publish(road, "t", 2)
    with road.handlers, closing(deliver(road)) as settled:
        next(settled)
        assert not road.handlers.is_settled
        [[pages]] = place.store.execute("PRAGMA page_count")
        place.store.execute(f"PRAGMA max_page_count = {pages}")
    assert not road.handlers.is_settled

    place.store.execute("PRAGMA max_page_count = 1000000")
    with road.handlers, closing(deliver(road)) as settled:
        deque(settled, maxlen=0)
    assert road.handlers.is_settled


HANG = """
def work(event, context):
    with open('begun', 'w') as fifo:
        fifo.write(str(__import__('os').getpid()))
    with open('free') as fifo:
        fifo.read()
"""


@pytest.fixture
def hanging(many: Path) -> Path:
    """The 300 events, for a handler that reports its start and ends when the test releases it."""
    (many / "work.py").write_text(HANG)
    (many / "routes.yaml").write_text((many / "routes.yaml").read_text().replace("1500ms", "60s"))
    os.mkfifo(many / "begun")
    os.mkfifo(many / "free")
    return many


def ended(folder: Path, *signals: signal.Signals, free: bool) -> tuple[int, int, str]:
    """The exit code of a watching evtool that got signals while its handler ran, the handler's process, and stdout."""
    command = [sys.executable, "-m", "evtool", "deliver", "--watch", "-o", "jsonl"]
    with subprocess.Popen(command, cwd=folder, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True) as process:
        pid = int((folder / "begun").read_text())
        for number in signals:
            process.send_signal(number)
            os.sched_yield()
        if free:
            (folder / "free").write_text("")
        out, _ = process.communicate(timeout=30)
    return process.returncode, pid, out


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_watching_in_order(hanging: Path, number: signal.Signals, code: int) -> None:
    """The running call finishes and is reported with the summary; the other deliveries did not start."""
    returned, pid, out = ended(hanging, number, free=True)
    [settled, summary] = map(json.loads, out.splitlines())

    assert (returned, settled["state"], summary["summary"]["done"]) == (code, "done", 1)
    with Store(hanging / ".evtool/store.db") as store:
        found = [store.list_deliveries(each.seq)[0] for each in store.read_events()]
        assert [(each.state, each.attempts) for each in found] == [("done", 1)] + [("ready", 0)] * 299
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_second_signal_ends_watching_at_once(hanging: Path) -> None:
    """The attempt is interrupted and no limit counts it; the delivery is ready, and no process is left."""
    returned, pid, out = ended(hanging, signal.SIGTERM, signal.SIGINT, free=False)

    assert (returned in (130, 143), json.loads(out.splitlines()[-1])["summary"]["deliveries"]) == (True, 1)
    with Store(hanging / ".evtool/store.db") as store:
        [delivery] = store.list_deliveries(1)
        assert (delivery.state, delivery.attempts, delivery.forgiven) == ("ready", 1, 1)
        assert [attempt.outcome for attempt in store.list_attempts(delivery.seq)] == ["interrupted"]
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_closed_terminal_counts_as_a_hang_up(hanging: Path) -> None:
    """The output has no reader then, but evtool does not report a failed write."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "evtool", "deliver", "--watch"]
    control = partial(fcntl.ioctl, 0, termios.TIOCSCTTY, 0)
    with subprocess.Popen(
        command,
        cwd=hanging,
        env=ENVIRONMENT,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=control,  # noqa: PLW1509
    ) as process:
        (hanging / "begun").read_text()
        os.close(theirs)
        os.close(ours)
        (hanging / "free").write_text("")
        process.wait(timeout=30)

    assert process.returncode == 129
    with Store(hanging / ".evtool/store.db") as store:
        assert store.list_deliveries(1)[0].state == "done"


def test_the_first_error_of_a_run_is_reported(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error that follows while the run ends, such as too many open files, does not hide the first one."""

    def halt() -> None:
        raise OSError(errno.EMFILE, "too many open files")

    road = place.road({"h": 1}, {"t": ["h"]}, lambda n, c: Done(), Retry())
    place.publish(road, "t", 1)
    monkeypatch.setattr(road.handlers, "stop", halt)
    with road.handlers, pytest.raises(ZeroDivisionError), closing(deliver(road, idle=lambda _: bool(1 / 0))) as settled:
        deque(settled, maxlen=0)
