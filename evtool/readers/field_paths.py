"""Parses and formats paths to fields of an event.

All notations give the same steps, the keys and indices that lead to the value:

    detail.items[0].price      ("detail", "items", 0, "price")
    $.detail.items[0].price    the same; $ is the event
    detail["a.b"]              ("detail", "a.b")
    /detail/items/0            ("detail", "items", "0"): only the event shows whether "0" is an index
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

Steps = tuple[str | int, ...]

# Paths of an event that are compared for a suggestion.
_MAX_PATHS = 2000
_STEP = re.compile(r"""\[(?P<index>[0-9]{1,9})\]|\[(?P<quoted>"(?:[^"\\]|\\.)*"|'[^']*')\]|\.?(?P<name>[^.\[\]=]+)""")
_PLAIN_NAME = re.compile(r"(?!\$$)[^.\[\]=/\"'\s][^.\[\]=\s]*")


def split_assignment(text: str) -> tuple[Steps, str]:
    """Splits PATH=VALUE into steps and value. Raises ValueError without a path, or without `=` after it."""
    if text.startswith("/"):
        pointer, separator, value = text.partition("=")
        if not separator:
            raise ValueError(text)
        return split_pointer(pointer), value
    steps: list[str | int] = []
    position = 0
    if text[:2] in ("$.", "$["):
        position = 1
    match = _STEP.match(text, position)
    while match:
        steps.append(_parse_step(match))
        position = match.end()
        match = _STEP.match(text, position)
    if not steps or text[position : position + 1] != "=":
        raise ValueError(text)
    return tuple(steps), text[position + 1 :]


def parse_path(text: str) -> Steps:
    """Returns the steps of a path. Raises ValueError if the text is not a path."""
    steps, rest = split_assignment(f"{text}=")
    if rest:
        raise ValueError(text)
    return steps


def split_pointer(pointer: str) -> tuple[str, ...]:
    """Returns the steps of a JSON Pointer (RFC 6901), all of them as strings."""
    return tuple(step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:])


def format_path(steps: Sequence[str | int]) -> str:
    """Formats a path as `--set` takes it: `detail.items[0].price`."""
    return "".join(_format_step(step) for step in steps).removeprefix(".")


def list_paths(document: Any) -> list[Steps]:
    """Returns the paths of the values in a document, the shortest first. Of a large document it returns only some."""
    return sorted(islice(_walk(document), _MAX_PATHS), key=len)


def _parse_step(match: re.Match[str]) -> str | int:
    if match["index"]:
        return int(match["index"])
    if match["name"]:
        return match["name"]
    if match["quoted"][0] == '"':
        return str(json.loads(match["quoted"]))
    return match["quoted"][1:-1]


def _format_step(step: str | int) -> str:
    if isinstance(step, int):
        return f"[{step}]"
    if _PLAIN_NAME.fullmatch(step):
        return f".{step}"
    return f"[{json.dumps(step, ensure_ascii=False)}]"


def _walk(document: Any) -> Iterator[Steps]:
    """Yields the paths of all values, breadth first, so that a long array does not hide the fields next to it."""
    pending: list[tuple[Steps, Any]] = [((), document)]
    # The list grows while the loop reads it.
    for path, value in pending:
        if path:
            yield path
        children: Iterable[tuple[str | int, Any]] = ()
        if isinstance(value, dict):
            children = value.items()
        elif isinstance(value, list):
            children = enumerate(value)
        for step, child in children:
            pending.append((path + (step,), child))
