"""Proof: no handler can hang, flood or kill evtool. evtool calls each animal of the zoo in three runs.

The zoo (tests/zoo) contains misbehaving handlers, its animals. A run is an evtool process that publishes three events:
one for the animal, which misbehaves; one for a visitor, a handler that looks for leftovers of a command and measures
evtool's memory; and one for the animal again, which now behaves. Each delivery must end as the animal's file says, and
no process may remain.
"""

import ctypes
import itertools
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
# Runs mostly wait for time limits, so more of them than the machine has cores can run at once.
AT_ONCE = 4
# Seconds of a run. An evtool that takes longer hangs.
LONGEST = 90.0
# Events in a loop, from the first of the chain to the one that is refused.
DEEPEST = 11
# The state after each outcome. After all other outcomes the delivery is tried again, so it is `ready`.
STATES = {"done": "done", "bad-result": "dead", "unavailable": "waiting"}
# PR_SET_CHILD_SUBREAPER of prctl(2).
SUBREAPER = 36

RUN = """
import sys
from evtool.handlers import python
python.START_LIMIT = 3.0
from evtool.cli.app import main
main(["publish", "events.jsonl", "-o", "json", "--no-schema", "ignore", "--workers", "1"])
"""


def prove(trial: Trial) -> Figures:
    """Runs every animal three times; in the quick form a few of them once."""
    zoo = [animal for animal in animals() if not trial.quick or animal.file.stem in QUICK]
    runs = zoo * trial.size(3, 1)
    with ProcessPoolExecutor(AT_ONCE, initializer=adopt) as pool:
        problems = list(itertools.chain.from_iterable(pool.map(visit, runs)))
    hold(not problems, "; ".join(problems))
    return {
        "animals": len({animal.file for animal in zoo}),
        "handlers": len(zoo),
        "runs": len(runs),
        "processes left": 0,
    }


def adopt() -> None:
    """Makes this process the parent of every orphan that a run leaves behind, so that it can find them (Linux)."""
    ctypes.CDLL(None).prctl(SUBREAPER, 1, 0, 0, 0)


def end_children() -> list[str]:
    """Kills the processes that a run has left behind. Returns a problem for each, with its command line."""
    problems = []
    # The children of a killed process become children of this one, so the list can grow again.
    for pid in iter(_find_child, None):
        command = Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ").strip() or "a dead process"
        problems.append(f"left behind: {command}")
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    return problems


def _find_child() -> int | None:
    """Returns the id of a child process, or None."""
    for task in Path("/proc/self/task").iterdir():
        for pid in (task / "children").read_text().split():
            return int(pid)
    return None


def visit(animal: Animal) -> list[str]:
    """Runs evtool with an animal. Returns the problems, each with the animal's name."""
    return [f"{animal.name}: {problem}" for problem in _run_animal(animal)]


def _run_animal(animal: Animal) -> list[str]:
    with tempfile.TemporaryDirectory(prefix="zoo-", ignore_cleanup_errors=True) as folder:
        cage(animal, Path(folder))
        command = [sys.executable, "-c", RUN]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        try:
            done = subprocess.run(
                command, check=False, cwd=folder, env=environment, capture_output=True, timeout=LONGEST
            )
        except subprocess.TimeoutExpired:
            return ["evtool hangs"] + end_children()
    leftovers = end_children()
    try:
        events = json.loads(done.stdout)["events"]
    except (ValueError, KeyError):
        return [f"evtool ended with {done.returncode}: {done.stderr.decode()[-2000:]}"] + leftovers
    return check_events(animal, events) + leftovers


def check_events(animal: Animal, events: list[dict[str, Any]]) -> list[str]:
    """Returns the differences between the deliveries and the animal's file."""
    expected = animal.expected
    deliveries = {event["id"]: event["deliveries"][0] for event in events if event["deliveries"]}
    problems = []
    for name, outcome in (("wild", expected["outcome"]), ("visit", "done"), ("tame", expected["next"])):
        state = STATES.get(outcome, "ready")
        delivery = deliveries[name]
        if delivery["state"] != state:
            problems.append(f"{name}: {delivery['state']} and not {state}: {delivery['error']}")
    error = deliveries["wild"]["error"] or ""
    if expected.get("error", "") not in error:
        problems.append(f"the error does not contain {expected['error']!r}: {error}")
    # Three events are published. The others were emitted.
    emitted = len(events) - 3
    loops = sum(delivery["condition"] == "Loop" for delivery in deliveries.values())
    expected_counts = (0, 0)
    if expected.get("loop"):
        expected_counts = (1, DEEPEST)
    if (loops, emitted) != expected_counts:
        problems.append(f"{emitted} events were emitted, {loops} loops")
    return problems
