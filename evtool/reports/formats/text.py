"""The text report: findings for people, with location, source line, caret and hint."""

from collections.abc import Mapping
from typing import Any, TextIO

from evtool.reports.base import Report, Subject
from evtool.schemas.validation import ValidationResult
from evtool.terminal.screen import Screen, format_count
from evtool.terminal.snippets import show_finding


def Text(subject: Subject, file: TextIO, color: str) -> Report:  # noqa: N802  (the other kinds are classes)
    """Opens the text report of the command."""
    return subject.text(Screen(file, color=color))


class FindingsReport(Report):
    """The text report of `validate`: findings as they occur, and the number of checked events."""

    def __init__(self, screen: Screen, *, quiet: bool = False):
        self._screen, self._quiet = screen, quiet

    def add_result(self, result: ValidationResult) -> None:
        """Shows the findings of a validation result."""
        for finding in result.findings:
            show_finding(self._screen, finding)

    def end(self, tail: Mapping[str, Any]) -> None:
        """Shows the sum."""
        if self._quiet:
            return
        summary = tail["summary"]
        events, files, invalid = summary["events"], summary["files"], summary["invalid"]
        checked = f"checked {format_count(events, 'event')} in {format_count(files, 'file')}"
        if not events:
            self._screen.print_line(checked)
            return
        result = ("all valid", "bold green")
        if invalid:
            result = (f"{invalid:,} invalid", "bold red")
        self._screen.print_line(f"{checked}: ", result)
