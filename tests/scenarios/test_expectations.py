"""Tests of expectations: the scenarios of tests/cases/scenarios/expectations list the failures that they have."""

import re
import shutil
from pathlib import Path

import pytest
import yaml

from tests.conftest import ROOT, Evtool
from tests.support.projects import copy_scenario_project

CASES = ROOT / "tests/cases/scenarios"
FILES = sorted((CASES / "expectations").glob("*.yaml"))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Copies the project that the cases are made for."""
    return copy_scenario_project(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_scenarios_have_the_failures_that_they_list(evtool: Evtool, project: Path, file: Path) -> None:
    """The description of a scenario has `what` of each failure, in the order of the expectations."""
    shutil.copy(file, project / "scenarios")
    scenarios = yaml.safe_load(file.read_text())["scenarios"]
    expected = {name: scenario.get("description", "") for name, scenario in scenarios.items()}

    ran = evtool("test", "-o", "json", "--jobs", "2", cwd=project)

    failures = {s["name"]: ", ".join(failure["what"] for failure in s["failures"]) for s in ran.json["scenarios"]}
    assert failures == expected
    assert ran.code == 1
    assert ran.json["summary"]["failed"] == sum(bool(text) for text in expected.values())


def test_failures_have_locations_and_reasons(evtool: Evtool, project: Path) -> None:
    """A failure has the place of the expectation, and the reason why a route did not match."""
    scenario = """version: 1
scenarios:
  a large order:
    given: [{sample: order}]
    mock: all
    expect:
      routes: [orders, large]
"""
    (project / "scenarios/orders.yaml").write_text(scenario)

    [record] = evtool("test", "-o", "json", cwd=project).json["scenarios"]

    assert (record["file"], record["line"], record["ok"]) == ("scenarios/orders.yaml", 3, False)
    [failure] = record["failures"]
    reason = failure.pop("reason")
    assert reason.startswith("order o-1: detail.total: 20 ")
    assert failure == {
        "what": "route large",
        "expected": "a match",
        "actual": "no match",
        "file": "scenarios/orders.yaml",
        "line": 7,
        "column": 24,
    }


def test_emitting_an_undeclared_type_is_a_warning(evtool: Evtool, project: Path) -> None:
    """The scenario passes. A handler without `emits` declares nothing, so it gets no warning."""
    scenario = """version: 1
scenarios:
  it emits:
    given: [{event: {source: s, detail-type: undeclared, detail: {total: 1}}}]
    mock: {mail: {}, pack: {}}
    expect: {emits: [{detail-type: [paid]}]}
"""
    (project / "scenarios/a.yaml").write_text(scenario)

    ran, text = evtool("test", "-o", "json", cwd=project), evtool("test", cwd=project)

    assert (ran.code, text.code) == (0, 0)
    [finding] = ran.json["findings"]
    assert (finding["code"], finding["severity"]) == ("EV505", "warning")
    assert (finding["file"], finding["line"], finding["suggestion"]) == ("routes.yaml", 13, "add paid to `emits`")
    assert "routes.yaml:13:46: EV505 warning: handler undeclared emitted paid" in text.out

    routes = project / "routes.yaml"
    declared = routes.read_text()
    line = declared.splitlines()[12]
    routes.write_text(declared.replace(line, re.sub(r", emits: \[[^]]*\]", "", line)))
    assert evtool("test", "-o", "json", cwd=project).json["findings"] == []


def test_the_reason_names_an_invalid_sample_relative_to_the_current_folder(evtool: Evtool, project: Path) -> None:
    """The failure itself is located at the entry of `given`."""
    given = "[{sample: order, set: {detail.total: -1}}]"
    text = f"version: 1\nscenarios:\n  a:\n    given: {given}\n    expect: {{routes: [orders]}}\n"
    (project / "scenarios/orders.yaml").write_text(text)

    [record] = evtool("test", "-o", "json", cwd=project).json["scenarios"]

    failure = record["failures"][0]
    assert (failure["what"], failure["line"], failure["column"]) == ("given[0]", 4, 13)
    assert failure["reason"].startswith("samples/order.json:")
