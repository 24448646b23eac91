"""Scenario files that cannot be used: tests/cases/scenarios/refused has each with everything that evtool says."""

import json
import shutil
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from evtool.readers.yaml_text import load_yaml
from evtool.routes.project import require_project
from evtool.scenarios.loading import find_scenario_problems
from tests.conftest import ROOT, Evtool

CASES = ROOT / "tests/cases/scenarios"
REFUSED = sorted((CASES / "refused").glob("*.yaml"))
SCHEMA = Draft202012Validator(json.loads((ROOT / "evtool/scenarios.schema.json").read_text()))
NOT_IN_SCHEMA = (
    "contradictions",
    "events",
    "no-event",
    "numbers",
    "patterns",
    "unknown-names",
    "yaml",
)  # their shape is right


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the project that the cases are made for."""
    shutil.copytree(CASES / "project", tmp_path / "project", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "project/scenarios").mkdir()
    return tmp_path / "project"


@pytest.mark.parametrize("file", REFUSED, ids=lambda file: file.stem)
def test_all_errors_are_shown_at_once(evtool: Evtool, project: Path, file: Path) -> None:
    """A file that cannot be used is exit code 2, and every error in it is shown with its place and a hint."""
    shutil.copy(file, project / "scenarios/a.yaml")

    ran = evtool("test", cwd=project)

    assert (ran.code, ran.out) == (2, "")
    assert ran.err == file.with_suffix(".txt").read_text()


@pytest.mark.parametrize("file", REFUSED, ids=lambda file: file.stem)
def test_problems_for_check(project: Path, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The findings that `evtool check` gets are the same."""
    shutil.copy(file, project / "scenarios/a.yaml")
    monkeypatch.chdir(project)

    findings = list(find_scenario_problems(require_project()))

    shown = [line for line in file.with_suffix(".txt").read_text().split("\n") if ": EV" in line]
    assert [f"{f.file}:{f.line}:{f.column}: {f.code} {f.message}" for f in findings] == shown


def test_errors_of_several_files(evtool: Evtool, project: Path) -> None:
    """Files are read on their own: the errors of all are shown, and no scenario is run."""
    (project / "scenarios/a.yaml").write_text("- a\n")
    (project / "scenarios/deep").mkdir()
    (project / "scenarios/deep/b.yml").write_bytes(b"\xff\n")
    shutil.copy(CASES / "expectations/given.yaml", project / "scenarios/c.yaml")

    ran = evtool("test", cwd=project)

    assert (ran.code, ran.out) == (2, "")
    assert "scenarios/a.yaml:1:1: EV022" in ran.err
    assert "scenarios/deep/b.yml:1:1: EV004" in ran.err


@pytest.mark.parametrize("file", sorted(CASES.glob("expectations/*.yaml")), ids=lambda file: file.stem)
def test_schema_allows_good_files(file: Path) -> None:
    """The JSON Schema for editors allows every scenario that can be run."""
    assert not list(SCHEMA.iter_errors(load_yaml(file.read_bytes(), file.name).value))


@pytest.mark.parametrize("file", [f for f in REFUSED if f.stem not in NOT_IN_SCHEMA], ids=lambda file: file.stem)
def test_schema_refuses_bad_shapes(file: Path) -> None:
    """The JSON Schema for editors refuses files of the wrong shape."""
    assert list(SCHEMA.iter_errors(load_yaml(file.read_bytes(), file.name).value))


def test_the_shop_fits_the_schema() -> None:
    """The scenarios of the shop have the exported shape."""
    for file in (ROOT / "scenarios").glob("*.yaml"):
        assert not list(SCHEMA.iter_errors(load_yaml(file.read_bytes(), file.name).value))
