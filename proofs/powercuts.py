"""Proof: what was acknowledged before a power cut is there after it, whole, whatever of the unsynced writes survived.

Every change that evtool makes to the disk is recorded. At a random place in the record the power is cut: what was
synced is on the disk, of the rest a random subset of sectors, names and lengths. The store must open from that.
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
from proofs.disk import Change, Platter, Said, Sync
from proofs.project import Project
from proofs.running import run
from proofs.scenario import Settings
from proofs.trial import Broken, Figures, Trial, hold

GOING_ON = 100  # images between two in which the work is taken up again, to its end


def prove(trial: Trial) -> Figures:
    """Cuts the power in every setting of the store."""
    figures = {"power cuts": 0, "changes of the disk": 0, "syncs": 0, "acknowledged records held against": 0}
    for settings in scenario.EVERY:
        project = projects.make(trial.folder / f"{settings.wal}-{settings.checkpoint}", isolation="none")
        changes = _recorded(trial, project, settings)
        cuts = trial.size(5001, 120) // len(scenario.EVERY)
        figures["changes of the disk"] += sum(not isinstance(change, Said) for change in changes)
        figures["syncs"] += sum(isinstance(change, Sync) for change in changes)
        figures["power cuts"] += cuts
        try:
            figures["acknowledged records held against"] += _cut(trial, project, changes, cuts)
        except Broken as broken:
            raise Broken(f"with {settings}: {broken}") from None
    return figures


def _recorded(trial: Trial, project: Project, settings: Settings) -> list[Change]:
    """All changes of the disk in the scenario, and what was told, in their order."""
    changes: list[Change] = []
    for words in scenario.commands(trial, project, trial.size(12, 5)):
        record = project.folder / "record"
        ended = run(project.folder, *words, around=partial(_recording, record, settings))
        hold((ended.code, ended.errors) == (0, ""), f"evtool {' '.join(words)}: exit code {ended.code}: {ended.errors}")
        changes += pickle.loads(record.read_bytes())
        changes += [Said(json.dumps(told) + "\n") for told in project.acknowledged(ended, words)]
    return changes


@contextmanager
def _recording(record: Path, settings: Settings) -> Iterator[None]:
    changes: list[Change] = []
    try:
        with scenario.attacked(changes.append, settings):
            yield
    finally:
        record.write_bytes(pickle.dumps(changes))


def _cut(trial: Trial, project: Project, changes: list[Change], cuts: int) -> int:
    """Cuts the power at so many places, and audits what is left; how many records had been told before, in sum."""
    places = sorted(trial.random.randrange(len(changes) + 1) for _ in range(cuts))
    platter, played, checked = Platter(project.store.name), 0, 0
    for number, place in enumerate(places):
        for change in changes[played:place]:
            platter.play(change)
        played = place
        told = scenario.records(change for change in changes[:place] if isinstance(change, Said))
        image = _written(trial.folder / "image", platter.cut(trial.random), project.store.name)
        try:
            Store(image).close()
            audit(project, told, file=image)
            if number % GOING_ON == 0:
                scenario.go_on(project, image)
        except Exception as error:  # noqa: BLE001  (whatever it is, the store does not work)
            raise Broken(f"after a power cut at change {place} of {len(changes)}: {error}") from None
        checked += len(told)
    return checked


def _written(folder: Path, files: dict[str, bytes], name: str) -> Path:
    """The files of a store as the cut has left them."""
    folder.mkdir(exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    for file, content in files.items():
        (folder / file).write_bytes(content)
    return folder / name
