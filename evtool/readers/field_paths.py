"""Parses and formats paths to fields of an event: `detail.items[0].price`, `$.detail`, `detail["a.b"]`, `/detail/a`."""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

Steps = tuple[str | int, ...]

_MAX_PATHS = 2000  # of an event that a suggestion is sought among
_STEP = re.compile(r"""\[(?P<index>[0-9]{1,9})\]|\[(?P<quoted>"(?:[^"\\]|\\.)*"|'[^']*')\]|\.?(?P<name>[^.\[\]=]+)""")
_PLAIN_NAME = re.compile(r"(?!\$$)[^.\[\]=/\"'\s][^.\[\]=\s]*")


def split_assignment(text: str) -> tuple[Steps, str]:
    """The path and the value of PATH=VALUE. Raises ValueError when there is no path, or no `=` after it."""
    if text.startswith("/"):
        pointer, separator, value = text.partition("=")
        if not separator:
            raise ValueError(text)
        return split_pointer(pointer), value
    steps: list[str | int] = []
    position = 0
    if text[:2] in ("$.", "$["):
        position = 1
    while match := _STEP.match(text, position):
        steps.append(_parse_step(match))
        position = match.end()
    if not steps or text[position : position + 1] != "=":
        raise ValueError(text)
    return tuple(steps), text[position + 1 :]


def parse_path(text: str) -> Steps:
    """The steps of a path. Raises ValueError when the text is not a path."""
    steps, rest = split_assignment(f"{text}=")
    if rest:
        raise ValueError(text)
    return steps


def split_pointer(pointer: str) -> tuple[str, ...]:
    """The steps of a JSON Pointer (RFC 6901)."""
    return tuple(step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:])


def format_path(steps: Sequence[str | int]) -> str:
    """A path as `--set` takes it: `detail.items[0].price`."""
    return "".join(_format_step(step) for step in steps).removeprefix(".")


def list_paths(document: Any) -> list[Steps]:
    """The paths of the values in a document, the shortest first; of a large one only the first."""
    paths = []
    for path in _walk(document):
        paths.append(path)
        if len(paths) == _MAX_PATHS:
            break
    return sorted(paths, key=len)


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
    """Breadth first, so that a long array does not hide the fields beside it."""
    pending: list[tuple[Steps, Any]] = [((), document)]
    for path, value in pending:
        if path:
            yield path
        children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        pending += [((*path, step), child) for step, child in children]
