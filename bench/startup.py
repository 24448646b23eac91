"""How long evtool takes to start, as a multiple of `python -c pass` in the same run; with the goals of each command.

Every command runs as a process of its own, in turn with the others, so that a busy machine slows all alike.
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

# command -> how many times as long as the bare interpreter it may take
GOALS = {
    "--version": 3.0,
    "--help": 8.0,
    f"validate {EVENT}": 8.0,
    f"validate -q {EVENT}": None,
    "publish --dry-run -q order-created": None,
}


def seconds(arguments: list[str]) -> float:
    """How long a process takes from start to end."""
    begun = time.perf_counter()
    subprocess.run(arguments, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begun


def main() -> int:
    """Prints the table; 1 if a goal is missed."""
    evtool = str(Path(sys.executable).parent / "evtool")
    commands = {BARE: [sys.executable, "-c", "pass"], **{words: [evtool, *words.split()] for words in GOALS}}
    os.environ["EVTOOL_STORE"] = str(Path(tempfile.mkdtemp()) / "store.db")
    taken: dict[str, list[float]] = {words: [] for words in commands}
    for _ in range(ROUNDS):
        for words, arguments in commands.items():
            taken[words].append(seconds(arguments))
    bare = median(taken[BARE])
    missed = 0
    print(f"{'command':<50}{'median':>10}{'ratio':>8}{'goal':>8}")
    for words, times in taken.items():
        ratio, goal = median(times) / bare, GOALS.get(words)
        missed += goal is not None and ratio > goal
        print(f"{words:<50}{median(times) * 1000:>7.1f} ms{ratio:>8.2f}{f'<= {goal:g}' if goal else '':>8}")
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
