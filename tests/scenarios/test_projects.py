"""Tests with projects of tests/cases/scenarios/projects, whose failures and coverage were determined by hand."""

from pathlib import Path

import pytest
import yaml

from tests.conftest import ROOT, Evtool

CASES = sorted((ROOT / "tests/cases/scenarios/projects").glob("*.yaml"))


@pytest.mark.parametrize("file", CASES, ids=lambda file: file.stem)
def test_projects_have_the_listed_failures_and_coverage(evtool: Evtool, tmp_path: Path, file: Path) -> None:
    case = yaml.safe_load(file.read_text(encoding="utf-8"))
    for name, text in case["files"].items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")

    ran = evtool("test", "-o", "json")

    failures = {s["name"]: [f["what"] for f in s["failures"]] for s in ran.json["scenarios"] if not s["ok"]}
    coverage = {name: [section["covered"], section["all"]] for name, section in ran.json["coverage"].items()}
    assert failures == case.get("failures", {})
    assert ran.code == bool(failures)
    assert {name: coverage[name] for name in case.get("coverage", {})} == case.get("coverage", {})
    codes = {finding["code"] for finding in ran.json["findings"]}
    assert codes == set(case.get("codes", codes))
