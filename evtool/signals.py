"""Handles SIGINT, SIGTERM and SIGHUP: they stop evtool, but never while it starts a process.

The functions are nested, from the outside to the inside:

    raise_on_signals(command)      Ctrl-C raises KeyboardInterrupt, a termination signal Terminated
      catch_signals(received)      puts the exception into a list, so that the report is completed before it is raised
        collect_signals()          delays it until a batch that is already stored has been reported
          defer_signals()          delays it until a started process is registered, so that it can be ended

A second signal during `collect_signals` is raised at once: the user does not want to wait.
"""

# `threading` takes as long to import as an event takes to validate.
import _thread
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

TERMINATION_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_pipe_lock = _thread.allocate_lock()
# The list of the active `collect_signals`, if one is active.
_active_lists: list[list[KeyboardInterrupt]] = []


class Terminated(KeyboardInterrupt):
    """A signal asked evtool to end. Work in progress is left as Ctrl-C leaves it."""

    def __init__(self, number: int):
        super().__init__(signal.Signals(number).name)
        # Shells use 128 plus the number of the signal.
        self.exit_code = 128 + number


class CallsStopped(KeyboardInterrupt):
    """This thread must stop waiting for its process now."""


@contextmanager
def _replace_handlers(new_handler: Callable[[int, Any], None]) -> Iterator[dict[int, Callable[[int, Any], Any]]]:
    """Replaces the handlers of signals that are not ignored, inside the block. Yields the previous handlers."""
    previous: dict[int, Callable[[int, Any], Any]] = {}
    for termination_signal in TERMINATION_SIGNALS:
        handler = signal.getsignal(termination_signal)
        # SIG_IGN is not callable: nohup's choice stays.
        if callable(handler):
            previous[termination_signal] = handler
    try:
        for number in previous:
            signal.signal(number, new_handler)
    except ValueError:
        # Python lets only the main thread set handlers, and interrupts only the main thread.
        yield {}
        return
    try:
        yield previous
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def raise_on_signals(command: Callable[[], int]) -> int:
    """Runs a command and returns its exit code. SIGINT raises KeyboardInterrupt, SIGTERM and SIGHUP raise Terminated.

    After a signal, an OSError of the command is replaced by the signal: the terminal may be gone, too.
    """
    # If the caller ignores SIGCHLD, the exit codes of child processes are lost, and every one seems to be 0.
    if signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    received: list[KeyboardInterrupt] = []

    def raise_interrupt(number: int, _: Any) -> None:
        if number == signal.SIGINT:
            received.append(KeyboardInterrupt())
        else:
            received.append(Terminated(number))
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
    """Delays signals until the block ends, so that a process that it starts is known when evtool ends."""
    received: list[tuple[int, Any]] = []
    previous: dict[int, Callable[[int, Any], Any]] = {}

    def record(number: int, frame: Any) -> None:
        received.append((number, frame))

    try:
        with _replace_handlers(record) as previous:
            yield
    finally:
        for number, frame in received:
            previous[number](number, frame)


@contextmanager
def collect_signals() -> Iterator[list[KeyboardInterrupt]]:
    """Puts the first signal inside the block into the list, and raises it at the end. A second one is raised at once.

    A nested block uses the list of the outer block, which raises the signal at its own end.
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
    """Appends a signal that is raised inside the block to a list. The caller raises it after its report."""
    try:
        yield
    except KeyboardInterrupt as interrupt:
        received.append(interrupt)


@cache
def _open_pipe() -> tuple[int, int]:
    return os.pipe()


def stop_pipe() -> tuple[int, int]:
    """Returns the pipe, the same for all threads, that is readable while threads must stop waiting."""
    # With the cache alone, two threads at the same time would make two pipes, and `stop_calls` writes to one of them.
    with _pipe_lock:
        return _open_pipe()


@contextmanager
def stop_calls() -> Iterator[None]:
    """Raises CallsStopped in every thread that waits for a process while the block runs."""
    reading, writing = stop_pipe()
    # One byte stays in the pipe during the block, so that a thread that begins to wait later sees it, too.
    os.write(writing, b"!")
    try:
        yield
    finally:
        os.read(reading, 1)
