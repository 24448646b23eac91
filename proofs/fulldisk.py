"""Proof: without room evtool says so and ends with exit code 4, loses nothing, and goes on when there is room again.

The room is a limit on the length of files (RLIMIT_FSIZE), which needs no rights: a write that goes beyond it fails.
"""

import resource
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

from proofs import project as projects
from proofs.audit import audit
from proofs.running import run
from proofs.trial import Figures, Trial, hold

EXIT_STORE = 4
SAID = ("the disk is full", "no file may grow beyond", "File too large")


def prove(trial: Trial) -> Figures:
    """Gives evtool less and less room, or more and more, for importing and for delivering."""
    figures = {"limits": 0, "runs that ended with exit code 4": 0, "acknowledged records": 0}
    for number in range(trial.size(100, 4)):
        project = projects.make(trial.folder / str(number), isolation="none")
        large = projects.write(project.folder / "large.jsonl", project.events(40, trial.random, longest=20_000))
        orders = projects.write(project.folder / "orders.jsonl", project.events(5, trial.random, kind="order"))
        told: list[Mapping[str, Any]] = []
        failed = 0
        limit = trial.random.randrange(1000, 500_000)
        for words in (("publish", "--no-deliver", large), ("publish", orders), ("deliver",)):
            ended = run(project.folder, *words, around=partial(_narrow, limit))
            told += project.acknowledged(ended, words)
            if ended.code == EXIT_STORE:
                failed += 1
                clear = ended.errors.count("\n") == 1 and any(said in ended.errors for said in SAID)
                hold(clear, f"with files of at most {limit} bytes evtool {' '.join(words)} said: {ended.errors}")
            else:
                hold((ended.code, ended.errors) == (0, ""), f"exit code {ended.code}: {ended.errors}")
        for command in ("publish", "--no-deliver", large, orders), ("deliver",):
            ended = run(project.folder, *command, ahead=3600)
            hold((ended.code, ended.errors) == (0, ""), f"with room again, exit code {ended.code}: {ended.errors}")
        sums = audit(project, told)
        hold(sums.done == sums.deliveries, f"{sums.deliveries - sums.done} deliveries are stuck")
        orders_sent = sum(kind == "order" for kind in project.sent.values())
        hold(sums.events == len(project.sent) + orders_sent, "with room again, not everything is stored")
        figures["limits"] += 1
        figures["runs that ended with exit code 4"] += failed
        figures["acknowledged records"] += len(told)
    return figures


@contextmanager
def _narrow(limit: int) -> Iterator[None]:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    yield
