"""The contract of a report: it gets the records one by one, then the tail with the summary."""

import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol, TextIO

from evtool.schemas.validation import ValidationResult
from evtool.terminal.screen import Screen

Record = ValidationResult | Mapping[str, Any]
FORMAT_VERSION = 1  # the version of the shape of what machines read


class Report(Protocol):
    """Tells the result of a command in one form, while it comes, so that memory does not grow with it."""

    def add(self, record: Record) -> None:
        """Tells one record."""

    def end(self, tail: Mapping[str, Any]) -> None:
        """Tells what is known at the end: the summary, and what else goes beside the records."""


class Subject(NamedTuple):
    """What is reported: by which command, under which key its records stand, and how people read it."""

    command: str
    key: str
    text: Callable[[Screen], Report]
    formats: Mapping[str, "Open"] = {}  # what only this command has besides the formats of all


Open = Callable[[Subject, TextIO, str], Report]  # subject, where to, and the choice of colour


_encode = json.JSONEncoder(check_circular=False).encode  # no record holds itself, and looking for that takes a third


class _Document:
    """A report that is written as a whole: its content is known before it begins."""

    def __init__(self, file: TextIO, render: Callable[[], str]):
        self._file, self._render = file, render

    def add(self, record: Record) -> None:
        """Does nothing: the document has the record."""

    def end(self, tail: Mapping[str, Any]) -> None:  # noqa: ARG002
        """Writes the document."""
        self._file.write(self._render())


def open_document(render: Callable[[], str]) -> Open:
    """What opens a report that is a document made as a whole, such as a drawing or a template."""
    return lambda _subject, file, _color: _Document(file, render)


def to_rows(record: Record) -> list[Mapping[str, Any]]:
    """A record as machines read it: a verdict is its findings."""
    if isinstance(record, ValidationResult):
        return [finding.as_dict() for finding in record.findings]
    return [record]


def dump_json(value: Any) -> str:
    """A value as JSON on one line: ASCII, and without the `##[` and `##vso[` that CI runners obey anywhere."""
    return _encode(value).replace("##", r"\u0023\u0023")
