"""Runs evtool on a terminal of a certain width, and returns its output."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from tests.conftest import ROOT
from tests.support.fork_server import TIMEOUT

STYLE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Shown(NamedTuple):
    """The output of a run: `raw` of the terminal, with styles, and `out` of the pipe, if standard output was one."""

    code: int
    raw: str
    out: str

    @property
    def lines(self) -> list[str]:
        """The lines on the terminal without styles and blanks at their ends."""
        return [line.rstrip() for line in STYLE.sub("", self.raw).split("\n")]


def run_on_terminal(
    *arguments: str,
    cwd: Path,
    columns: int = 80,
    piped_out: bool = False,
    stdin: bytes = b"",
    env: Mapping[str, str] | None = None,
) -> Shown:
    """Runs evtool with standard error, and standard output unless it is piped, on a terminal."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-m", "evtool", *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), **(env or {})},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE if piped_out else theirs,
        stderr=theirs,
    )
    os.close(theirs)
    assert process.stdin is not None
    process.stdin.write(stdin)
    process.stdin.close()
    raw = b""
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        while True:
            try:
                data = terminal.read(4096)
            except OSError:
                # The process has closed the other side.
                break
            if not data:
                break
            raw += data
    out = process.stdout.read() if process.stdout else b""
    return Shown(process.wait(TIMEOUT), raw.decode().replace("\r\n", "\n"), out.decode())
