"""Tests of the search for regular expressions that take exponential time."""

from pathlib import Path

import pytest

from evtool.regex.automaton import build_automaton
from evtool.regex.backtracking import find_exponential_text
from evtool.regex.syntax import NotPlainError, parse

CASES = Path(__file__).parent.parent / "cases" / "checks"
EXPONENTIAL = (CASES / "exponential-expressions.txt").read_text(encoding="utf-8").splitlines()
HARMLESS = (CASES / "harmless-expressions.txt").read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("expression", EXPONENTIAL)
def test_exponential_expressions_are_found(expression: str) -> None:
    """They have a repetition that can be split in several ways, and a part behind it that may fail."""
    assert find_exponential_text(expression)


@pytest.mark.parametrize("expression", HARMLESS)
def test_harmless_expressions_are_not_reported(expression: str) -> None:
    """They take linear or polynomial time, or have features that the search does not support."""
    assert find_exponential_text(expression) is None


def test_the_example_can_be_tried() -> None:
    assert find_exponential_text("^(a+)+$") == "'aa' and 30 times 'aa', then '0'"


@pytest.mark.parametrize(
    "expression",
    ["(", "a)", "[a", "a{2,1", "*a", "a**", "(?=a)b", r"\1", r"\bword", "[b-a]", "a{5000}", "(?i)a", r"\p{L}"],
)
def test_unsupported_expressions_are_not_reported(expression: str) -> None:
    """They are not well-formed, or have features that automata cannot express."""
    with pytest.raises(NotPlainError):
        build_automaton(parse(expression))
