"""The jsonl report: one JSON object per line, the summary in the last line."""

from collections.abc import Mapping
from typing import Any, TextIO

from evtool.reports.base import FORMAT_VERSION, Report, Subject, dump_json
from evtool.schemas.validation import ValidationResult


class JsonLines(Report):
    """A line for each record."""

    def __init__(self, subject: Subject, file: TextIO, color: str):  # noqa: ARG002  (the contract of all kinds)
        self._subject, self._file = subject, file

    def add_result(self, result: ValidationResult) -> None:
        """Writes a line for each finding."""
        for finding in result.findings:
            self.add_record(finding.as_dict())

    def add_record(self, record: Mapping[str, Any]) -> None:
        """Writes a record."""
        self._file.write(dump_json(record) + "\n")
        # A program that reads the lines may wait for each one.
        self._file.flush()

    def end(self, tail: Mapping[str, Any]) -> None:
        """Writes the summary."""
        summary = {"evtool": FORMAT_VERSION, "command": self._subject.command}
        self._file.write(dump_json(summary | dict(tail)) + "\n")
