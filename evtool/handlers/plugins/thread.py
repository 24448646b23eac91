"""Runs the code of a plugin in a separate thread, each piece within a time limit, and keeps what it prints.

Python cannot end a thread. If a piece exceeds its limit, evtool continues without its result, and the thread is busy
until the piece ends. Example with a limit of 5 seconds:

    0 s    run(call 1)   the thread starts call 1
    5 s                  `run` raises TimeoutError; is_busy is true
    7 s                  call 1 ends; its result waits in the queue; is_busy is false
    9 s    run(call 2)   takes the result of call 1 first and drops it, since its number is not that of call 2
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

# Seconds between two checks whether evtool has to stop.
POLL_INTERVAL = 0.1


class Ran(NamedTuple):
    """The result of a piece of code: its value or its exception, and the end of what it printed."""

    value: Any
    error: BaseException | None = None
    output: str = ""


class PluginThread:
    """A thread that runs one piece of code at a time. It starts with the first piece."""

    def __init__(self) -> None:
        self._work: SimpleQueue[Callable[[], Any] | None] = SimpleQueue()
        self._results: SimpleQueue[tuple[int, Ran]] = SimpleQueue()
        self._thread: Thread | None = None
        # The output of the latest piece.
        self._output: _Output | None = None
        self._given = 0
        self._ended = 0

    @property
    def is_busy(self) -> bool:
        """Whether a piece that exceeded its time limit has not ended yet."""
        return self._ended < self._given

    @property
    def output(self) -> str:
        """The text that the latest piece has printed so far."""
        if self._output:
            return self._output.read()
        return ""

    def run(self, work: Callable[[], Any], limit: float) -> Ran:
        """Runs a piece of code. Raises TimeoutError after `limit` seconds, CallsStopped if evtool has to stop."""
        if self._thread is None:
            thread = Thread(target=self._run, daemon=True)
            try:
                thread.start()
            # The system has no more threads.
            except RuntimeError as error:
                return Ran(None, error)
            self._thread = thread
        self._output = None
        self._given += 1
        self._work.put(work)
        return self._await(self._given, time.monotonic() + limit)

    def close(self) -> None:
        """Ends the thread as soon as its piece has ended."""
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
            # Any other number is that of a piece that exceeded its limit.
            if ended == number:
                return ran

    def _run(self) -> None:
        # `close` puts None.
        for work in iter(self._work.get, None):
            output = self._output = _start_capture()
            # Also SystemExit and KeyboardInterrupt of the plugin must not end the thread.
            try:
                ran = Ran(work())
            except BaseException as error:  # noqa: BLE001
                ran = Ran(None, error)
            _end_capture()
            self._ended += 1
            self._results.put((self._ended, ran._replace(output=output.read())))


# --- output ----------------------------------------------------------------------------------------------------------


class _Output:
    """Keeps the end of the text that is written to it."""

    def __init__(self) -> None:
        self._text = ""

    def write(self, text: str) -> int:
        """Adds a text. Cuts only when twice the limit is reached, since each cut copies the text."""
        self._text += text
        if len(self._text) > 2 * OUTPUT_LIMIT:
            self._text = self._text[-OUTPUT_LIMIT:]
        return len(text)

    def read(self) -> str:
        """Returns the end of the text."""
        return self._text[-OUTPUT_LIMIT:]


class _Stream:
    """Stands for sys.stdout or sys.stderr while plugins run. It captures their threads and passes on other text."""

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

# The outputs that are captured, by the id of their thread.
_outputs: dict[int, _Output] = {}


def _start_capture() -> _Output:
    """Starts to capture what this thread prints."""
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
