"""Places: where in its file something stands that was found wrong in a JSON text, as the place fields of a Finding."""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any, NamedTuple

from evtool.findings.finding import Finding
from evtool.readers.files import Piece
from evtool.readers.json_text import JsonProblem, Span, positions

MARGIN = 200  # characters of a line that are kept on either side of what is wrong in it


class Origin(NamedTuple):
    """Where a document's text came from, and how pointers into the document become pointers into that text."""

    piece: Piece
    roots: tuple[tuple[str, str], ...] = (("", ""),)  # (prefix in the document, prefix in the piece), longest first


@lru_cache(maxsize=1)  # the findings of an event ask for the places of the same text
def _spans(raw: bytes) -> dict[str, Span]:
    return positions(raw)


@lru_cache(maxsize=1)
def _lines(raw: bytes) -> list[str]:
    return raw.decode(errors="replace").removeprefix("\ufeff").split("\n")


def _inside(origin: Origin, pointer: str) -> str:
    for outer, inner in origin.roots:
        if pointer == outer or pointer.startswith(outer + "/"):
            return inner + pointer[len(outer) :]
    return ""


def pointer_of(path: Iterable[str | int]) -> str:
    """A path of keys and indices as a JSON Pointer (RFC 6901)."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in path)


def located(piece: Piece, line: int, column: int, width: int) -> dict[str, Any]:
    """A line and column inside a piece as a place in its file, with what stands around it."""
    before = piece.column - 1 if line == 1 else 0
    begin = max(0, column - 1 - MARGIN)
    indent = 0 if begin else min(before, MARGIN)
    return {
        "file": piece.file,
        "line": piece.line + line - 1,
        "column": before + column,
        "width": width,
        "excerpt": " " * indent + _lines(piece.raw)[line - 1].removesuffix("\r")[begin : column - 1 + MARGIN],
        "excerpt_start": before + begin + 1 - indent,
    }


def place(origin: Origin | None, pointer: str, *, key: bool = False) -> dict[str, Any]:
    """Where a pointer into the document stands in the file; with `key`, where the key of that value does.

    Something that is not there (a missing property, a value inside a PutEvents string) is placed at the nearest thing
    around it that is.
    """
    if origin is None:
        return {"pointer": pointer}
    inner = _inside(origin, pointer)
    spans = _spans(origin.piece.raw)
    at_key = key and inner in spans
    while inner not in spans:
        inner = inner.rpartition("/")[0]
    span = spans[inner]
    where = span[:3] if at_key and span.key_line else (span.line, span.column, span.width)
    return {"pointer": pointer, **located(origin.piece, *where)}


def problem(piece: Piece, error: JsonProblem) -> Finding:
    """A JSON problem in a piece as a finding in its file."""
    where = located(piece, error.line, error.column, error.width)
    message = error.said
    if error.other is not None:
        other = located(piece, *error.other, 1)
        message += f" {other['line']}:{other['column']}"
    return Finding(error.code, message, suggestion=error.hint, **where)
