"""Call logs: record which calls were given to a handler, began and were answered, for recovery after a crash.

A call log is a file of lines, written by evtool and by the workers that it calls, each before the next step is taken:

    evtool 1 BOOT OWNER           the first line
    given 12:1 13:1               deliveries with their attempts, before they are claimed for good
    began 12                      before the handler is called
    told 12 48211 {"emitted":[]}  what the worker answers (see worker.py), and the nanoseconds that it took
    incomplete 12                 before an event is taken that `told` will lack: the handler has sent it to EventBridge
    over 13                       before it is given back without an attempt: the next one has the same number

All who write it hold a lock on it as long as they live. Who gets the lock knows that no more will come: what was told
can be settled, what was never begun is free, and only what was under way has to wait for the end of its lease. Nothing
of it is synced, so after a power cut, which is another BOOT, a call log says nothing; then all leases have to end.
"""

import fcntl
import os
from collections.abc import Iterable
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import NamedTuple

RESTART_BYTES = 1 << 20  # bytes; a longer call log is restarted as soon as all calls in it are settled

_numbers = count(1)


class CallLog(NamedTuple):
    """A call log that is being kept. One that cannot be written is emptied, and the work goes on without it."""

    file: Path
    stream: int  # a file descriptor, which workers share
    header: str

    def log_given(self, deliveries: Iterable[tuple[int, int]]) -> None:
        """Deliveries, with their attempts, are to be called."""
        self.write("given " + " ".join(f"{seq}:{attempt}" for seq, attempt in deliveries))

    def log_began(self, delivery: int) -> None:
        """The handler is about to be called."""
        self.write(f"began {delivery}")

    def log_incomplete(self, delivery: int) -> None:
        """The answer will not have all that was emitted: if evtool is killed, the handler has to be called again."""
        self.write(f"incomplete {delivery}")

    def log_over(self, delivery: int) -> None:
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
        return os.fstat(self.stream).st_size > RESTART_BYTES

    def restart_if_long(self, deliveries: Iterable[tuple[int, int]]) -> None:
        """Begins it anew if it is long. Nothing else than these deliveries is open."""
        with suppress(OSError):
            if self.is_long:
                os.ftruncate(self.stream, 0)
                self.write(self.header)
                self.log_given(deliveries)

    def close(self, *, settled: bool) -> None:
        """Ends it; it is not needed any more if all is settled."""
        if settled:
            remove_log(self.file)
        os.close(self.stream)


def remove_log(file: Path) -> None:
    with suppress(OSError):  # it says nothing that is still so, and whoever comes next tries again
        file.unlink()


def read_boot_id() -> str:
    """What tells one run of the machine from another; "" where nothing does."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def open_call_log(prefix: str, owner: str) -> CallLog | None:
    """Opens a new call log for the worker that claims as `owner`; None if it cannot. Its path begins with `prefix`."""
    boot = read_boot_id()
    file = Path(f"{prefix}{owner}-{next(_numbers)}")
    if not boot:
        return None
    try:
        stream = os.open(file, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError:
        return None
    call_log = CallLog(file, stream, f"evtool 1 {boot} {owner}")
    try:
        fcntl.flock(stream, fcntl.LOCK_SH)
    except OSError:
        call_log.close(settled=True)
        return None
    if not os.fstat(stream).st_nlink:  # somebody has inherited it before it was locked
        call_log.close(settled=True)
        return open_call_log(prefix, owner)
    call_log.write(call_log.header)
    return call_log
