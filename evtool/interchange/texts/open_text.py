"""JSON text with variables, such as `{"source": ["${Source}"]}`: what is known of it."""

import re
from typing import Any

from evtool.findings.phrases import shorten
from evtool.patterns.unknown import Unknown
from evtool.readers.json_text import JsonProblem, parse_json


def make_unknown(text: str) -> Unknown:
    """Returns the unknown value that a source writes with this text, on one line and not too long for a message."""
    return Unknown(shorten(" ".join(text.split())))


def parse_open_json(text: str, variable: re.Pattern[str]) -> Any:
    """Returns the value of a JSON text, with an Unknown for each string that has a variable.

    The whole is an Unknown if a variable is elsewhere: in the name of a field, or outside of strings. A text that is
    not valid JSON for another reason is returned as it is.
    """
    if not variable.search(text):
        return text
    try:
        value = parse_json(text.encode(errors="surrogatepass"))
    except JsonProblem:
        return make_unknown(text)
    known = _open_strings(value, variable)
    if known is None:
        return make_unknown(text)
    return known


def _open_strings(value: Any, variable: re.Pattern[str]) -> Any:
    """Returns the value with Unknowns; None if a key has a variable."""
    if isinstance(value, str):
        if variable.search(value):
            return make_unknown(value)
        return value
    if isinstance(value, dict):
        items = {key: _open_strings(item, variable) for key, item in value.items()}
        is_open = any(variable.search(key) or (item is None and value[key] is not None) for key, item in items.items())
        if is_open:
            return None
        return items
    if isinstance(value, list):
        entries = [_open_strings(item, variable) for item in value]
        is_open = any(entry is None and item is not None for entry, item in zip(entries, value, strict=True))
        if is_open:
            return None
        return entries
    return value
