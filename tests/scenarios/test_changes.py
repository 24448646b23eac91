"""Tests of `evtool test --watch`: the files that it watches, and their changes."""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from evtool.routes.project import Project, require_project
from evtool.scenarios.changes import take_snapshot, wait_for_change

WATCHED = ["routes.yaml", "scenarios/a.yaml", "stories/b.yaml", "schemas/t.json", "samples/t.json", "code/handlers.py"]
IGNORED = ["data/orders.db", "out.txt", ".venv/lib.py", "node_modules/index.js", ".evtool/store.db"]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Writes a project with files that are watched, and with files that are not."""
    for name in WATCHED + IGNORED:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    (tmp_path / "routes.yaml").write_text("version: 1\nschemas: schemas\nsamples: samples\n")
    return require_project(str(tmp_path / "routes.yaml"))


def touch(file: Path) -> None:
    """Gives a file another time of change."""
    os.utime(file, ns=(1, file.stat().st_mtime_ns + 1))


def test_files_that_scenarios_depend_on_are_watched(project: Project) -> None:
    """These are routes.yaml, scenarios, named paths, schemas, samples and programs, not files that handlers write."""
    snapshot = take_snapshot(project, [project.folder / "stories"])

    assert sorted(snapshot) == sorted(str(project.folder / name) for name in WATCHED)


@pytest.mark.parametrize("name", WATCHED)
@pytest.mark.parametrize("change", [touch, Path.unlink], ids=["change", "removal"])
def test_wait_returns_when_a_file_changes_or_is_removed(
    project: Project, name: str, change: Callable[[Path], None]
) -> None:
    """The change comes in the third pause; the snapshots before it are all the same."""
    take = partial(take_snapshot, project, [project.folder / "stories"])
    pauses: list[int] = []

    def pause() -> None:
        pauses.append(len(pauses))
        if len(pauses) == 3:
            change(project.folder / name)

    assert wait_for_change(take(), take, pause) == str(project.folder / name)
    assert len(pauses) == 3


def test_wait_returns_when_a_file_is_added(project: Project) -> None:
    take = partial(take_snapshot, project, [])
    before = take()

    changed = wait_for_change(before, take, (project.folder / "scenarios/new.yaml").touch)

    assert changed == str(project.folder / "scenarios/new.yaml")
