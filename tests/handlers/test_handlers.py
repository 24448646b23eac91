"""Every kind of handler keeps the contract of evtool/handlers/base.py."""

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
import uuid
from datetime import datetime, timedelta
from decimal import Decimal
from enum import Enum
from unittest.mock import ANY

import pytest
from pydantic import ValidationError

from evtool.handlers import python
from evtool.handlers.base import Call, Done, Emitted, Failed, Unavailable
from evtool.handlers.processes import worker
from evtool.handlers.processes.worker import Context, Settings
from evtool.handlers.processes.worker_protocol import REQUEST_HEADER
from evtool.handlers.registry import KINDS
from tests.conftest import ROOT

pytestmark = pytest.mark.slow

FOLDER = ROOT / "tests/support/handlers"
LOOP: list[object] = []
LOOP.append(LOOP)
ABYSS: list[object] = []
for _ in range(100_000):
    ABYSS = [ABYSS]
# kind -> the options of a handler that does what the event asks for, and of one that is not there
THERE = {
    "python": {"python": "functions:play"},
    "command": {"command": [sys.executable, "-u", "commands.py"]},
    "lambda": {"runtime": "python", "handler": "lambda_functions.play", "lambda": "."},
}
ABSENT = {
    "python": {"python": "absent:play"},
    "command": {"command": ["./absent"]},
    "lambda": {"runtime": "python", "handler": "absent.play", "lambda": "."},
}


def call(do="work", **detail):
    """An attempt at an event that asks for something."""
    event = {"id": "e-1", "source": "shop", "detail-type": "order.created", "detail": {"do": do, **detail}}
    return Call(json.dumps(event, indent=1).encode(), "e-1", "order.created", "pay", 2)


@pytest.fixture
def opened():
    """Opens handlers, and closes them after the test."""
    handlers = []

    def open_handler(options, *, timeout="20s", folder=FOLDER, **limits):
        kind = KINDS[next(key for key in options if key in KINDS)]
        model = kind.options.model_validate({**options, "timeout": timeout, **limits})
        handlers.append(kind.open("charge", model, folder))
        return handlers[-1]

    yield open_handler
    for handler in handlers:
        handler.close()
        handler.close()


def is_running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def first_detail(outcome):
    """Returns the detail of the first event that a handler emitted."""
    return json.loads(outcome.emitted[0].detail)


