"""Functions for AWS Lambda run unmodified, through the official clients, and each call ends correctly."""

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from evtool.handlers import aws_lambda
from evtool.handlers.base import Call, Done, Failed, Handler, Outcome, Unavailable
from tests.conftest import ROOT, Evtool
from tests.support.prerequisites import report_missing

FUNCTIONS = ROOT / "tests/handlers/lambda_functions"
CLIENTS = ROOT / ".clients"
RAW = {"lambda": str(FUNCTIONS), "start": [sys.executable, "-u", "raw_client.py"]}

Open = Callable[..., Handler]


def call(do: str, **event: Any) -> Call:
    """An attempt at an event that asks for something."""
    return Call(json.dumps({"do": do, **event}).encode(), "e-1", "order.created", "pay", 1, 7, "shop")


@pytest.fixture
def open_function(tmp_path: Path) -> Iterator[Open]:
    """Opens functions, and closes them after the test."""
    handlers = []

    def open_one(**options: Any) -> Handler:
        model = aws_lambda.KIND.options.model_validate({"timeout": "20s", "init_timeout": "20s", **options})
        handlers.append(aws_lambda.KIND.open("fraud", model, tmp_path))
        return handlers[-1]

    yield open_one
    for handler in handlers:
        handler.close()
        handler.close()


def printed(outcome: Outcome) -> Any:
    """The JSON object that a function has printed."""
    assert isinstance(outcome, Done)
    return json.loads(next(line for line in outcome.output.splitlines() if line.startswith("{")))


def installed(language: str) -> str:
    """The folder of a function with the client of its language."""
    if not (CLIENTS / language / "installed").exists():
        report_missing(f"the client for {language} is missing; install it: make clients LANGUAGES={language}")
    return str(CLIENTS / language)


# --- official clients ------------------------------------------------------------------------------------------------

PYTHON = """
import asyncio, datetime, decimal, os, sys
LOADED = []

class ExecutionError(Exception):
    pass

def handler(event, context):
    LOADED.append(1)
    do = event.get("do")
    if do == "fail":
        raise KeyError("sku")
    if do == "refused":
        raise ConnectionRefusedError(111, "Connection refused")
    if do == "exit":
        sys.exit(0)
    if do == "durable":
        raise ExecutionError("Unexpected payload provided to start the durable execution.")
    if do == "date":
        return datetime.datetime.now()
    if do == "nan":
        return {"total": float("nan")}
    if do == "bytes":
        return b"\\xff"
    if do == "long log":
        print("x" * 1_000_000)
    if do == "context":
        print(context.function_name, context.memory_limit_in_mb, context.function_version, os.getpid(), len(LOADED))
        print(context.invoked_function_arn, context.get_remaining_time_in_millis() > 15_000, os.getcwd())
    return {"total": event.get("total"), "name": "Žižek"}

def unfinished(event):
    pass
"""


@pytest.fixture
def open_python(tmp_path: Path, open_function: Open) -> Open:
    """Opens the function above, with Python's official client."""
    (tmp_path / "fraud").mkdir()
    (tmp_path / "fraud/app.py").write_text(PYTHON, encoding="utf-8")

    def open_one(**options: Any) -> Handler:
        return open_function(**{"lambda": "fraud", "runtime": "python", "handler": "app.handler", **options})

    return open_one


