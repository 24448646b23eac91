"""Diaries: what a slot was given, began and was told, beside the store until it is settled, for who comes after a kill.

A diary is a file of lines, written by evtool and by the workers that it calls, each before the next step is taken:

    evtool 1 BOOT OWNER           the first line
    given 12:1 13:1               deliveries with their attempts, before they are claimed for good
    began 12                      before the handler is called
    told 12 48211 {"emitted":[]}  what the worker answers (see worker.py), and the nanoseconds that it took
    over 13                       before it is given back without an attempt: the next one has the same number

All who write it hold a lock on it as long as they live. Who gets the lock knows that no more will come: what was told
can be settled, what was never begun is free, and only what was under way has to wait for the end of its lease. Nothing
of it is synced, so after a power cut, which is another BOOT, a diary says nothing; then all leases have to end.
"""

import fcntl
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import NamedTuple

DIARY = "-diary-"  # what its name has behind that of the store's file
LONG = 1 << 20  # bytes of a diary; a longer one is begun anew as soon as all in it is settled
LONGEST = 1 << 29  # bytes of a diary that is read
PATIENCE = 1.0  # seconds for the worker of an evtool that was killed to come to its end, too

_numbers = count(1)


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


class Diary(NamedTuple):
    """A diary that is being kept. One that cannot be written is emptied, and the work goes on without it."""

    file: Path
    stream: int  # a file descriptor, which workers share
    head: str

    def given(self, deliveries: Iterable[tuple[int, int]]) -> None:
        """Deliveries, with their attempts, are to be called."""
        self.write("given " + " ".join(f"{seq}:{attempt}" for seq, attempt in deliveries))

    def began(self, delivery: int) -> None:
        """The handler is about to be called."""
        self.write(f"began {delivery}")

    def over(self, delivery: int) -> None:
        """No attempt was made: the delivery is to be given back, or to wait."""
        self.write(f"over {delivery}")

    def write(self, line: str) -> None:
        """A line, also after one that was left in its middle."""
        data = f"\n{line}\n".encode()
        with suppress(OSError):
            if os.write(self.stream, data) == len(data):
                return
        with suppress(OSError):
            self.file.unlink(missing_ok=True)
            os.ftruncate(self.stream, 0)

    @property
    def is_long(self) -> bool:
        """Whether it should be begun anew before much more is written."""
        return os.fstat(self.stream).st_size > LONG

    def renew(self, deliveries: Iterable[tuple[int, int]]) -> None:
        """Begins it anew if it is long. Nothing else than these deliveries is open."""
        with suppress(OSError):
            if self.is_long:
                os.ftruncate(self.stream, 0)
                self.write(self.head)
                self.given(deliveries)

    def close(self, *, settled: bool) -> None:
        """Ends it; it is not needed any more if all is settled."""
        if settled:
            _remove(self.file)
        os.close(self.stream)


def _remove(file: Path) -> None:
    with suppress(OSError):  # it says nothing that is still so, and whoever comes next tries again
        file.unlink()


def _boot() -> str:
    """What tells one run of the machine from another; "" where nothing does."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def kept(store: Path, owner: str) -> Diary | None:
    """A new diary beside a store, of the worker that claims as `owner`; None where there can be none."""
    boot = _boot()
    file = Path(f"{os.path.realpath(store)}{DIARY}{owner}-{next(_numbers)}")  # whatever symbolic link led to the store
    if not boot:
        return None
    try:
        stream = os.open(file, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError:
        return None
    diary = Diary(file, stream, f"evtool 1 {boot} {owner}")
    try:
        fcntl.flock(stream, fcntl.LOCK_SH)
    except OSError:
        diary.close(settled=True)
        return None
    if not os.fstat(stream).st_nlink:  # somebody has inherited it before it was locked
        diary.close(settled=True)
        return kept(store, owner)
    diary.write(diary.head)
    return diary


def left(store: Path, *, patience: float = 0.0) -> Iterator[Left]:
    """What those who were killed have left. When the next is asked for, the last one is thrown away.

    The workers of an evtool that is gone have so many seconds to come to their end, too.
    """
    real, until = Path(os.path.realpath(store)), time.monotonic() + patience
    prefix = real.name + DIARY
    with suppress(OSError):
        for file in sorted(file for file in real.parent.iterdir() if file.name.startswith(prefix)):
            yield from _inherited(file, file.name.removeprefix(prefix).partition("-")[0], until)


def _inherited(file: Path, pid: str, until: float) -> Iterator[Left]:
    try:
        stream = os.open(file, os.O_RDWR | os.O_NOFOLLOW)  # NFS locks for itself alone what can be written only
    except OSError:  # somebody else has seen to it
        return
    try:
        if _locked(stream, pid, until):
            if read := _read(stream):
                yield read
            _remove(file)
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
        if (name, form, boot) != ("evtool", "1", _boot()):
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
