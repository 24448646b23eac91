"""Escapes control characters and CI commands in all text for people.

Events come from outside. Their text must not control the terminal or the CI system that shows it:

    in an event      ESC[2J ##[error] failed
    printed          \\x1b[2J \\x23#[error] failed
"""

import re

# Commands for a CI runner begin with `##[` anywhere in a line (GitHub, Azure) or with `::` at its start (GitHub).
COMMAND_ANYWHERE = re.compile(r"##(?=\w*\[)")
COMMAND_AT_START = re.compile(r"^(\s*)::")


def sanitize(text: str) -> str:
    """Escapes all characters that are not visible, and the beginnings of CI commands.

    Not visible are control characters, escape sequences, direction overrides, line breaks and lone surrogates.
    """
    text = escape_unprintable(text)
    if "##" not in text and "::" not in text:
        return text
    return COMMAND_AT_START.sub(r"\1\\x3a:", COMMAND_ANYWHERE.sub(r"\\x23#", text))


def escape_unprintable(text: str) -> str:
    """Escapes all characters that are not visible, for text that goes neither to a terminal nor to a log."""
    if text.isprintable():
        return text
    return "".join(map(_escape_character, text))


def _escape_character(char: str) -> str:
    if char.isprintable():
        return char
    return char.encode("unicode_escape").decode("ascii")
