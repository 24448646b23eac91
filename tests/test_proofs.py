"""The proofs of reliability in their quick form: the promises hold, and each sabotage of evtool is caught."""

import subprocess
import sys
from pathlib import Path

import pytest

from proofs.__main__ import EXIT_BROKEN, PROOFS
from proofs.sabotages import SABOTAGES, prove
from tests.conftest import ROOT

pytestmark = pytest.mark.slow


def proofs(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """The proofs as `make proofs` runs them."""
    words = [sys.executable, "-m", "proofs", *arguments]
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=300)


@pytest.mark.parametrize("name", PROOFS)
def test_the_promise_holds(name: str) -> None:
    """A few attacks find no violation. The report has the seed and the version of SQLite."""
    ran = proofs(name, "--quick")

    assert (ran.returncode, ran.stderr) == (0, ""), ran.stdout
    assert f"{name} holds: " in ran.stdout
    assert "(seed 1, " in ran.stdout


@pytest.mark.parametrize("name", SABOTAGES)
def test_a_sabotage_is_caught(tmp_path: Path, name: str) -> None:
    """With a deliberate bug in evtool, the proof of that promise fails."""
    code, output = prove(name, tmp_path, seed=1)

    assert code == EXIT_BROKEN, output
    assert " BROKEN: " in output


def test_sabotages_are_reported() -> None:
    """`python -m proofs --sabotage` reports each sabotage as caught."""
    ran = proofs("--sabotage", "a RecursionError is let through")

    assert (ran.returncode, ran.stderr) == (0, "")
    assert "a RecursionError is let through: caught by texts BROKEN: " in ran.stdout
