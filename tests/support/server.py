"""Runs servers of `evtool serve`, in the process of a test or in an own one, and sends requests to them."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from evtool.cli.runtime import build_rules
from evtool.cli.session import create_event_defaults, now_ms
from evtool.routes.project import require_project
from evtool.routes.routes import load_routes
from evtool.server.app import build_app
from evtool.server.context import Context, Settings
from evtool.server.http.runner import ServerThread, open_sockets
from evtool.server.log import Log
from evtool.server.writer import Writer
from evtool.store.rows import StoredEvent
from evtool.store.store import Store

ROOT = Path(__file__).parent.parent.parent
TIMEOUT = 120  # seconds to wait for a response: only if a test fails
ROUTES = """\
version: 1
schemas: schemas
handlers:
  bill: {command: [cat]}
  pack: {command: [cat]}
routes:
  orders: {pattern: {source: [shop]}, to: [bill]}
  vip: {pattern: {source: [shop], detail: {vip: [true]}}, to: [pack], event-bus: vip}
intake:
  stripe: {source: stripe.com, type-at: /type, id-at: /id}
"""
SCHEMA = {"type": "object", "properties": {"total": {"type": "number"}, "vip": {"type": "boolean"}}}
TYPES = ("order.created", "invoice.paid")


class Reply(NamedTuple):
    """A response: status, headers with names in lower case, and the body."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


class RunningServer(NamedTuple):
    """A server on 127.0.0.1, its store, and its log."""

    port: int
    store_file: Path
    log: Log
    messages: list[str]
    after: int = 0  # the number of the event that was stored last before the test

    def send(self, method: str, path: str, body: Any = b"", headers: Mapping[str, str] | None = None) -> Reply:
        """The response to a request; a body that is not bytes is sent as JSON."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT)
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        try:
            connection.request(method, path, data, dict(headers or {}))
            response = connection.getresponse()
            names = {name.lower(): value for name, value in response.getheaders()}
            return Reply(response.status, names, response.read())
        finally:
            connection.close()

    def call(self, operation: str, parameters: Any, headers: Mapping[str, str] | None = None) -> Reply:
        """The response to a call as an SDK of AWS makes it."""
        target = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": f"AWSEvents.{operation}"}
        return self.send("POST", "/", parameters, {**target, **(headers or {})})

    def connect(self) -> socket.socket:
        """A connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=TIMEOUT)

    def read_events(self) -> list[StoredEvent]:
        """What was stored during the test."""
        with Store(self.store_file, writing=False) as store:
            return [event for event in store.read_events() if event.seq > self.after]

    def read_log(self) -> list[str]:
        """What was logged during the test."""
        self.log.wait()
        return self.messages

    def begin_test(self) -> "RunningServer":
        """The same server for another test."""
        with Store(self.store_file, writing=False) as store:
            after = store.last_seq()
        self.read_log().clear()
        return self._replace(after=after)


def make_project(folder: Path) -> Path:
    """Writes a project with two routes, an intake, and schemas."""
    folder.mkdir(exist_ok=True)
    (folder / "routes.yaml").write_text(ROUTES)
    (folder / "schemas").mkdir(exist_ok=True)
    for name in TYPES:
        (folder / f"schemas/{name}.json").write_text(json.dumps(SCHEMA))
    return folder


class ServeProcess(NamedTuple):
    """A process of `evtool serve`, and its address."""

    process: "subprocess.Popen[str]"
    port: int
    errors: TextIO

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str, str]:
        """Sends a signal; the exit code, and what was printed on standard output and error since the start."""
        self.process.send_signal(number)
        out, _ = self.process.communicate(timeout=TIMEOUT)
        self.errors.seek(0)
        return self.process.returncode, out, self.errors.read()


@contextmanager
def start_process(folder: Path, *arguments: str) -> Iterator[ServeProcess]:
    """Starts `evtool serve` in a folder, on a free port, and waits until it listens."""
    command = [sys.executable, "-m", "evtool", "serve", "--listen", "127.0.0.1:0", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True
        )
        try:
            yield ServeProcess(process, _wait_for_port(process, errors), errors)
        finally:
            process.kill()
            process.communicate()


def _wait_for_port(process: "subprocess.Popen[str]", errors: TextIO) -> int:
    deadline = time.monotonic() + TIMEOUT
    while time.monotonic() < deadline:
        text = os.pread(errors.fileno(), 1 << 16, 0).decode()
        if match := re.search(r"listening on http://[^ ]*:(\d+)", text):
            return int(match[1])
        assert process.poll() is None, text
        time.sleep(0.02)
    raise TimeoutError("evtool serve does not listen")


@contextmanager
def run_server(folder: Path, settings: Settings = Settings()) -> Iterator[RunningServer]:  # noqa: B008  (a constant)
    """Runs a server of the project in a folder."""
    project = require_project(str(folder / "routes.yaml"))
    messages: list[str] = []
    sockets = open_sockets("127.0.0.1", 0)
    with Log(messages.append) as log, Writer(lambda: Store(project.store)) as writer:
        context = Context(
            project,
            load_routes(project),
            build_rules(project),
            create_event_defaults(),
            now_ms,
            project.store,
            writer,
            log,
            settings,
        )
        with ServerThread(build_app(context), sockets):
            yield RunningServer(sockets[0].getsockname()[1], project.store, log, messages)
