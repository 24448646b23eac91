"""The json report: one document, written while the records come."""

from collections.abc import Mapping
from typing import Any, TextIO

from evtool.reports.base import SHAPE, Record, Subject, json_text, rows


class Json:
    """One document: the records in a list, the tail beside it."""

    def __init__(self, subject: Subject, file: TextIO, color: str):  # noqa: ARG002  (the contract of all kinds)
        self._file = file
        command, key = json_text(subject.command), json_text(subject.key)
        self._next = f'{{"evtool": {SHAPE}, "command": {command}, {key}: [\n'  # written with what follows it

    def add(self, record: Record) -> None:
        """Writes a record into the list."""
        for row in rows(record):
            self._file.write(self._next + json_text(row))
            self._next = ",\n"

    def end(self, tail: Mapping[str, Any]) -> None:
        """Closes the list and writes the tail."""
        head = "" if self._next == ",\n" else self._next.rstrip()
        self._file.write(
            head + "\n]" + "".join(f', "{key}": {json_text(value)}' for key, value in tail.items()) + "}\n"
        )
