"""Tests of `evtool check` on small projects, with planted mistakes or with parts that look like mistakes."""

from pathlib import Path

import pytest

from tests.conftest import Evtool
from tests.support.projects import ProjectCase, read_case

CASES = Path(__file__).parent.parent / "cases" / "checks"
GOOD = sorted((CASES / "good").glob("*.txt"))
BAD = sorted((CASES / "bad").glob("*.txt"))


def run_check(evtool: Evtool, folder: Path, case: ProjectCase) -> tuple[list[str], int]:
    """Returns the findings of a project, in the form of the cases, and the exit code."""
    case.write(folder)
    ran = evtool("check", "-o", "json", cwd=folder)
    assert not ran.err
    lines = [f"{f['code']} {f['file']}:{f['line']} {f['severity']}" for f in ran.json["findings"]]
    return lines, ran.code


@pytest.mark.parametrize("file", GOOD, ids=lambda file: file.stem)
def test_a_correct_project_has_no_findings(evtool: Evtool, tmp_path: Path, file: Path) -> None:
    """Parts of these projects look like mistakes."""
    assert run_check(evtool, tmp_path, read_case(file.read_text(encoding="utf-8"))) == ([], 0)


@pytest.mark.parametrize("file", BAD, ids=lambda file: file.stem)
def test_a_planted_mistake_has_exactly_its_finding(evtool: Evtool, tmp_path: Path, file: Path) -> None:
    case = read_case(file.read_text(encoding="utf-8"))
    lines, code = run_check(evtool, tmp_path, case)

    assert lines == case.expected
    assert code == any(line.endswith(" error") for line in lines)
