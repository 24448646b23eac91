"""The error of a command is the line of its standard error that describes the problem."""

from pathlib import Path

import pytest

from evtool.handlers.processes.error_lines import find_error_line
from tests.conftest import ROOT

CASES = sorted((ROOT / "tests/cases/error_lines").iterdir())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_error_line_of_each_language(case: Path) -> None:
    """The first line of a case, after `#! `, is the error of the program that printed the other lines."""
    expected, _, printed = case.read_text(encoding="utf-8").partition("\n")
    assert find_error_line(printed) == expected.removeprefix("#! ")


@pytest.mark.parametrize(
    "printed", ["", "\n \n", "A" * 60_000, "a.B" * 20_000 + "\n    at x", "\n" * 60_000, "}\n" * 30_000]
)
def test_error_line_of_odd_output_is_found_quickly(printed: str) -> None:
    """Empty output and a flood take no noticeable time, and the line is short."""
    assert len(find_error_line(printed)) <= 500
