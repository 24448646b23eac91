"""Proof: on a full disk evtool reports that, ends with exit code 4, loses nothing, and continues when space is free.

The limit is RLIMIT_FSIZE, the largest length of a file, which needs no privileges: a write beyond it fails.
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
MESSAGES = ("the disk is full", "no file may grow beyond", "File too large")


def prove(trial: Trial) -> Figures:
    """Imports and delivers under random limits, and then once more without a limit."""
    figures = {"limits": 0, "runs that ended with exit code 4": 0, "acknowledged records": 0}
    for number in range(trial.size(100, 4)):
        project = projects.create_project(trial.folder / str(number), isolation="none")
        notes = project.create_events(40, trial.random, longest=20_000)
        large = projects.write_events(project.folder / "large.jsonl", notes)
        orders = projects.write_orders(project, trial.random, 5)
        acknowledged: list[Mapping[str, Any]] = []
        failed = 0
        limit = trial.random.randrange(1000, 500_000)
        for words in (("publish", "--no-deliver", large), ("publish", orders), ("deliver",)):
            ended = run(project.folder, *words, around=partial(_limited_files, limit))
            acknowledged += project.list_acknowledged(ended, words)
            if ended.code == EXIT_STORE:
                failed += 1
                is_clear = ended.errors.count("\n") == 1 and any(message in ended.errors for message in MESSAGES)
                hold(is_clear, f"with files of at most {limit} bytes evtool {' '.join(words)} prints: {ended.errors}")
            else:
                hold((ended.code, ended.errors) == (0, ""), f"exit code {ended.code}: {ended.errors}")
        # An hour later the leases of the failed runs are over.
        for arguments in (("publish", "--no-deliver", large, orders), ("deliver",)):
            ended = run(project.folder, *arguments, ahead=3600)
            hold((ended.code, ended.errors) == (0, ""), f"without a limit, exit code {ended.code}: {ended.errors}")
        sums = audit(project, acknowledged)
        hold(sums.done == sums.deliveries, f"{sums.deliveries - sums.done} deliveries are stuck")
        hold(sums.events == project.count_expected(), "without a limit, events are missing")
        figures["limits"] += 1
        figures["runs that ended with exit code 4"] += failed
        figures["acknowledged records"] += len(acknowledged)
    return figures


@contextmanager
def _limited_files(limit: int) -> Iterator[None]:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    yield
