"""One contract for all kinds of handlers: the same behaviour of a handler's own code has the same outcome."""

import json
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread
from typing import Any, NamedTuple

import pytest

from evtool.handlers.base import Call, Done, Failed, Handler, Outcome, Unavailable
from evtool.handlers.plugins import kinds
from evtool.handlers.registry import KINDS
from tests.support.http_servers import Server, responds
from tests.support.plugins import install_sample, plugins_in

TOKEN = "canary-7f3a"
FLOOD = 3_000_000  # characters, more than any pipe or limit holds

PYTHON = f"""
import json, os, sys, time

def handle(event, context):
    do = event["detail"]["do"]
    print("token", len(os.environ["TOKEN"]))
    if do == "emit":
        context.emit("order.booked", {{"order": 1}})
    if do == "fail":
        raise ValueError("no such account")
    if do == "unavailable":
        context.unavailable("the bank is closed")
    if do == "hang":
        time.sleep(600)
    if do == "flood":
        print("x" * {FLOOD})
"""
LAMBDA = f"""
import boto3, json, os, time

def handle(event, context):
    do = event["detail"]["do"]
    print("token", len(os.environ["TOKEN"]))
    if do == "emit":
        entry = {{"Source": "ledger", "DetailType": "order.booked", "Detail": '{{"order": 1}}'}}
        boto3.client("events").put_events(Entries=[entry])
    if do == "fail":
        raise ValueError("no such account")
    if do == "unavailable":
        raise ConnectionRefusedError(111, "the bank is closed")
    if do == "hang":
        time.sleep(600)
    if do == "flood":
        print("x" * {FLOOD})
"""
SHELL = f"""
event=$(cat)
echo "token ${{#TOKEN}}"
case $event in
*emit*) echo '{{"Source": "ledger", "DetailType": "order.booked", "Detail": {{"order": 1}}}}' >>"$EVTOOL_EMIT" ;;
*fail*) echo 'no such account' >&2; exit 3 ;;
*unavailable*) echo 'the bank is closed' >&2; exit 75 ;;
*hang*) sleep 600 ;;
*flood*) head -c {FLOOD} /dev/zero | tr '\\0' x ;;
esac
"""
ANSWERS = {
    "work": b"{}\n",
    "emit": b'{"emit": [{"source": "ledger", "type": "order.booked", "detail": {"order": 1}}]}\n',
    "fail": b'{"error": "no such account"}\n',
    "flood": json.dumps({"error": "x" * 900_000}).encode() + b"\n",
}
HTTP_ANSWERS = {
    **ANSWERS,
    "emit": b'{"emit": [{"Source": "ledger", "DetailType": "order.booked", "Detail": {"order": 1}}]}',
}


class Subject(NamedTuple):
    """A kind in this test: options of a handler that obeys its events, and of a handler that is missing."""

    kind: str
    options: dict[str, Any]
    missing: dict[str, Any]
    prepare: Callable[[Path], None]
    has_output: bool = True  # whether what the handler's code prints is kept
    failure: str = "no such account"  # what the error of a failure says
    unavailable: dict[str, Any] | None = None  # options, where an event cannot ask for it


def write_files(folder: Path) -> None:
    """Writes the handlers of evtool's own kinds."""
    (folder / "ledger.py").write_text(PYTHON)
    (folder / "ledger.sh").write_text(SHELL)
    (folder / "function").mkdir()
    (folder / "function/app.py").write_text(LAMBDA)


SUBJECTS = {
    "python": Subject("python", {"python": "ledger.py:handle"}, {"python": "ledger.py:absent"}, write_files),
    "command": Subject("command", {"command": ["sh", "ledger.sh"]}, {"command": ["./absent"]}, write_files),
    "lambda": Subject(
        "lambda",
        {"lambda": "function", "runtime": "python", "handler": "app.handle", "environment": {"TOKEN": "${TOKEN}"}},
        {"lambda": "function", "runtime": "python", "handler": "absent.handle"},
        write_files,
    ),
    "plugin": Subject(
        "socket",
        {"socket": "ledger.sock", "token": "${TOKEN}"},
        {"socket": "ledger.sock", "token": "${ABSENT}"},
        lambda folder: None,
        has_output=False,
    ),
    "http": Subject(
        "http",
        {"http": "${LEDGER}", "headers": {"x-token": "${TOKEN}"}},
        {"http": "${ABSENT}"},
        lambda folder: None,
        has_output=False,
        failure="HTTP 500 Internal Server Error",
        unavailable={"http": "http://127.0.0.1:1/"},
    ),
}


class Service:
    """The service of the sample plugin: each event names its behaviour."""

    def __init__(self, file: Path):
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(str(file))
        self._server.listen()
        self._open: list[socket.socket] = []
        Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            self._open.append(connection)
            with connection.makefile("rb") as stream:
                do = json.loads(stream.readline())["event"]["detail"]["do"]
            if do in ANSWERS:
                connection.sendall(ANSWERS[do])
                connection.close()

    def close(self) -> None:
        """Closes all connections."""
        self._server.shutdown(socket.SHUT_RDWR)
        for connection in [self._server, *self._open]:
            connection.close()


def call(handler: Handler, do: str) -> Outcome:
    """Returns the outcome of an event that asks for something."""
    return handler(Call(json.dumps({"detail": {"do": do}}).encode(), "e-1", "order.created", "book", 1, 7, "shop"))


