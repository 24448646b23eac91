"""Processes of handlers: each in a group of its own, limited in time and output, and ended with all that it started."""

import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cache, partial
from itertools import count
from pathlib import Path

from evtool.handler import OUTPUT_TAIL
from evtool.signals import deferred

GRACE = 0.5  # seconds between SIGTERM and SIGKILL; Lambda gives its extensions as much
PATIENCE = 2.0  # seconds for the system to end what got SIGKILL; a process on a dead mount may not end at all
TICK = 0.005  # seconds between two looks at a process where the system cannot tell when it exits
CHUNK = 1 << 16  # bytes read or written at once: what a pipe holds
DRAIN = 64  # chunks read of what is left when an attempt is over: a flood that goes on must not hold it

_MARK = b"EVTOOL_PROCESS"  # environment variable by which everything that a process started is known
_PR_SET_CHILD_SUBREAPER = 36  # prctl(2)

_numbers = count(1)
_running: set[int] = set()  # processes that are somebody's to wait for


class Tail:
    """The last bytes of a stream, `OUTPUT_TAIL` of them."""

    def __init__(self) -> None:
        self._kept = bytearray()

    def add(self, data: bytes) -> None:
        """Take more, and drop what is too old."""
        self._kept += data
        del self._kept[:-OUTPUT_TAIL]

    def take(self) -> str:
        """The text, escaped where it is not UTF-8. What comes after begins anew."""
        text = self._kept.decode(errors="backslashreplace")
        self._kept.clear()
        return text


# --- what a process leaves behind ----------------------------------------------------------------------------------


@cache
def _prepare() -> None:
    """Once for this process: its descendants' orphans become its children (Linux), and exit codes are not lost."""
    if signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # inherited from the parent; every exit code would read 0
    if sys.platform == "linux":
        import ctypes  # noqa: PLC0415 - 6 ms, for those only who start a process

        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _children() -> set[int]:
    """The children of this process, its own and the adopted ones; none where the system does not tell."""
    found: set[int] = set()
    with suppress(OSError):
        for thread in os.scandir("/proc/self/task"):
            found.update(map(int, Path(thread.path, "children").read_text().split()))
    return found


def _is_stray(pid: int, leader: int, mark: bytes) -> bool:
    """Whether a child was adopted from the process with that id and mark, and is not one that somebody else started."""
    try:
        session = os.getsid(pid)
        if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            return session == leader  # of the dead no more is known
        environment = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False
    return mark in environment or (not environment and session != os.getsid(0))


def _is_reaped(pid: int) -> bool:
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return True


def _end_strays(leader: int, mark: bytes) -> None:
    """End what a process started and what is still there after its group has ended: in a session of its own."""
    until = time.monotonic() + PATIENCE
    ended: set[int] = set()
    while time.monotonic() < until:
        strays = {pid for pid in _children() - _running - ended if _is_stray(pid, leader, mark)}
        for pid in strays:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        ended = {pid for pid in ended | strays if not _is_reaped(pid)}
        if not ended and not strays:
            return
        time.sleep(0.0005)  # whoever dies hands its children on to us: look again until there are none


# --- one process ---------------------------------------------------------------------------------------------------


