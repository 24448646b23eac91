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
from collections.abc import Iterable
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import NamedTuple

LONG = 1 << 20  # bytes of a diary; a longer one is begun anew as soon as all in it is settled

_numbers = count(1)


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
            remove_log(self.file)
        os.close(self.stream)


def remove_log(file: Path) -> None:
    with suppress(OSError):  # it says nothing that is still so, and whoever comes next tries again
        file.unlink()


def boot_id() -> str:
    """What tells one run of the machine from another; "" where nothing does."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def kept(prefix: str, owner: str) -> Diary | None:
    """A new diary of the worker that claims as `owner`; None where there can be none. Its path begins with `prefix`."""
    boot = boot_id()
    file = Path(f"{prefix}{owner}-{next(_numbers)}")
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
        return kept(prefix, owner)
    diary.write(diary.head)
    return diary
