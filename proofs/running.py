"""Running: starts evtool as processes that can be killed, as forks of this process or as a user starts it.

A fork runs evtool's own `main` with its arguments. It saves only the start of Python and the imports, about 0.1 s,
which makes thousands of runs possible.
"""

import gc
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import evtool
from evtool.__main__ import main
from evtool.cli import app, parser
from proofs.trial import Broken

# Seconds. An evtool that takes longer hangs.
PATIENCE = 600
# Exit code of a fork that fails outside of evtool's own exits.
EXIT_CRASHED = 70
LAUNCH = """
import sys, time
ahead, real = int(sys.argv.pop(1)), time.time_ns
time.time_ns = lambda: real() + ahead
from evtool.__main__ import main
main()
"""
_numbers = count(1)
# Returns a context manager that the fork enters around `main`.
Around = Callable[[], AbstractContextManager[object]]

for _name in ("publish", "deliver", "doctor"):
    parser.build_command(_name)
# The import above loads the application, which every fork then shares.
assert app
# Without this a garbage collection in a fork would touch, and so copy, the memory of all these imports.
gc.freeze()


class Ended(NamedTuple):
    """The end of a run: exit code (a negative one is a signal), records of the jsonl report, and standard error."""

    code: int
    records: list[dict[str, Any]]
    errors: str


class Running(NamedTuple):
    """A running evtool. `output` is the path of its files .in, .out and .err, without the suffix."""

    pid: int
    output: Path
    process: "subprocess.Popen[bytes] | None"

    def signal(self, number: int = signal.SIGKILL) -> None:
        """Sends a signal. The process id is still its own, since nobody has waited for the process."""
        os.kill(self.pid, number)

    def has_ended(self) -> bool:
        """Returns whether the process has ended."""
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def wait(self, patience: float = PATIENCE) -> Ended:
        """Waits until the process ends. Raises Broken after `patience` seconds.

        Only complete lines of the report count as records: nobody can read half a line as an acknowledgement.
        """
        descriptor = os.pidfd_open(self.pid)
        ready, _, _ = select.select([descriptor], [], [], patience)
        os.close(descriptor)
        if not ready:
            self.signal()
        if self.process:
            code = self.process.wait()
        else:
            _, status = os.waitpid(self.pid, 0)
            code = os.waitstatus_to_exitcode(status)
        lines = self.output.with_suffix(".out").read_bytes().split(b"\n")[:-1]
        errors = self.output.with_suffix(".err").read_text(encoding="utf-8", errors="replace")
        for suffix in (".out", ".err", ".in"):
            self.output.with_suffix(suffix).unlink()
        if not ready:
            raise Broken(f"evtool did not end within {patience:g} s; its standard error: {errors}")
        return Ended(code, parse_report(lines), errors)


def parse_report(lines: Sequence[str | bytes]) -> list[dict[str, Any]]:
    """Returns the records of a jsonl report. The line with evtool's version, which begins it, is not a record."""
    documents = map(json.loads, lines)
    return [document for document in documents if "evtool" not in document]


def start(
    folder: Path,
    *arguments: str,
    stdin: bytes = b"",
    ahead: int = 0,
    real: bool = False,
    report: bool = True,
    around: Around = nullcontext,
) -> Running:
    """Starts evtool in a folder, with its clock `ahead` seconds ahead of real time.

    `real` starts a new Python instead of a fork. `report` adds the option for a jsonl report.
    """
    output = folder / f"output-{next(_numbers)}"
    output.with_suffix(".in").write_bytes(stdin)
    words = list(arguments)
    if report:
        words += ["-o", "jsonl"]
    with (
        output.with_suffix(".in").open("rb") as given,
        output.with_suffix(".out").open("wb") as out,
        output.with_suffix(".err").open("wb") as errors,
    ):
        if real:
            launch = [sys.executable, "-m", "evtool"]
            if ahead:
                launch = [sys.executable, "-c", LAUNCH, str(ahead * 10**9)]
            environment = os.environ | {"PYTHONPATH": str(Path(evtool.__file__).parent.parent)}
            process = subprocess.Popen(
                launch + words, cwd=folder, env=environment, stdin=given, stdout=out, stderr=errors
            )
            return Running(process.pid, output, process)
        # The fork would print the buffered text a second time.
        sys.stdout.flush()
        pid = os.fork()
        if pid == 0:
            _become(words, folder, (given.fileno(), out.fileno(), errors.fileno()), ahead, around)
    return Running(pid, output, None)


def run(folder: Path, *arguments: str, patience: float = PATIENCE, **options: Any) -> Ended:
    """Starts evtool and waits until it ends."""
    return start(folder, *arguments, **options).wait(patience)


def _become(arguments: list[str], folder: Path, streams: tuple[int, int, int], ahead: int, around: Around) -> None:
    """Turns a fork of this process into evtool. Never returns."""
    code = EXIT_CRASHED
    try:
        os.chdir(folder)
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
        sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
        sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
        sys.stderr = os.fdopen(2, "w", encoding="utf-8", closefd=False)
        sys.argv = ["evtool"] + arguments
        with clock_ahead(ahead), around():
            main()
        code = 0
    except SystemExit as end:
        if isinstance(end.code, int):
            code = end.code
    # Prints the traceback, as Python does when a program ends with an exception.
    except BaseException:  # noqa: BLE001
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


@contextmanager
def clock_ahead(seconds: int) -> Iterator[None]:
    """Inside, evtool's clock is ahead, so the leases of killed processes have expired."""
    real = time.time_ns

    def shifted_time_ns() -> int:
        return real() + seconds * 10**9

    time.time_ns = shifted_time_ns
    yield
    time.time_ns = real