@pytest.fixture(params=SUBJECTS)
def subject(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Subject]:
    """Each kind, in turn."""
    install_sample(tmp_path / "site")
    with plugins_in(tmp_path / "site"):
        yield SUBJECTS[request.param]


@pytest.fixture
def folder(subject: Subject) -> Iterator[Path]:
    """A folder with the handlers. Its name is short, since the path of a socket has a limit."""
    with tempfile.TemporaryDirectory(prefix="evtool-") as name:
        subject.prepare(Path(name))
        yield Path(name)


@pytest.fixture
def open_handler(subject: Subject, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Handler]]:
    """Opens handlers of the kind, with a secret in the environment, and closes them."""
    monkeypatch.setenv("TOKEN", TOKEN)
    opened: list[Handler] = []

    def open_one(options: dict[str, Any], **more: Any) -> Handler:
        model = kinds.read_options(subject.kind, {"timeout": "60s", **options, **more})
        opened.append(kinds.open_handler(subject.kind, "ledger", model, folder))
        return opened[-1]

    yield open_one
    for handler in opened:
        handler.close()


def answer_http(server: Server, connection: socket.socket) -> None:
    """Responds to a webhook as its event asks for."""
    do = json.loads(server.requests[-1].body)["detail"]["do"]
    if do == "hang":
        server.released.wait()
    elif do == "fail":
        responds(500, HTTP_ANSWERS[do], content_type="application/json")(server, connection)
    else:
        responds(200, HTTP_ANSWERS[do], content_type="application/json")(server, connection)


@pytest.fixture
def service(subject: Subject, folder: Path, loopback: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The service of the sample of a plugin, or of a webhook; other kinds need none."""
    if subject.kind == "socket":
        service = Service(folder / "ledger.sock")
        yield
        service.close()
    elif subject.kind == "http":
        with Server(answer_http) as server:
            monkeypatch.setenv("LEDGER", server.url)
            yield
    else:
        yield


Open = Callable[..., Handler]


@pytest.mark.usefixtures("service")
class TestContract:
    def test_a_call_succeeds_and_emits_an_event(self, subject: Subject, open_handler: Open) -> None:
        """The outcome has the emitted event."""
        outcome = call(open_handler(subject.options), "emit")

        assert isinstance(outcome, Done)
        assert [(event.type, json.loads(event.detail)) for event in outcome.emitted] == [("order.booked", {"order": 1})]

    def test_a_failure_has_the_message_of_the_handler(self, subject: Subject, open_handler: Open) -> None:
        """The attempt counts, and the same handler does its work again."""
        handler = open_handler(subject.options)
        outcome = call(handler, "fail")

        assert isinstance(outcome, Failed)
        assert (outcome.outcome, outcome.final) == ("failed", False)
        assert subject.failure in outcome.error
        assert isinstance(call(handler, "work"), Done)

    def test_a_call_ends_at_its_time_limit(self, subject: Subject, open_handler: Open) -> None:
        """A call that takes too long is ended."""
        outcome = call(open_handler(subject.options, timeout="300ms"), "hang")

        assert isinstance(outcome, Failed)
        assert outcome.outcome == "timeout"
        assert "0.3s" in outcome.error

    def test_long_output_is_cut(self, subject: Subject, open_handler: Open) -> None:
        """However much a handler says, little of it is kept."""
        outcome = call(open_handler(subject.options), "flood")

        assert not isinstance(outcome, Unavailable)
        assert len(str(outcome)) < 10_000

    def test_an_outcome_contains_no_secret(self, subject: Subject, open_handler: Open) -> None:
        """Values that a handler gets from the environment are in no outcome."""
        handler = open_handler(subject.options)
        outcomes = [call(handler, do) for do in ("emit", "fail")]

        assert TOKEN not in str(outcomes)
        assert not subject.has_output or f"token {len(TOKEN)}" in str(outcomes)
        assert TOKEN not in str(handler.check())

    def test_a_handler_can_be_closed_twice(self, subject: Subject, open_handler: Open) -> None:
        """A handler that was called, and one that was not, may be closed twice."""
        called, fresh = open_handler(subject.options), open_handler(subject.options)
        call(called, "work")
        for handler in (called, fresh):
            handler.close()
            handler.close()

    def test_a_check_does_not_call_the_handler(self, subject: Subject, open_handler: Open) -> None:
        """A handler that can be loaded is, and can be called after that."""
        handler = open_handler(subject.options)

        assert handler.check() is None
        assert isinstance(call(handler, "work"), Done)


@pytest.mark.usefixtures("loopback")
def test_an_unavailable_handler_has_no_finding_code(subject: Subject, open_handler: Open) -> None:
    """The delivery waits, without the code of a finding, since the project has no mistake."""
    outcome = call(open_handler(subject.unavailable or subject.options), "unavailable")

    assert isinstance(outcome, Unavailable)
    assert outcome.code is None


def test_a_handler_that_cannot_be_loaded_has_a_finding_code(subject: Subject, open_handler: Open) -> None:
    """A mistake in the project has the code of a finding, in a check and in a call."""
    failure, outcome = open_handler(subject.missing).check(), call(open_handler(subject.missing), "work")

    assert isinstance(failure, Unavailable)
    assert failure.code in ("EV501", "EV502", "EV503")
    assert outcome == failure


def test_every_kind_is_tested() -> None:
    """A new kind needs a subject in this file. External handlers are never called."""
    assert {subject.kind for subject in SUBJECTS.values()} == {*KINDS, "socket"} - {"external"}
