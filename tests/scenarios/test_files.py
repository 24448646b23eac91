"""Tests of scenario files that evtool refuses. tests/cases/scenarios/refused has each one with its messages."""

import json
import shutil
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from evtool.readers.yaml_text import load_yaml
from evtool.routes.project import require_project
from evtool.scenarios.loading import find_scenario_problems
from tests.conftest import ROOT, Evtool
from tests.support.projects import copy_scenario_project

CASES = ROOT / "tests/cases/scenarios"
REFUSED = sorted((CASES / "refused").glob("*.yaml"))
SCHEMA = Draft202012Validator(json.loads((ROOT / "evtool/scenarios.schema.json").read_text()))
# The shape of these files is right: their problems cannot be expressed in a JSON Schema.
NOT_IN_SCHEMA = (
    "contradictions",
    "events",
    "no-event",
    "numbers",
    "patterns",
    "unknown-names",
    "yaml",
)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Copies the project that the cases are made for."""
    return copy_scenario_project(tmp_path)


@pytest.mark.parametrize("file", REFUSED, ids=lambda file: file.stem)
def test_all_problems_of_a_file_are_shown_at_once(evtool: Evtool, project: Path, file: Path) -> None:
    """The exit code is 2. Each problem is shown with its place and a hint."""
    shutil.copy(file, project / "scenarios/a.yaml")

    ran = evtool("test", cwd=project)

    assert (ran.code, ran.out) == (2, "")
    assert ran.err == file.with_suffix(".txt").read_text()


@pytest.mark.parametrize("file", REFUSED, ids=lambda file: file.stem)
def test_check_has_the_same_findings(project: Path, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(file, project / "scenarios/a.yaml")
    monkeypatch.chdir(project)

    findings = list(find_scenario_problems(require_project()))

    shown = [line for line in file.with_suffix(".txt").read_text().split("\n") if ": EV" in line]
    assert [f"{f.file}:{f.line}:{f.column}: {f.code} {f.message}" for f in findings] == shown


def test_problems_of_several_files_are_shown_at_once(evtool: Evtool, project: Path) -> None:
    """The scenarios of a file without problems do not run either."""
    (project / "scenarios/a.yaml").write_text("- a\n")
    (project / "scenarios/deep").mkdir()
    (project / "scenarios/deep/b.yml").write_bytes(b"\xff\n")
    shutil.copy(CASES / "expectations/given.yaml", project / "scenarios/c.yaml")

    ran = evtool("test", cwd=project)

    assert (ran.code, ran.out) == (2, "")
    assert "scenarios/a.yaml:1:1: EV022" in ran.err
    assert "scenarios/deep/b.yml:1:1: EV004" in ran.err


@pytest.mark.parametrize("file", sorted(CASES.glob("expectations/*.yaml")), ids=lambda file: file.stem)
def test_schema_for_editors_allows_scenarios_that_can_run(file: Path) -> None:
    assert not list(SCHEMA.iter_errors(load_yaml(file.read_bytes(), file.name).value))


@pytest.mark.parametrize("file", [f for f in REFUSED if f.stem not in NOT_IN_SCHEMA], ids=lambda file: file.stem)
def test_schema_for_editors_refuses_wrong_shapes(file: Path) -> None:
    assert list(SCHEMA.iter_errors(load_yaml(file.read_bytes(), file.name).value))


def test_schema_for_editors_allows_the_scenarios_of_the_shop() -> None:
    for file in (ROOT / "scenarios").glob("*.yaml"):
        assert not list(SCHEMA.iter_errors(load_yaml(file.read_bytes(), file.name).value))
