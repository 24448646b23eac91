"""A handler that looks around: evtool has to be well, and of a command nothing may be left."""

import json
import os
from pathlib import Path

MOST = 200_000  # kilobytes of memory that evtool may ever have taken


def children(pid):
    """The processes that a process has to answer for."""
    return {child for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()}


def command(pid):
    """How a process was started; nothing for one that is dead."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    except OSError:
        return []


def visit(event, context):
    """Fail if anything is wrong."""
    evtool = os.getppid()
    warm = "python" in json.loads(Path("routes.yaml").read_text())["handlers"]["animal"]  # what it left may go on
    strangers = {pid: command(pid) for pid in children(evtool) if not any("worker.py" in it for it in command(pid))}
    assert warm or not strangers, f"left behind: {strangers}"
    status = Path(f"/proc/{evtool}/status").read_text()
    [peak] = [int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")]
    assert peak < MOST, f"evtool took {peak} kB"