# --- the contract ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", THERE)
class TestEveryKind:
    def test_a_call_succeeds(self, kind, opened, tmp_path):
        """Each call gets the event."""
        handler = opened(THERE[kind])
        for number in range(2):
            assert handler(call("work", file=str(tmp_path / f"{number}"))) == Done()
        assert [file.read_text() for file in sorted(tmp_path.iterdir())] == ["e-1", "e-1"]

    def test_a_call_emits_events(self, kind, opened):
        """The emitted events are in order, with the source that the handler gave."""
        source = "charge" if kind == "lambda" else None  # an entry of PutEvents has one
        assert opened(THERE[kind])(call("emit")) == Done(
            (
                Emitted("payment.authorized", '{"total": 1.5, "name": "Žižek"}'.encode(), source),
                Emitted("payment.told", b"{}", "bank"),
            )
        )

    def test_a_failure_has_a_reason(self, kind, opened):
        """A failure says why in one line, counts as an attempt, may be tried again, and emits nothing."""
        outcome = opened(THERE[kind])(call("fail"))
        assert isinstance(outcome, Failed)
        assert "ValueError: the card is blocked" in outcome.error
        assert (outcome.outcome, outcome.final) == ("failed", False)

    def test_a_handler_can_be_unavailable(self, kind, opened):
        """Each call names the missing service."""
        handler = opened(ABSENT[kind])
        for _ in range(2):
            outcome = handler(call())
            assert isinstance(outcome, Unavailable)
            assert "absent" in outcome.reason

    def test_a_missing_folder_makes_the_handler_unavailable(self, kind, opened, tmp_path):
        """Nor is a handler whose folder is gone."""
        assert isinstance(opened(THERE[kind], folder=tmp_path / "gone")(call()), Unavailable)

    @pytest.mark.parametrize("do", ["hang", "resist"])
    def test_a_call_that_takes_too_long_is_ended(self, kind, do, opened, tmp_path):
        """At its time limit a handler is ended with all that it started, even in other sessions, and says so."""
        outcome = opened(THERE[kind], timeout="3s")(call(do, file=str(tmp_path / "pids")))
        assert outcome == Failed("took longer than 3s (timeout)", "timeout", "waiting\n")
        pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
        limit = 2 if sys.platform != "linux" else 3  # elsewhere nobody knows what left the group
        assert [is_running(pid) for pid in pids[:limit]] == [False] * limit

    def test_output_is_captured(self, kind, opened, capfd):
        """The output of a handler and of its children is in its log, in order, and not in the output of evtool."""
        outcome = opened(THERE[kind])(call("say"))
        assert sorted(outcome.output.split()) == ["child", "err", "out"]
        assert capfd.readouterr() == ("", "")

    @pytest.mark.parametrize("do", ["flood", "print_bytes"])
    def test_output_is_cut_and_escaped(self, kind, do, opened):
        """The end of a long output is kept. Bytes that are not UTF-8 are escaped."""
        output = opened(THERE[kind])(call(do)).output
        assert output.endswith({"flood": "xxx\nthe last line\n", "print_bytes": "caf\\xe9 \\xff\0\n"}[do])
        assert len(output) <= 4096

    def test_the_output_option_keeps_more_output(self, kind, opened):
        """`output` of a handler sets how many bytes are kept."""
        assert len(opened(THERE[kind], output="10KB")(call("flood")).output) == 10_000
        assert opened(THERE[kind], output="0B")(call("flood")).output == ""

    def test_emit_limits_can_be_lowered(self, kind, opened):
        """How many events a handler emits, and how long they are, can be limited more than it is."""
        for limit, error in (
            ({"emit_limit": 1}, "emitted more than 1 events (emit_limit)"),
            ({"emit_bytes": "50B"}, "emitted more than 50 bytes (emit_bytes)"),
        ):
            assert opened(THERE[kind], **limit)(call("emit")) == Failed(error, "bad-result", ANY, final=True)

    @pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits a process from outside")
    def test_memory_is_limited(self, kind, opened, tmp_path):
        """A handler that wants more memory than it may have fails by the name of the limit, and is called again."""
        handler = opened(THERE[kind], memory="300MB")
        outcome = handler(call("eat_memory"))
        assert "MemoryError" in outcome.error
        assert outcome.error.endswith("(its memory is limited to 300MB)")
        assert handler(call("work", file=str(tmp_path / "done"))) == Done()

    def test_the_next_call_succeeds_after_each_failure(self, kind, opened, tmp_path):
        """No failure affects the next call."""
        usual, short = opened(THERE[kind]), opened(THERE[kind], timeout="3s")
        for do in ("fail", "hang", "killed", "segfault", "leave", "flood", "emit", "exit_well", "print_bytes"):
            handler = short if do == "hang" else usual
            handler(call(do, file=str(tmp_path / "pids")))
            assert handler(call("work", file=str(tmp_path / do))) == Done(), do
            assert (tmp_path / do).read_text() == "e-1"

    def test_large_events_and_outputs_pass(self, kind, opened):
        """An event and an output larger than any pipe go through at once."""
        outcome = opened(THERE[kind])(call("flood", text="x" * 5_000_000))
        assert isinstance(outcome, Done)

    def test_an_interrupted_call_leaves_no_process(self, kind, opened, tmp_path):
        """Ctrl-C in the middle of a call ends the handler, and the next call is right."""
        handler = opened(THERE[kind])
        fifo = tmp_path / "pids"
        os.mkfifo(fifo)

        def interrupt():
            pids.extend(fifo.read_text().split())
            signal.raise_signal(signal.SIGINT)

        pids: list[str] = []
        thread = threading.Thread(target=interrupt)
        thread.start()
        with pytest.raises(KeyboardInterrupt):
            handler(call("hang", file=str(fifo)))
        thread.join()
        assert len(pids) == 3
        assert not any(is_running(int(pid)) for pid in pids[:2])
        assert handler(call("work", file=str(tmp_path / "done"))) == Done()


def test_children_of_other_code_are_not_ended(opened, tmp_path):
    """A program that uses evtool as a library may have children: they go on, and it gets their exit codes."""
    others = [
        subprocess.Popen(["sh", "-c", f"{work}; exit 3"], stdin=subprocess.PIPE, start_new_session=session)
        for work in ("read line", "true")
        for session in (False, True)
    ]
    for over in others[2:]:
        os.waitid(os.P_PID, over.pid, os.WEXITED | os.WNOWAIT)
    assert opened(THERE["python"], timeout="1s")(call("hang", file=str(tmp_path / "pids"))).outcome == "timeout"
    assert [other.poll() for other in others[:2]] == [None, None]
    for other in others:
        other.communicate(b"\n")
    assert [other.returncode for other in others] == [3, 3, 3, 3]


@pytest.mark.parametrize("kind", THERE)
def test_a_lost_exit_code_is_not_a_success(kind, opened):
    """If other code collects the exit code of a process, evtool does not take a failed attempt for a success."""
    usual = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        outcome = opened(THERE[kind])(call("leave"))
    finally:
        signal.signal(signal.SIGCHLD, usual)
    assert isinstance(outcome, Failed)
    assert "its exit code is not known" in outcome.error


