"""One time limit over a whole exchange, from the look-up of the name to the last byte of the response.

Limits of single reads would not be enough: a server that sends a byte each second meets every one of them. So a thread
waits for the end of the time, and shuts the connection down, which ends reading, writing and a TLS handshake. Example
with 5 seconds:

    0.0 s   the name is looked up, at most for 5 seconds
    0.2 s   the connection is opened, at most for 4.8 seconds; from now on the thread guards it
    0.3 s   the request is sent; the server responds with one byte per second
    5.0 s   the thread shuts the connection down: the read ends, and `check` raises TimeLimitError
"""

import selectors
import socket
import time
from contextlib import suppress
from threading import Thread
from typing import Self

from evtool.signals import CallsStopped, stop_pipe


class TimeLimitError(Exception):
    """The time of an exchange is over."""


class TimeLimit:
    """The time limit of an exchange, in seconds. It also ends when evtool has to stop."""

    def __init__(self, seconds: float):
        self._deadline = time.monotonic() + seconds
        self._interruption: TimeLimitError | CallsStopped | None = None
        # When `_ours` is closed, the thread ends.
        self._ours, self._theirs = socket.socketpair()
        self._thread: Thread | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._ours.close()
        if self._thread:
            self._thread.join()
        self._theirs.close()

    @property
    def remaining(self) -> float:
        """Seconds until the end, at least 0."""
        return max(self._deadline - time.monotonic(), 0.0)

    def check(self) -> None:
        """Raises TimeLimitError if the guarded connection was shut down for the time limit, or CallsStopped."""
        if self._interruption:
            raise self._interruption

    def wait(self, file: socket.socket, events: int, seconds: float | None = None) -> None:
        """Waits until a file is ready, at most `seconds`. Raises TimeLimitError or CallsStopped."""
        limit = self.remaining
        if seconds is not None:
            limit = min(seconds, limit)
        ready = _select(file, events, limit)
        if stop_pipe()[0] in ready:
            raise CallsStopped
        if not ready:
            raise TimeLimitError

    def guard(self, connection: socket.socket) -> None:
        """Shuts the connection down at the end of the time. Raises RuntimeError if no thread can be started."""
        # A copy, since the TLS connection takes over the file descriptor of this one.
        copy = connection.dup()
        self._thread = Thread(target=self._guard, args=(copy,), daemon=True)
        try:
            self._thread.start()
        except RuntimeError:
            self._thread = None
            copy.close()
            raise

    def _guard(self, connection: socket.socket) -> None:
        with connection:
            ready = _select(self._theirs, selectors.EVENT_READ, self.remaining)
            if self._theirs.fileno() in ready:
                return
            if ready:
                self._interruption = CallsStopped()
            else:
                self._interruption = TimeLimitError()
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


def _select(file: socket.socket, events: int, seconds: float) -> set[int]:
    """Returns which of the file and the stop pipe are ready."""
    with selectors.DefaultSelector() as selector:
        selector.register(file, events)
        selector.register(stop_pipe()[0], selectors.EVENT_READ)
        return {key.fd for key, _ in selector.select(seconds)}
