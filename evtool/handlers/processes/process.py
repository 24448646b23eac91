"""Runs one child process in its own process group, with limits for time, memory and output."""

import os
import resource
import selectors
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import count
from math import inf
from pathlib import Path

from evtool.handlers.base import ProcessOptions
from evtool.handlers.processes.exits import UNKNOWN_EXIT
from evtool.handlers.processes.orphans import KILL_TIMEOUT, adopt, end_orphans, list_children, running_pids, start_lock
from evtool.signals import CallsStopped, defer_signals, stop_pipe

TERM_GRACE = 0.5  # seconds between SIGTERM and SIGKILL; Lambda gives its extensions as much
EXIT_POLL = 0.005  # seconds between two looks at a process where the system cannot tell when it exits
ERRORS_TAIL = 1 << 16  # bytes kept of stderr alone, whatever is kept of the output: a stack of Java is long
CHUNK = 1 << 16  # bytes read or written at once: what a pipe holds
DRAIN_CHUNKS = 64  # chunks read of what is left when an attempt is over: a flood that goes on must not hold it

# Seconds that are waited at once. If the kernel passes a signal to another thread, the main thread sees it only then.
MAX_WAIT = 1.0

_MARK = b"EVTOOL_PROCESS"  # environment variable by which everything that a process started is known

_numbers = count(1)


class Tail:
    """The last bytes of a stream, `size` of them; of a stream with a `mark` in it, those of each part before a mark."""

    def __init__(self, size: int, mark: bytes = b"") -> None:
        self._size = size
        self._mark = mark
        self._buffer = bytearray()
        self._parts: deque[bytearray] = deque()

    def add(self, data: bytes) -> None:
        """Take more, and drop what is too old."""
        self._buffer += data
        if self._mark:
            *parts, self._buffer = self._buffer.split(self._mark)
            self._parts.extend(part[max(len(part) - self._size, 0) :] for part in parts)
        del self._buffer[: max(len(self._buffer) - self._size - len(self._mark), 0)]

    def take(self) -> str:
        """The text up to the next mark or the end, escaped where it is not UTF-8. What comes after begins anew."""
        if self._parts:
            part = self._parts.popleft()
        else:
            part = self._buffer
        text = part[max(len(part) - self._size, 0) :].decode(errors="backslashreplace")
        part.clear()
        return text


def _raise_stopped() -> None:
    raise CallsStopped


def _limit_memory(pid: int, size: int) -> None:
    """Limit what a process and those that it starts may write to, each by itself; nothing where that is not to be had.

    RLIMIT_DATA, since RLIMIT_AS also counts what the Java, Go and JavaScript runtimes only set aside. It is set from
    outside because no code may run between fork and exec while there are threads, and before the event is sent.
    """
    if sys.platform == "linux":
        with suppress(ProcessLookupError, PermissionError):
            soft_limit, hard_limit = resource.prlimit(pid, resource.RLIMIT_DATA)
            limits = [size, *(limit for limit in (soft_limit, hard_limit) if limit != resource.RLIM_INFINITY)]
            resource.prlimit(pid, resource.RLIMIT_DATA, (min(limits), hard_limit))