class TestPython:
    def test_a_call_succeeds(self, open_python: Open) -> None:
        """A function gets the event, and any result is a success, without a note."""
        assert open_python()(call("work", total=27.64)) == Done()

    def test_the_context_is_complete_and_the_process_warm(self, open_python: Open, tmp_path: Path) -> None:
        """The context has the members of Lambda's, and the module is loaded once."""
        function = open_python(memory_size=512)
        lines = [function(call("context")).output.splitlines() for _ in range(2)]  # type: ignore[union-attr]
        name, memory, version, pid, count = lines[1][0].split()
        assert (name, memory, version, count) == ("fraud", "512", "$LATEST", "2")
        assert pid == lines[0][0].split()[3]
        assert lines[0][1] == f"arn:aws:lambda:us-east-1:000000000000:function:fraud True {tmp_path}/fraud"

    def test_an_error_has_its_name_and_stack(self, open_python: Open) -> None:
        """An exception is a failed attempt with Lambda's name; the log has its stack once."""
        outcome = open_python()(call("fail"))
        assert isinstance(outcome, Failed)
        assert (outcome.error, outcome.outcome, outcome.code) == ("KeyError: 'sku'", "failed", "KeyError")
        assert outcome.output.count('raise KeyError("sku")') == 1

    def test_a_durable_function_is_explained(self, open_python: Open) -> None:
        """The error of its SDK is followed by the reason: evtool does not have the service that it needs."""
        outcome = open_python()(call("durable"))
        assert isinstance(outcome, Failed)
        assert outcome.error.endswith("; a durable function cannot run here: it needs the service that keeps its steps")

    def test_a_refused_connection_makes_the_function_unavailable(self, open_python: Open) -> None:
        """A service is down: the delivery uses no attempt, and the project has no mistake."""
        outcome = open_python()(call("refused"))
        assert outcome == Unavailable("ConnectionRefusedError: [Errno 111] Connection refused")

    def test_an_exit_without_a_response_is_a_failure(self, open_python: Open) -> None:
        """Exit code 0 is not a success; the next call has a new process."""
        function = open_python()
        outcome = function(call("exit"))
        assert isinstance(outcome, Failed)
        assert (outcome.outcome, outcome.code) == ("crashed", "0")
        assert outcome.error == "the runtime ended without a response, exit 0"
        assert function(call("work")) == Done()

    def test_a_result_that_is_not_json_has_a_note(self, open_python: Open) -> None:
        """The delivery is done, as on Lambda."""
        function = open_python()
        assert function(call("nan")) == Done(output="evtool: the result is not JSON: it contains NaN")
        assert "the result is not JSON" in function(call("bytes")).output  # type: ignore[union-attr]

    def test_a_result_that_the_client_cannot_write_fails(self, open_python: Open) -> None:
        """The error has the message of the client."""
        outcome = open_python()(call("date"))
        assert isinstance(outcome, Failed)
        assert outcome.error.startswith("Runtime.MarshalError: ")

    def test_a_long_log_does_not_block(self, open_python: Open) -> None:
        """evtool reads the output all the time, and keeps its end."""
        outcome = open_python()(call("long log"))
        assert isinstance(outcome, Done)
        assert len(outcome.output) == 4096

    @pytest.mark.parametrize(
        ("handler", "reason"),
        [
            ("absent.handler", "Runtime.ImportModuleError: Unable to import module 'absent'"),
            ("app.absent", "Runtime.HandlerNotFound: Handler 'absent' missing on module 'app'"),
            ("app", "`handler: app` has no function: write FILE.FUNCTION, such as app.handler"),
        ],
    )
    def test_a_wrong_handler_name_cannot_be_loaded(self, handler: str, reason: str, open_python: Open) -> None:
        """A wrong handler name is a mistake in the project."""
        function = open_python(handler=handler)
        for outcome in (function.check(), function(call("work"))):
            assert isinstance(outcome, Unavailable)
            assert outcome.code == "EV501"
            assert reason in outcome.reason

    def test_an_error_while_loading_is_a_failure(self, open_python: Open, tmp_path: Path) -> None:
        """It counts as an attempt, as on Lambda."""
        (tmp_path / "fraud/app.py").write_text("raise OSError('the table is locked')")
        outcome = open_python()(call("work"))
        assert isinstance(outcome, Failed)
        assert outcome.error == "OSError: the table is locked"

    def test_another_version_runs_with_a_note(self, open_python: Open) -> None:
        """The installed version runs the function, and the log of the first call has a note."""
        function = open_python(runtime="python3.8")
        assert function(call("work")).output.endswith(", although its runtime is 3.8")  # type: ignore[union-attr]
        assert function(call("work")) == Done()

    @pytest.mark.slow
    def test_a_missing_client_is_named(self, open_python: Open, tmp_path: Path) -> None:
        """Python has no awslambdaric: the message has the line that installs it."""
        python = tmp_path / "python"
        python.write_text(f'#!/bin/sh\nexec {sys.executable} -I -S "$@"\n')
        python.chmod(0o755)
        outcome = open_python(interpreter="./python")(call("work"))
        assert isinstance(outcome, Unavailable)
        assert outcome.code == "EV502"
        assert outcome.reason.endswith("install it there: pip install awslambdaric")


