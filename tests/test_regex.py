"""Whether one regular expression takes everything that another one takes: against Python's engine, over many texts."""

import itertools
import re

import pytest

from evtool.regex.containment import compare_expressions

EXPRESSIONS = ["", "^", "$", "^$", "a", "a$", "^a", "ab|b", "x*", "^(a|b)*$", "^a?$", "[^a]", "^[^a]+$", "^.{2,5}$"]
EXPRESSIONS += ["^(?:ab)+$", "b$|^a", "^[0-9]+$", r"^\d\d*$", "^AB-", "^[A-Z]+-[0-9]+$", "^AB-[0-9]{1,9}$"]
TEXTS = ["".join(text) for length in range(6) for text in itertools.product("ab", repeat=length)]
TEXTS += ["1", "12", "AB-", "AB-1", "XAB-1", "XYZ-22", "AB-1x", "x"]


def takes(expression: str, text: str) -> bool:
    """Whether an expression matches a part of a text; `$` is the end only, as in JSON Schema."""
    return re.search(expression.replace("$", r"\Z"), text) is not None


@pytest.mark.parametrize("inner", EXPRESSIONS)
@pytest.mark.parametrize("outer", EXPRESSIONS)
def test_containment_agrees_with_an_engine(inner: str, outer: str) -> None:
    """No text contradicts a yes, and the example of a no is one."""
    found = compare_expressions([inner], outer)
    refused = [text for text in TEXTS if takes(inner, text) and not takes(outer, text)]

    assert found.holds is not None
    assert not refused or not found.holds
    if not found.holds:
        assert found.example is not None
        assert takes(inner, found.example)
        assert not takes(outer, found.example)


@pytest.mark.parametrize("expression", ["(?=a)b", r"(a)\1", "^([0-9]{1,999}){1,999}$", "(" * 2000 + ")" * 2000])
def test_what_is_not_plain_is_not_decided(expression: str) -> None:
    """Look-ahead, references and large expressions: nothing is said, at once."""
    assert compare_expressions([expression], "^a$").holds is None
