"""-q prints failures, and nothing else."""

import json
from pathlib import Path

import pytest

from tests.conftest import Evtool

ROUTES = """version: 1
handlers:
  ok: {command: ["true"]}
  bad: {command: ["false"]}
routes:
  good: {pattern: {source: [s]}, to: [ok]}
  fails: {pattern: {source: [s], detail-type: [bad]}, to: [bad], retry: {max_attempts: 1}}
"""
QUIET = [
    ("publish", "good.json"),
    ("publish", "good.json", "--dry-run"),
    ("replay",),
    ("replay", "-v"),
    ("replay", "--deliver"),
    ("deliver",),
    ("doctor",),
    ("validate", "good.json", "--no-schema", "ignore", "--schema", "any.json"),
    ("backup", "copy.db"),
    ("dlq", "list"),
    ("dlq", "redrive"),
    ("dlq", "purge", "--all"),
    ("events", "--type", "none"),
    ("events", "prune", "--older-than", "1s"),
]


@pytest.fixture
def project(tmp_path: Path, evtool: Evtool) -> Path:
    """A project with a stored event that was delivered, and one that will fail."""
    (tmp_path / "routes.yaml").write_text(ROUTES)
    (tmp_path / "any.json").write_text("true")
    for name in ("good", "bad"):
        event = {"id": name, "source": "s", "detail-type": name, "detail": {}}
        (tmp_path / f"{name}.json").write_text(json.dumps(event))
    evtool("publish", "good.json", cwd=tmp_path)
    return tmp_path


@pytest.mark.parametrize("command", QUIET, ids=" ".join)
def test_quiet_prints_nothing_without_a_problem(evtool: Evtool, project: Path, command: tuple[str, ...]) -> None:
    """Neither results nor totals. Notes only about unknown values."""
    ran = evtool(*command, "-q", cwd=project)

    assert (ran.code, ran.out, ran.err) == (0, "", "")
    if command[0] not in ("events", "dlq"):
        loud = evtool(*command, *(["--force"] if command[0] == "backup" else []), cwd=project)
        assert loud.out


def test_quiet_prints_failures(evtool: Evtool, project: Path) -> None:
    """Only the chain or the delivery that failed."""
    good = {"id": "more", "source": "s", "detail-type": "good", "detail": {}}
    (project / "more.json").write_text(json.dumps(good))
    ran = evtool("publish", "more.json", "bad.json", "-q", cwd=project)
    assert (ran.code, "bad  dead" in ran.out, "more" in ran.out) == (1, True, False)
    ran = evtool("replay", "--deliver", "-q", cwd=project)
    assert ran.code == 1
    assert [line.split()[0] for line in ran.out.splitlines()] == ["handler", "bad"]
    assert evtool("dlq", "redrive", "-q", cwd=project).out == ""
    ran = evtool("deliver", "-q", cwd=project)
    assert ran.code == 1
    assert {line.split()[2] for line in ran.out.splitlines()} == {"bad"}
    assert "bad" in evtool("dlq", "list", "-q", cwd=project).out
