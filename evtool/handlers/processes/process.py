"""Runs one child process in its own process group, with limits for time, memory and output.

A Process has no thread. While evtool waits for it, `wait_until` moves bytes between the pipes and the buffers:

    process = Process(["./charge"], folder, options)
    process.send(b'{"id": "e1"}', last=True)                            as much as the pipe takes now
    process.wait_until(process.has_exited, time.monotonic() + 30.0)     sends the rest, and receives what it prints
    code = process.end()                                                ends also what the program has started
    process.output.take()                                               the last bytes that it printed
"""

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

# Seconds between SIGTERM and SIGKILL. Lambda gives its extensions as much.
TERM_GRACE = 0.5

# Seconds between two checks of a process on systems without pidfd, which do not report when it exits.
EXIT_POLL = 0.005

# Bytes kept of stderr alone, independent of `output` of the handler: a stack trace of Java is long.
ERRORS_TAIL = 1 << 16

# Bytes read or written at once: the size of a pipe on Linux.
CHUNK = 1 << 16

# Chunks read at the end of an attempt: a process that prints without end must not hold evtool.
DRAIN_CHUNKS = 64

# Seconds of one wait. If the kernel passes a signal to another thread, the main thread sees it only after the wait.
MAX_WAIT = 1.0

# The environment variable with the mark of a process. Its descendants inherit it: see orphans.py.
_MARK = b"EVTOOL_PROCESS"

_numbers = count(1)


class Tail:
    """Keeps the last `size` bytes of a stream. With a `mark`, it keeps the last bytes of each part before a mark.

    Example with size 4 and mark `|`: after `abcdef|gh|ijk`, `take` returns `cdef`, then `gh`, then `ijk`.
    """

    def __init__(self, size: int, mark: bytes = b"") -> None:
        self._size = size
        self._mark = mark
        self._buffer = bytearray()
        self._parts: deque[bytearray] = deque()

    def add(self, data: bytes) -> None:
        """Adds bytes, and drops the oldest ones."""
        self._buffer += data
        if self._mark:
            parts = self._buffer.split(self._mark)
            self._buffer = parts.pop()
            for part in parts:
                self._parts.append(part[max(len(part) - self._size, 0) :])
        # Bytes as long as the mark stay, too, since the mark may arrive in two pieces.
        del self._buffer[: max(len(self._buffer) - self._size - len(self._mark), 0)]

    def take(self) -> str:
        """Takes the text up to the next mark, or all of it. Bytes that are not UTF-8 are escaped."""
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
    """Limits the memory of a process, and of each process that it starts. Does nothing on systems other than Linux."""
    # RLIMIT_DATA, since RLIMIT_AS also counts memory that Java, Go and JavaScript only reserve. The limit is set from
    # outside, since no Python code may run between fork and exec while other threads run, and before the event is sent.
    if sys.platform == "linux":
        with suppress(ProcessLookupError, PermissionError):
            soft_limit, hard_limit = resource.prlimit(pid, resource.RLIMIT_DATA)
            limit = size
            for present_limit in (soft_limit, hard_limit):
                if present_limit != resource.RLIM_INFINITY:
                    limit = min(limit, present_limit)
            resource.prlimit(pid, resource.RLIMIT_DATA, (limit, hard_limit))


