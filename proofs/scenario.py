"""Scenario for attacks on the disk: several runs of evtool import events, deliver them and emit others."""

import io
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import Mock, patch

import apsw

from evtool.store.sqlite import wal
from proofs import project as projects
from proofs.audit import audit
from proofs.disk import Change, Observer, Output, Write, observed_disk
from proofs.project import Project
from proofs.running import parse_report, run
from proofs.trial import Trial, hold


class Settings(NamedTuple):
    """Settings of SQLite: a write-ahead log or a rollback journal, and the pages between two checkpoints."""

    wal: bool
    checkpoint: int

    def __str__(self) -> str:
        if self.wal:
            return f"WAL, a checkpoint every {self.checkpoint} pages"
        return "a rollback journal"


EVERY = (Settings(wal=True, checkpoint=1000), Settings(wal=True, checkpoint=20), Settings(wal=False, checkpoint=0))


class _ObservedOutput(io.TextIOWrapper):
    """Standard output that reports its text between the changes of the disk, in the order in which they happen."""

    def __init__(self, observe: Observer):
        super().__init__(io.FileIO(1, "w", closefd=False), "utf-8")
        self._observe = observe

    def write(self, text: str) -> int:
        """Writes text and reports it."""
        written = super().write(text)
        self._observe(Output(text))
        return written


@contextmanager
def attacked_disk(observe: Observer, settings: Settings) -> Iterator[None]:
    """Inside, SQLite uses these settings, and the observer gets all changes of the disk and all output."""
    sys.stdout = _ObservedOutput(observe)
    # A failed checkpoint has no caller to raise in. SQLite continues without it.
    sys.unraisablehook = _ignore
    with (
        patch.object(wal, "is_wal_safe", Mock(return_value=settings.wal)),
        patch.object(wal, "CHECKPOINT_PAGES", settings.checkpoint),
        patch.object(wal, "preallocate", _observe_preallocation(observe)),
        observed_disk(observe),
    ):
        yield


def _ignore(unraisable: object) -> None:
    del unraisable


def _observe_preallocation(observe: Observer) -> Callable[[str, int], int]:
    """Returns a `preallocate` that reports its zeros and can fail. evtool writes them itself, not through the VFS."""
    preallocate = wal.preallocate

    def preallocate_observed(file: str, needed: int) -> int:
        length = Path(file).stat().st_size
        try:
            if length < needed:
                observe(Write(Path(file).name, length, bytes(wal.PREALLOCATED_BYTES)))
        except apsw.Error:
            return 0
        return preallocate(file, needed)

    return preallocate_observed


def create_commands(trial: Trial, project: Project, scale: int) -> list[tuple[str, ...]]:
    """Writes the files of events and returns the runs: imports, orders with their deliveries, and a repeated import."""
    folder = project.folder
    random = trial.random
    first = projects.write_events(folder / "first.jsonl", project.create_events(4 * scale, random))
    second = projects.write_events(folder / "second.json", project.create_events(scale, random, kind="order"))
    third = projects.write_events(folder / "third.jsonl", project.create_events(2 * scale, random, longest=9000))
    return [
        ("publish", "--no-deliver", first),
        ("publish", second),
        ("deliver",),
        ("publish", "--no-deliver", third),
        ("publish", "--no-deliver", first),
    ]


def parse_records(changes: Sequence[Change]) -> list[dict[str, Any]]:
    """Returns the records that evtool has printed among these changes. Incomplete lines do not count."""
    text = "".join(change.text for change in changes if isinstance(change, Output))
    return parse_report(text.split("\n")[:-1])


def complete_work(project: Project, store: Path) -> None:
    """Runs the same work once more, an hour later, and checks that every delivery is done."""
    for words in (("publish", "--no-deliver", "first.jsonl", "second.json", "third.jsonl"), ("deliver",)):
        ended = run(project.folder, *words, "--store", str(store), ahead=3600)
        hold((ended.code, ended.errors) == (0, ""), f"afterwards exit code {ended.code}: {ended.errors}")
    sums = audit(project, file=store)
    hold(sums.done == sums.deliveries, f"{sums.deliveries - sums.done} of {sums.deliveries} deliveries are stuck")
    hold(sums.events == project.count_expected(), "events are missing")
