"""Finds and ends orphans: descendants of a process that left its process group."""

import os
import signal
import sys
import threading
import time
from contextlib import suppress
from functools import cache
from pathlib import Path

KILL_TIMEOUT = 2.0  # seconds for the system to end what got SIGKILL; a process on a dead mount may not end at all

MARK_PREFIX = b"/%d."  # how the marks begin that this evtool gives

_PR_SET_CHILD_SUBREAPER = 36  # prctl(2)

running_pids: set[int] = set()  # processes that are somebody's to wait for
start_lock = threading.Lock()  # held while a process is started, until it is in `running_pids`


def list_children() -> set[int]:
    """The children of this process, its own and the adopted ones; none where the system does not tell."""
    pids: set[int] = set()
    with suppress(OSError):
        for thread in os.scandir("/proc/self/task"):
            # The thread may have ended since it was listed. The children of the others count all the same.
            with suppress(FileNotFoundError, ProcessLookupError):
                pids.update(map(int, Path(thread.path, "children").read_text().split()))
    return pids


def _read_environment(pid: int) -> bytes | None:
    """The environment that a child was started with; None of one that is dead or dying. Raises OSError."""
    if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
        return None
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except ProcessLookupError:
        return None


def _is_orphan(pid: int, mark: bytes) -> bool:
    """Whether a child was adopted from the process with that mark, and is not one that somebody else started.

    Of the dead only the session is known, and daemons empty their environment, or overwrite it with a title: what has a
    session of its own, and is not marked as another handler's, is one.
    """
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
    """Has the orphans of what this process starts become its children from now on (Linux)."""
    if sys.platform == "linux":
        import ctypes  # noqa: PLC0415 - 6 ms, for those only who start a process

        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def end_orphans(mark: bytes, earlier_children: set[int]) -> None:
    """End what a process started and what is still there after its group has ended: in a session of its own.

    `earlier_children` are those that were there before the process was started.
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
        time.sleep(0.0005)  # whoever dies hands its children on to us: look again until there are none
