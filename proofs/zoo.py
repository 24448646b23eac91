"""Proof: no handler can hang, flood or kill evtool: each animal of the zoo goes the whole road, three times.

A run is a process of evtool that publishes three events: one for the animal, which is wild; one for a visitor, a
handler that looks for what a command has left behind and how much memory evtool has taken; and one for the animal
again, which is now tame. Each delivery has to end as the animal's file says, and no process may be there afterwards.
"""

import ctypes
import json
import os
import signal
import subprocess
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from proofs.trial import Figures, Trial, hold
from tests.zoo import Animal, animals, cage

ROOT = Path(__file__).parent.parent
QUICK = ("leaves_a_child", "leaves_a_session", "floods_and_returns", "eats_memory_and_stops", "emits_a_folder")
AT_ONCE = 4  # most of the time is spent waiting for time limits
LONGEST = 90.0  # seconds of a run; after them evtool hangs
DEEPEST = 11  # events from the one that begins a chain to the one that is given up
STATES = {"done": "done", "bad-result": "dead", "unavailable": "waiting"}  # all other outcomes are tried again

RUN = """
import sys
from evtool.handlers import python
python.START_LIMIT = 3.0
from evtool.cli.app import main
main(["publish", "events.jsonl", "-o", "json", "--no-schema", "ignore", "--workers", "1"])
"""


def prove(trial: Trial) -> Figures:
    """A visit to the zoo; in the quick form once, and to a few of the animals."""
    zoo = [animal for animal in animals() if not trial.quick or animal.file.stem in QUICK]
    runs = zoo * trial.size(3, 1)
    with ProcessPoolExecutor(AT_ONCE, initializer=adopt) as pool:
        found = list(pool.map(visit, runs))
    wrong = [f"{animal.name}: {what}" for animal, said in zip(runs, found, strict=True) for what in said]
    hold(not wrong, "; ".join(wrong))
    return {
        "animals": len({animal.file for animal in zoo}),
        "handlers": len(zoo),
        "runs": len(runs),
        "processes left": 0,
    }


def adopt() -> None:
    """Has whatever a run leaves behind become a child of this process."""
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER of prctl(2)


def end_children() -> list[str]:
    """Ends what is left of a run; how each was started."""
    left = []
    while pids := [
        pid for task in Path("/proc/self/task").iterdir() for pid in (task / "children").read_text().split()
    ]:
        for pid in map(int, pids):
            left.append(Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ").strip() or "a dead process")
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    return left


def visit(animal: Animal) -> list[str]:
    """What went wrong in a run."""
    with tempfile.TemporaryDirectory(prefix="zoo-", ignore_cleanup_errors=True) as folder:
        cage(animal, Path(folder))
        command = [sys.executable, "-c", RUN]
        paths = {**os.environ, "PYTHONPATH": str(ROOT)}
        try:
            ran = subprocess.run(command, check=False, cwd=folder, env=paths, capture_output=True, timeout=LONGEST)
        except subprocess.TimeoutExpired:
            return ["evtool hangs", *(f"left behind: {it}" for it in end_children())]
    left = [f"left behind: {it}" for it in end_children()]
    try:
        events = json.loads(ran.stdout)["events"]
    except (ValueError, KeyError):
        return [f"evtool ended with {ran.returncode}: {ran.stderr.decode()[-2000:]}", *left]
    return [*judge(animal, events), *left]


def judge(animal: Animal, events: list[dict[str, Any]]) -> list[str]:
    """What is not as the animal's file says."""
    expected = animal.expected
    ends = {event["id"]: event["deliveries"][0] for event in events if event["deliveries"]}
    wrong = [
        f"{name}: {ends[name]['state']} and not {state}: {ends[name]['error']}"
        for name, outcome in (("wild", expected["outcome"]), ("visit", "done"), ("tame", expected["next"]))
        if ends[name]["state"] != (state := STATES.get(outcome, "ready"))
    ]
    if expected.get("error", "") not in (said := ends["wild"]["error"] or ""):
        wrong.append(f"the error does not tell {expected['error']}: {said}")
    entered = len(events) - 3
    loops = sum(delivery["condition"] == "Loop" for delivery in ends.values())
    if (loops, entered) != ((1, DEEPEST) if expected.get("loop") else (0, 0)):
        wrong.append(f"{entered} events entered, {loops} loops")
    return wrong
