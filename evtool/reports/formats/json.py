"""The json report: one JSON document, written while the records arrive."""

from collections.abc import Mapping
from typing import Any, TextIO

from evtool.reports.base import FORMAT_VERSION, Report, Subject, dump_json
from evtool.schemas.validation import ValidationResult


class Json(Report):
    """One document: a list with the records, and the values of the tail."""

    def __init__(self, subject: Subject, file: TextIO, color: str):  # noqa: ARG002  (the contract of all kinds)
        self._file = file
        command, key = dump_json(subject.command), dump_json(subject.key)
        # The head, later a comma: each is written together with the record that follows it. So a command that fails
        # before its first record writes nothing.
        self._next = f'{{"evtool": {FORMAT_VERSION}, "command": {command}, {key}: [\n'

    def add_result(self, result: ValidationResult) -> None:
        """Writes the findings of a result into the list."""
        for finding in result.findings:
            self.add_record(finding.as_dict())

    def add_record(self, record: Mapping[str, Any]) -> None:
        """Writes a record into the list."""
        self._file.write(self._next + dump_json(record))
        self._next = ",\n"

    def end(self, tail: Mapping[str, Any]) -> None:
        """Closes the list and writes the tail."""
        head = ""
        if self._next != ",\n":
            head = self._next.rstrip()
        values = [f', "{key}": {dump_json(value)}' for key, value in tail.items()]
        self._file.write(head + "\n]" + "".join(values) + "}\n")
