"""Checks the comparison of regular expressions against Python's engine, over many texts."""

import itertools
import re

import pytest

from evtool.regex.backtracking import is_plain
from evtool.regex.containment import compare_expressions

EXPRESSIONS = ["", "^", "$", "^$", "a", "a$", "^a", "ab|b", "x*", "^(a|b)*$", "^a?$", "[^a]", "^[^a]+$", "^.{2,5}$"]
EXPRESSIONS += ["^(?:ab)+$", "b$|^a", "^[0-9]+$", r"^\d\d*$", "^AB-", "^[A-Z]+-[0-9]+$", "^AB-[0-9]{1,9}$"]
TEXTS = ["".join(text) for length in range(6) for text in itertools.product("ab", repeat=length)]
TEXTS += ["1", "12", "AB-", "AB-1", "XAB-1", "XYZ-22", "AB-1x", "x"]


def matches(expression: str, text: str) -> bool:
    """Whether an expression matches a part of a text; `$` is the end only, as in JSON Schema."""
    return re.search(expression.replace("$", r"\Z"), text) is not None


@pytest.mark.parametrize("inner", EXPRESSIONS)
@pytest.mark.parametrize("outer", EXPRESSIONS)
def test_containment_agrees_with_an_engine(inner: str, outer: str) -> None:
    """No text contradicts the answer yes, and the example for the answer no is matched by one expression only."""
    answer = compare_expressions([inner], outer)
    refused = [text for text in TEXTS if matches(inner, text) and not matches(outer, text)]

    assert answer.holds is not None
    assert not refused or not answer.holds
    if not answer.holds:
        assert answer.example is not None
        assert matches(inner, answer.example)
        assert not matches(outer, answer.example)


@pytest.mark.parametrize(
    "expression", ["(?=a)b", r"(a)\1", r"\x-1", r"\u12", "^([0-9]{1,999}){1,999}$", "(" * 2000 + ")" * 2000]
)
def test_unsupported_expressions_are_undecided(expression: str) -> None:
    """Look-ahead, references, incomplete escapes and large expressions: no conclusion, without a long search."""
    assert compare_expressions([expression], "^a$").holds is None
    assert not is_plain(expression)
