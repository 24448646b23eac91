"""The scenario that the disk is attacked in: imports, deliveries and what they emit, by several runs of evtool."""

import io
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import apsw

from evtool.store.sqlite import wal
from proofs import project as projects
from proofs.audit import audit
from proofs.disk import Said, Seen, Write, watched
from proofs.project import Project
from proofs.running import run
from proofs.trial import Trial, hold


class Settings(NamedTuple):
    """How SQLite keeps the store: with a write-ahead log or a rollback journal; pages between two checkpoints."""

    wal: bool
    checkpoint: int

    def __str__(self) -> str:
        return f"WAL, a checkpoint every {self.checkpoint} pages" if self.wal else "a rollback journal"


EVERY = (Settings(wal=True, checkpoint=1000), Settings(wal=True, checkpoint=20), Settings(wal=False, checkpoint=0))


class _Heard(io.TextIOWrapper):
    """Standard output, every text of which is seen in its place among the changes of the disk."""

    def __init__(self, seen: Seen):
        super().__init__(io.FileIO(1, "w", closefd=False), "utf-8")
        self._seen = seen

    def write(self, text: str) -> int:
        """Writes, and says so."""
        written = super().write(text)
        self._seen(Said(text))
        return written


@contextmanager
def attacked(seen: Seen, settings: Settings) -> Iterator[None]:
    """Inside, evtool keeps its store as the settings say, and all that it changes and tells is seen."""
    sys.stdout = _Heard(seen)
    sys.unraisablehook = lambda _: None  # a failed checkpoint: SQLite goes on without it, and there is no caller
    with (
        patch.object(wal, "is_wal_safe", lambda _: settings.wal),
        patch.object(wal, "CHECKPOINT_PAGES", settings.checkpoint),
        patch.object(wal, "preallocate", _laid_out(seen)),
        watched(seen),
    ):
        yield


def _laid_out(seen: Seen) -> Callable[[str, int], int]:
    """The zeros that are appended to the WAL: SQLite does not write them; they are seen and may fail, too."""

    def lay_out(file: str, needed: int) -> int:
        length = Path(file).stat().st_size
        try:
            if length < needed:
                seen(Write(Path(file).name, length, bytes(wal.PREALLOCATED_BYTES)))
        except apsw.Error:
            return 0
        return original(file, needed)

    original = wal.preallocate
    return lay_out


def commands(trial: Trial, project: Project, scale: int) -> list[tuple[str, ...]]:
    """The runs of evtool: an import, orders with all that comes of them, what was left to deliver, and more."""
    folder, random = project.folder, trial.random
    first = projects.write(folder / "first.jsonl", project.events(4 * scale, random))
    second = projects.write(folder / "second.json", project.events(scale, random, kind="order"))
    third = projects.write(folder / "third.jsonl", project.events(2 * scale, random, longest=9000))
    return [
        ("publish", "--no-deliver", first),
        ("publish", second),
        ("deliver",),
        ("publish", "--no-deliver", third),
        ("publish", "--no-deliver", first),
    ]


def records(said: Iterable[Said]) -> list[dict[str, Any]]:
    """The records that evtool told, of which only whole lines count."""
    lines = "".join(each.text for each in said).split("\n")[:-1]
    return [record for record in map(json.loads, lines) if "evtool" not in record]


def go_on(project: Project, store: Path) -> None:
    """The same work once more brings everything to its end."""
    for words in (("publish", "--no-deliver", "first.jsonl", "second.json", "third.jsonl"), ("deliver",)):
        ended = run(project.folder, *words, "--store", str(store), ahead=3600)
        hold((ended.code, ended.errors) == (0, ""), f"afterwards exit code {ended.code}: {ended.errors}")
    sums = audit(project, file=store)
    hold(sums.done == sums.deliveries, f"{sums.deliveries - sums.done} of {sums.deliveries} deliveries are stuck")
    hold(
        sums.events == len(project.sent) + sum(kind == "order" for kind in project.sent.values()), "events are missing"
    )
