"""Proof: whichever write, sync, truncation, opening or deletion fails, it is told and nothing acknowledged is lost.

Each change that the scenario makes to the disk fails once in one trial, and for good in another, as the disk reports it
when it is broken and when it is full. Then the disk is well again, and the same work must come to its end.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import apsw

from evtool.store.store import Store
from proofs import project as projects
from proofs import scenario
from proofs.audit import audit
from proofs.disk import Change, Create, Delete, Said, Sync, Truncate, Write
from proofs.project import Project
from proofs.running import run
from proofs.scenario import Settings
from proofs.trial import Broken, Figures, Trial, hold

EXIT_STORE = 4
PATIENCE = 5  # seconds for a run that takes a hundredth of one
Failures = dict[type, tuple[type[apsw.Error], int]]
BROKEN: Failures = {
    Write: (apsw.IOError, apsw.SQLITE_IOERR_WRITE),
    Sync: (apsw.IOError, apsw.SQLITE_IOERR_FSYNC),
    Truncate: (apsw.IOError, apsw.SQLITE_IOERR_TRUNCATE),
    Create: (apsw.CantOpenError, apsw.SQLITE_CANTOPEN),
    Delete: (apsw.IOError, apsw.SQLITE_IOERR_DELETE),
}
FULL: Failures = {**BROKEN, Write: (apsw.FullError, apsw.SQLITE_FULL)}


class Fault(NamedTuple):
    """Which change fails, counted over all runs of the scenario, how, and whether all that come after fail, too."""

    number: int
    full: bool
    lasting: bool

    def hits(self, number: int) -> bool:
        """Whether the change with this number fails."""
        return number == self.number or (self.lasting and number > self.number)

    def __str__(self) -> str:
        how = "the disk is full" if self.full else "the disk is broken"
        return f"{how} {'from' if self.lasting else 'at'} change {self.number}"


NONE = Fault(0, full=False, lasting=False)


def prove(trial: Trial) -> Figures:
    """Fails every change of the scenario in every way; in the quick form, some of them."""
    figures = {"faults": 0, "runs that ended with exit code 4": 0, "acknowledged records held against": 0}
    for settings in (Settings(wal=True, checkpoint=10), Settings(wal=False, checkpoint=0)):
        project = projects.make(trial.folder / f"{settings.wal}", isolation="none")
        commands = scenario.commands(trial, project, 1)[:3]
        changes, _, _ = _play(project, commands, settings, NONE)
        faults = [Fault(n, *how) for n in range(1, changes + 1) for how in product((False, True), repeat=2)]
        for fault in trial.random.sample(faults, min(len(faults), trial.size(len(faults), 12))):
            try:
                _, told, failed = _play(project, commands, settings, fault)
                Store(project.store).close()  # the tables, if they could not be made
                audit(project, told)
                scenario.go_on(project, project.store)
            except Exception as error:  # noqa: BLE001  (whatever it is, the store does not work)
                raise Broken(f"with {settings}, {fault} of {changes}: {error}") from None
            figures["faults"] += 1
            figures["runs that ended with exit code 4"] += failed
            figures["acknowledged records held against"] += len(told)
    return figures


def _play(
    project: Project, commands: list[tuple[str, ...]], settings: Settings, fault: Fault
) -> tuple[int, list[Mapping[str, Any]], int]:
    """Runs the scenario on a new store: how many changes there were, the records told, the runs that failed."""
    for file in project.store.parent.glob("*"):
        file.unlink()
    count, failed = 0, 0
    told: list[Mapping[str, Any]] = []
    for words in commands:
        counted = project.folder / "counted"
        ended = run(
            project.folder, *words, patience=PATIENCE, around=partial(_failing, counted, count, fault, settings)
        )
        count = int(counted.read_text())
        told += project.acknowledged(ended, words)
        failed += ended.code == EXIT_STORE
        well = (ended.code, ended.errors) == (0, "")
        clear = ended.code == EXIT_STORE and ended.errors.startswith("evtool: ") and ended.errors.count("\n") == 1
        hold(well or clear, f"evtool {' '.join(words)} ends with exit code {ended.code}: {ended.errors}")
        hold(well or fault != NONE, f"with a disk that is well, {ended.errors}")
    return count, told, failed


@contextmanager
def _failing(counted: Path, count: int, fault: Fault, settings: Settings) -> Iterator[None]:
    """Inside, the disk fails as the fault says; `counted` is written how many changes there were, with the earlier."""

    def seen(change: Change) -> None:
        nonlocal count
        if isinstance(change, Said):
            return
        count += 1
        if fault.hits(count):
            kind, code = (FULL if fault.full else BROKEN)[type(change)]
            error: apsw.Error = kind(f"{kind.__name__}: as the proof has it")
            error.extendedresult = code  # type: ignore[attr-defined]  # apsw hands it to SQLite
            raise error

    try:
        with scenario.attacked(seen, settings):
            yield
    finally:
        counted.write_text(str(count))
