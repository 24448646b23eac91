"""Proof: everything acknowledged before a power cut is complete after it, with any part of the unsynced writes.

The proof records every change that evtool makes to the disk, and cuts the power at random places of the record. Synced
changes are on the disk; of the others a random subset of sectors, names and lengths is. The store must open from that.
"""

import json
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from evtool.store.store import Store
from proofs import project as projects
from proofs import scenario
from proofs.audit import audit
from proofs.disk import Change, Output, Platter, Sync
from proofs.project import Project
from proofs.running import run
from proofs.scenario import Settings
from proofs.trial import Broken, Figures, Trial, hold

# In every hundredth image the same work continues to its end, which takes longer than the audit.
COMPLETION_INTERVAL = 100


def prove(trial: Trial) -> Figures:
    """Cuts the power in every setting of the store."""
    figures = {"power cuts": 0, "changes of the disk": 0, "syncs": 0, "acknowledged records held against": 0}
    for settings in scenario.EVERY:
        project = projects.create_project(trial.folder / f"{settings.wal}-{settings.checkpoint}", isolation="none")
        changes = _record_changes(trial, project, settings)
        cuts = trial.size(5001, 120) // len(scenario.EVERY)
        figures["changes of the disk"] += sum(not isinstance(change, Output) for change in changes)
        figures["syncs"] += sum(isinstance(change, Sync) for change in changes)
        figures["power cuts"] += cuts
        try:
            figures["acknowledged records held against"] += _audit_cuts(trial, project, changes, cuts)
        except Broken as broken:
            raise Broken(f"with {settings}: {broken}") from None
    return figures


def _record_changes(trial: Trial, project: Project, settings: Settings) -> list[Change]:
    """Returns all changes of the disk in the scenario, and the output, in their order."""
    changes: list[Change] = []
    for words in scenario.create_commands(trial, project, trial.size(12, 5)):
        record = project.folder / "record"
        ended = run(project.folder, *words, around=partial(_recorded_disk, record, settings))
        hold((ended.code, ended.errors) == (0, ""), f"evtool {' '.join(words)}: exit code {ended.code}: {ended.errors}")
        changes += pickle.loads(record.read_bytes())
        # Exit code 0 acknowledges the events of the files, after everything that the run has printed.
        for acknowledged in project.list_acknowledged(ended, words):
            changes.append(Output(json.dumps(acknowledged) + "\n"))
    return changes


@contextmanager
def _recorded_disk(record: Path, settings: Settings) -> Iterator[None]:
    changes: list[Change] = []
    try:
        with scenario.attacked_disk(changes.append, settings):
            yield
    finally:
        record.write_bytes(pickle.dumps(changes))


def _audit_cuts(trial: Trial, project: Project, changes: list[Change], cuts: int) -> int:
    """Cuts the power at random places and audits the files. Returns how many acknowledged records were checked."""
    # In ascending order every change is replayed once, and not again for each cut.
    places = sorted(trial.random.randrange(len(changes) + 1) for _ in range(cuts))
    platter = Platter(project.store.name)
    played = 0
    checked = 0
    for number, place in enumerate(places):
        for change in changes[played:place]:
            platter.play(change)
        played = place
        acknowledged = scenario.parse_records(changes[:place])
        image = _write_image(trial.folder / "image", platter.cut(trial.random), project.store.name)
        try:
            Store(image).close()
            audit(project, acknowledged, file=image)
            if number % COMPLETION_INTERVAL == 0:
                scenario.complete_work(project, image)
        # Any exception here means that the store does not work.
        except Exception as error:  # noqa: BLE001
            raise Broken(f"after a power cut at change {place} of {len(changes)}: {error}") from None
        checked += len(acknowledged)
    return checked


def _write_image(folder: Path, files: dict[str, bytes], name: str) -> Path:
    """Writes the files that the cut has left. Returns the path of the store."""
    folder.mkdir(exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    for file, content in files.items():
        (folder / file).write_bytes(content)
    return folder / name