def test_a_caller_that_ignores_sigchld_loses_no_exit_codes(evtool, tmp_path):
    """Children inherit an ignored SIGCHLD. It must not make failures look like successes."""
    (tmp_path / "routes.yaml").write_text(
        "version: 1\n"
        "handlers: {fails: {command: [sh, -c, exit 3]}}\n"
        "routes: {all: {pattern: {source: [{exists: true}]}, to: [fails]}}\n"
    )
    program = "import os, signal as s, sys; s.signal(s.SIGCHLD, s.SIG_IGN); os.execv(sys.executable, sys.argv[1:])"
    command = [sys.executable, "-m", "evtool", "publish", "-", "--type", "x", "--source", "y"]
    ran = subprocess.run([sys.executable, "-c", program, *command], cwd=tmp_path, input=b"{}", capture_output=True)
    assert b"exit 3; tried again" in ran.stdout
    assert ran.returncode == 1


# --- python: context and emit ----------------------------------------------------------------------------------------


def test_the_context_has_the_members_of_lambda(opened):
    """A handler gets the event as a dict, and a context with the members of Lambda's. Each attempt has an id."""
    handler = opened({"python": "functions:play"}, timeout="10s")
    details = [first_detail(handler(call("describe"))) for _ in range(2)]
    for detail in details:
        context = detail["context"]
        assert detail["event"] == json.loads(call("describe").raw)
        assert 9000 < detail["left"] <= 10_000
        assert detail["cwd"] == str(FOLDER)
        assert str(uuid.UUID(context.pop("aws_request_id"), version=4))
        assert context.pop("log_stream_name")
        assert context == {
            "function_name": "charge",
            "function_version": "$LATEST",
            "memory_limit_in_mb": "128",
            "invoked_function_arn": "arn:aws:lambda:us-east-1:000000000000:function:charge",
            "log_group_name": "/aws/lambda/charge",
            "identity": None,
            "client_context": None,
        }


def test_calls_share_a_warm_worker(opened):
    """Calls share one process until the handler is closed; the next call has a new process."""
    handler = opened({"python": "functions:play"})
    first, second = (first_detail(handler(call("describe")))["pid"] for _ in range(2))
    handler.close()
    assert not is_running(first)
    third = first_detail(handler(call("describe")))["pid"]
    assert first == second != third


def test_stdin_is_empty(opened):
    """A handler that reads stdin gets no data and does not wait."""
    assert first_detail(opened({"python": "functions:play"})(call("read_stdin"))) == {"stdin": ""}


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((1, {}), TypeError, "the type is a string, not int"),
        (("", {}), ValueError, "the type is empty"),
        (("x", [1]), TypeError, "the detail of x is a JSON object (a dict), not list"),
        (("x", None), TypeError, "the detail of x is a JSON object (a dict), not NoneType"),
        (("x", {"name": "\ud800"}), ValueError, "x cannot be written as JSON: 'utf-8' codec"),
    ],
)
def test_emit_refuses_values_that_are_not_an_event(arguments, error, message):
    """The handler that emits a wrong value gets an exception at that line, with a full sentence."""
    context = Context(Settings("charge", "functions:play", str(FOLDER), 1.0, 100, 1000))
    with pytest.raises(error) as raised:
        context.emit(*arguments)
    assert str(raised.value).startswith(f"emit: {message}")