class Process:
    """A process that is sent bytes on stdin and whose output is captured, in `output`, and stderr alone in `errors`.

    With `together`, stdout and stderr are one pipe: their order is kept, and `errors` stays empty. A `mark` parts the
    output. Without an `environment` it has that of evtool. Whoever waits gets CallsStopped when everybody is to stop
    waiting. Raises OSError when it cannot be started. What was started must be ended.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        folder: Path,
        options: ProcessOptions,
        environment: Mapping[bytes, bytes] | None = None,
        *,
        together: bool = False,
        mark: bytes = b"",
        pass_fds: Sequence[int] = (),
    ):
        adopt()
        self._mark = b"/%d.%d/" % (os.getpid(), next(_numbers))
        all_marks = os.environb.get(_MARK, b"") + self._mark  # an evtool around this one must find them, too
        self.output, self.errors = Tail(options.output, mark), Tail(ERRORS_TAIL)
        self._earlier_children = list_children() - running_pids
        self._unsent = memoryview(b"")
        self._is_last = False  # whether stdin ends after what is unsent
        self._is_finished = False
        self._code: int | None = None
        self._pidfd: int | None = None
        self._extra_pipes: list[int] = []
        self._selector = selectors.DefaultSelector()
        try:
            with defer_signals(), start_lock:
                self._process = subprocess.Popen(
                    arguments,
                    bufsize=0,
                    cwd=folder,
                    env={**(os.environb if environment is None else environment), _MARK: all_marks},
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT if together else subprocess.PIPE,
                    pass_fds=pass_fds,
                    start_new_session=True,
                )
                running_pids.add(self._process.pid)
            _limit_memory(self._process.pid, options.memory)
            self._register_streams()
        except BaseException:
            if hasattr(self, "_process"):
                self.end()
            self._selector.close()
            raise

    def _register_streams(self) -> None:
        process = self._process
        assert process.stdin
        assert process.stdout
        os.set_blocking(process.stdin.fileno(), False)
        self._listen(process.stdout.fileno(), self.output.add)
        if process.stderr:
            self._listen(process.stderr.fileno(), self._add_error)
        self._selector.register(stop_pipe()[0], selectors.EVENT_READ, _raise_stopped)
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
        is_registered = stdin in self._selector.get_map()
        if self._unsent and not is_registered:
            self._selector.register(stdin, selectors.EVENT_WRITE, self._write)
        if not self._unsent and is_registered:
            self._selector.unregister(stdin)
        if not self._unsent and self._is_last:
            self._process.stdin.close()

    def _signal_group(self, number: int) -> None:
        with suppress(ProcessLookupError, PermissionError):  # the latter on macOS, when all of the group are dead
            os.killpg(self._process.pid, number)

    def _ignore_stop(self) -> None:
        """Stop waiting for nobody's sake: the process is being ended."""
        if stop_pipe()[0] in self._selector.get_map():
            self._selector.unregister(stop_pipe()[0])

    def listen(self, stream: int, sink: Callable[[bytes], None]) -> None:
        """Have what comes out of one more pipe moved to `sink`. The pipe is closed when the process is ended."""
        self._extra_pipes.append(stream)
        self._listen(stream, sink)

    def receive_output(self) -> None:
        """Move what the process has printed by now."""
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe and not self._is_finished:
                self.receive(pipe.fileno())

    def receive(self, stream: int) -> None:
        """Move what has come out of a pipe by now."""
        if stream in self._selector.get_map():
            any(not self._selector.get_key(stream).data() for _ in range(DRAIN_CHUNKS))

    def watch(self, file: int, events: int, act: Callable[[], bool]) -> None:
        """Have `act` called, while somebody waits, whenever a file is ready for these events; none: not any more.

        It returns whether it has found anything to do.
        """
        if self._selector.get_map() is None:  # the process has ended
            return
        if file in self._selector.get_map():
            self._selector.unregister(file)
        if events:
            self._selector.register(file, events, act)

    def send(self, data: bytes, *, last: bool = False) -> None:
        """Have data written to stdin, as far as the process takes it; `last` closes it then."""
        self._unsent = memoryview(data)
        self._is_last = last
        self._write()

    def wait_until(self, is_done: Callable[[], bool], deadline: float, *, interval: float = inf) -> None:
        """Move bytes until `is_done`. Raises TimeoutError at the deadline, one of `time.monotonic()`.

        `is_done` is called whenever something happens, and after `interval` seconds in which nothing does.
        """
        while not is_done():
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise TimeoutError
            ready = self._selector.select(min(remaining, interval if self._pidfd is not None else EXIT_POLL, MAX_WAIT))
            for key, _ in ready:
                if key.fd in self._selector.get_map():  # one before it may have drained it and let it go
                    key.data()
            if not ready:
                self.has_exited()

    def drain(self) -> None:
        """Move what the process has written by now."""
        for key in list(self._selector.get_map().values()):
            if key.events == selectors.EVENT_READ and key.fd not in (self._pidfd, stop_pipe()[0]):
                any(not key.data() for _ in range(DRAIN_CHUNKS))

    def has_exited(self) -> bool:
        """Whether the process is over, with all that it wrote moved. Nothing is reaped: its group keeps its number."""
        if self._is_finished:
            return True
        try:
            if os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                return False
        except ChildProcessError:
            self._process.returncode = UNKNOWN_EXIT
        self._is_finished = True
        self.drain()
        return True

    def hang_up(self, limit: float) -> None:
        """Close stdin and give the process so many seconds to exit because of it."""
        assert self._process.stdin
        self._ignore_stop()
        if not self._process.stdin.closed:
            self.send(b"", last=True)
        with suppress(TimeoutError):
            self.wait_until(self.has_exited, time.monotonic() + limit)

    def end(self) -> int:
        """End the process and all that it started. Its exit code, or the signal that ended it below zero.

        It finds its stdin closed before it is told to end, so that it begins nothing more. May be called again.
        """
        if self._code is not None:
            return self._code
        self.hang_up(0)
        for number, limit in ((signal.SIGTERM, TERM_GRACE), (signal.SIGKILL, KILL_TIMEOUT)):
            if number == signal.SIGKILL or not self.has_exited():
                self._signal_group(number)
            with suppress(TimeoutError):
                self.wait_until(self.has_exited, time.monotonic() + limit)
        self._process.returncode = self._code = self._process.wait() if self._is_finished else -signal.SIGKILL
        running_pids.discard(self._process.pid)
        end_orphans(self._mark, self._earlier_children)
        self.drain()
        self._close()
        return self._code

    def _close(self) -> None:
        self._selector.close()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe:
                pipe.close()
        for stream in [*self._extra_pipes, *([] if self._pidfd is None else [self._pidfd])]:
            os.close(stream)
