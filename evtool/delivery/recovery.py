"""Reads the call logs that killed evtool processes left behind, so that their calls can be settled.

A call log has one line for each step of a call. Example: a process claimed the deliveries 7, 8 and 9 and was killed.

    given 7:1 8:1 9:2          three claims, each with the number of its attempt
    began 7
    told 7 1500000 ANSWER      the answer to 7, after 1.5 ms
    began 8

The answer to 7 is settled. 9 never started, so it is released and is due at once. Nobody knows how far the call of 8
got, so its lease must end before the next attempt.
"""

import fcntl
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from evtool.handlers.processes.call_log import read_boot_id, remove_log
from evtool.store.sqlite.files import call_log_prefix

# A larger call log is not read: evtool starts a new one long before.
MAX_LOG_BYTES = 1 << 29
# Seconds for the workers of a killed evtool process to exit, too.
EXIT_TIMEOUT = 1.0


class LoggedAnswer(NamedTuple):
    """The answer of a worker, the number of the attempt, and the seconds that the call took."""

    attempt: int
    answer: bytes
    seconds: float


class Leftover(NamedTuple):
    """What a killed process left: the answers by delivery, and the attempts by delivery that never started."""

    owner: str
    answers: dict[int, LoggedAnswer]
    unstarted: dict[int, int]


def read_leftovers(store: Path, *, timeout: float = 0.0) -> Iterator[Leftover]:
    """Yields what each killed process left. Its call log is deleted when the next one is requested.

    `timeout` is the time in seconds for the workers of a killed process to exit, too.
    """
    deadline, prefix = time.monotonic() + timeout, Path(call_log_prefix(store))
    with suppress(OSError):
        for file in sorted(prefix.parent.iterdir()):
            if file.name.startswith(prefix.name):
                pid, _, _ = file.name.removeprefix(prefix.name).partition("-")
                yield from _take_over(file, pid, deadline)


def _take_over(file: Path, pid: str, deadline: float) -> Iterator[Leftover]:
    try:
        # Opened for writing, since NFS grants an exclusive lock only then.
        stream = os.open(file, os.O_RDWR | os.O_NOFOLLOW)
    except OSError:
        # Another process has taken it over.
        return
    try:
        if _try_lock(stream, pid, deadline):
            leftover = _parse_log(stream)
            if leftover:
                yield leftover
            remove_log(file)
    finally:
        os.close(stream)


def _try_lock(stream: int, pid: str, deadline: float) -> bool:
    """Whether no process writes to a call log any more. If evtool is gone, waits for its workers until the deadline."""
    while True:
        with suppress(OSError):
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return os.fstat(stream).st_nlink > 0
        if time.monotonic() >= deadline or not _is_gone(pid):
            return False
        time.sleep(0.01)


def _is_gone(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except (ValueError, OSError, OverflowError):
        return False
    return False


def _parse_log(stream: int) -> Leftover | None:
    """Parses a call log; None if it was written before the last boot, or is damaged."""
    if os.fstat(stream).st_size > MAX_LOG_BYTES:
        return None
    with open(stream, "rb", closefd=False) as file:
        lines = [line for line in file.read().split(b"\n")[:-1] if line]
    try:
        [name, version, boot, owner] = lines[0].decode().split(" ")
        if (name, version, boot) != ("evtool", "1", read_boot_id()):
            return None
        return _parse_entries(owner, lines[1:])
    except (ValueError, KeyError, IndexError):
        return None


def _parse_entries(owner: str, lines: Sequence[bytes]) -> Leftover:
    """Parses the lines after the first one. Raises ValueError or KeyError."""
    attempts: dict[int, int] = {}
    started: set[int] = set()
    # Deliveries whose logged answers are not complete, so that they cannot be settled.
    incomplete: set[int] = set()
    answers: dict[int, LoggedAnswer] = {}
    for line in lines:
        word, _, rest = line.partition(b" ")
        if word == b"given":
            for item in rest.split(b" "):
                seq, _, attempt = item.partition(b":")
                attempts[int(seq)] = int(attempt)
                started.discard(int(seq))
        elif word == b"began":
            started.add(int(rest))
            incomplete.discard(int(rest))
            # An earlier answer of the same delivery used no attempt, and this call has the same attempt number.
            answers.pop(int(rest), None)
        elif word == b"incomplete":
            incomplete.add(int(rest))
        elif word == b"told":
            seq, nanoseconds, answer = rest.split(b" ", 2)
            answers[int(seq)] = LoggedAnswer(attempts[int(seq)], answer, int(nanoseconds) / 1e9)
        elif word == b"over":
            del attempts[int(rest)]
            answers.pop(int(rest), None)
        else:
            raise ValueError("a line of another version")
    for delivery in incomplete:
        answers.pop(delivery, None)
    for delivery in started:
        attempts.pop(delivery, None)
    return Leftover(owner, answers, attempts)
