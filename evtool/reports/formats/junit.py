"""The junit report: one JUnit XML test case per event, delivery or scenario, failed if it has errors."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, TextIO

from evtool.reports.base import Record, Subject
from evtool.reports.checks import Check, CheckReader, Problem
from evtool.terminal.sanitize import sanitize

SPOOL = 1024 * 1024  # bytes of cases kept in memory before they go to a temporary file


class Junit:
    """A test suite whose counts come first: the cases wait in a temporary file until they are counted."""

    def __init__(self, subject: Subject, file: TextIO, color: str):  # noqa: ARG002  (the contract of all kinds)
        import tempfile  # noqa: PLC0415  (for this report only)

        self._subject, self._file, self._reader = subject, file, CheckReader(subject.command)
        self._cases = tempfile.SpooledTemporaryFile(SPOOL, mode="w+", encoding="utf-8")  # noqa: SIM115
        self._tests = self._failures = self._skipped = self._duration_ms = 0
        self._names: Counter[int] = Counter()  # hashes, since there may be many

    def add(self, record: Record) -> None:
        """Writes the cases of a record."""
        self._write(self._reader.add(record))

    def _write(self, checks: Iterable[Check]) -> None:
        for check in checks:
            self._tests += 1
            self._duration_ms += check.duration_ms
            attributes = self._format_attributes(check)
            errors = [problem for problem in check.problems if problem.severity == "error"]
            self._failures += bool(errors)
            self._skipped += check.open is not None
            if errors:
                details = "\n".join(_escape_xml(_format_problem(problem)) for problem in check.problems)
                title, first = _quote_attribute(errors[0].title), f"{errors[0].title} {errors[0].message}"
                content = f"<failure type={title} message={_quote_attribute(first)}>{details}</failure>"
            else:
                content = ""
                if check.open is not None:
                    content = f"<skipped message={_quote_attribute(check.open)}/>"
            self._cases.write(f"  <testcase {attributes}" + (f">{content}</testcase>\n" if content else "/>\n"))

    def _format_attributes(self, check: Check) -> str:
        """The attributes of a case. Readers drop cases with the same class and name: repeated names get a number."""
        key = hash((check.group, check.name))
        self._names[key] += 1
        number = self._names[key]
        values = {
            "classname": check.group or "-",
            "name": check.name if number == 1 else f"{check.name} #{number}",
            "file": check.file,
            "line": None if check.line is None else str(check.line),
            "time": _format_seconds(check.duration_ms),
        }
        return " ".join(f"{key}={_quote_attribute(value)}" for key, value in values.items() if value is not None)

    def end(self, tail: Mapping[str, Any]) -> None:
        """Writes the suite."""
        self._write(self._reader.end(tail))
        counts = f'tests="{self._tests}" failures="{self._failures}" errors="0" skipped="{self._skipped}"'
        counts += f' time="{_format_seconds(self._duration_ms)}"'
        self._file.write('<?xml version="1.0" encoding="UTF-8"?>\n')
        self._file.write(f'<testsuites {counts}>\n<testsuite name="evtool {self._subject.command}" {counts}>\n')
        self._cases.seek(0)
        for line in self._cases:
            self._file.write(line)
        self._file.write("</testsuite>\n</testsuites>\n")
        self._cases.close()


def _format_problem(problem: Problem) -> str:
    location = ""
    if problem.file:
        location = f"{problem.location}: "
    severity = ""
    if problem.severity != "error":
        severity = f"{problem.severity}: "
    return f"{location}{problem.title} {severity}{problem.advice}"


def _format_seconds(duration_ms: int) -> str:
    return f"{duration_ms / 1000:.3f}"


def _escape_xml(text: str) -> str:
    """The text as XML has it. What is harmless has no character that XML cannot hold."""
    from html import escape  # noqa: PLC0415  (its tables, for this report only)

    return escape(sanitize(text))


def _quote_attribute(text: str) -> str:
    return f'"{_escape_xml(text)}"'