class Process:
    """A process that is sent bytes on stdin and whose output is captured, in `output`, and stderr alone in `errors`.

    With `together`, stdout and stderr are one pipe: their order is kept, and `errors` stays empty.
    Raises OSError when it cannot be started. What was started must be ended.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        folder: Path,
        environment: Mapping[bytes, bytes] | None = None,
        *,
        together: bool = False,
        pass_fds: Sequence[int] = (),
    ):
        _prepare()
        self._mark = b"/%d.%d/" % (os.getpid(), next(_numbers))
        marks = os.environb.get(_MARK, b"") + self._mark  # an evtool around this one must find them, too
        self.output, self.errors = Tail(), Tail()
        self._unsent = memoryview(b"")
        self._last = False  # whether stdin ends after what is unsent
        self._gone = False
        self._code: int | None = None
        self._pidfd: int | None = None
        self._listened: list[int] = []
        self._selector = selectors.DefaultSelector()
        try:
            with deferred():
                self._process = subprocess.Popen(
                    arguments,
                    bufsize=0,
                    cwd=folder,
                    env={**os.environb, **(environment or {}), _MARK: marks},
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT if together else subprocess.PIPE,
                    pass_fds=pass_fds,
                    start_new_session=True,
                )
                _running.add(self._process.pid)
            self._watch()
        except BaseException:
            if hasattr(self, "_process"):
                self.end()
            self._selector.close()
            raise

    def _watch(self) -> None:
        process = self._process
        assert process.stdin
        assert process.stdout
        os.set_blocking(process.stdin.fileno(), False)
        self._listen(process.stdout.fileno(), self.output.add)
        if process.stderr:
            self._listen(process.stderr.fileno(), self._add_error)
        with suppress(OSError, AttributeError):  # macOS has none
            self._pidfd = os.pidfd_open(process.pid)
            self._selector.register(self._pidfd, selectors.EVENT_READ, self.has_exited)

    def _add_error(self, data: bytes) -> None:
        self.output.add(data)
        self.errors.add(data)

    def _listen(self, stream: int, sink: Callable[[bytes], None]) -> None:
        os.set_blocking(stream, False)
        self._selector.register(stream, selectors.EVENT_READ, partial(self._read, stream, sink))

    def _read(self, stream: int, sink: Callable[[bytes], None]) -> bool:
        """Move one chunk; False if there is none now."""
        try:
            data = os.read(stream, CHUNK)
        except BlockingIOError:
            return False
        if data:
            sink(data)
        else:
            self._selector.unregister(stream)
        return bool(data)

    def _write(self) -> None:
        """Send one chunk, and see to the rest when there is room again."""
        assert self._process.stdin
        stdin = self._process.stdin.fileno()
        try:
            self._unsent = self._unsent[os.write(stdin, self._unsent[:CHUNK]) :]
        except BlockingIOError:
            pass
        except BrokenPipeError:  # it does not want its input, which is its own affair
            self._unsent = self._unsent[:0]
        waiting = stdin in self._selector.get_map()
        if self._unsent and not waiting:
            self._selector.register(stdin, selectors.EVENT_WRITE, self._write)
        if not self._unsent and waiting:
            self._selector.unregister(stdin)
        if not self._unsent and self._last:
            self._process.stdin.close()

    def _signal(self, number: int) -> None:
        with suppress(ProcessLookupError, PermissionError):  # the latter on macOS, when all of the group are dead
            os.killpg(self._process.pid, number)

    def listen(self, stream: int, sink: Callable[[bytes], None]) -> None:
        """Have what comes out of one more pipe moved to `sink`. The pipe is closed when the process is ended."""
        self._listened.append(stream)
        self._listen(stream, sink)

    def send(self, data: bytes, *, last: bool = False) -> None:
        """Have data written to stdin, as far as the process takes it; `last` closes it then."""
        self._unsent = memoryview(data)
        self._last = last
        self._write()

    def until(self, enough: Callable[[], bool], deadline: float) -> None:
        """Move bytes until it is enough. Raises TimeoutError at the deadline, one of `time.monotonic()`."""
        while not enough():
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            ready = self._selector.select(left if self._pidfd is not None else min(left, TICK))
            for key, _ in ready:
                if key.fd in self._selector.get_map():  # one before it may have drained it and let it go
                    key.data()
            if not ready:
                self.has_exited()

    def drain(self) -> None:
        """Move what the process has written by now."""
        for key in list(self._selector.get_map().values()):
            if key.events == selectors.EVENT_READ and key.fd != self._pidfd:
                any(not key.data() for _ in range(DRAIN))

    def has_exited(self) -> bool:
        """Whether the process is over, with all that it wrote moved. Nothing is reaped: its group keeps its number."""
        if self._gone:
            return True
        with suppress(ChildProcessError):
            if os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                return False
        self._gone = True
        self.drain()
        return True

    def hang_up(self, limit: float) -> None:
        """Close stdin and give the process so many seconds to exit because of it."""
        assert self._process.stdin
        if not self._process.stdin.closed:
            self.send(b"", last=True)
        with suppress(TimeoutError):
            self.until(self.has_exited, time.monotonic() + limit)

    def end(self) -> int:
        """End the process and all that it started. Its exit code, or the signal that ended it below zero.

        May be called again.
        """
        if self._code is not None:
            return self._code
        for number, limit in ((signal.SIGTERM, GRACE), (signal.SIGKILL, PATIENCE)):
            if number == signal.SIGKILL or not self.has_exited():
                self._signal(number)
            with suppress(TimeoutError):
                self.until(self.has_exited, time.monotonic() + limit)
        self._process.returncode = self._code = self._process.wait() if self._gone else -signal.SIGKILL
        _running.discard(self._process.pid)
        _end_strays(self._process.pid, self._mark)
        self.drain()
        self._close()
        return self._code

    def _close(self) -> None:
        self._selector.close()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe:
                pipe.close()
        for stream in [*self._listened, *([] if self._pidfd is None else [self._pidfd])]:
            os.close(stream)


def ending(code: int) -> str:
    """How a process ended, by its exit code: `exit 3` or `killed by SIGSEGV`."""
    if code >= 0:
        return f"exit {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:  # a real-time signal
        return f"killed by signal {-code}"
