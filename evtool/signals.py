"""Signals: a request to end evtool is heeded, but never in the middle of starting a process."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from threading import Lock
from typing import Any

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_hanging = Lock()
_noted: list[list[KeyboardInterrupt]] = []  # by whoever notes signals now


class Ended(KeyboardInterrupt):
    """Somebody asked evtool to end, by a signal: what is under way is left as Ctrl-C leaves it."""

    def __init__(self, number: int):
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number


class Halted(KeyboardInterrupt):
    """What this thread waits for is to end now."""


@contextmanager
def _replaced(handle: Callable[[int, Any], None]) -> Iterator[dict[int, Callable[[int, Any], Any]]]:
    """Has signals that are not ignored handled in another way inside; gives the usual ways."""
    usual: dict[int, Callable[[int, Any], Any]] = {
        number: handler for number in ENDING if callable(handler := signal.getsignal(number))
    }
    try:
        for number in usual:
            signal.signal(number, handle)
    except ValueError:  # not the main thread, which alone is interrupted
        yield {}
        return
    try:
        yield usual
    finally:
        for number, handler in usual.items():
            signal.signal(number, handler)


def heeded(command: Callable[[], int]) -> int:
    """The exit code of a command, in which signals that would end evtool raise Ended, and SIGINT KeyboardInterrupt.

    When one has come, whatever cannot be read or written any more is of no interest: the terminal may be gone, too.
    A caller that had SIGCHLD ignored is not followed: every process would seem to have ended well.
    """
    if signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    came: list[KeyboardInterrupt] = []

    def end(number: int, _: Any) -> None:
        came.append(KeyboardInterrupt() if number == signal.SIGINT else Ended(number))
        raise came[-1]

    try:
        with _replaced(end):
            return command()
    except OSError:
        if came:
            raise came[0] from None
        raise


@contextmanager
def deferred() -> Iterator[None]:
    """Signals that come inside are heeded at the end of it: what is started there can be ended then."""
    came: list[tuple[int, Any]] = []
    usual: dict[int, Callable[[int, Any], Any]] = {}
    try:
        with _replaced(lambda number, frame: came.append((number, frame))) as usual:
            yield
    finally:
        for number, frame in came:
            usual[number](number, frame)


@contextmanager
def noted() -> Iterator[list[KeyboardInterrupt]]:
    """The first signal inside is put into the list, and raised at the end. A second one is raised at once.

    Inside of another one it is that one's list, and that one's end.
    """
    if _noted:
        yield _noted[0]
        return
    came: list[KeyboardInterrupt] = []

    def note(number: int, frame: Any) -> None:
        try:
            usual[number](number, frame)
        except KeyboardInterrupt as signal:
            if came:
                raise
            came.append(signal)

    _noted.append(came)
    try:
        with _replaced(note) as usual:
            yield came
    finally:
        _noted.clear()
    if came:
        raise came[0]


@contextmanager
def caught(came: list[KeyboardInterrupt]) -> Iterator[None]:
    """A signal that is raised inside goes into the list: it is to be raised again when all that was done is told."""
    try:
        yield
    except KeyboardInterrupt as signal:
        came.append(signal)


@cache
def _pipe() -> tuple[int, int]:
    return os.pipe()


def stop_pipe() -> tuple[int, int]:
    """A pipe that can be read from while threads are to stop waiting: the same one for all of them."""
    with _hanging:  # a cache alone has threads that come together make one each, and only one of these is rung
        return _pipe()


@contextmanager
def stop_calls() -> Iterator[None]:
    """Whoever waits for a process inside, in whatever thread, gets Halted."""
    reading, writing = stop_pipe()
    os.write(writing, b"!")
    try:
        yield
    finally:
        os.read(reading, 1)
