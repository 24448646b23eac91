"""The junit report: one JUnit XML test case per event, delivery or scenario, failed if it has errors."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TextIO

from evtool.reports.base import Subject
from evtool.reports.checks import Check, CheckReport, Problem
from evtool.terminal.sanitize import sanitize

# Bytes of cases that are kept in memory before they go to a temporary file.
SPOOL = 1024 * 1024


class Junit(CheckReport):
    """A test suite. Its first line has the counts, so the cases are kept in a temporary file until all are counted."""

    def __init__(self, subject: Subject, file: TextIO, color: str):  # noqa: ARG002  (the contract of all kinds)
        import tempfile  # noqa: PLC0415  (for this report only)

        super().__init__(subject.command)
        self._subject, self._file = subject, file
        self._cases = tempfile.SpooledTemporaryFile(SPOOL, mode="w+", encoding="utf-8")  # noqa: SIM115
        self._tests = self._failures = self._skipped = self._duration_ms = 0
        # Hashes of names take less memory than names, of which a report may have millions.
        self._names: Counter[int] = Counter()

    def _take(self, checks: Iterable[Check]) -> None:
        for check in checks:
            self._tests += 1
            self._duration_ms += check.duration_ms
            attributes = self._format_attributes(check)
            errors = [problem for problem in check.problems if problem.severity == "error"]
            self._failures += bool(errors)
            self._skipped += check.open is not None
            if errors:
                content = _format_failure(errors[0], check.problems)
            elif check.open is not None:
                content = f"<skipped message={_quote_attribute(check.open)}/>"
            else:
                self._cases.write(f"  <testcase {attributes}/>\n")
                continue
            self._cases.write(f"  <testcase {attributes}>{content}</testcase>\n")

    def _format_attributes(self, check: Check) -> str:
        """Formats the attributes of a case."""
        # Readers such as GitLab drop a case with the class and name of an earlier one, so repeated names get a number.
        key = hash((check.group, check.name))
        self._names[key] += 1
        name = check.name
        if self._names[key] > 1:
            name += f" #{self._names[key]}"
        values = {"classname": check.group or "-", "name": name}
        if check.file is not None:
            values["file"] = check.file
        if check.line is not None:
            values["line"] = str(check.line)
        values["time"] = _format_seconds(check.duration_ms)
        return " ".join(f"{key}={_quote_attribute(value)}" for key, value in values.items())

    def end(self, tail: Mapping[str, Any]) -> None:
        """Writes the suite."""
        super().end(tail)
        counts = f'tests="{self._tests}" failures="{self._failures}" errors="0" skipped="{self._skipped}"'
        counts += f' time="{_format_seconds(self._duration_ms)}"'
        self._file.write('<?xml version="1.0" encoding="UTF-8"?>\n')
        self._file.write(f'<testsuites {counts}>\n<testsuite name="evtool {self._subject.command}" {counts}>\n')
        self._cases.seek(0)
        for line in self._cases:
            self._file.write(line)
        self._file.write("</testsuite>\n</testsuites>\n")
        self._cases.close()


def _format_failure(error: Problem, problems: Sequence[Problem]) -> str:
    """Formats the failure of a case: the first error as its message, and all problems below."""
    details = "\n".join(_escape_xml(_format_problem(problem)) for problem in problems)
    title, message = _quote_attribute(error.title), _quote_attribute(f"{error.title} {error.message}")
    return f"<failure type={title} message={message}>{details}</failure>"


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
    # XML cannot hold some control characters in any form; `sanitize` spells them out.
    from html import escape  # noqa: PLC0415  (its tables, for this report only)

    return escape(sanitize(text))


def _quote_attribute(text: str) -> str:
    return f'"{_escape_xml(text)}"'
