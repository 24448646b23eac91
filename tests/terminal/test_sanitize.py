"""Escapes in event text: it must not control a terminal or a CI log."""

import pytest

from evtool.terminal.sanitize import sanitize


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("\x1b[31mred\x1b]0;title\x07", r"\x1b[31mred\x1b]0;title\x07"),
        ("line\nbreak\r\ttab", r"line\nbreak\r\ttab"),
        ("\x9b2J", r"\x9b2J"),
        ("del\x7f", r"del\x7f"),
        ("right\u202eto left\u2066", r"right\u202eto left\u2066"),
        ("zero\u200bwidth\ufeff", r"zero\u200bwidth\ufeff"),
        ("\u2028", r"\u2028"),
        ("lone \ud800", r"lone \ud800"),
        ("tag \U000e0041", r"tag \U000e0041"),
        ("::error::x", r"\x3a:error::x"),
        ("  ::set-output name=a::b", r"  \x3a:set-output name=a::b"),
        ("in a line ##[error]x", r"in a line \x23#[error]x"),
        ("##vso[task.setvariable]x", r"\x23#vso[task.setvariable]x"),
    ],
)
def test_hostile_text_is_escaped(hostile: str, shown: str) -> None:
    """No control character and no CI command is left."""
    assert sanitize(hostile) == shown


@pytest.mark.parametrize("text", ["", "plain", "Grüße, 世界", "a :: b", "# heading ## [link]", 'quotes " and \\ too'])
def test_visible_text_is_unchanged(text: str) -> None:
    assert sanitize(text) == text
