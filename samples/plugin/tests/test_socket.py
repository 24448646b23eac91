"""The kind `socket` against a service in a thread."""

import json
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest
from evtool_socket import KIND, SocketHandler, SocketOptions

from evtool.plugins import Call, Done, Emitted, Failed, Unavailable

CALL = Call(b'{"id": "1", "detail-type": "order.created", "detail": {"total": 5}}', "1", "order.created", "book", 1)


class Service:
    """Answers one connection with a line, and keeps what it received."""

    def __init__(self, file: Path):
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(str(file))
        self._server.listen()
        self.received = b""

    def answer(self, line: bytes) -> None:
        """Serves the next connection in a thread."""
        Thread(target=self._serve, args=[line], daemon=True).start()

    def _serve(self, line: bytes) -> None:
        connection, _ = self._server.accept()
        with connection, connection.makefile("rb") as stream:
            self.received = stream.readline()
            connection.sendall(line)

    def close(self) -> None:
        """Stops listening."""
        self._server.close()


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short name: that of a socket has about 100 characters at most."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


@pytest.fixture
def service(folder: Path) -> Iterator[Service]:
    service = Service(folder / "ledger.sock")
    yield service
    service.close()


def open_handler(folder: Path, **options: str) -> SocketHandler:
    """The handler, as evtool opens it."""
    return KIND.open("ledger", SocketOptions.model_validate({"socket": "ledger.sock", **options}), folder)


def test_done_with_an_emitted_event(folder: Path, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """The service gets the token and the event, and its events are emitted."""
    monkeypatch.setenv("LEDGER_TOKEN", "secret")
    service.answer(b'{"emit": [{"type": "order.booked", "detail": {"order": "1"}}]}\n')
    outcome = open_handler(folder, token="${LEDGER_TOKEN}")(CALL)

    assert outcome == Done((Emitted("order.booked", b'{"order": "1"}'),))
    assert json.loads(service.received) == {"token": "secret", "event": json.loads(CALL.raw)}


@pytest.mark.parametrize(
    ("line", "outcome"),
    [
        (b"{}\n", Done()),
        (b'{"error": "no such account"}\n', Failed("no such account")),
        (b'{"error": "closed", "final": true}\n', Failed("closed", final=True)),
        (b"", Failed("the service closed the connection without an answer", "crashed")),
    ],
)
def test_outcome_of_an_answer(folder: Path, service: Service, line: bytes, outcome: Done | Failed) -> None:
    """Each answer of the service has its outcome."""
    service.answer(line)

    assert open_handler(folder)(CALL) == outcome


@pytest.mark.parametrize("line", [b"yes\n", b"[]\n", b'{"emit": [{}]}\n'])
def test_answers_that_cannot_be_read(folder: Path, service: Service, line: bytes) -> None:
    """Trying again would not help."""
    service.answer(line)
    outcome = open_handler(folder)(CALL)

    assert isinstance(outcome, Failed)
    assert (outcome.outcome, outcome.final) == ("bad-result", True)


@pytest.mark.usefixtures("service")
def test_a_slow_service(folder: Path) -> None:
    """A service that does not answer in time is a failed attempt."""
    assert open_handler(folder, timeout="50ms")(CALL) == Failed("no answer within 0.05s", "timeout")


def test_no_service(folder: Path) -> None:
    """Without a service the delivery waits."""
    handler = open_handler(folder)

    assert handler.check() is None
    assert handler(CALL) == Unavailable("ledger.sock: No such file or directory")


def test_not_a_socket(folder: Path) -> None:
    """A wrong name in routes.yaml is reported before any call."""
    (folder / "ledger.sock").touch()

    assert open_handler(folder).check() == Unavailable("ledger.sock is not a socket", "EV501")