@pytest.mark.parametrize(
    ("detail", "error", "message"),
    [
        (
            {"total": Decimal("1.5")},
            TypeError,
            "detail.total is a Decimal ...; float() or str()",
        ),
        (
            {"at": datetime(2026, 1, 31)},
            TypeError,
            "detail.at is a datetime ...; isoformat()",
        ),
        (
            {"items": [{}, {"of": {1}}]},
            TypeError,
            "detail.items[1].of is a set ...; list() or",
        ),
        ({"a": ({"b c": b"x"},)}, TypeError, 'detail.a[0]["b c"] is bytes ...; decode()'),
        ({1: {"id": uuid.UUID(int=1)}}, TypeError, 'detail["1"].id is a UUID ...; str()'),
        (
            {"took": timedelta(1)},
            TypeError,
            "detail.took is a timedelta ...; total_seconds()",
        ),
        (
            {"status": Enum("Status", "PAID").PAID},
            TypeError,
            "detail.status is a Status ...; its",
        ),
        ({"keys": {}.keys()}, TypeError, "detail.keys is a dict_keys ...; list()"),
        ({"x": object()}, TypeError, "detail.x is an object ...; a dict, list, str, int,"),
        ({"x": {(1, 2): 3}}, TypeError, "a key of detail.x is a tuple; keys in JSON are strings"),
        ({"x": [0.5, float("nan")]}, ValueError, "detail.x[1] is NaN ...; None or a string"),
        ({"x": float("-inf")}, ValueError, "detail.x is -Infinity ...; None or a string"),
        ({"x": LOOP}, ValueError, "detail.x[0] contains itself, which JSON cannot express"),
        ({"x": ABYSS}, ValueError, "it is nested too deeply"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_emit_names_a_value_that_json_does_not_have(detail, error, message):
    """The message has the path of the value, its class, and a replacement."""
    context = Context(Settings("charge", "functions:play", str(FOLDER), 1.0, 100, 1000))
    with pytest.raises(error) as raised:
        context.emit("x", detail)
    assert str(raised.value).startswith(
        f"emit: x cannot be written as JSON: {message.replace(' ...;', ', which JSON does not have; use')}"
    )


def test_emit_accepts_values_that_json_dumps_accepts(opened, tmp_path):
    """Tuples, numbers as keys and subclasses of the JSON types are accepted, as `json.dumps` does."""
    (tmp_path / "odd.py").write_text(
        "import collections, enum\n"
        "def play(event, context):\n"
        "    point = collections.namedtuple('Point', 'x y')(1, 2)\n"
        "    level = enum.IntEnum('Level', 'LOW').LOW\n"
        "    context.emit('x', collections.OrderedDict({1: (point, True), None: level}))\n"
    )
    assert first_detail(opened({"python": "odd.py:play"}, folder=tmp_path)(call())) == {"1": [[1, 2], True], "null": 1}


@pytest.mark.parametrize(("source", "error"), [(1, TypeError), ("", ValueError)])
def test_emit_refuses_a_wrong_source(source, error):
    context = Context(Settings("charge", "functions:play", str(FOLDER), 1.0, 100, 1000))
    with pytest.raises(error, match="emit: the source is"):
        context.emit("x", {}, source=source)


@pytest.mark.parametrize("isolation", ["process", "none"])
@pytest.mark.parametrize("do", ["unavailable", "unavailable_in_a_thread", "unavailable_and_excuses_itself"])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_unavailable_ends_the_call(do, isolation, opened):
    """It ends the call in any thread. The call emits no events, and the next call succeeds."""
    handler = opened({"python": "functions:play", "isolation": isolation})
    assert handler(call(do)) == Unavailable("the bank is closed")
    assert isinstance(handler(call("emit")), Done)


def test_unavailable_needs_a_running_call():
    context = Context(Settings("charge", "functions:play", str(FOLDER), 1.0, 100, 1000))
    context._emissions.close()
    with pytest.raises(RuntimeError, match=r"unavailable\(\) is ignored: called after the call had ended"):
        context.unavailable("the bank is closed")


@pytest.mark.parametrize(("do", "count"), [("emit_100", 100), ("emit_megabytes", 1)])
def test_all_events_up_to_the_limits_are_emitted(do, count, opened):
    assert len(opened({"python": "functions:play"})(call(do)).emitted) == count


# --- python: failing -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("do", "error"),
    [
        ("fail", "ValueError: the card is blocked (functions.py:{line})"),
        ("fail_in_a_library", "ValueError: invalid literal for int() with base 10: 'no number' (functions.py:{line})"),
        ("exit_well", "SystemExit: 0 (functions.py:{line})"),
        ("interrupt", "KeyboardInterrupt (functions.py:{line})"),
        ("no_message", "MuteError (functions.py:{line})"),
        ("waits", "TypeError: the handler did nothing: it is an async function or a generator, not a plain function"),
        (
            "generates",
            "TypeError: the handler did nothing: it is an async function or a generator, not a plain function",
        ),
    ],
)
def test_an_error_has_its_message_and_location(do, error, opened):
    """Any exception of a handler is a failure with its message and its location; the log has the traceback."""
    lines = (FOLDER / "functions.py").read_text().splitlines()
    body = lines.index(next(line for line in lines if line.startswith((f"def {do}(", f"async def {do}("))))
    outcome = opened({"python": "functions:play"})(call(do))
    assert outcome.outcome == "failed"
    place = next((n for n in range(body + 2, body + 9) if f"functions.py:{n})" in outcome.error), None)
    assert outcome.error == error.format(line=place)
    assert outcome.output.startswith("Traceback")
    assert "worker.py" not in outcome.output or "did nothing" in error


def test_a_long_message_is_cut(opened):
    """An error stays one short line."""
    error = opened({"python": "functions:play"})(call("long_message")).error
    assert len(error) < 600
    assert "\n" not in error


# --- python: loading -------------------------------------------------------------------------------------------------

GOOD = "def play(event, context):\n    print('mended')\n"
BROKEN = {
    None: "No module named 'shop'",
    "def play(:": "SyntaxError",
    "1 / 0": "ZeroDivisionError: division by zero (shop.py:1)",
    "\nimport absent": "No module named 'absent' (shop.py:2)",
    "from json import absent": "ImportError: cannot import name 'absent'",
    "def pay(): pass": "shop has no function play",
    "play = 3": "play in shop is not a function",
    "def play(event): pass": "play in shop cannot be called with an event and a context: write play(event, context)",
    "def play(*, event): pass": "write play(event, context)",
    "def play(event, context, more): pass": "write play(event, context)",
    "raise SystemExit(0)": "SystemExit: 0 (shop.py:1)",
    "import os\nprint('bye')\nos._exit(3)": "exit 3 bye",
}


@pytest.mark.parametrize(("text", "why"), BROKEN.items(), ids=[str(why) for why in BROKEN.values()])
def test_a_broken_module_uses_no_attempt_and_can_be_corrected(text, why, opened, tmp_path):
    """A module that is missing or broken uses no attempt. After it is corrected, the next call succeeds."""
    module = tmp_path / "shop.py"
    if text is not None:
        module.write_text(text)
    handler = opened({"python": "shop:play"}, folder=tmp_path)
    outcome = handler(call())
    assert isinstance(outcome, Unavailable)
    assert outcome.reason.startswith(f"shop:play cannot be loaded from {tmp_path}: ")
    assert why in outcome.reason
    module.write_text(GOOD)
    assert handler(call()) == Done((), "mended\n")


@pytest.mark.parametrize("arguments", ["*arguments", "event, context=None, more=1", "event, *rest, key=1", "a, b, **c"])
def test_a_function_may_have_optional_parameters(arguments, opened, tmp_path):
    """A function may have more parameters, if it can be called with two arguments."""
    (tmp_path / "shop.py").write_text(f"def play({arguments}): pass\n")
    assert opened({"python": "shop:play"}, folder=tmp_path)(call()) == Done((), "")


def test_loading_has_a_time_limit(opened, tmp_path, monkeypatch):
    monkeypatch.setattr(python, "START_LIMIT", 0.5)
    (tmp_path / "shop.py").write_text("import threading\nthreading.Event().wait()")
    outcome = opened({"python": "shop:play"}, folder=tmp_path)(call())
    assert isinstance(outcome, Unavailable)
    assert outcome.reason.endswith("it took longer than 0.5s")


def test_a_handler_can_be_named_by_its_file(opened, tmp_path):
    """It can import modules next to the file, and those of the folder of routes.yaml."""
    (tmp_path / "functions").mkdir()
    handler = opened({"python": "functions/my-app.py:Handlers.play"}, folder=tmp_path)
    assert "there is no file" in handler(call()).reason
    (tmp_path / "functions" / "my-app.py").write_text(
        "import beside\nimport shop\nclass Handlers:\n    play = staticmethod(shop.play)\n"
    )
    (tmp_path / "functions" / "beside.py").touch()
    (tmp_path / "shop.py").write_text(GOOD)
    assert handler(call()) == Done((), "mended\n")


@pytest.mark.parametrize(
    "name", ["worker", "uuid", "json", "pytest.handlers", "evtool.handlers.shop", "samples.payment"]
)
def test_modules_of_the_folder_come_first(name, opened, tmp_path):
    """The handler's module is the one in the folder, although another one with its name is installed or loaded."""
    file = tmp_path.joinpath(*name.split(".")).with_suffix(".py")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(GOOD)
    assert opened({"python": f"{name}:play"}, folder=tmp_path)(call()) == Done((), "mended\n")


def test_a_worker_that_died_between_calls_is_replaced(opened):
    """The next event gets a new worker, and uses one attempt."""
    handler = opened({"python": "functions:play"})
    pid = first_detail(handler(call("describe")))["pid"]
    os.kill(pid, signal.SIGKILL)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert first_detail(handler(call("describe")))["pid"] != pid


@pytest.mark.parametrize("wait", ["pass", "threading.Event().wait()"], ids=["idle", "busy"])
def test_a_worker_does_not_outlive_evtool(wait, tmp_path):
    """When evtool is killed, its workers and their children end, at work or not."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    (tmp_path / "shop.py").write_text(
        "import os, subprocess, threading\n"
        "def play(event, context):\n"
        f"    held = os.open({str(fifo)!r}, os.O_WRONLY)\n"
        "    subprocess.Popen(['sleep', '60'], pass_fds=[held])\n"
        "    os.write(held, b'!')\n"
        f"    {wait}\n"
    )
    program = (
        "import pathlib, sys, threading\n"
        "from evtool.handlers.base import Call\n"
        "from evtool.handlers.registry import KINDS\n"
        "kind = KINDS['python']\n"
        "options = kind.options.model_validate({'python': 'shop:play', 'timeout': '60s'})\n"
        "kind.open('charge', options, pathlib.Path(sys.argv[1]))(Call(b'{}', '1', 't', 'r', 1))\n"
        "threading.Event().wait()\n"
    )
    with subprocess.Popen([sys.executable, "-c", program, tmp_path]) as evtool, fifo.open("rb", buffering=0) as pipe:
        assert pipe.read(1) == b"!"
        evtool.kill()
        assert select.select([pipe], [], [], 20)[0], "a process still holds the pipe"
        assert pipe.read(1) == b""


def test_half_a_request_is_not_a_call(tmp_path):
    """A killed evtool leaves half a request in the pipe: the handler is not called, and the call log has no answer."""
    (tmp_path / "shop.py").write_text("def play(event, context):\n    open('called', 'w')\n")
    settings = json.dumps(["shop", "shop:play", str(tmp_path), 1.0, 100, 1000])
    with (tmp_path / "answers").open("wb") as answers, (tmp_path / "log").open("wb") as log:
        files = (answers.fileno(), log.fileno())
        subprocess.run(
            [sys.executable, worker.__file__, settings, "mark", *map(str, files)],
            input=REQUEST_HEADER.pack(100, 1, 1 << 62, 12) + b'{"id": "e1"',
            pass_fds=files,
            cwd=tmp_path,
            start_new_session=True,
            timeout=30,
        )
    assert b'{"emitted": []}' in (tmp_path / "answers").read_bytes()
    assert (tmp_path / "log").read_bytes() == b""
    assert not (tmp_path / "called").exists()


# --- python: without isolation ---------------------------------------------------------------------------------------


def test_without_isolation_the_function_runs_in_this_process(opened, capfd):
    """Its output and that of its children go to stderr."""
    handler = opened({"python": "functions:play", "isolation": "none"})
    assert first_detail(handler(call("describe")))["pid"] == os.getpid()
    assert handler(call("say")) == Done()
    sys.stdout.write("data")
    sys.stdout.flush()
    out, err = capfd.readouterr()
    assert out == "data"
    assert sorted(err.split()) == ["child", "err", "out"]


@pytest.mark.parametrize("raised", ["asyncio.CancelledError", "GeneratorExit", "type('Odd', (BaseException,), {})"])
@pytest.mark.parametrize("stage", ["import", "call"])
def test_without_isolation_any_exception_is_a_failure(raised, stage, opened, tmp_path):
    """Also one that is not an Exception, such as SystemExit."""
    indent = "    " if stage == "call" else ""
    (tmp_path / "odd.py").write_text(
        f"import asyncio\ndef play(event, context):\n    pass\n{indent}raise {raised}('x')\n"
    )
    outcome = opened({"python": "odd.py:play", "isolation": "none"}, folder=tmp_path)(call())
    assert isinstance(outcome, Failed if stage == "call" else Unavailable)


def test_without_isolation_a_handler_cannot_close_standard_output(opened, tmp_path, capfd):
    """The output of evtool still appears after the call."""
    (tmp_path / "odd.py").write_text("import sys\ndef play(event, context):\n    sys.stdout = None\n")
    assert opened({"python": "odd.py:play", "isolation": "none"}, folder=tmp_path)(call()) == Done()
    sys.stdout.write("data")
    assert capfd.readouterr().out == "data"


def test_without_isolation_a_keyboard_interrupt_of_the_handler_ends_evtool(opened, tmp_path):
    (tmp_path / "odd.py").write_text("def play(event, context):\n    raise KeyboardInterrupt\n")
    with pytest.raises(KeyboardInterrupt):
        opened({"python": "odd.py:play", "isolation": "none"}, folder=tmp_path)(call())


@pytest.mark.parametrize("kind", THERE)
def test_a_time_limit_may_be_very_long(kind, opened):
    """Longer than the longest wait of the system, which is 24 days."""
    assert opened(THERE[kind], timeout="3650d")(call("work", file=os.devnull)) == Done()


def test_a_part_of_path_that_cannot_be_read_is_skipped(opened, monkeypatch):
    """As in a shell."""
    monkeypatch.setenv("PATH", f"/{'x' * 300}:{os.environ['PATH']}")
    assert opened(shell("exit 0"))(call()) == Done()


@pytest.mark.parametrize("do", ["fail", "exit_well", "emit_101"])
def test_without_isolation_failures_are_the_same(do, opened):
    """A failure has the same error with and without isolation."""
    here = opened({"python": "functions:play", "isolation": "none"})(call(do))
    there = opened({"python": "functions:play"})(call(do))
    assert here == there


def test_without_isolation_a_missing_module_makes_the_handler_unavailable(opened):
    assert isinstance(opened({"python": "absent:play", "isolation": "none"})(call()), Unavailable)


def test_without_isolation_ctrl_c_during_a_call_interrupts_evtool(opened):
    with pytest.raises(KeyboardInterrupt):
        opened({"python": "functions:play", "isolation": "none"})(call("interrupt"))


# --- command ---------------------------------------------------------------------------------------------------------


def shell(script):
    """The options of a command that runs a script."""
    return {"command": ["sh", "-c", script]}


@pytest.mark.parametrize(
    ("script", "outcome"),
    [
        ("exit 0", Done()),
        ("echo log; echo why >&2; exit 3", ("exit 3: why", "failed")),
        ("echo first >&2; echo last >&2; echo >&2; exit 1", ("exit 1: last", "failed")),
        ("exit 139", ("exit 139", "failed")),
        ("kill -TERM $$", ("killed by SIGTERM", "crashed")),
        ("echo busy >&2; exit 75", Unavailable("exit 75: busy")),
        ("exit 75", Unavailable("exit 75")),
    ],
)
def test_exit_codes_of_a_command(script, outcome, opened):
    """Exit 0 is done, 75 is not available, any other code fails with the last line of stderr."""
    got = opened(shell(script))(call())
    assert ((got.error, got.outcome) if isinstance(got, Failed) else got) == outcome


def test_a_command_gets_the_event_and_its_variables(opened):
    """The event arrives byte by byte, in the folder of routes.yaml, with the variables in the environment."""
    names = ("EVENT_ID", "EVENT_TYPE", "HANDLER", "ROUTE", "ATTEMPT")
    script = f"pwd; echo {' '.join(f'$EVTOOL_{name}' for name in names)}; cat $EVTOOL_EMIT; cat"
    assert opened(shell(script))(call()).output == f"{FOLDER}\ne-1 order.created charge pay 2\n{call().raw.decode()}"


def test_an_odd_event_id_does_not_break_a_command(opened):
    """The environment cannot hold every event id."""
    odd = call()._replace(event_id="a\0b", event_type="\ud800")
    assert opened(shell("echo $EVTOOL_EVENT_ID"))(odd) == Done((), "a\ufffdb\n")


def test_a_command_runs_without_a_shell(opened):
    """The program gets its arguments unchanged."""
    assert opened({"command": ["echo", "$HOME; *", "a  b"]})(call()).output == "$HOME; * a  b\n"


@pytest.mark.parametrize("script", ["exec 0<&-; exit 0", "head -c 1 >/dev/null", "exec <&- >&- 2>&-; sleep 0.1"])
def test_a_command_may_ignore_its_input(script, opened):
    """It may also close its output, even with an event larger than any pipe."""
    assert opened(shell(script))(call(text="x" * 2_000_000)) == Done()


def test_a_background_process_ends_with_the_command(opened, tmp_path):
    """A command is over when it exits, also if a process that it started holds the output. evtool ends that process."""
    outcome = opened(shell(f"sleep 60 & echo $! > {tmp_path}/pid; echo done"), timeout="10s")(call())
    assert outcome == Done((), "done\n")
    assert not is_running(int((tmp_path / "pid").read_text()))


def test_a_program_is_on_path_or_in_the_folder(opened, tmp_path, monkeypatch):
    """A name with a slash is relative to the folder, any other one is on PATH. The current folder is never used."""
    program = tmp_path / "tool"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f":.:{os.environ['PATH']}")
    here, named = opened({"command": ["tool"]}, folder=tmp_path), opened({"command": ["./tool"]}, folder=tmp_path)
    assert named(call()) == Unavailable(f"{program} cannot be started: No such file or directory", "EV501")
    program.write_text("#!/bin/sh\necho ran\n")
    assert named(call()) == Unavailable(f"{program} is not executable; run: chmod +x {program}", "EV501")
    program.unlink()
    program.mkdir()
    assert named(call()) == Unavailable(f"{program} cannot be started: it is a folder", "EV501")
    program.rmdir()
    program.write_text("no first line")
    program.chmod(0o755)
    assert "has no first line such as #!/bin/sh" in named(call()).reason
    program.write_text("#!/bin/sh\necho ran\n")
    program.chmod(0o755)
    assert named(call()) == Done((), "ran\n")
    assert here(call()) == Unavailable("there is no program 'tool' on PATH; did you mean ./tool?", "EV501")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert here(call()) == Done((), "ran\n")
    program.write_text("#!/absent/interpreter\n")
    assert named(call()) == Unavailable(
        f"{program} cannot be started: the interpreter that its first line names is missing", "EV502"
    )


def test_an_emitted_line_has_all_fields_of_an_entry(opened):
    """An emitted line is an entry of PutEvents; blank lines are skipped."""
    entry = {
        "DetailType": "a",
        "Detail": "{}",
        "Resources": ["r"],
        "Time": "2026-01-31T12:00:00Z",
        "EventBusName": "default",
    }
    outcome = opened(shell(f"printf '\\n%s\\r\\n\\n' '{json.dumps(entry)}' > $EVTOOL_EMIT"))(call())
    assert outcome == Done((Emitted("a", b"{}", None, ("r",), "2026-01-31T12:00:00Z", "default"),))


def test_a_null_in_an_entry_counts_as_missing(opened):
    """As in PutEvents; a time may be in seconds since 1970."""
    entry = {"DetailType": "a", "Detail": {}, "Source": None, "Resources": None, "Time": 1.5}
    outcome = opened(shell(f"echo '{json.dumps(entry)}' > $EVTOOL_EMIT"))(call())
    assert outcome == Done((Emitted("a", b"{}", None, (), 1.5),))


def test_an_emitted_line_may_be_an_event_with_its_envelope(opened):
    """The envelope is kept, of EventBridge and of CloudEvents."""
    event = {"detail-type": "a", "source": "s", "detail": {}, "resources": ["r"], "region": "eu-west-1"}
    cloudevent = {"specversion": "1.0", "type": "b", "data": [1], "subject": "x"}
    lines = "\n".join(map(json.dumps, (event, cloudevent)))
    outcome = opened(shell(f"echo '{lines}' > $EVTOOL_EMIT"))(call())
    assert outcome == Done(
        (Emitted("a", b"{}", "s", ("r",), envelope=event), Emitted("b", b"[1]", envelope=cloudevent)),
    )


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('{"detail-type": "a"}', "emitted line 2: detail is not an object"),
        ('{"detail-type": 5, "detail": {}}', "emitted line 2: detail-type is not a string"),
        ('{"detail-type": "a", "source": 5, "detail": {}}', "emitted line 2: source is not a string"),
        ('{"detail-type": "a", "detail": {}, "region": 5}', "emitted line 2: the envelope's region must be a string"),
        ('{"specversion": "1.0"}', "emitted line 2: type is not a string"),
        ('{"specversion": "1.0", "type": "a", "Data": 5}', 'emitted line 2: "Data" is not the name'),
        ("{", "emitted line 2, column 2: "),
        ("[]", "emitted line 2: an object is expected"),
        ('{"DetailType": "a", "Detail": {}, "Detail": {}}', "emitted line 2, column 35: "),
        ('{"Detail": {}}', "emitted line 2: DetailType is missing"),
        ('{"DetailType": "a"}', "emitted line 2: Detail is missing"),
        ('{"DetailType": "", "Detail": {}}', "emitted line 2: DetailType is not a string"),
        ('{"DetailType": "a", "Detail": "x"}', "emitted line 2: Detail, column 1: "),
        ('{"DetailType": "a", "Detail": "[]"}', "emitted line 2: Detail is neither"),
        ('{"DetailType": "a", "Detail": []}', "emitted line 2: Detail is neither"),
        ('{"DetailType": "a", "Detail": {}, "Source": 1}', "emitted line 2: Source is not a string"),
        ('{"DetailType": "a", "Detail": {}, "Resources": "r"}', "emitted line 2: Resources is not a list"),
        ('{"detailtype": "a"}', 'emitted line 2: the key detailtype is not known; did you mean "DetailType"?'),
    ],
)
def test_a_bad_line_is_a_bad_result(line, problem, opened, tmp_path):
    """The error names the line, and the attempt emits no events."""
    (tmp_path / "lines").write_text('{"DetailType": "a", "Detail": {}}\n' + line)
    outcome = opened(shell("cat lines > $EVTOOL_EMIT"), folder=tmp_path)(call())
    assert (outcome.outcome, outcome.final) == ("bad-result", True)
    assert outcome.error.startswith(problem)


def test_no_temporary_files_are_left(opened, tmp_path, monkeypatch):
    """The file for emitted events does not exist after the attempt, even if the command has removed it."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for script in ("exit 0", "exit 1", "rm $EVTOOL_EMIT"):
        opened(shell(script))(call())
    assert list(tmp_path.iterdir()) == []


# --- options ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {"python": "shop"},
        {"python": "shop:"},
        {"python": ":play"},
        {"python": "shop:play", "isolation": "thread"},
        {"command": []},
        {"command": "cat"},
        {"command": ["cat", 1]},
        {"command": ["cat", "a\0b"]},
    ],
)
def test_wrong_options_are_refused(options):
    """evtool reports a mistake in routes.yaml when it reads the file, not when it calls the handler."""
    with pytest.raises(ValidationError):
        KINDS[next(iter(options))].options.model_validate(options)


