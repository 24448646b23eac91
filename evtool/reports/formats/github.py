"""The github report: one GitHub Actions annotation (workflow command) per finding, failed delivery or scenario."""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TextIO

from evtool.findings.phrases import shorten
from evtool.reports.base import Record, Subject
from evtool.reports.checks import Check, CheckReader, Problem, list_problems
from evtool.reports.formats.repository import find_repository, to_repository_path
from evtool.terminal.sanitize import sanitize
from evtool.terminal.screen import format_count

LEVELS = {"error": "error", "warning": "warning", "note": "notice"}  # in the order of printing
MOST = 10  # GitHub shows so many annotations of each level for a step
MAX_MESSAGE = 4000  # characters; GitHub cuts a message at 4,096


class Github:
    """The first annotations of each level, errors first, and then how many were left out."""

    def __init__(self, subject: Subject, file: TextIO, color: str):  # noqa: ARG002  (the contract of all kinds)
        self._file, self._reader = file, CheckReader(subject.command)
        self._root = find_repository()
        self._problems: dict[str, list[Problem]] = {severity: [] for severity in LEVELS}
        self._omitted: Counter[str] = Counter()

    def add(self, record: Record) -> None:
        """Keeps the problems of a record until it is known whether there are errors behind them."""
        self._collect(self._reader.add(record))

    def end(self, tail: Mapping[str, Any]) -> None:
        """Writes the annotations, and a line that says how many problems have none."""
        self._collect(self._reader.end(tail))
        for problems in self._problems.values():
            for problem in problems:
                self._file.write(_format_command(problem, self._root))
        if self._omitted:
            counts = ", ".join(format_count(self._omitted[level], level) for level in LEVELS if self._omitted[level])
            self._file.write(f"not annotated: {counts}; GitHub shows {MOST} annotations of each level for a step\n")

    def _collect(self, checks: Iterable[Check]) -> None:
        for problem in list_problems(checks):
            problems = self._problems[problem.severity]
            if len(problems) < MOST:
                problems.append(problem)
            else:
                self._omitted[problem.severity] += 1


def _format_command(problem: Problem, root: Path) -> str:
    file = problem.file and (to_repository_path(problem.file, root) or problem.file)
    properties = {"file": file, "line": problem.line, "col": problem.column, "title": problem.title}
    property_text = ",".join(
        f"{key}={_escape_property(str(value))}" for key, value in properties.items() if value is not None
    )
    return f"::{LEVELS[problem.severity]} {property_text}::{_escape_data(shorten(problem.advice, MAX_MESSAGE))}\n"


def _escape_data(text: str) -> str:
    """The escapes of a command's message (github.com/actions/toolkit, packages/core/src/command.ts)."""
    return sanitize(text).replace("%", "%25")


def _escape_property(text: str) -> str:
    return _escape_data(text).replace(":", "%3A").replace(",", "%2C")
