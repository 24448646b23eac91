"""Measures the start of evtool as a multiple of `python -c pass`, with a goal for each command.

Every command runs as a new process, in turn with the others, so that a busy machine slows all alike.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

ROUNDS = 25
BARE = "python -c pass"
EVENT = "samples/events/order-created.json"

# The largest ratio of each command to the bare interpreter.
GOALS = {
    "--version": 3.0,
    "--help": 8.0,
    f"validate {EVENT}": 8.0,
    f"validate -q {EVENT}": None,
    "publish --dry-run -q order-created": None,
}


def seconds(arguments: list[str]) -> float:
    """Returns the seconds of a process from start to end."""
    started = time.perf_counter()
    subprocess.run(arguments, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def main() -> int:
    """Prints the table. Returns 1 if a command misses its goal."""
    evtool = str(Path(sys.executable).parent / "evtool")
    commands = {BARE: [sys.executable, "-c", "pass"]}
    for words in GOALS:
        commands[words] = [evtool] + words.split()
    os.environ["EVTOOL_STORE"] = str(Path(tempfile.mkdtemp()) / "store.db")
    taken: dict[str, list[float]] = {words: [] for words in commands}
    for _ in range(ROUNDS):
        for words, arguments in commands.items():
            taken[words].append(seconds(arguments))
    bare = median(taken[BARE])
    missed = 0
    print(f"{'command':<50}{'median':>10}{'ratio':>8}{'goal':>8}")
    for words, times in taken.items():
        ratio = median(times) / bare
        goal = GOALS.get(words)
        shown_goal = ""
        if goal is not None:
            missed += ratio > goal
            shown_goal = f"<= {goal:g}"
        print(f"{words:<50}{median(times) * 1000:>7.1f} ms{ratio:>8.2f}{shown_goal:>8}")
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