class Process:
    """A child process. `output` has what it prints, and `errors` has what it prints on stderr.

    With `together`, stdout and stderr share a pipe: their order is kept, and `errors` stays empty. A `mark` parts the
    output. Without an `environment` the process gets that of evtool. Raises OSError if the process cannot be started.
    All methods that wait raise CallsStopped when evtool has to stop. A started process must be ended with `end`.
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
        # evtool may itself run inside a handler: the marks of the outer evtool stay.
        all_marks = os.environb.get(_MARK, b"") + self._mark
        variables = dict(os.environb)
        if environment is not None:
            variables = dict(environment)
        variables[_MARK] = all_marks
        stderr = subprocess.PIPE
        if together:
            stderr = subprocess.STDOUT
        self.output, self.errors = Tail(options.output, mark), Tail(ERRORS_TAIL)
        self._earlier_children = list_children() - running_pids
        self._unsent = memoryview(b"")
        # Whether stdin is closed after the unsent bytes.
        self._is_last = False
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
                    env=variables,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=stderr,
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
        # macOS has no pidfd. There `wait_until` asks every few milliseconds.
        with suppress(OSError, AttributeError):
            self._pidfd = os.pidfd_open(process.pid)
            self._selector.register(self._pidfd, selectors.EVENT_READ, self.has_exited)

    def _add_error(self, data: bytes) -> None:
        self.output.add(data)
        self.errors.add(data)

    def _listen(self, stream: int, sink: Callable[[bytes], None]) -> None:
        os.set_blocking(stream, False)
        self._selector.register(stream, selectors.EVENT_READ, partial(self._read, stream, sink))

    def _read(self, stream: int, sink: Callable[[bytes], None]) -> bool:
        """Receives one chunk. Returns False if there is none now."""
        try:
            data = os.read(stream, CHUNK)
        except BlockingIOError:
            return False
        if data:
            sink(data)
        else:
            self._selector.unregister(stream)
        # A pipe gives less than a chunk only when it is empty.
        return len(data) == CHUNK

    def _write(self) -> None:
        """Sends one chunk. The selector calls this again when the pipe takes more."""
        assert self._process.stdin
        stdin = self._process.stdin.fileno()
        try:
            self._unsent = self._unsent[os.write(stdin, self._unsent[:CHUNK]) :]
        except BlockingIOError:
            pass
        # A program may ignore its input, and exit without an error.
        except BrokenPipeError:
            self._unsent = self._unsent[:0]
        is_registered = stdin in self._selector.get_map()
        if self._unsent and not is_registered:
            self._selector.register(stdin, selectors.EVENT_WRITE, self._write)
        if not self._unsent and is_registered:
            self._selector.unregister(stdin)
        if not self._unsent and self._is_last:
            self._process.stdin.close()

    def _signal_group(self, number: int) -> None:
        # macOS raises PermissionError if all processes of the group are dead.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    def _ignore_stop(self) -> None:
        """Waits on although evtool has to stop: the process is being ended."""
        if stop_pipe()[0] in self._selector.get_map():
            self._selector.unregister(stop_pipe()[0])

    def listen(self, stream: int, sink: Callable[[bytes], None]) -> None:
        """Passes the bytes of one more pipe to `sink`. `end` closes the pipe."""
        self._extra_pipes.append(stream)
        self._listen(stream, sink)

    def receive_output(self) -> None:
        """Receives what the process has printed by now."""
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe and not self._is_finished:
                self.receive(pipe.fileno())

    def receive(self, stream: int) -> None:
        """Receives the bytes that a pipe contains now."""
        if stream in self._selector.get_map():
            _repeat(self._selector.get_key(stream).data)

    def watch(self, file: int, events: int, act: Callable[[], bool]) -> None:
        """Calls `act` while evtool waits, whenever a file is ready for these events. With no events, it stops that.

        `act` returns whether it had something to do.
        """
        # The selector is closed when the process has ended.
        if self._selector.get_map() is None:
            return
        if file in self._selector.get_map():
            self._selector.unregister(file)
        if events:
            self._selector.register(file, events, act)

    def send(self, data: bytes, *, last: bool = False) -> None:
        """Starts to write data to stdin. With `last`, stdin is closed after the data."""
        self._unsent = memoryview(data)
        self._is_last = last
        self._write()

    def wait_until(self, is_done: Callable[[], bool], deadline: float, *, interval: float = inf) -> None:
        """Moves bytes until `is_done()`. Raises TimeoutError at the deadline, a time of `time.monotonic()`.

        Calls `is_done` after each event, and after `interval` seconds without an event.
        """
        if self._pidfd is None:
            interval = EXIT_POLL
        while not is_done():
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise TimeoutError
            ready = self._selector.select(min(remaining, interval, MAX_WAIT))
            for key, _ in ready:
                # `has_exited`, called for a file before this one, may have drained and unregistered it.
                if key.fd in self._selector.get_map():
                    key.data()
            if not ready:
                self.has_exited()

    def drain(self) -> None:
        """Receives what the process has written by now, to all of its pipes."""
        for key in list(self._selector.get_map().values()):
            if key.events == selectors.EVENT_READ and key.fd not in (self._pidfd, stop_pipe()[0]):
                _repeat(key.data)

    def has_exited(self) -> bool:
        """Whether the process has exited. Receives everything that it wrote."""
        if self._is_finished:
            return True
        # WNOWAIT: while the process is not reaped, no other process group can get its number, so that `end` cannot
        # signal a stranger.
        try:
            if os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                return False
        except ChildProcessError:
            self._process.returncode = UNKNOWN_EXIT
        self._is_finished = True
        self.drain()
        return True

    def hang_up(self, limit: float) -> None:
        """Closes stdin, and gives the process `limit` seconds to exit because of that."""
        assert self._process.stdin
        self._ignore_stop()
        if not self._process.stdin.closed:
            self.send(b"", last=True)
        with suppress(TimeoutError):
            self.wait_until(self.has_exited, time.monotonic() + limit)

    def end(self) -> int:
        """Ends the process and all processes that it started. Returns its exit code, or minus a signal.

        May be called again.
        """
        if self._code is not None:
            return self._code
        # A worker starts no further call once its stdin is closed.
        self.hang_up(0)
        for number, limit in ((signal.SIGTERM, TERM_GRACE), (signal.SIGKILL, KILL_TIMEOUT)):
            if number == signal.SIGKILL or not self.has_exited():
                self._signal_group(number)
            with suppress(TimeoutError):
                self.wait_until(self.has_exited, time.monotonic() + limit)
        self._code = self._process.returncode = self._reap()
        running_pids.discard(self._process.pid)
        end_orphans(self._mark, self._earlier_children)
        self.drain()
        self._close()
        return self._code

    def _reap(self) -> int:
        # A process on a dead mount does not even end after SIGKILL.
        if not self._is_finished:
            return -signal.SIGKILL
        return self._process.wait()

    def _close(self) -> None:
        self._selector.close()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe:
                pipe.close()
        for stream in self._extra_pipes:
            os.close(stream)
        if self._pidfd is not None:
            os.close(self._pidfd)


def _repeat(act: Callable[[], bool]) -> None:
    """Calls a function until it has nothing more to do, but at most DRAIN_CHUNKS times."""
    for _ in range(DRAIN_CHUNKS):
        if not act():
            return
