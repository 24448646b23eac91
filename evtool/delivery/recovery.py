"""Takes over the calls that a killed evtool process left: reads its call log."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from evtool.handlers.processes.call_log import boot_id, remove_log
from evtool.store.sqlite.files import call_log_prefix

LONGEST = 1 << 29  # bytes of a diary that is read
PATIENCE = 1.0  # seconds for the worker of an evtool that was killed to come to its end, too


class Told(NamedTuple):
    """What a worker answered, in which attempt, and how many seconds it took."""

    attempt: int
    answer: bytes
    seconds: float


class Left(NamedTuple):
    """What somebody who was killed left: the answers to deliveries, and the attempts at others that never began."""

    owner: str
    told: dict[int, Told]
    idle: dict[int, int]


def left(store: Path, *, patience: float = 0.0) -> Iterator[Left]:
    """What those who were killed have left. When the next is asked for, the last one is thrown away.

    The workers of an evtool that is gone have so many seconds to come to their end, too.
    """
    until, first = time.monotonic() + patience, Path(call_log_prefix(store))
    with suppress(OSError):
        for file in sorted(file for file in first.parent.iterdir() if file.name.startswith(first.name)):
            yield from _inherited(file, file.name.removeprefix(first.name).partition("-")[0], until)


def _inherited(file: Path, pid: str, until: float) -> Iterator[Left]:
    try:
        stream = os.open(file, os.O_RDWR | os.O_NOFOLLOW)  # NFS locks for itself alone what can be written only
    except OSError:  # somebody else has seen to it
        return
    try:
        if _locked(stream, pid, until):
            if read := _read(stream):
                yield read
            remove_log(file)
    finally:
        os.close(stream)


def _locked(stream: int, pid: str, until: float) -> bool:
    """Whether nobody writes a diary any more; if only its evtool is gone, its workers soon are."""
    while True:
        with suppress(OSError):
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return os.fstat(stream).st_nlink > 0
        if time.monotonic() >= until or not _is_gone(pid):
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


def _read(stream: int) -> Left | None:
    """What a diary says; None if it is of another run of the machine, or nobody can tell what it says."""
    if os.fstat(stream).st_size > LONGEST:
        return None
    with open(stream, "rb", closefd=False) as file:
        lines = [line for line in file.read().split(b"\n")[:-1] if line]
    given: dict[int, int] = {}
    began: set[int] = set()
    told: dict[int, Told] = {}
    try:
        [name, form, boot, owner] = lines[0].decode().split(" ")
        if (name, form, boot) != ("evtool", "1", boot_id()):
            return None
        for word, _, rest in (line.partition(b" ") for line in lines[1:]):
            if word == b"given":
                for seq, _, attempt in (each.partition(b":") for each in rest.split(b" ")):
                    given[int(seq)] = int(attempt)
                    began.discard(int(seq))
            elif word == b"began":
                began.add(int(rest))
                told.pop(int(rest), None)  # of a call that took no attempt: this one has its number again
            elif word == b"told":
                seq, nanoseconds, answer = rest.split(b" ", 2)
                told[int(seq)] = Told(given[int(seq)], answer, int(nanoseconds) / 1e9)
            elif word == b"over":
                del given[int(rest)]
                told.pop(int(rest), None)
            else:
                return None
    except (ValueError, KeyError, IndexError):
        return None
    return Left(owner, told, {seq: attempt for seq, attempt in given.items() if seq not in began})
