"""One time limit over a whole exchange: also while a server sends a byte now and then, or a name is looked up."""

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
    """The time limit of an exchange of so many seconds. It also ends when all calls are to stop.

    A connection that is guarded is shut down then, which ends whatever waits for it: reading, writing or a handshake.
    Limits of single reads could not do this, since a server that is slow enough meets each of them.
    """

    def __init__(self, seconds: float):
        self._deadline = time.monotonic() + seconds
        self._interruption: TimeLimitError | CallsStopped | None = None
        self._ours, self._theirs = socket.socketpair()  # the end of ours ends the thread
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
        """Waits until a file is ready, at most for some seconds. Raises TimeLimitError or CallsStopped."""
        ready = _select(file, events, self.remaining if seconds is None else min(seconds, self.remaining))
        if stop_pipe()[0] in ready:
            raise CallsStopped
        if not ready:
            raise TimeLimitError

    def guard(self, connection: socket.socket) -> None:
        """Shuts the connection down at the end of the time. Raises RuntimeError if no thread can be started."""
        copy = connection.dup()  # TLS takes the file descriptor over
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
    """The file and the pipe that stops calls, as far as they are ready."""
    with selectors.DefaultSelector() as selector:
        selector.register(file, events)
        selector.register(stop_pipe()[0], selectors.EVENT_READ)
        return {key.fd for key, _ in selector.select(seconds)}
