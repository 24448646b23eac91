"""The github report: one GitHub Actions annotation (workflow command) per finding, with file and line."""

from collections.abc import Mapping
from typing import Any, TextIO

from evtool.reports.base import Record, Subject
from evtool.schemas.validation import ValidationResult
from evtool.terminal.sanitize import sanitize

LEVELS = {"error": "error", "warning": "warning", "note": "notice"}


class Github:
    """One annotation per finding."""

    def __init__(self, subject: Subject, file: TextIO, color: str):  # noqa: ARG002  (the contract of all kinds)
        self._file = file

    def add(self, record: Record) -> None:
        """Writes the annotations of a verdict."""
        for finding in record.findings if isinstance(record, ValidationResult) else ():
            properties = {"file": finding.file, "line": finding.line, "col": finding.column, "title": finding.code}
            property_text = ",".join(
                f"{key}={_escape_property(str(value))}" for key, value in properties.items() if value is not None
            )
            message = finding.message + (f"; {finding.suggestion}" if finding.suggestion else "")
            self._file.write(f"::{LEVELS[finding.severity]} {property_text}::{_escape_data(message)}\n")

    def end(self, tail: Mapping[str, Any]) -> None:
        """Nothing more to say: GitHub counts by itself."""


def _escape_data(text: str) -> str:
    """The escapes of a command's message (github.com/actions/toolkit, packages/core/src/command.ts)."""
    return sanitize(text).replace("%", "%25")


def _escape_property(text: str) -> str:
    return _escape_data(text).replace(":", "%3A").replace(",", "%2C")