@pytest.mark.slow
class TestOtherLanguages:
    def test_node_function(self, open_function: Open) -> None:
        """A function with Node's client."""
        folder = installed("node")
        function = open_function(**{"lambda": folder, "runtime": "node", "handler": "app.handler"})
        outcome = function(call("work", total=27.64))
        assert isinstance(outcome, Done)
        assert "asked fraud" in outcome.output
        outcome = function(call("fail"))
        assert isinstance(outcome, Failed)
        assert (outcome.error, outcome.code) == ("RangeError: no stock", "RangeError")
        assert "app.mjs:3" in outcome.output
        assert function(call("refused")) == Unavailable("Error: connect ECONNREFUSED 127.0.0.1:1")
        outcome = function(call("exit"))
        assert isinstance(outcome, Failed)
        assert outcome.outcome == "crashed"
        assert isinstance(function(call("work")), Done)

    def test_node_function_with_a_callback_is_explained(self, open_function: Open) -> None:
        """The client refuses the handler, and the message names the version that accepts it."""
        folder = installed("node")
        outcome = open_function(**{"lambda": folder, "runtime": "node", "handler": "app.old"})(call("work"))
        assert isinstance(outcome, Unavailable)
        assert outcome.code == "EV501"
        assert "npm install aws-lambda-ric@3" in outcome.reason

    def test_node_function_may_stream(self, open_function: Open) -> None:
        """evtool reads a streamed response to its end; a failed stream has the error of the function."""
        function = open_function(**{"lambda": installed("node"), "runtime": "node", "handler": "stream.handler"})
        for _ in range(20):
            assert isinstance(function(call("work")), Done)
            outcome = function(call("fail"))
            assert isinstance(outcome, Failed)
            assert outcome.error == "RangeError: no stock"

    def test_go_function(self, open_function: Open) -> None:
        """evtool starts it again after a panic."""
        function = open_function(**{"lambda": installed("go"), "runtime": "provided.al2023", "handler": "bootstrap"})
        assert function(call("work", total=27.64)) == Done()
        outcome = function(call("fail"))
        assert isinstance(outcome, Failed)
        assert outcome.error == "errorString: no stock"
        outcome = function(call("panic"))
        assert isinstance(outcome, Failed)
        assert outcome.error == "string: boom"
        assert "main.go" in outcome.output
        outcome = function(call("exit"))
        assert isinstance(outcome, Failed)
        assert outcome.outcome == "crashed"
        assert function(call("work")) == Done()

    def test_rust_function(self, open_function: Open) -> None:
        """A panic is an error, and the process goes on."""
        function = open_function(**{"lambda": installed("rust"), "runtime": "rust"})
        assert function(call("work", total=27.64)) == Done()
        outcome = function(call("fail"))
        assert isinstance(outcome, Failed)
        assert outcome.error.endswith("no stock")
        outcome = function(call("panic"))
        assert isinstance(outcome, Failed)
        assert "boom" in outcome.error
        outcome = function(call("exit"))
        assert isinstance(outcome, Failed)
        assert outcome.outcome == "crashed"
        assert function(call("work")) == Done()

    def test_java_function(self, open_function: Open) -> None:
        function = open_function(**{"lambda": installed("java"), "runtime": "java21", "handler": "Order::handle"})
        outcome = function(call("work", total=27.64))
        assert isinstance(outcome, Done)
        outcome = function(call("fail"))
        assert isinstance(outcome, Failed)
        assert outcome.error == "java.lang.IllegalStateException: no stock"

    def test_shell_function(self, open_function: Open, tmp_path: Path) -> None:
        """A bootstrap with curl, as in AWS's guide."""
        if not shutil.which("curl"):
            report_missing("curl is missing; install it: apt install curl")
        (tmp_path / "bootstrap").write_text(BOOTSTRAP)
        (tmp_path / "bootstrap").chmod(0o755)
        function = open_function(**{"lambda": "."})
        for _ in range(2):
            outcome = function(call("work", text="x" * 10_000))
            assert isinstance(outcome, Done)
            assert outcome.output.split() == ["got", "bootstrap", "10026"]


