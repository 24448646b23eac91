"""Recovery from call logs: answered calls are not repeated, and calls that did not start are due at once."""

import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from evtool.cli.session import now_ms
from evtool.delivery import recovery
from evtool.delivery.pool import HandlerPool
from evtool.delivery.pool_thread import Batch
from evtool.handlers.base import Call, Done, HandlerOptions
from evtool.handlers.processes import call_log
from evtool.routes.routes import HandlerEntry, Routes
from evtool.store.queue import Claim, Lane, claim
from evtool.store.rows import Delivery
from evtool.store.sqlite.files import call_log_prefix
from evtool.store.store import Store
from tests.conftest import ROOT, Evtool

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}
GONE = "4194305-0a1b"  # an owner whose process number no Linux gives
WORK = """
import os, signal, time
from pathlib import Path

def work(event, context):
    with open("called", "a") as log:
        log.write(event["id"] + "\\n")
    context.emit("worked", {"on": event["id"]})
    if event["detail"]["n"] == 150 and not Path("killed").exists():
        Path("killed").touch()
        os.kill(os.getppid(), signal.SIGKILL)
        %s
"""


@pytest.fixture
def many(tmp_path: Path, evtool: Evtool) -> Path:
    """A project with 300 events for a fast handler."""
    (tmp_path / "routes.yaml").write_text(
        "version: 1\nhandlers: {h: {python: 'work.py:work'}}\nroutes: {r: {pattern: {detail-type: [t]}, to: [h]}}\n"
    )
    (tmp_path / "many.jsonl").write_text("".join(f'{{"n": {number}}}\n' for number in range(300)))
    evtool("publish", "many.jsonl", "--type", "t", "--no-deliver", "-q")
    return tmp_path


def files(folder: Path) -> list[str]:
    """Returns the store and its side files, without the .gitignore."""
    return sorted(file.name for file in (folder / ".evtool").iterdir() if file.name != ".gitignore")


# --- after a kill ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["pass", "time.sleep(60)", "os._exit(1)"])
def test_the_run_after_a_kill_continues_at_once(evtool: Evtool, many: Path, end: str) -> None:
    """The next run calls the deliveries that had not started, and settles the logged answers with their emitted events.

    A call that had started waits until its lease ends, unless its worker finished it.
    """
    (many / "work.py").write_text(WORK % end)
    assert evtool("deliver").code == -9
    assert evtool("deliver").code == 0

    calls = Counter((many / "called").read_text().split())
    done = 300 if end == "pass" else 299
    assert (len(calls), calls.total()) == (300, 300)
    with Store(many / ".evtool/store.db") as store:
        events = list(store.read_events())
        found = [store.list_deliveries(event.seq)[0] for event in events[:300]]
        assert sorted(each.state for each in found) == ["done"] * done + ["leased"] * (300 - done)
        assert {each.attempts for each in found} == {1}
        assert len(events) == 300 + done
    assert files(many) == ["store.db"]


def test_an_answer_without_the_events_of_an_sdk_is_not_settled(evtool: Evtool, many: Path) -> None:
    """If the logged answer lacks the events that an SDK sent, the call is repeated when its lease ends."""
    put = "import boto3; EVENTS = boto3.client('events')\n" + WORK % "pass"
    entry = "{'Source': 's', 'DetailType': 'worked', 'Detail': '{}'}"
    put = put.replace('context.emit("worked", {"on": event["id"]})', f"EVENTS.put_events(Entries=[{entry}])")
    (many / "work.py").write_text(put)
    assert evtool("deliver").code == -9
    assert evtool("deliver").code == 0

    with Store(many / ".evtool/store.db") as store:
        events = list(store.read_events())
        states = Counter(store.list_deliveries(event.seq)[0].state for event in events[:300])
        assert states["leased"] >= 1
        assert states["done"] + states["leased"] + states["waiting"] == 300  # without evtool an SDK reaches nothing
        assert len(events) == 300 + states["done"]


class Clock:
    """A clock that moves only in `sleep`."""

    now = 1000.0

    def monotonic(self) -> float:
        """The time in seconds."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Lets the time pass."""
        self.now += seconds


