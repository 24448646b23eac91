"""The markdown report: counts and a table of problems, for a comment on a pull request and for a job summary."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import chain, islice
from typing import Any, TextIO

from evtool.findings.phrases import shorten
from evtool.reports.base import Subject
from evtool.reports.checks import Check, CheckReport, Problem
from evtool.terminal.sanitize import sanitize
from evtool.terminal.screen import format_count

# Characters. A comment on GitHub holds 65,536.
MAX_REPORT = 65_000
# Characters of a cell.
MAX_CELL = 1_000
# Handlers in the table of a replay.
MAX_PLANNED = 50
SEVERITIES = ("error", "warning", "note")
# Markdown reads these characters inside a line.
PUNCTUATION = re.compile(r"[\\`*_\[\]|~$]")
# A zero-width space after @ and #, so that GitHub notifies no user and links no issue.
BREAK = "&#8203;"
# GitHub makes a link of a bare `www.` and of `://`.
LINK = re.compile(r"(?i)(?<=www)\.|:(?=//)")
TABLE_HEAD = "| | where | what |\n|---|---|---|\n"


class Markdown(CheckReport):
    """One section: errors first, as many rows as a comment holds, and the number of the other problems."""

    def __init__(self, subject: Subject, file: TextIO, color: str):  # noqa: ARG002  (the contract of all kinds)
        super().__init__(subject.command)
        self._subject, self._file = subject, file
        self._rows: dict[str, list[str]] = {severity: [] for severity in SEVERITIES}
        # Characters that further rows of a severity may take. It bounds the memory for rows that are cut later.
        self._room = dict.fromkeys(SEVERITIES, MAX_REPORT)
        self._counts: Counter[str] = Counter()

    def end(self, tail: Mapping[str, Any]) -> None:
        """Writes the section."""
        super().end(tail)
        parts = [f"### evtool {escape_markdown(self._subject.command)}: {self._format_result()}\n\n"]
        parts.append(_format_numbers(tail))
        parts.append(_format_handlers(tail.get("handlers")))
        text = "".join(parts)
        self._file.write(text + self._format_table(MAX_REPORT - len(text)))

    def _take(self, checks: Iterable[Check]) -> None:
        # Rows are kept as long as they fit into a comment. The others are only counted.
        for check in checks:
            for problem in check.problems:
                self._counts[problem.severity] += 1
                row = _format_row(problem)
                self._room[problem.severity] -= len(row)
                if self._room[problem.severity] > 0:
                    self._rows[problem.severity].append(row)

    def _format_result(self) -> str:
        counts = [format_count(self._counts[level], level) for level in SEVERITIES if self._counts[level]]
        return ", ".join(counts) or "no problems"

    def _format_table(self, room: int) -> str:
        """Formats the table, cut at a row."""
        total = self._counts.total()
        if not total:
            return ""
        rows = []
        # The line below the table takes up to 100 characters.
        room -= len(TABLE_HEAD) + 100
        for row in chain.from_iterable(self._rows[severity] for severity in SEVERITIES):
            room -= len(row)
            if room < 0:
                break
            rows.append(row)
        omitted = total - len(rows)
        more = ""
        if omitted:
            more = f"\n{omitted:,} more of {total:,} are not shown.\n"
        return TABLE_HEAD + "".join(rows) + more + "\n"


def escape_markdown(text: str) -> str:
    """Escapes a text so that Markdown and HTML show it literally: without markup, links, mentions and references."""
    text = sanitize(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    text = PUNCTUATION.sub(r"\\\g<0>", text)
    text = re.sub(r"[@#]", rf"\g<0>{BREAK}", text)
    return LINK.sub(_to_character_reference, text)


def _to_character_reference(match: re.Match[str]) -> str:
    return f"&#{ord(match[0])};"


def _format_row(problem: Problem) -> str:
    location = ""
    if problem.file:
        location = f"<code>{escape_markdown(shorten(problem.location, MAX_CELL))}</code>"
    title = escape_markdown(problem.title)
    message = escape_markdown(shorten(problem.advice, MAX_CELL))
    return f"| {problem.severity} | {location} | **{title}** {message} |\n"


def _format_numbers(tail: Mapping[str, Any]) -> str:
    """Formats the summary in one line, and the coverage of `evtool test` in another one."""
    numbers = []
    for key, value in tail["summary"].items():
        if isinstance(value, int):
            numbers.append(f"{key.replace('_', ' ')} {value:,}")
    text = ""
    if numbers:
        text = " · ".join(numbers) + "\n\n"
    coverage = tail.get("coverage")
    if coverage:
        covered = [f"{key} {part['covered']:,} of {part['all']:,}" for key, part in coverage.items()]
        text += f"Coverage: {' · '.join(covered)}\n\n"
    return text


def _format_handlers(handlers: Mapping[str, int] | None) -> str:
    """Formats the handlers that fire in a replay, and how often."""
    if not handlers:
        return ""
    rows = []
    for name, count in islice(handlers.items(), MAX_PLANNED):
        rows.append(f"| {escape_markdown(name)} | {count:,} |\n")
    more = ""
    if len(handlers) > MAX_PLANNED:
        more = f"\n{len(handlers) - MAX_PLANNED:,} more handlers are not shown.\n"
    return "| handler | fires |\n|---|--:|\n" + "".join(rows) + more + "\n"