BOOTSTRAP = """#!/bin/sh
set -eu
while true; do
  HEADERS="$(mktemp)"
  EVENT=$(curl -sS -LD "$HEADERS" "http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation/next")
  ID=$(grep -Fi Lambda-Runtime-Aws-Request-Id "$HEADERS" | tr -d '[:space:]' | cut -d: -f2)
  echo "got $_HANDLER ${#EVENT}"
  curl -sS "http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation/$ID/response" -d "$EVENT" >/dev/null
done
"""


@pytest.mark.parametrize(
    ("options", "code", "reason"),
    [
        ({"lambda": "gone"}, "EV501", "does not exist"),
        ({"lambda": "."}, "EV501", "is missing; write one"),
        ({"lambda": ".", "runtime": "go"}, "EV501", "build it: go build -o bootstrap ."),
        ({"lambda": ".", "runtime": "node", "handler": "a.b"}, "EV502", "npm install aws-lambda-ric"),
        ({"lambda": ".", "runtime": "java21", "handler": "A::b"}, "EV502", "mvn dependency:copy-dependencies"),
        ({"lambda": ".", "start": ["absent-program"]}, "EV502", "there is no program 'absent-program' on PATH"),
        ({"lambda": ".", "start": ["./absent"]}, "EV501", "absent cannot be started: No such file or directory"),
        ({"lambda": ".", "start": ["sh"], "environment": {"KEY": "${NOT_SET}"}}, "EV503", "${NOT_SET} is not set"),
        ({"lambda": ".", "runtime": "python", "handler": "a.b", "interpreter": "./no/python"}, "EV502", "no/python"),
    ],
)
def test_a_missing_part_is_named(options: dict[str, Any], code: str, reason: str, open_function: Open) -> None:
    """A missing folder, program or client is a mistake in the project; the message has the line that corrects it."""
    outcome = open_function(**options)(call("work"))
    assert isinstance(outcome, Unavailable)
    assert outcome.code == code
    assert reason in outcome.reason


# --- all that a runtime can do ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("do", "outcome", "code", "error"),
    [
        ("kill", "crashed", "SIGKILL", "the runtime ended without a response, killed by SIGKILL"),
        ("exit 0", "crashed", "0", "the runtime ended without a response, exit 0"),
        ("exit 3", "crashed", "3", "the runtime ended without a response, exit 3: no room left"),
        ("hang", "timeout", None, "took longer than 3s (timeout)"),
        ("ask again", "failed", None, "the runtime asked for the next event without a response to this one"),
        ("too large", "failed", "Function.ResponseSizeTooLarge", "Function.ResponseSizeTooLarge: the response is"),
        ("long header", "failed", "Long", "Long: m"),
        ("not an object", "failed", "Error", "Error: gone wrong"),
        ("broken stream", "failed", None, "the runtime asked for the next event without a response to this one"),
        ("failed stream", "failed", "Function.Broken", "Function.Broken"),
        ("failed stream on another connection", "failed", "Function.Broken", "Function.Broken"),
    ],
)
def test_a_failure_has_its_outcome(do: str, outcome: str, code: str | None, error: str, open_function: Open) -> None:
    """Each is a failed attempt with a description, and the next call succeeds."""
    function = open_function(**RAW, timeout="3s" if do == "hang" else "20s")
    result = function(call(do))
    assert isinstance(result, Failed)
    assert (result.outcome, result.code, result.final) == (outcome, code, False)
    assert result.error.startswith(error)
    assert isinstance(function(call("work")), Done)


