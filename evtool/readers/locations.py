"""Converts JSON Pointers and JSON errors to locations in the source file, as fields of a Finding."""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any, NamedTuple

from evtool.findings.finding import Finding
from evtool.readers.files import SourceText
from evtool.readers.json_text import JsonProblem, Span, find_spans

NOWHERE = "/~"  # what no pointer to a value is: a name's ~ is written ~0
MARGIN = 200  # characters of a line that are kept on either side of what is wrong in it


class SourceMap(NamedTuple):
    """Where a document's text came from, and how pointers into the document become pointers into that text."""

    text: SourceText
    prefixes: tuple[tuple[str, str], ...] = (("", ""),)  # (prefix in the document, prefix in the text), longest first


@lru_cache(maxsize=1)  # the findings of an event ask for the places of the same text
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
    """A path of keys and indices as a JSON Pointer (RFC 6901)."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in path)


def locate(text: SourceText, line: int, column: int, width: int) -> dict[str, Any]:
    """A line and column inside a text as a location in its file, with what stands around it.

    What is inside a record has the location of the record.
    """
    if text.record is not None:
        return dict(text.record)
    column_offset = 0
    if line == 1:
        column_offset = text.column - 1
    start = max(0, column - 1 - MARGIN)
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
    """Where a pointer into the document stands in the file; with `key`, where the key of that value does.

    Something that is not there (a missing property, a value inside a PutEvents string) is placed at the nearest thing
    around it that is.
    """
    if source_map is None:
        return {"pointer": pointer}
    if source_map.text.record is not None:
        return {"pointer": pointer, **source_map.text.record}
    text_pointer = _map_pointer(source_map, pointer)
    spans = _find_spans(source_map.text.raw)
    at_key = key and text_pointer in spans
    while text_pointer not in spans:
        text_pointer = text_pointer.rpartition("/")[0]
    span = spans[text_pointer]
    if at_key and span.key_line:
        position = span[:3]
    else:
        position = (span.line, span.column, span.width)
    return {"pointer": pointer, **locate(source_map.text, *position)}


def problem_to_finding(text: SourceText, error: JsonProblem) -> Finding:
    """A JSON problem in a text as a finding in its file."""
    location = locate(text, error.line, error.column, error.width)
    message = error.summary
    if text.record is not None:
        message = (
            f"the record is not well-formed JSON: {error.message} (line {error.line}, column {error.column} of it)"
        )
    elif error.related is not None:
        related = locate(text, *error.related, 1)
        message += f" {related['line']}:{related['column']}"
    return Finding(error.code, message, suggestion=error.hint, **location)
