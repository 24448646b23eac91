"""The github report: one GitHub Actions annotation (workflow command) per finding or failed delivery."""

from collections.abc import Iterable, Mapping
from typing import Any, TextIO

from evtool.reports.base import Record, Subject
from evtool.reports.checks import Check, CheckReader, list_problems
from evtool.terminal.sanitize import sanitize

LEVELS = {"error": "error", "warning": "warning", "note": "notice"}


class Github:
    """One annotation per problem."""

    def __init__(self, subject: Subject, file: TextIO, color: str):  # noqa: ARG002  (the contract of all kinds)
        self._file, self._reader = file, CheckReader(subject.command)

    def add(self, record: Record) -> None:
        """Writes the annotations of a record."""
        self._write(self._reader.add(record))

    def end(self, tail: Mapping[str, Any]) -> None:
        """Writes the remaining annotations; GitHub counts them itself."""
        self._write(self._reader.end(tail))

    def _write(self, checks: Iterable[Check]) -> None:
        for problem in list_problems(checks):
            properties = {"file": problem.file, "line": problem.line, "col": problem.column, "title": problem.title}
            property_text = ",".join(
                f"{key}={_escape_property(str(value))}" for key, value in properties.items() if value is not None
            )
            message = problem.message + (f"; {problem.suggestion}" if problem.suggestion else "")
            self._file.write(f"::{LEVELS[problem.severity]} {property_text}::{_escape_data(message)}\n")


def _escape_data(text: str) -> str:
    """The escapes of a command's message (github.com/actions/toolkit, packages/core/src/command.ts)."""
    return sanitize(text).replace("%", "%25")


def _escape_property(text: str) -> str:
    return _escape_data(text).replace(":", "%3A").replace(",", "%2C")
