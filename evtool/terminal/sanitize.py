"""Escapes control characters and CI commands in all texts that are shown to people."""

import re

# What a CI runner would take for a command: `##[` anywhere in a line (GitHub, Azure), `::` at its start (GitHub).
COMMAND_ANYWHERE = re.compile(r"##(?=\w*\[)")
COMMAND_AT_START = re.compile(r"^(\s*)::")


def sanitize(text: str) -> str:
    """A text with everything spelled out that is not plainly visible: control characters, escape sequences, direction
    overrides, line breaks, lone surrogates; and what a CI runner would obey."""
    text = escape_unprintable(text)
    if "##" not in text and "::" not in text:
        return text
    return COMMAND_AT_START.sub(r"\1\\x3a:", COMMAND_ANYWHERE.sub(r"\\x23#", text))


def escape_unprintable(text: str) -> str:
    """A text with everything spelled out that is not plainly visible, for other places than a terminal or a log."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
