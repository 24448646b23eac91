"""The error of a command is the line of its standard error that says what went wrong."""

from pathlib import Path

import pytest

from evtool.handlers.processes.error_lines import find_error_line
from tests.conftest import ROOT

CASES = sorted((ROOT / "tests/cases/error_lines").iterdir())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_the_line_that_says_what_went_wrong(case: Path) -> None:
    """The first line of a case, after `#! `, is the error of the program that printed the others."""
    expected, _, printed = case.read_text(encoding="utf-8").partition("\n")
    assert find_error_line(printed) == expected.removeprefix("#! ")


@pytest.mark.parametrize(
    "printed", ["", "\n \n", "A" * 60_000, "a.B" * 20_000 + "\n    at x", "\n" * 60_000, "}\n" * 30_000]
)
def test_any_output_is_read_at_once(printed: str) -> None:
    """Neither nothing nor a flood takes long, and the line is short."""
    assert len(find_error_line(printed)) <= 500
