"""Handles SIGINT, SIGTERM and SIGHUP: they stop evtool, but never while it starts a process."""

import _thread  # threading takes as long to import as an event takes to validate
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

TERMINATION_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_pipe_lock = _thread.allocate_lock()
_active_lists: list[list[KeyboardInterrupt]] = []  # of the active collect_signals()


class Terminated(KeyboardInterrupt):
    """Somebody asked evtool to end, by a signal: what is under way is left as Ctrl-C leaves it."""

    def __init__(self, number: int):
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number


class CallsStopped(KeyboardInterrupt):
    """What this thread waits for is to end now."""


@contextmanager
def _replace_handlers(new_handler: Callable[[int, Any], None]) -> Iterator[dict[int, Callable[[int, Any], Any]]]:
    """Has signals that are not ignored handled in another way inside; gives the usual ways."""
    previous: dict[int, Callable[[int, Any], Any]] = {
        number: handler for number in TERMINATION_SIGNALS if callable(handler := signal.getsignal(number))
    }
    try:
        for number in previous:
            signal.signal(number, new_handler)
    except ValueError:  # not the main thread, which alone is interrupted
        yield {}
        return
    try:
        yield previous
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def raise_on_signals(command: Callable[[], int]) -> int:
    """Runs a command and returns its exit code. Signals that end evtool raise Terminated, SIGINT KeyboardInterrupt.

    When one has come, whatever cannot be read or written any more is of no interest: the terminal may be gone, too.
    A caller that had SIGCHLD ignored is not followed: every process would seem to have ended well.
    """
    if signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    received: list[KeyboardInterrupt] = []

    def raise_interrupt(number: int, _: Any) -> None:
        received.append(KeyboardInterrupt() if number == signal.SIGINT else Terminated(number))
        raise received[-1]

    try:
        with _replace_handlers(raise_interrupt):
            return command()
    except OSError:
        if received:
            raise received[0] from None
        raise


@contextmanager
def defer_signals() -> Iterator[None]:
    """Delays signals until the block ends, so that a process that it starts can be ended then."""
    received: list[tuple[int, Any]] = []
    previous: dict[int, Callable[[int, Any], Any]] = {}
    try:
        with _replace_handlers(lambda number, frame: received.append((number, frame))) as previous:
            yield
    finally:
        for number, frame in received:
            previous[number](number, frame)


@contextmanager
def collect_signals() -> Iterator[list[KeyboardInterrupt]]:
    """The first signal inside is put into the list, and raised at the end. A second one is raised at once.

    Inside of another one it is that one's list, and that one's end.
    """
    if _active_lists:
        yield _active_lists[0]
        return
    received: list[KeyboardInterrupt] = []

    def record(number: int, frame: Any) -> None:
        try:
            previous[number](number, frame)
        except KeyboardInterrupt as interrupt:
            if received:
                raise
            received.append(interrupt)

    _active_lists.append(received)
    try:
        with _replace_handlers(record) as previous:
            yield received
    finally:
        _active_lists.clear()
    if received:
        raise received[0]


@contextmanager
def catch_signals(received: list[KeyboardInterrupt] | list[Exception | KeyboardInterrupt]) -> Iterator[None]:
    """A signal that is raised inside goes into the list: it is to be raised again when all that was done is told."""
    try:
        yield
    except KeyboardInterrupt as interrupt:
        received.append(interrupt)


@cache
def _open_pipe() -> tuple[int, int]:
    return os.pipe()


def stop_pipe() -> tuple[int, int]:
    """A pipe that can be read from while threads are to stop waiting: the same one for all of them."""
    with _pipe_lock:  # a cache alone has threads that come together make one each, and only one of these is written to
        return _open_pipe()


@contextmanager
def stop_calls() -> Iterator[None]:
    """Whoever waits for a process inside, in whatever thread, gets CallsStopped."""
    reading, writing = stop_pipe()
    os.write(writing, b"!")
    try:
        yield
    finally:
        os.read(reading, 1)
