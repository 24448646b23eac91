"""Call logs: record which calls were given to a handler, began and were answered, for recovery after a kill.

A call log is a file of lines. evtool and its workers append a line before they take the next step:

    evtool 1 BOOT OWNER           the first line: the form, the boot of the machine, the owner of the leases
    given 12:1 13:1               deliveries with their attempts, before evtool commits the leases
    began 12                      before the handler is called
    told 12 48211 {"emitted":[]}  the answer of the worker (see worker.py) after 48211 nanoseconds
    incomplete 12                 before evtool accepts an event for EventBridge, which the answer will not contain
    over 13                       before evtool gives a delivery back unused: the next attempt has the same number

Example: evtool is killed after these lines.

    given 12:1 13:1 14:1
    began 12
    told 12 48211 {"emitted":[]}
    began 13

The next evtool settles 12 as done, without another call. It releases 14 at once, since no call of it began. Only 13
has to wait for the end of its lease: its handler may have done its work or not.

All processes that write a call log hold a lock on it as long as they live. When the next evtool gets the lock, no more
lines can follow. Nothing syncs the file to the disk, so it may be incomplete after a power failure. BOOT shows this:
evtool ignores a call log of another boot, and all leases of it have to end.
"""

import fcntl
import os
from collections.abc import Iterable
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import NamedTuple

# Bytes: a longer call log is restarted as soon as all calls in it are settled.
RESTART_BYTES = 1 << 20

_numbers = count(1)


class CallLog(NamedTuple):
    """An open call log. If it cannot be written, it is emptied, and deliveries continue without it."""

    file: Path

    # A file descriptor, which the workers inherit.
    stream: int
    header: str

    def log_given(self, deliveries: Iterable[tuple[int, int]]) -> None:
        """Records that evtool is going to call handlers for these deliveries and attempts."""
        self.write("given " + " ".join(f"{seq}:{attempt}" for seq, attempt in deliveries))

    def log_began(self, delivery: int) -> None:
        """Records that the handler is about to be called."""
        self.write(f"began {delivery}")

    def log_incomplete(self, delivery: int) -> None:
        """Records that the answer will lack emitted events: after a kill, the handler has to be called again."""
        self.write(f"incomplete {delivery}")

    def log_over(self, delivery: int) -> None:
        """Records that no attempt was made: evtool gives the delivery back, or lets it wait."""
        self.write(f"over {delivery}")

    def write(self, line: str) -> None:
        """Appends a line. It starts with a line end, since a killed process may have left half a line."""
        data = f"\n{line}\n".encode()
        with suppress(OSError):
            if os.write(self.stream, data) == len(data):
                return
        # A log with a gap is worse than none: recovery would take a call that began for one that did not.
        with suppress(OSError):
            self.file.unlink(missing_ok=True)
            os.ftruncate(self.stream, 0)

    @property
    def is_long(self) -> bool:
        """Whether the log should be restarted before much more is written."""
        return os.fstat(self.stream).st_size > RESTART_BYTES

    def restart_if_long(self, deliveries: Iterable[tuple[int, int]]) -> None:
        """Restarts the log if it is long. Only these deliveries are not settled yet."""
        with suppress(OSError):
            if self.is_long:
                os.ftruncate(self.stream, 0)
                self.write(self.header)
                self.log_given(deliveries)

    def close(self, *, settled: bool) -> None:
        """Closes the log, and removes it if all deliveries in it are settled."""
        if settled:
            remove_log(self.file)
        os.close(self.stream)


def remove_log(file: Path) -> None:
    """Removes a call log that is not needed any more."""
    # If this fails, the next evtool tries again. All deliveries in it are settled, so that it does no harm.
    with suppress(OSError):
        file.unlink()


def read_boot_id() -> str:
    """Returns an id that the machine gets when it starts; "" on systems without one."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def open_call_log(prefix: str, owner: str) -> CallLog | None:
    """Opens a new call log for the deliveries that `owner` leases, at a path that begins with `prefix`.

    Returns None on a system without boot ids, and if the file cannot be created or locked.
    """
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
    # Between `open` and `flock`, another evtool may have taken the file for one of a killed process, and removed it.
    if not os.fstat(stream).st_nlink:
        call_log.close(settled=True)
        return open_call_log(prefix, owner)
    call_log.write(call_log.header)
    return call_log
