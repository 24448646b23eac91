"""Proof: when a write, sync, truncation, opening or deletion fails, evtool reports it and loses nothing acknowledged.

Each change that the scenario makes to the disk fails once in one trial, and from then on in another, with the error of
a broken disk and with that of a full one. Then the disk works again, and the same work must complete.
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
from proofs.disk import Change, Create, Delete, Output, Sync, Truncate, Write
from proofs.project import Project
from proofs.running import run
from proofs.scenario import Settings
from proofs.trial import Broken, Figures, Trial, hold

EXIT_STORE = 4
# Seconds for a run, which takes about 0.01 s.
PATIENCE = 5
Failures = dict[type, tuple[type[apsw.Error], int]]
BROKEN: Failures = {
    Write: (apsw.IOError, apsw.SQLITE_IOERR_WRITE),
    Sync: (apsw.IOError, apsw.SQLITE_IOERR_FSYNC),
    Truncate: (apsw.IOError, apsw.SQLITE_IOERR_TRUNCATE),
    Create: (apsw.CantOpenError, apsw.SQLITE_CANTOPEN),
    Delete: (apsw.IOError, apsw.SQLITE_IOERR_DELETE),
}
# A full disk refuses writes. Its other failures are those of a broken disk.
FULL: Failures = BROKEN | {Write: (apsw.FullError, apsw.SQLITE_FULL)}


class Fault(NamedTuple):
    """A failing change: its number over all runs. After a `lasting` fault all later changes fail, too."""

    number: int
    full: bool
    lasting: bool

    def hits(self, number: int) -> bool:
        """Returns whether the change with this number fails."""
        return number == self.number or (self.lasting and number > self.number)

    def __str__(self) -> str:
        how = "the disk is broken"
        if self.full:
            how = "the disk is full"
        when = "at"
        if self.lasting:
            when = "from"
        return f"{how} {when} change {self.number}"


NONE = Fault(0, full=False, lasting=False)


def prove(trial: Trial) -> Figures:
    """Fails every change of the scenario in every way; in the quick form, some of them."""
    figures = {"faults": 0, "runs that ended with exit code 4": 0, "acknowledged records held against": 0}
    for settings in (Settings(wal=True, checkpoint=10), Settings(wal=False, checkpoint=0)):
        project = projects.create_project(trial.folder / f"{settings.wal}", isolation="none")
        commands = scenario.create_commands(trial, project, 1)[:3]
        changes, _, _ = _play(project, commands, settings, NONE)
        ways = product(range(1, changes + 1), (False, True), (False, True))
        faults = [Fault._make(way) for way in ways]
        for fault in trial.random.sample(faults, min(len(faults), trial.size(len(faults), 12))):
            try:
                _, acknowledged, failed = _play(project, commands, settings, fault)
                # Creates the tables if the fault has prevented that. The audit reads them.
                Store(project.store).close()
                audit(project, acknowledged)
                scenario.complete_work(project, project.store)
            # Any exception here means that the store does not work.
            except Exception as error:  # noqa: BLE001
                raise Broken(f"with {settings}, {fault} of {changes}: {error}") from None
            figures["faults"] += 1
            figures["runs that ended with exit code 4"] += failed
            figures["acknowledged records held against"] += len(acknowledged)
    return figures


def _play(
    project: Project, commands: list[tuple[str, ...]], settings: Settings, fault: Fault
) -> tuple[int, list[Mapping[str, Any]], int]:
    """Runs the scenario on a new store. Returns the counts of changes, the acknowledged records and the failed runs."""
    for file in project.store.parent.glob("*"):
        file.unlink()
    count = 0
    failed = 0
    acknowledged: list[Mapping[str, Any]] = []
    # The forked process counts the changes, and hands its count to this one in a file.
    counter = project.folder / "counted"
    for words in commands:
        around = partial(_failing_disk, counter, count, fault, settings)
        ended = run(project.folder, *words, patience=PATIENCE, around=around)
        count = int(counter.read_text())
        acknowledged += project.list_acknowledged(ended, words)
        failed += ended.code == EXIT_STORE
        succeeded = (ended.code, ended.errors) == (0, "")
        is_one_line = ended.errors.startswith("evtool: ") and ended.errors.count("\n") == 1
        is_reported = ended.code == EXIT_STORE and is_one_line
        command = f"evtool {' '.join(words)}"
        hold(succeeded or is_reported, f"{command} ends with exit code {ended.code}: {ended.errors}")
        hold(succeeded or fault != NONE, f"{command} fails on a working disk: {ended.errors}")
    return count, acknowledged, failed


@contextmanager
def _failing_disk(counter: Path, count: int, fault: Fault, settings: Settings) -> Iterator[None]:
    """Inside, the disk fails as the fault says. Adds the changes to `count`, and writes it to `counter`."""
    failures = BROKEN
    if fault.full:
        failures = FULL

    def fail(change: Change) -> None:
        nonlocal count
        if isinstance(change, Output):
            return
        count += 1
        if fault.hits(count):
            kind, code = failures[type(change)]
            error: apsw.Error = kind(f"{kind.__name__}: raised by the proof")
            # APSW returns this code to SQLite.
            error.extendedresult = code  # type: ignore[attr-defined]
            raise error

    try:
        with scenario.attacked_disk(fail, settings):
            yield
    finally:
        counter.write_text(str(count))
