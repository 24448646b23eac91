"""The junit report: one JUnit XML test case per event, failed if the event has errors."""

from collections.abc import Mapping
from typing import Any, TextIO

from evtool.findings.finding import Finding
from evtool.reports.base import Record, Subject
from evtool.schemas.validation import ValidationResult
from evtool.terminal.sanitize import sanitize

SPOOL = 1024 * 1024  # bytes of cases kept in memory before they go to a temporary file


class Junit:
    """A test suite whose counts come first: the cases wait in a temporary file until they are counted."""

    def __init__(self, subject: Subject, file: TextIO, color: str):  # noqa: ARG002  (the contract of all kinds)
        import tempfile  # noqa: PLC0415  (for this report only)

        self._subject, self._file = subject, file
        self._cases = tempfile.SpooledTemporaryFile(SPOOL, mode="w+", encoding="utf-8")  # noqa: SIM115
        self._tests = self._failures = 0

    def add(self, record: Record) -> None:
        """Writes a case."""
        if not isinstance(record, ValidationResult):
            return
        self._tests += 1
        event = record.event
        name = f"{event.type} {event.id}" if event and event.has_own_id else event.type if event else "not an event"
        attributes = (
            f"classname={_quote_attribute(record.file)} name={_quote_attribute(f'{name} (line {record.line})')}"
        )
        errors = [finding for finding in record.findings if finding.severity == "error"]
        if not errors:
            self._cases.write(f"  <testcase {attributes}/>\n")
            return
        self._failures += 1
        details = "\n".join(_escape_xml(f"{_format_location(f)}: {f.code} {f.message}") for f in errors)
        first = f"{errors[0].code} {errors[0].message}"
        failure = (
            f"<failure type={_quote_attribute(errors[0].code)} message={_quote_attribute(first)}>{details}</failure>"
        )
        self._cases.write(f"  <testcase {attributes}>{failure}</testcase>\n")

    def end(self, tail: Mapping[str, Any]) -> None:  # noqa: ARG002  (the counts are of cases)
        """Writes the suite."""
        counts = f'tests="{self._tests}" failures="{self._failures}" errors="0" skipped="0"'
        self._file.write('<?xml version="1.0" encoding="UTF-8"?>\n')
        self._file.write(f'<testsuites {counts}>\n<testsuite name="evtool {self._subject.command}" {counts}>\n')
        self._cases.seek(0)
        for line in self._cases:
            self._file.write(line)
        self._file.write("</testsuite>\n</testsuites>\n")
        self._cases.close()


def _format_location(finding: Finding) -> str:
    return ":".join(str(part) for part in (finding.file, finding.line, finding.column) if part is not None)


def _escape_xml(text: str) -> str:
    """The text as XML has it. What is harmless has no character that XML cannot hold."""
    from html import escape  # noqa: PLC0415  (its tables, for this report only)

    return escape(sanitize(text))


def _quote_attribute(text: str) -> str:
    return f'"{_escape_xml(text)}"'
