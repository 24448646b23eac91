"""What all tests share: a guard against home and network, projects to work in, and evtool as a user calls it."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

ROOT = Path(__file__).parent.parent


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


@pytest.fixture(autouse=True)
def guarded(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No test reads the home directory or this machine's settings, and none opens a connection."""
    monkeypatch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
    for name in [name for name in os.environ if name.startswith(("EVTOOL_", "SHOP_", "STRIPE_", "SMTP_", "KLAVIYO_"))]:
        monkeypatch.delenv(name)
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "PYTHONUNBUFFERED"):
        monkeypatch.delenv(name, raising=False)
    connect = socket.socket.connect

    def local_only(self: socket.socket, address: Any) -> Any:
        assert self.family == socket.AF_UNIX, f"a test connects to {address}"
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", local_only)


@pytest.fixture
def evtool(tmp_path: Path) -> Evtool:
    """evtool as a process of its own, in the folder `tmp_path` unless told otherwise."""

    def run(
        *arguments: str | Path,
        stdin: bytes = b"",
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Ran:
        done = subprocess.run(
            [sys.executable, "-m", "evtool", *map(str, arguments)],
            input=stdin,
            cwd=cwd or tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT), **(env or {})},
            capture_output=True,
            timeout=60,
        )
        return Ran(done.returncode, done.stdout.decode(), done.stderr.decode())

    return run


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A copy of the shop that a test may break."""
    folder = tmp_path / "shop"
    hidden = shutil.ignore_patterns(".data", "__pycache__")
    shutil.copytree(ROOT / "samples", folder / "samples", ignore=hidden)
    shutil.copy(ROOT / "routes.yaml", folder)
    return folder
