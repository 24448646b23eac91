"""The github report: one GitHub Actions annotation (workflow command) per finding, failed delivery or scenario."""

from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import chain
from pathlib import Path
from typing import Any, TextIO

from evtool.findings.phrases import shorten
from evtool.reports.base import Subject
from evtool.reports.checks import Check, CheckReport, Problem, list_problems
from evtool.reports.formats.repository import find_repository, to_repository_path
from evtool.terminal.sanitize import sanitize
from evtool.terminal.screen import format_count

# The level of an annotation for each severity, in the order of printing.
LEVELS = {"error": "error", "warning": "warning", "note": "notice"}
# GitHub shows this number of annotations of each level for a step.
MOST = 10
# Characters. GitHub cuts a message at 4,096.
MAX_MESSAGE = 4000


class Github(CheckReport):
    """The first annotations of each level, errors first, and the number of the others."""

    def __init__(self, subject: Subject, file: TextIO, color: str):  # noqa: ARG002  (the contract of all kinds)
        super().__init__(subject.command)
        self._file = file
        self._root = find_repository()
        self._problems: dict[str, list[Problem]] = {severity: [] for severity in LEVELS}
        self._omitted: Counter[str] = Counter()

    def end(self, tail: Mapping[str, Any]) -> None:
        """Writes the annotations, and a line with the number of problems that have no annotation."""
        super().end(tail)
        for problem in chain.from_iterable(self._problems.values()):
            self._file.write(_format_command(problem, self._root))
        if self._omitted:
            counts = [format_count(self._omitted[level], level) for level in LEVELS if self._omitted[level]]
            limit = f"GitHub shows {MOST} annotations of each level for a step"
            self._file.write(f"not annotated: {', '.join(counts)}; {limit}\n")

    def _take(self, checks: Iterable[Check]) -> None:
        # An error of a later record comes before a warning of an earlier one, so the problems are kept until the end.
        for problem in list_problems(checks):
            problems = self._problems[problem.severity]
            if len(problems) < MOST:
                problems.append(problem)
            else:
                self._omitted[problem.severity] += 1


def _format_command(problem: Problem, root: Path) -> str:
    file = problem.file
    if file:
        file = to_repository_path(file, root) or file
    properties = {"file": file, "line": problem.line, "col": problem.column, "title": problem.title}
    parts = []
    for key, value in properties.items():
        if value is not None:
            parts.append(f"{key}={_escape_property(str(value))}")
    message = _escape_data(shorten(problem.advice, MAX_MESSAGE))
    return f"::{LEVELS[problem.severity]} {','.join(parts)}::{message}\n"


def _escape_data(text: str) -> str:
    # These are the escapes of github.com/actions/toolkit, packages/core/src/command.ts.
    return sanitize(text).replace("%", "%25")


def _escape_property(text: str) -> str:
    return _escape_data(text).replace(":", "%3A").replace(",", "%2C")
