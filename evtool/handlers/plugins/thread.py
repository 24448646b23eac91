"""Runs code of a plugin in a thread of its own, each piece within a time limit, and keeps what it prints.

The code runs inside evtool, so that it cannot be ended. A piece that exceeds its limit is left behind, and its thread
is busy until the piece ends by itself.
"""

import select
import sys
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from threading import Lock, Thread, get_ident
from typing import Any, NamedTuple, TextIO

from evtool.handlers.processes.worker_protocol import OUTPUT_LIMIT
from evtool.signals import CallsStopped, stop_pipe

POLL_INTERVAL = 0.1  # seconds between two looks at whether calls are to stop


class Ran(NamedTuple):
    """The end of a piece of code: its value, or the exception that it raised, and the last of what it printed."""

    value: Any
    error: BaseException | None = None
    output: str = ""


class PluginThread:
    """A thread that runs one piece of code at a time, started at the first one."""

    def __init__(self) -> None:
        self._work: SimpleQueue[Callable[[], Any] | None] = SimpleQueue()
        self._results: SimpleQueue[tuple[int, Ran]] = SimpleQueue()
        self._thread: Thread | None = None
        self._output: _Output | None = None  # of the latest piece
        self._given = 0
        self._ended = 0

    @property
    def is_busy(self) -> bool:
        """Whether a piece that exceeded its time limit has not ended yet."""
        return self._ended < self._given

    @property
    def output(self) -> str:
        """What the latest piece has printed so far."""
        if self._output:
            return self._output.read()
        return ""

    def run(self, work: Callable[[], Any], limit: float) -> Ran:
        """Runs a piece of code. Raises TimeoutError after `limit` seconds, CallsStopped if calls are to stop."""
        if self._thread is None:
            thread = Thread(target=self._run, daemon=True)
            try:
                thread.start()
            except RuntimeError as error:  # the system has no more of them
                return Ran(None, error)
            self._thread = thread
        self._output = None
        self._given += 1
        self._work.put(work)
        return self._await(self._given, time.monotonic() + limit)

    def close(self) -> None:
        """Ends the thread, as soon as its piece has ended."""
        self._work.put(None)

    def _await(self, number: int, deadline: float) -> Ran:
        stop = select.poll()
        stop.register(stop_pipe()[0], select.POLLIN)
        while True:
            remaining = deadline - time.monotonic()
            try:
                ended, ran = self._results.get(timeout=max(min(remaining, POLL_INTERVAL), 0))
            except Empty:
                if remaining <= 0:
                    raise TimeoutError from None
                if stop.poll(0):
                    raise CallsStopped from None
                continue
            if ended == number:  # else it is a piece that exceeded its limit
                return ran

    def _run(self) -> None:
        while work := self._work.get():
            output = self._output = _start_capture()
            try:
                ran = Ran(work())
            except BaseException as error:  # noqa: BLE001  (whatever it raises is the plugin's affair)
                ran = Ran(None, error)
            _end_capture()
            self._ended += 1
            self._results.put((self._ended, ran._replace(output=output.read())))


# --- what is printed -------------------------------------------------------------------------------------------------


class _Output:
    """The last of what is written to it."""

    def __init__(self) -> None:
        self._text = ""

    def write(self, text: str) -> int:
        """Adds a text."""
        self._text += text
        if len(self._text) > 2 * OUTPUT_LIMIT:
            self._text = self._text[-OUTPUT_LIMIT:]
        return len(text)

    def read(self) -> str:
        """What is kept."""
        return self._text[-OUTPUT_LIMIT:]


class _Stream:
    """Standard output or error while plugins run: what their threads print is kept, all else is passed on."""

    def __init__(self, stream: TextIO):
        self.stream = stream

    def write(self, text: str) -> int:
        output = _outputs.get(get_ident())
        if output:
            return output.write(text)
        return self.stream.write(text)

    def writelines(self, lines: list[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


_lock = Lock()
_outputs: dict[int, _Output] = {}  # by thread


def _start_capture() -> _Output:
    """Keeps what this thread prints from now on."""
    output = _Output()
    with _lock:
        _outputs[get_ident()] = output
        for name in ("stdout", "stderr"):
            stream = getattr(sys, name)
            if stream is not None and not isinstance(stream, _Stream):
                setattr(sys, name, _Stream(stream))
    return output


def _end_capture() -> None:
    with _lock:
        _outputs.pop(get_ident(), None)
        for name in ("stdout", "stderr"):
            stream = getattr(sys, name)
            if not _outputs and isinstance(stream, _Stream):
                setattr(sys, name, stream.stream)
