"""The github report: annotations of GitHub Actions (workflow commands), each at its file and line."""

from collections.abc import Mapping
from typing import Any, TextIO

from evtool.reports.base import Record, Subject
from evtool.schemas.validation import Verdict
from evtool.terminal.sanitize import harmless

LEVELS = {"error": "error", "warning": "warning", "note": "notice"}


class Github:
    """One annotation per finding."""

    def __init__(self, subject: Subject, file: TextIO, color: str):  # noqa: ARG002  (the contract of all kinds)
        self._file = file

    def add(self, record: Record) -> None:
        """Writes the annotations of a verdict."""
        for finding in record.findings if isinstance(record, Verdict) else ():
            place = {"file": finding.file, "line": finding.line, "col": finding.column, "title": finding.code}
            told = ",".join(f"{key}={_property(str(value))}" for key, value in place.items() if value is not None)
            message = finding.message + (f"; {finding.suggestion}" if finding.suggestion else "")
            self._file.write(f"::{LEVELS[finding.severity]} {told}::{_data(message)}\n")

    def end(self, tail: Mapping[str, Any]) -> None:
        """Nothing more to say: GitHub counts by itself."""


def _data(text: str) -> str:
    """The escapes of a command's message (github.com/actions/toolkit, packages/core/src/command.ts)."""
    return harmless(text).replace("%", "%25")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
