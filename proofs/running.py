"""evtool as processes that can be killed: forked from this one, which has imported it, or started as a user does.

A forked one runs evtool's own `main` with its arguments; only the start of Python and the imports are saved.
"""

import gc
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import evtool
from evtool.__main__ import main
from evtool.cli import app, parser
from proofs.trial import Broken

PATIENCE = 600  # seconds; an evtool that takes longer hangs
LAUNCH = """
import sys, time
ahead, real = int(sys.argv.pop(1)), time.time_ns
time.time_ns = lambda: real() + ahead
from evtool.__main__ import main
main()
"""
_numbers = count(1)
Around = Callable[[], AbstractContextManager[object]]  # entered in the forked process, around `main`

for _name in ("publish", "deliver", "doctor"):
    parser.build_command(_name)
assert app  # imported to be there in every fork
gc.freeze()  # what is here now is shared with every fork, and never copied to be looked at


class Ended(NamedTuple):
    """How an evtool ended (below zero: the signal), the records of its jsonl report, and what it said of errors."""

    code: int
    records: list[dict[str, Any]]
    errors: str


class Running(NamedTuple):
    """An evtool at work."""

    pid: int
    said: Path  # what its output files are called, but for .out and .err
    process: "subprocess.Popen[bytes] | None"

    def signal(self, number: int = signal.SIGKILL) -> None:
        """Sends a signal; it has not been waited for, so the process is still this one."""
        os.kill(self.pid, number)

    def has_ended(self) -> bool:
        """Whether it is over."""
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def wait(self, patience: float = PATIENCE) -> Ended:
        """Waits until it has ended. Only whole lines are records: half a line was never told.

        Raises Broken when it takes more than so many seconds.
        """
        descriptor = os.pidfd_open(self.pid)
        ready, _, _ = select.select([descriptor], [], [], patience)
        os.close(descriptor)
        if not ready:
            self.signal()
        code = self.process.wait() if self.process else os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        lines = self.said.with_suffix(".out").read_bytes().split(b"\n")[:-1]
        errors = self.said.with_suffix(".err").read_text(encoding="utf-8", errors="replace")
        for suffix in (".out", ".err", ".in"):
            self.said.with_suffix(suffix).unlink()
        if not ready:
            raise Broken(f"evtool did not end within {patience:g} s; it had said: {errors}")
        records = [record for record in map(json.loads, lines) if "evtool" not in record]
        return Ended(code, records, errors)


def start(
    folder: Path,
    *arguments: str,
    stdin: bytes = b"",
    ahead: int = 0,
    real: bool = False,
    report: bool = True,
    around: Around = nullcontext,
) -> Running:
    """Starts evtool in a folder, its clock so many seconds ahead. `real` starts a Python for it, too.

    With `report` it reports in jsonl.
    """
    said = folder / f"said-{next(_numbers)}"
    said.with_suffix(".in").write_bytes(stdin)
    words = [*arguments, "-o", "jsonl"] if report else [*arguments]
    with (
        said.with_suffix(".in").open("rb") as given,
        said.with_suffix(".out").open("wb") as out,
        said.with_suffix(".err").open("wb") as errors,
    ):
        if real:
            launch = ["-c", LAUNCH, str(ahead * 10**9)] if ahead else ["-m", "evtool"]
            path = {"PYTHONPATH": str(Path(evtool.__file__).parent.parent)}
            process = subprocess.Popen(
                [sys.executable, *launch, *words],
                cwd=folder,
                env={**os.environ, **path},
                stdin=given,
                stdout=out,
                stderr=errors,
            )
            return Running(process.pid, said, process)
        sys.stdout.flush()
        pid = os.fork()
        if pid == 0:
            _become(words, folder, (given.fileno(), out.fileno(), errors.fileno()), ahead, around)
    return Running(pid, said, None)


def run(folder: Path, *arguments: str, patience: float = PATIENCE, **options: Any) -> Ended:
    """Starts evtool and waits for its end."""
    return start(folder, *arguments, **options).wait(patience)


def _become(arguments: list[str], folder: Path, streams: tuple[int, int, int], ahead: int, around: Around) -> None:
    """Turns a fork of this process into evtool. Never returns."""
    code = 70
    try:
        os.chdir(folder)
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
        sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
        sys.stdout, sys.stderr = (os.fdopen(each, "w", encoding="utf-8", closefd=False) for each in (1, 2))
        sys.argv = ["evtool", *arguments]
        with clock_ahead(ahead), around():
            main()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 70
    except BaseException:  # noqa: BLE001  (told as Python would tell it)
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


@contextmanager
def clock_ahead(seconds: int) -> Iterator[None]:
    """Inside, the clock that evtool looks at is so many seconds ahead: leases of the killed have ended."""
    real = time.time_ns
    time.time_ns = lambda: real() + seconds * 10**9
    yield
    time.time_ns = real