def test_a_call_log_that_stays_locked_delays_the_run_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A child of a handler that outlives evtool keeps the call log locked. All locked logs together are waited for
    once."""
    clock = Clock()
    monkeypatch.setattr(recovery, "time", clock)
    store = tmp_path / "s.db"
    held = [call_log.open_call_log(call_log_prefix(store), GONE) for _ in range(3)]
    assert list(recovery.read_leftovers(store)) == []
    assert clock.now == 1000
    assert list(recovery.read_leftovers(store, timeout=0.2)) == []
    assert 1000.2 <= clock.now < 1000.25
    for log in filter(None, held):
        log.close(settled=True)


@pytest.mark.parametrize("command", [("deliver",), ("publish", "many.jsonl", "--type", "t")])
def test_a_finished_run_leaves_no_call_log(evtool: Evtool, many: Path, command: tuple[str, ...]) -> None:
    """A run that ends normally leaves no file beside the store."""
    (many / "work.py").write_text("def work(event, context):\n    pass\n")

    assert evtool(*command).code == 0
    assert files(many) == ["store.db"]


def test_an_event_that_kills_evtool_is_given_up_after_its_handler_was_unavailable(
    evtool: Evtool, tmp_path: Path
) -> None:
    """The answer from the time without the handler is not used for the later call in which evtool was killed."""
    (tmp_path / "routes.yaml").write_text(
        "version: 1\nhandlers: {h: {python: 'work.py:work'}}\nroutes:\n  r: {pattern: {detail-type: [t]}, to: [h],"
        " retry: {max_attempts: 2, first_delay: 1ms, max_delay: 1ms}}\n"
    )
    (tmp_path / "work.py").write_text(
        "import os, signal\n\ndef work(event, context):\n    if not os.path.exists('back'):\n"
        "        open('back', 'w').close()\n        raise ConnectionRefusedError\n"
        "    os.remove('back')\n    os.kill(os.getppid(), signal.SIGKILL)\n    os._exit(1)\n"
    )
    (tmp_path / "e.json").write_text("{}")
    evtool("publish", "e.json", "--type", "t", "--no-deliver")
    for attempt in (1, 2, 3):
        assert evtool("deliver", "--watch").code == -9
        with Store(tmp_path / ".evtool/store.db") as store:
            [delivery] = store.list_deliveries(1)
            assert (delivery.state, delivery.attempts) == ("leased", attempt)
            store.execute("UPDATE delivery SET due = 0")

    assert evtool("deliver").code == 1
    with Store(tmp_path / ".evtool/store.db") as store:
        [delivery] = store.list_deliveries(1)
        assert (delivery.state, delivery.condition, delivery.attempts) == ("dead", "MaximumRetryAttempts", 3)
        assert delivery.error == "no attempt finished"
        assert [attempt.outcome for attempt in store.list_attempts(delivery.seq)] == [None, None, None]


def test_a_lower_limit_keeps_the_error_of_the_last_attempt(evtool: Evtool, tmp_path: Path) -> None:
    """If max_attempts is lowered below the attempts that were made, no attempt is added, and the real error is kept."""
    routes = (
        "version: 1\nhandlers: {h: {command: [sh, -c, 'echo no paper >&2; exit 3']}}\nroutes:\n"
        "  r: {pattern: {detail-type: [t]}, to: [h], retry: {max_attempts: 9, first_delay: 1h}}\n"
    )
    (tmp_path / "routes.yaml").write_text(routes)
    (tmp_path / "e.json").write_text("{}")
    evtool("publish", "e.json", "--type", "t", "--no-deliver")
    for _ in range(3):
        evtool("deliver", "--now")
    (tmp_path / "routes.yaml").write_text(routes.replace("max_attempts: 9", "max_attempts: 1"))

    assert evtool("deliver", "--now").code == 1
    [dead] = evtool("dlq", "show", "-o", "json").json["deliveries"]
    assert (dead["attempts"], dead["error"], dead["condition"]) == (3, "exit 3: no paper", "MaximumRetryAttempts")
    assert [attempt["outcome"] for attempt in dead["history"]] == ["failed"] * 3


def test_the_call_log_of_a_running_process_is_left_alone(evtool: Evtool, many: Path) -> None:
    """Also if that process is stopped."""
    os.mkfifo(many / "free")
    (many / "work.py").write_text(
        "def work(event, context):\n    if event['detail']['n'] == 0:\n        open('free').read()\n"
    )
    one = subprocess.Popen([sys.executable, "-m", "evtool", "deliver"], cwd=many, env=ENVIRONMENT)
    with one, (many / "free").open("w"):
        one.send_signal(signal.SIGSTOP)
        ran = evtool("deliver", "-o", "json")
        left = [name for name in files(many) if "-diary-" in name]
        one.send_signal(signal.SIGCONT)

    assert (ran.json["summary"]["done"], len(left), one.returncode) == (299, 1, 0)
    assert files(many) == ["store.db"]


# --- what a call log says --------------------------------------------------------------------------------------------

HEAD = f"evtool 1 {call_log.read_boot_id()} {GONE}\n"
ANSWER = '{"emitted":[]}'


@pytest.mark.parametrize(
    ("text", "told", "idle"),
    [
        ("given 1:1 2:1\nbegan 1\ntold 1 5 {}\nbegan 2\n", {1}, {}),
        ("given 1:1 2:1\nbegan 1\n", set(), {2: 1}),
        ("given 1:1 2:3\n", set(), {1: 1, 2: 3}),
        ("given 1:1\nbegan 1\ntold 1 5 {}\ngiven 1:2\n", {1}, {1: 2}),
        ("given 1:1\nbegan 1\ntold 1 5 {}\ngiven 1:1\nbegan 1\n", set(), {}),
        ("given 1:1 2:1\nbegan 1\ntold 1 5 {}\nover 1\nover 2\n", set(), {}),
        ("given 1:1\nbegan 1\ntold 1 5 {}\nover 1\ngiven 1:1\nbegan 1\n", set(), {}),
        ("given 1:1 2:1\nbegan 1\ntold 1 5 {\nbegan 2\n", {1}, {}),
        ("given 1:1 2:1\nbegan 1\ntold 1 5 {}", set(), {2: 1}),
    ],
)
def test_a_call_log_gives_answers_and_calls_that_never_started(
    tmp_path: Path, text: str, told: set[int], idle: dict[int, int]
) -> None:
    """A line without a line end was not written completely and is ignored."""
    (tmp_path / f"s.db-diary-{GONE}-1").write_text(HEAD + text)
    [left] = recovery.read_leftovers(tmp_path / "s.db")

    assert (left.owner, set(left.answers), left.unstarted) == (GONE, told, idle)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\0" * 4096,
        "given 1:1\n",
        f"evtool 1 another-boot {GONE}\ngiven 1:1\n",
        f"{HEAD}given 1:1 2\n",
        f"{HEAD}given 1:1\nbegan x\n",
        f"{HEAD}given 1:1\ntold 2 5 {ANSWER}\n",
        f"{HEAD}given 1:1\nscribble\n",
        HEAD.replace("evtool 1", "evtool 2"),
    ],
)
def test_a_damaged_call_log_is_ignored(tmp_path: Path, text: str) -> None:
    """After a power cut, or if another program wrote into it, all leases end by themselves."""
    (tmp_path / f"s.db-diary-{GONE}-1").write_text(text)

    assert list(recovery.read_leftovers(tmp_path / "s.db")) == []
    assert not list(tmp_path.iterdir())


def test_a_call_log_is_read_when_all_its_writers_have_exited(tmp_path: Path) -> None:
    """It is not read while evtool or a worker that shares it runs."""
    store = tmp_path / "s.db"
    log = call_log.open_call_log(call_log_prefix(store), f"{os.getpid()}-1")
    assert log
    log.log_given([(1, 1)])
    shared = os.dup(log.stream)

    assert list(recovery.read_leftovers(store)) == []
    log.close(settled=False)
    assert list(recovery.read_leftovers(store)) == []
    os.close(shared)
    assert [left.unstarted for left in recovery.read_leftovers(store)] == [{1: 1}]


def test_a_call_log_is_found_through_a_symbolic_link(tmp_path: Path) -> None:
    """It is next to the store itself, not next to the link."""
    (tmp_path / "elsewhere").mkdir()
    file, link = tmp_path / "store.db", tmp_path / "elsewhere/link.db"
    link.symlink_to(file)
    for wrote, reads in ((file, link), (link, file)):
        log = call_log.open_call_log(call_log_prefix(wrote), GONE)
        assert log
        log.log_given([(1, 1)])
        log.close(settled=False)
        assert [left.unstarted for left in recovery.read_leftovers(reads)] == [{1: 1}]
    assert list(link.parent.iterdir()) == [link]


def test_a_long_call_log_restarts(tmp_path: Path) -> None:
    """It does not grow with the number of deliveries; open calls stay in it."""
    store = tmp_path / "s.db"
    log = call_log.open_call_log(call_log_prefix(store), GONE)
    assert log
    log.log_given([(1, 1)])
    log.restart_if_long([(1, 1)])
    assert log.file.read_text().count("given") == 1
    log.write("told 1 5 " + "x" * call_log.RESTART_BYTES)
    log.restart_if_long([(2, 1)])
    size = log.file.stat().st_size
    log.close(settled=False)

    assert size < 200
    assert [left.unstarted for left in recovery.read_leftovers(store)] == [{2: 1}]


def test_a_call_log_that_cannot_be_written_is_dropped(tmp_path: Path) -> None:
    """An incomplete log would be worse than none."""
    store = tmp_path / "s.db"
    log = call_log.open_call_log(call_log_prefix(store), GONE)
    assert log
    log.log_given([(1, 1)])
    full = os.open("/dev/full", os.O_WRONLY)
    log._replace(stream=full).log_began(1)
    os.close(full)
    log.close(settled=False)

    assert list(recovery.read_leftovers(store)) == []


def test_delivery_works_without_a_call_log(tmp_path: Path) -> None:
    """If no file can be created, deliveries continue without a call log."""
    assert call_log.open_call_log(call_log_prefix(tmp_path / "nowhere" / "s.db"), GONE) is None
    assert list(recovery.read_leftovers(tmp_path / "nowhere" / "s.db")) == []


@pytest.mark.parametrize("answer", ['{"late": true}', '{"emitted": 1}', "1", "{"])
def test_a_logged_answer_that_cannot_be_read_is_not_settled(evtool: Evtool, many: Path, answer: str) -> None:
    """The delivery is attempted again when its lease ends, and the run continues."""
    with Store(many / ".evtool/store.db") as store:
        lane = Lane("h", "r", 0)
        claim(store, lane, now=now_ms(), run_start=now_ms(), owner=GONE, lease_ms=100_000, limit=1, max_attempts=3)
        log = f"{HEAD}given 1:1\nbegan 1\ntold 1 5 {answer}\n"
        store.file.with_name(f"{store.file.name}-diary-{GONE}-1").write_text(log)
    (many / "work.py").write_text("def work(event, context):\n    pass\n")
    ran = evtool("deliver", "-o", "json")

    assert (ran.code, ran.json["summary"]["done"]) == (0, 299)
    assert files(many) == ["store.db"]


class Ready(HandlerEntry):
    """A handler that is done at once."""

    def open(self) -> Any:
        """Returns a handler that does nothing."""
        return Nothing()


class Nothing:
    """An open handler."""

    def __call__(self, call: Call) -> Done:
        return Done()

    def close(self) -> None:
        """Nothing is kept warm."""


@pytest.fixture
def handlers(tmp_path: Path) -> HandlerPool:
    """A handler `h`, with a call log."""
    entry = Ready("h", "python", HandlerOptions(emits=[]), tmp_path)
    return HandlerPool(
        Routes([], {"h": entry}), lambda: call_log.open_call_log(call_log_prefix(tmp_path / "s.db"), GONE)
    )


def test_a_restarted_call_log_has_all_queued_batches(tmp_path: Path, handlers: HandlerPool) -> None:
    """Also if only the second batch makes the log too long."""
    event: Any = None
    with handlers:
        slot = handlers.get_thread("h")
        assert slot.call_log
        for seq in (1, 2):
            delivery = Delivery(seq, seq, "r", "h", "", "leased", 1, 0, 0, None, GONE, None, None, None)
            slot.add_batch(Batch([Claim(delivery, event)], [], 0.0))
            slot.call_log.write("told 1 5 " + "x" * call_log.RESTART_BYTES)
        slot.start_batches()
        handlers.is_settled = False

    [left] = recovery.read_leftovers(tmp_path / "s.db")
    assert left.unstarted == {1: 1, 2: 1}


@pytest.mark.parametrize("settled", [True, False])
def test_answers_that_the_store_refused_stay_in_the_call_log(
    tmp_path: Path, handlers: HandlerPool, settled: bool
) -> None:
    """If the disk is full, the answers are kept for the next run."""
    with handlers:
        handlers.get_thread("h")
        handlers.is_settled = settled

    assert bool(list(tmp_path.iterdir())) is not settled


def test_a_folder_that_became_read_only_does_not_end_the_run(tmp_path: Path, handlers: HandlerPool) -> None:
    """A call log that cannot be removed is left behind."""
    with handlers:
        log = handlers.get_thread("h").call_log
        assert log
        log.file.unlink()
        log.file.mkdir()
