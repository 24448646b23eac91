"""Reads the call logs that killed evtool processes left behind, so that their calls can be settled."""

import fcntl
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from evtool.handlers.processes.call_log import read_boot_id, remove_log
from evtool.store.sqlite.files import call_log_prefix

MAX_LOG_BYTES = 1 << 29  # bytes of a call log that is read
EXIT_TIMEOUT = 1.0  # seconds for the worker of an evtool that was killed to come to its end, too


class LoggedAnswer(NamedTuple):
    """What a worker answered, in which attempt, and how many seconds it took."""

    attempt: int
    answer: bytes
    seconds: float


class Leftover(NamedTuple):
    """What somebody who was killed left: the answers to deliveries, and the attempts at others that never began."""

    owner: str
    answers: dict[int, LoggedAnswer]
    unstarted: dict[int, int]


def read_leftovers(store: Path, *, timeout: float = 0.0) -> Iterator[Leftover]:
    """What those who were killed have left. When the next is asked for, the last one is thrown away.

    The workers of an evtool that is gone have so many seconds to come to their end, too.
    """
    deadline, prefix = time.monotonic() + timeout, Path(call_log_prefix(store))
    with suppress(OSError):
        for file in sorted(file for file in prefix.parent.iterdir() if file.name.startswith(prefix.name)):
            yield from _take_over(file, file.name.removeprefix(prefix.name).partition("-")[0], deadline)


def _take_over(file: Path, pid: str, deadline: float) -> Iterator[Leftover]:
    try:
        stream = os.open(file, os.O_RDWR | os.O_NOFOLLOW)  # NFS locks for itself alone what can be written only
    except OSError:  # somebody else has seen to it
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
    """Whether nobody writes a call log any more; if only its evtool is gone, its workers soon are."""
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
    """What a call log says; None if it is of another run of the machine, or nobody can tell what it says."""
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
    """What the lines after the first one say. Raises ValueError or KeyError."""
    attempts: dict[int, int] = {}
    started: set[int] = set()
    incomplete: set[int] = set()  # deliveries whose answers do not say everything
    answers: dict[int, LoggedAnswer] = {}
    for word, _, rest in (line.partition(b" ") for line in lines):
        if word == b"given":
            for seq, _, attempt in (item.partition(b":") for item in rest.split(b" ")):
                attempts[int(seq)] = int(attempt)
                started.discard(int(seq))
        elif word == b"began":
            started.add(int(rest))
            incomplete.discard(int(rest))
            answers.pop(int(rest), None)  # of a call that took no attempt: this one has its number again
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
    complete_answers = {seq: answer for seq, answer in answers.items() if seq not in incomplete}
    return Leftover(owner, complete_answers, {seq: attempt for seq, attempt in attempts.items() if seq not in started})
