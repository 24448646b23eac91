"""Hints for YAML that is refused: what may help, from the message of the parser, a tag or a character."""

import re

ALIAS_HINT = "write the value out; a string that begins with * stands in quotes"
_TEMPLATE_TAG = (  # compiled when it is first used
    "!(Ref|Sub|GetAtt|Join|FindInMap|ImportValue|Select|Split|If|Base64|Cidr|GetAZs|Equals|And|Or|Not|Condition|Transform)"
)

_HINTS = {  # what libyaml or PyYAML says -> what may help
    "mapping values are not allowed": 'a value with ": " in it stands in quotes; a key begins where its neighbours do',
    "could not find expected ':'": 'a key is followed by ":" and a blank',
    "did not find expected key": "does the line begin in the same column as its neighbours?",
    "<block end>": "does the line begin in the same column as its neighbours?",
    "did not find expected '-' indicator": "does the line begin in the same column as its neighbours?",
    "unexpected end of stream": "is a quote not closed?",
    "unknown escape": r"write the \ twice, or use single quotes",
    "Unicode character escape": "write the character itself",
}


def suggest_for_tag(tag: str) -> str:
    """What to write in place of a value with a tag."""
    if re.fullmatch(_TEMPLATE_TAG, tag):
        return "functions of templates are not resolved here: write the value"
    return "quotes make a string; without them numbers are numbers"


def suggest_for_error(message: str, char: str) -> str | None:
    """What may help against an error of the parser at a character."""
    if "cannot start any token" in message and char == "\t":
        return "indent with blanks, not tabs"
    if "cannot start any token" in message or "alphabetic or numeric character" in message:
        return f"write a string that begins with {char} in quotes"
    return next((hint for known_message, hint in _HINTS.items() if known_message in message), None)
