"""The base of all reports: a report gets results and records one by one, then the tail with the summary."""

import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TextIO

from evtool.schemas.validation import ValidationResult
from evtool.terminal.screen import Screen

# The version of the shapes that machines read (docs/output.md).
FORMAT_VERSION = 1


class Report:
    """Writes the result of a command in one form. The methods of this class write nothing.

    Records are written as they arrive, so that memory does not grow with their number.
    """

    def add_result(self, result: ValidationResult) -> None:
        """Writes the findings about an event or a file."""

    def add_record(self, record: Mapping[str, Any]) -> None:
        """Writes one record of a command that reports other things than findings."""

    def end(self, tail: Mapping[str, Any]) -> None:
        """Writes the values that are known at the end: the summary, and the other values next to the records."""


class Subject(NamedTuple):
    """The command that reports, the key of its records in JSON, and its text report."""

    command: str
    key: str
    text: Callable[[Screen], Report]
    # The formats that only this command has.
    formats: Mapping[str, "Open"] = {}


# Opens a report of a subject that is written to a file; the last argument is the choice of colour.
Open = Callable[[Subject, TextIO, str], Report]

# No record holds itself, and looking for that takes a third of the time.
_encode = json.JSONEncoder(check_circular=False).encode


def open_nothing(screen: Screen) -> Report:  # noqa: ARG001  (the contract of all)
    """Returns a text report that writes nothing."""
    return Report()


class _Document(Report):
    """A report that is written as a whole: its content is known before it begins."""

    def __init__(self, file: TextIO, render: Callable[[], str]):
        self._file, self._render = file, render

    def end(self, tail: Mapping[str, Any]) -> None:  # noqa: ARG002
        """Writes the document."""
        self._file.write(self._render())


def open_document(render: Callable[[], str]) -> Open:
    """Returns an opener of reports that are written as a whole, such as an image or a template."""

    def open_report(subject: Subject, file: TextIO, color: str) -> Report:  # noqa: ARG001  (the contract of all)
        return _Document(file, render)

    return open_report


def dump_json(value: Any) -> str:
    """Returns a value as JSON on one line, in ASCII."""
    # CI runners obey `##[` and `##vso[` anywhere in a line.
    return _encode(value).replace("##", r"\u0023\u0023")
