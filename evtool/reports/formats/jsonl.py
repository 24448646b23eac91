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
            self._write_line(finding.as_dict())
        # The reader may wait for the findings of each event.
        if result.findings:
            self._file.flush()

    def add_record(self, record: Mapping[str, Any]) -> None:
        """Writes a record."""
        self._write_line(record)
        self._file.flush()

    def _write_line(self, record: Mapping[str, Any]) -> None:
        self._file.write(dump_json(record) + "\n")

    def end(self, tail: Mapping[str, Any]) -> None:
        """Writes the summary."""
        summary = {"evtool": FORMAT_VERSION, "command": self._subject.command}
        self._write_line(summary | dict(tail))