@pytest.mark.parametrize(
    ("do", "printed"),
    [
        ("unknown id", ['response 400 {"errorMessage": "Invalid request ID", "errorType": "InvalidRequestID"}']),
        ("init error", ["403 "]),
        ("large", []),
        ("stream", []),
        ("garbage", ["HTTP/1.1 400 Refused"]),
        ("web page", ["403", "403"]),
        ("other paths", ["405", "404", "404"]),
    ],
)
def test_a_wrong_request_is_refused(do: str, printed: list[str], open_function: Open) -> None:
    """The request gets an error, and the invocation goes on."""
    function = open_function(**RAW)
    outcome = function(call(do))
    assert isinstance(outcome, Done)
    lines = outcome.output.splitlines()
    assert [line[: len(start)] for line, start in zip(lines, printed, strict=False)] == printed
    assert isinstance(function(call("work")), Done)


def test_a_second_response_is_refused(open_function: Open) -> None:
    """The first one counts; the runtime gets an error for the others, and goes on."""
    function = open_function(**RAW)
    assert isinstance(function(call("double")), Done)
    outcome = function(call("work"))  # what was printed after the first response is in its log
    assert isinstance(outcome, Done)
    assert outcome.output.count("403") == 2
    assert outcome.output.count("InvalidStateTransition") == 2


@pytest.mark.parametrize(
    ("environment", "outcome"),
    [
        ({"LOAD": "hang"}, Failed("loading took longer than 1s (init_timeout)", "timeout")),
        (
            {"LOAD": "exit"},
            Failed(
                "the runtime ended while it was loaded, exit 7: there is no database",
                "crashed",
                "there is no database\n",
                code="7",
            ),
        ),
        (
            {"LOAD_ERROR": '{"errorType": "Runtime.HandlerNotFound", "errorMessage": "no app"}'},
            Unavailable("Runtime.HandlerNotFound: no app", "EV501"),
        ),
        (
            {"LOAD_ERROR": '{"errorType": "Error", "errorMessage": "Cannot find package \'stripe\' ..."}'},
            Unavailable("Error: Cannot find package 'stripe' ...", "EV501"),
        ),
        (
            {"LOAD_ERROR": '{"errorType": "Down", "errorMessage": "connect ECONNREFUSED ::1:5432"}'},
            Unavailable("Down: connect ECONNREFUSED ::1:5432"),
        ),
    ],
)
def test_outcomes_of_loading(environment: dict[str, str], outcome: Failed | Unavailable, open_function: Open) -> None:
    """A hang, an exit and an error report while a function is loaded end the call."""
    limit = "1s" if environment == {"LOAD": "hang"} else "20s"
    assert open_function(**RAW, environment=environment, init_timeout=limit)(call("work")) == outcome


def test_check_says_whether_deliveries_wait_or_fail(evtool: Evtool, tmp_path: Path) -> None:
    """The hint of a finding differs for a time limit while loading, which is a failed attempt, and a missing folder."""
    bootstrap = tmp_path / "slow" / "bootstrap"
    bootstrap.parent.mkdir()
    bootstrap.write_text("#!/bin/sh\nsleep 60\n")
    bootstrap.chmod(0o755)
    (tmp_path / "routes.yaml").write_text(
        "version: 1\nhandlers:\n  slow: {lambda: slow, init_timeout: 100ms}\n  gone: {lambda: gone}\n"
        "routes:\n  all: {pattern: {source: [shop]}, to: [slow, gone]}\n"
    )
    ran = evtool("check", "--select", "EV501", cwd=tmp_path)
    assert ran.code == 1
    assert "handler slow: loading took longer than 0.1s (init_timeout)" in ran.out
    assert "deliveries to it fail; correct this" in ran.out
    assert "deliveries to it wait; correct this" in ran.out