@pytest.mark.parametrize(
    "forged", ["{}", "[]", '{"emitted":[[1]]}', '{"emitted":[["a",{},null,1,2,3]]}', '{"error":1}']
)
def test_a_forged_answer_is_refused(forged, opened, tmp_path):
    """A handler may write to the pipe for answers. evtool goes on, and the next event is handled."""
    (tmp_path / "forges.py").write_text(
        "import os, struct\ndef play(event, context):\n"
        "    if event['detail']['do'] == 'forge':\n"
        f"        answer = b'{forged}'\n"
        "        frame = struct.pack('>IIQ', len(answer), 1, 0) + answer\n"
        "        for descriptor in range(3, 1024):\n"
        "            try: os.write(descriptor, frame)\n"
        "            except OSError: pass\n"
    )
    handler = opened({"python": "forges.py:play"}, folder=tmp_path)
    outcome = handler(call("forge"))
    assert isinstance(outcome, Failed)
    assert (outcome.outcome, outcome.final) == ("crashed", False)
    assert "belongs to evtool" in outcome.error
    assert handler(call("work")) == Done()


@pytest.mark.parametrize("kind", THERE)
def test_a_time_limit_of_zero_is_refused(kind, opened):
    """Every attempt would exceed it."""
    with pytest.raises(ValidationError, match="should be longer than 0"):
        opened(THERE[kind], timeout="0s")
