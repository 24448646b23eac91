"""Converts JSON Pointers and JSON errors to locations in the source file, as fields of a Finding."""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any, NamedTuple

from evtool.findings.finding import Finding
from evtool.readers.files import SourceText
from evtool.readers.json_text import JsonProblem, Span, find_spans

# A pointer that leads to no value: in a pointer, a ~ is followed by 0 or 1.
NOWHERE = "/~"
# Characters of a line before and after a problem that are kept for the excerpt. A line may be as long as the event.
MARGIN = 200


class SourceMap(NamedTuple):
    """The text of a document, and the conversion of pointers into the document to pointers into the text.

    `prefixes` are pairs (prefix in the document, prefix in the text), the longest first.
    """

    text: SourceText
    prefixes: tuple[tuple[str, str], ...] = (("", ""),)


# Cached: several findings of an event need the positions in the same text.
@lru_cache(maxsize=1)
def _find_spans(raw: bytes) -> dict[str, Span]:
    return find_spans(raw)


@lru_cache(maxsize=1)
def _split_lines(raw: bytes) -> list[str]:
    return raw.decode(errors="replace").removeprefix("\ufeff").split("\n")


def _map_pointer(source_map: SourceMap, pointer: str) -> str:
    for outer, inner in source_map.prefixes:
        if pointer == outer or pointer.startswith(outer + "/"):
            return inner + pointer[len(outer) :]
    return ""


def pointer_of(path: Iterable[str | int]) -> str:
    """Converts keys and indices to a JSON Pointer (RFC 6901)."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in path)


def locate(text: SourceText, line: int, column: int, width: int) -> dict[str, Any]:
    """Converts a line and column in a text to a location in its file, with the source line around it.

    A text from a record has the location of the record.
    """
    if text.record is not None:
        return dict(text.record)
    # Only the first line of the text begins in the middle of a line of the file.
    column_offset = 0
    if line == 1:
        column_offset = text.column - 1
    start = max(0, column - 1 - MARGIN)
    # The part of the line before the text is not in memory. Blanks keep the caret under its column.
    indent = 0
    if not start:
        indent = min(column_offset, MARGIN)
    return {
        "file": text.file,
        "line": text.line + line - 1,
        "column": column_offset + column,
        "width": width,
        "excerpt": " " * indent + _split_lines(text.raw)[line - 1].removesuffix("\r")[start : column - 1 + MARGIN],
        "excerpt_start": column_offset + start + 1 - indent,
    }


def location_of(source_map: SourceMap | None, pointer: str, *, key: bool = False) -> dict[str, Any]:
    """Returns the location in the file of a value of the document; with `key`, that of its key.

    A missing property, or a value inside a string of PutEvents, has the location of the nearest value that contains it.
    """
    if source_map is None:
        return {"pointer": pointer}
    if source_map.text.record is not None:
        return {"pointer": pointer} | dict(source_map.text.record)
    text_pointer = _map_pointer(source_map, pointer)
    spans = _find_spans(source_map.text.raw)
    at_key = key and text_pointer in spans
    while text_pointer not in spans:
        text_pointer = text_pointer.rpartition("/")[0]
    span = spans[text_pointer]
    if at_key and span.key_line:
        location = locate(source_map.text, span.key_line, span.key_column, span.key_width)
    else:
        location = locate(source_map.text, span.line, span.column, span.width)
    return {"pointer": pointer} | location


def problem_to_finding(text: SourceText, error: JsonProblem) -> Finding:
    """Converts a JSON problem in a text to a finding in its file."""
    location = locate(text, error.line, error.column, error.width)
    message = error.summary
    if text.record is not None:
        message = (
            f"the record is not well-formed JSON: {error.message} (line {error.line}, column {error.column} of it)"
        )
    elif error.related is not None:
        line, column = error.related
        related = locate(text, line, column, 1)
        message += f" {related['line']}:{related['column']}"
    return Finding(error.code, message, suggestion=error.hint, **location)