def test_a_runtime_that_exited_between_calls_is_started_again(open_function: Open) -> None:
    """If a process ends between two calls, the next event does not fail."""
    function = open_function(**RAW)
    first = printed(function(call("headers")))
    process = function._runtime.process._process  # type: ignore[attr-defined]
    process.kill()
    process.wait()
    second = printed(function(call("headers")))
    assert first["Lambda-Runtime-Aws-Request-Id"] != second["Lambda-Runtime-Aws-Request-Id"]


def test_headers_and_environment_are_complete(open_function: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """The function gets all headers and variables that the clients need, and those of the options."""
    monkeypatch.setenv("TABLE", "a-1")  # too short to be a secret
    function = open_function(**RAW, handler="app.handler", environment={"STAGE": "dev ${TABLE}"}, memory_size=256)
    headers = printed(function(call("headers")))
    assert headers["Content-Type"] == "application/json"
    assert headers["Lambda-Runtime-Invoked-Function-Arn"] == "arn:aws:lambda:us-east-1:000000000000:function:fraud"
    assert headers["Lambda-Runtime-Trace-Id"].startswith("Root=1-")
    assert int(headers["Lambda-Runtime-Deadline-Ms"]) > 1_700_000_000_000
    variables = printed(function(call("environment")))
    expected = {
        "AWS_ACCESS_KEY_ID": "evtool",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
        "AWS_LAMBDA_FUNCTION_NAME": "fraud",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/fraud",
        "AWS_REGION": "us-east-1",
        "LAMBDA_TASK_ROOT": str(FUNCTIONS),
        "STAGE": "dev a-1",
        "TZ": ":UTC",
        "_HANDLER": "app.handler",
    }
    assert {name: variables.get(name) for name in expected} == expected
    assert variables["AWS_LAMBDA_LOG_STREAM_NAME"]
    assert variables["AWS_ENDPOINT_URL_EVENTBRIDGE"] == f"http://{variables['AWS_LAMBDA_RUNTIME_API']}"
    assert "AWS_ENDPOINT_URL" not in variables


def test_credentials_are_passed_on_only_with_inherit(open_function: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """With `credentials: inherit` the function gets those of the caller, and nothing else of the environment."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary")
    monkeypatch.setenv("STRIPE_KEY", "canary")
    output = open_function(**RAW)(call("environment")).output  # type: ignore[union-attr]
    assert "canary" not in output
    function = open_function(**RAW, credentials="inherit", aws="inherit")
    variables = printed(function(call("environment")))
    assert variables["AWS_SECRET_ACCESS_KEY"] == "canary"
    assert {"STRIPE_KEY", "AWS_ENDPOINT_URL_EVENTBRIDGE"}.isdisjoint(variables)


def test_no_secret_reaches_a_function_a_report_or_the_store(evtool: Evtool, tmp_path: Path) -> None:
    """A secret of the environment appears neither in the function and its output, nor in a report or the store."""
    (tmp_path / "fn").mkdir()
    shutil.copy(FUNCTIONS / "raw_client.py", tmp_path / "fn")
    (tmp_path / "routes.yaml").write_text(
        f"version: 1\nhandlers: {{fraud: {{lambda: fn, start: [{sys.executable}, -u, raw_client.py]}}}}\n"
        "routes: {all: {pattern: {source: [shop]}, to: [fraud], input: {path: $.detail}}}\n"
    )
    (tmp_path / "event.json").write_text(
        '{"id": "1", "source": "shop", "detail-type": "t", "detail": {"do": "environment"}}'
    )
    secrets = {"AWS_SECRET_ACCESS_KEY": "canary-1", "GITHUB_TOKEN": "canary-2", "DATABASE_URL": "canary-3"}
    ran = evtool("publish", "event.json", "-v", env=secrets)
    shown = evtool("events", "1", "-o", "json", env=secrets)
    assert ran.code == 0, ran.out
    assert "AWS_LAMBDA_RUNTIME_API" in shown.out
    written = b"".join(file.read_bytes() for file in (tmp_path / ".evtool").iterdir())
    for text in (ran.out, ran.err, shown.out, written.decode(errors="replace")):
        assert "canary" not in text


def test_a_secret_that_a_function_prints_is_hidden(open_function: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """The value of `${NAME}` is in no output and no error, also in its quoted form."""
    monkeypatch.setenv("STRIPE_KEY", 'sk_canary"1')
    function = open_function(**RAW, environment={"KEY": "Bearer ${STRIPE_KEY}"})
    outcome = function(call("environment"))
    assert isinstance(outcome, Done)
    assert '"KEY": "Bearer ***"' in outcome.output
    function = open_function(**RAW, environment={"LOAD_ERROR": '{"errorType": "X", "errorMessage": "bad ${STRIPE_KEY}'})
    outcome = function(call("work"))
    assert isinstance(outcome, Failed)
    assert "canary" not in outcome.error + outcome.output


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("lambda: fn, runtime: python", "`handler` is missing: a function of the runtime python has one"),
        ("lambda: fn, runtime: pyton, handler: a.b", 'the runtime pyton does not exist\n.*did you mean "python"?'),
        ("lambda: fn, runtime: dotnet8, handler: a.b", "name a command: start: [dotnet, ...]"),
        ("lambda: fn, environment: {A-B: x}", "environment"),
        ("lambda: fn, nonsense: x", "known here: description, emits, timeout"),
        ("lambda: fn, nonsense: x", ", lambda, runtime, handler, start,"),
    ],
)
def test_wrong_options_are_named(options: str, message: str, evtool: Evtool, tmp_path: Path) -> None:
    """A mistake in routes.yaml is reported with its location."""
    (tmp_path / "routes.yaml").write_text(f"version: 1\nhandlers:\n  fraud: {{{options}}}\nroutes: {{}}\n")
    ran = evtool("publish", "-", "--dry-run", "--type", "x", stdin=b"{}")
    assert ran.code == 2
    for part in message.split("\n.*"):
        assert part in ran.out + ran.err


@pytest.mark.slow
def test_concurrency_is_a_number_of_processes(evtool: Evtool, tmp_path: Path) -> None:
    """Two events at the same time have one process each: each waits until the other one has begun."""
    (tmp_path / "fn").mkdir()
    (tmp_path / "fn/app.py").write_text(
        "import os, time\n"
        "def handler(event, context):\n"
        "    print('pid', os.getpid())\n"
        "    open(str(event['detail']['n']), 'w').close()\n"
        "    while not os.path.exists(str(1 - event['detail']['n'])):\n"
        "        time.sleep(0.01)\n"
    )
    (tmp_path / "routes.yaml").write_text(
        "version: 1\nhandlers: {f: {lambda: fn, runtime: python, handler: app.handler, concurrency: 2, timeout: 20s}}\n"
        "routes: {all: {pattern: {source: [shop]}, to: [f]}}\n"
    )
    (tmp_path / "events.jsonl").write_text(
        "".join(
            json.dumps({"id": str(n), "source": "shop", "detail-type": "t", "detail": {"n": n}}) + "\n" for n in (0, 1)
        )
    )
    assert evtool("publish", "events.jsonl", "--no-deliver", "-q").code == 0
    assert evtool("deliver", "-q").code == 0
    outputs = {evtool("events", n, "-o", "json").json["deliveries"][0]["history"][0]["output"] for n in ("0", "1")}
    assert len(outputs) == 2
