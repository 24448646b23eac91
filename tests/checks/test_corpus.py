"""`evtool check` on small projects: those built around traps give nothing, each planted mistake gives its finding."""

from pathlib import Path

import pytest

from tests.conftest import Evtool
from tests.support.projects import ProjectCase, read_case

CASES = Path(__file__).parent.parent / "cases" / "checks"
GOOD = sorted((CASES / "good").glob("*.txt"))
BAD = sorted((CASES / "bad").glob("*.txt"))


def run_check(evtool: Evtool, folder: Path, case: ProjectCase) -> tuple[list[str], int]:
    """What `evtool check` finds in a project, as the cases write it, and its exit code."""
    case.write(folder)
    ran = evtool("check", "-o", "json", cwd=folder)
    assert not ran.err
    found = [f"{f['code']} {f['file']}:{f['line']} {f['severity']}" for f in ran.json["findings"]]
    return found, ran.code


@pytest.mark.parametrize("file", GOOD, ids=lambda file: file.stem)
def test_no_false_alarm(evtool: Evtool, tmp_path: Path, file: Path) -> None:
    """A correct project gives no finding, though parts of it look like mistakes."""
    assert run_check(evtool, tmp_path, read_case(file.read_text(encoding="utf-8"))) == ([], 0)


@pytest.mark.parametrize("file", BAD, ids=lambda file: file.stem)
def test_planted_mistake(evtool: Evtool, tmp_path: Path, file: Path) -> None:
    """A mistake gives its finding on its line, and nothing else."""
    case = read_case(file.read_text(encoding="utf-8"))
    found, code = run_check(evtool, tmp_path, case)

    assert found == case.expected
    assert code == any(line.endswith(" error") for line in found)
