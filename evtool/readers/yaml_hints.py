"""Hints for refused YAML, from the message of the parser, a tag or a character."""

import re

ALIAS_HINT = "write the value itself; put a string that begins with * in quotes"
# Not compiled here: few files have tags, and this module is imported for each YAML file.
_TEMPLATE_TAG = (
    "!(Ref|Sub|GetAtt|Join|FindInMap|ImportValue|Select|Split|If|Base64|Cidr|GetAZs"
    "|Equals|And|Or|Not|Condition|Transform)"
)

# By a part of the message of libyaml or PyYAML, which describe the state of the parser, not the probable mistake.
_HINTS = {
    "mapping values are not allowed": 'put a value with ": " in quotes; begin a key in the column of its neighbours',
    "could not find expected ':'": 'write ":" and a blank after a key',
    "did not find expected key": "does the line begin in the same column as its neighbours?",
    "<block end>": "does the line begin in the same column as its neighbours?",
    "did not find expected '-' indicator": "does the line begin in the same column as its neighbours?",
    "unexpected end of stream": "is a quote not closed?",
    "unknown escape": r"write the \ twice, or use single quotes",
    "Unicode character escape": "write the character itself",
}


def suggest_for_tag(tag: str) -> str:
    """Returns what to write in place of a value with a tag."""
    if re.fullmatch(_TEMPLATE_TAG, tag):
        return "functions of templates are not resolved here: write the value"
    return "quotes make a string; without them numbers are numbers"


def suggest_for_error(message: str, char: str) -> str | None:
    """Returns a hint for an error of the parser at a character, or None."""
    if "cannot start any token" in message and char == "\t":
        return "indent with blanks, not tabs"
    if "cannot start any token" in message or "alphabetic or numeric character" in message:
        return f"write a string that begins with {char} in quotes"
    for known_message, hint in _HINTS.items():
        if known_message in message:
            return hint
    return None
