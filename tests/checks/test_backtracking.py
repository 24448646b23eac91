"""Regular expressions: exponential ones are found, with a text that shows it; usual ones never are."""

from pathlib import Path

import pytest

from evtool.regex.automaton import build_automaton
from evtool.regex.backtracking import find_exponential_text
from evtool.regex.syntax import NotPlainError, parse

CASES = Path(__file__).parent.parent / "cases" / "checks"
EXPONENTIAL = (CASES / "exponential-expressions.txt").read_text(encoding="utf-8").splitlines()
HARMLESS = (CASES / "harmless-expressions.txt").read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("expression", EXPONENTIAL)
def test_exponential(expression: str) -> None:
    """A repetition that can be split in several ways, with something behind it that may fail, is found."""
    assert find_exponential_text(expression)


@pytest.mark.parametrize("expression", HARMLESS)
def test_harmless(expression: str) -> None:
    """Expressions that take linear or polynomial time, or whose meaning is not plain, give no finding."""
    assert find_exponential_text(expression) is None


def test_example() -> None:
    """The example is text that can be tried."""
    assert find_exponential_text("^(a+)+$") == "'aa' and 30 times 'aa', then '0'"


@pytest.mark.parametrize(
    "expression",
    ["(", "a)", "[a", "a{2,1", "*a", "a**", "(?=a)b", r"\1", r"\bword", "[b-a]", "a{5000}", "(?i)a", r"\p{L}"],
)
def test_not_plain(expression: str) -> None:
    """What is not well-formed, or not plain, is left alone."""
    with pytest.raises(NotPlainError):
        build_automaton(parse(expression))
