"""Finds and ends orphans: descendants of a process that left its process group.

A handler that starts a daemon leaves an orphan: the daemon has its own session, so that a signal to the process group
of the handler does not reach it. On Linux, evtool becomes the subreaper, so that orphans become its children:

    evtool (4000)  starts the handler        4100, with EVTOOL_PROCESS=/4000.7/ in its environment
    handler        starts a daemon           4101, in its own session, with the same environment
    handler        exits                     the kernel makes 4101 a child of 4000
    evtool         ends the group of 4100    which 4101 has left
    evtool         lists its children        4101 is new, and its environment contains /4000.7/: it is killed
    evtool         lists its children again  until there is no new one, since 4101 may have had children, too
"""

import os
import signal
import sys
import threading
import time
from contextlib import suppress
from functools import cache
from pathlib import Path

# Seconds for a process to end after SIGKILL. One that waits for a dead mount never does.
KILL_TIMEOUT = 2.0

# Seconds between two looks for orphans.
POLL_INTERVAL = 0.0005

# The start of the marks that this evtool gives, with its process id.
MARK_PREFIX = b"/%d."

# See prctl(2).
_PR_SET_CHILD_SUBREAPER = 36

# The processes that a Process started and has not ended. They are not orphans.
running_pids: set[int] = set()

# Held while a process starts, until it is in `running_pids`. Else another thread could take it for an orphan.
start_lock = threading.Lock()


def list_children() -> set[int]:
    """Returns the children of this process, also the adopted ones; an empty set on systems without /proc."""
    pids: set[int] = set()
    with suppress(OSError):
        for thread in os.scandir("/proc/self/task"):
            # The thread may have ended since it was listed. The children of the others count all the same.
            with suppress(FileNotFoundError, ProcessLookupError):
                pids.update(map(int, Path(thread.path, "children").read_text().split()))
    return pids


def _read_environment(pid: int) -> bytes | None:
    """Returns the environment that a child was started with, None if it is dead or dying. Raises OSError."""
    if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
        return None
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except ProcessLookupError:
        return None


def _is_orphan(pid: int, mark: bytes) -> bool:
    """Whether a child was started by the process with that mark, and not by other code in evtool."""
    # A dead process has no environment, and some daemons overwrite it with a title. Then the session decides: a child
    # with its own session and without the mark of another handler is an orphan.
    try:
        environment, session = _read_environment(pid) or b"", os.getsid(pid)
    except OSError:
        return False
    return mark in environment or (session != os.getsid(0) and MARK_PREFIX % os.getpid() not in environment)


def _is_reaped(pid: int) -> bool:
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return True


@cache
def adopt() -> None:
    """Makes this process the subreaper, so that orphans become its children (Linux)."""
    if sys.platform == "linux":
        # The import takes 6 ms, which only commands that start a process should pay.
        import ctypes  # noqa: PLC0415

        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def end_orphans(mark: bytes, earlier_children: set[int]) -> None:
    """Ends the descendants of a process that are left after its process group has ended.

    `earlier_children` are the children of evtool from before the process started.
    """
    deadline = time.monotonic() + KILL_TIMEOUT
    killed: set[int] = set()
    while time.monotonic() < deadline:
        with start_lock:
            candidates = list_children() - running_pids - earlier_children - killed
        orphans = {pid for pid in candidates if _is_orphan(pid, mark)}
        for pid in orphans:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        killed = {pid for pid in killed | orphans if not _is_reaped(pid)}
        if not killed and not orphans:
            return
        # The children of a killed orphan become children of evtool when it dies, so look again.
        time.sleep(POLL_INTERVAL)
