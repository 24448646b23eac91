"""What all tests share: a fixed environment without home and network, projects to work in, and evtool as a process."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from xdist.scheduler import LoadScopeScheduling

from tests.support.fork_server import TIMEOUT, ForkServer

ROOT = Path(__file__).parent.parent
# what programs need to start at all; CI is `true` where a test may not be skipped for want of a program
KEPT = ("PATH", "LD_LIBRARY_PATH", "TMPDIR", "CI")
ORIGINAL_ENVIRONMENT = dict(os.environ)  # for what installs packages: it needs the user's proxies and mirrors
FIXED = {"HOME": "/dev/null/home", "LC_ALL": "C.UTF-8", "TERM": "xterm", "TZ": "UTC"}  # a home that nobody can make


@pytest.hookimpl(trylast=True)  # pytest's own settings come from the real environment
def pytest_configure() -> None:
    """Gives all tests, and all processes that they start, the same few environment variables on every machine.

    This is done once, before test modules are imported, which copy the environment, and before workers are started.
    """
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    os.environ.clear()
    os.environ.update(kept, **FIXED)
    time.tzset()


class Scheduling(LoadScopeScheduling):
    """Gives each test to the next free worker, but those of the zoo to the same one: they share a long fixture."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return file if file.endswith("/test_zoo.py") else nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Scheduling:
    """How pytest-xdist spreads the tests over its workers."""
    return Scheduling(config, log)


class Ran(NamedTuple):
    """What a run of evtool left: its exit code and what it printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output as one JSON document."""
        return json.loads(self.out)


Evtool = Callable[..., Ran]


@pytest.fixture(autouse=True, scope="session")
def ended_by_signals() -> None:
    """A shell without job control has what runs in the background ignore SIGINT, nohup SIGHUP: that is inherited."""
    for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, usual)


@pytest.fixture
def loopback() -> None:
    """Allows a test to connect to servers of its own on 127.0.0.1."""


@pytest.fixture(autouse=True)
def guarded(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[None]:
    """No test opens a connection, and none leaves environment variables to the next."""
    connect = socket.socket.connect
    hosts = ("127.0.0.1",) if "loopback" in request.fixturenames else ()

    def local_only(self: socket.socket, address: Any) -> Any:
        assert self.family == socket.AF_UNIX or address[0] in hosts, f"a test connects to {address}"
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", local_only)
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="session")
def fork_server() -> Iterator[ForkServer]:
    """What starts evtool quickly."""
    server = ForkServer(ROOT)
    yield server
    server.close()


@pytest.fixture
def evtool(tmp_path: Path, fork_server: ForkServer) -> Evtool:
    """evtool as a process of its own, in the folder `tmp_path` unless another is given.

    It is forked from one that has been imported, except where the test sets variables that Python itself reads.
    """

    def run(
        *arguments: str | Path,
        stdin: bytes = b"",
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Ran:
        words = [*map(str, arguments)]
        folder = cwd or tmp_path
        environment = {**os.environ, "PYTHONPATH": str(ROOT), **(env or {})}
        if any(name.startswith("PYTHON") for name in env or ()):
            command = [sys.executable, "-m", "evtool", *words]
            done = subprocess.run(
                command, input=stdin, cwd=folder, env=environment, capture_output=True, timeout=TIMEOUT
            )
        else:
            done = fork_server.run(words, stdin=stdin, cwd=folder, env=environment)
        return Ran(done.returncode, done.stdout.decode(), done.stderr.decode())

    return run


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A copy of the shop that a test may break."""
    folder = tmp_path / "shop"
    hidden = shutil.ignore_patterns(".data", "__pycache__")
    shutil.copytree(ROOT / "samples", folder / "samples", ignore=hidden)
    shutil.copytree(ROOT / "scenarios", folder / "scenarios")
    for file in ("routes.yaml", "routes.systems.yaml"):
        shutil.copy(ROOT / file, folder)
    return folder
