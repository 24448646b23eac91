"""The markdown report: counts and a table of problems, for a comment on a pull request and for a job summary."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, TextIO

from evtool.findings.phrases import shorten
from evtool.reports.base import Record, Subject
from evtool.reports.checks import Check, CheckReader, Problem
from evtool.terminal.sanitize import sanitize
from evtool.terminal.screen import format_count

MAX_REPORT = 65_000  # characters; a comment on GitHub holds 65,536
MAX_CELL = 1_000  # characters
MAX_PLANNED = 50  # handlers in the table of a replay
SEVERITIES = ("error", "warning", "note")
PUNCTUATION = re.compile(r"[\\`*_\[\]|~$]")  # Markdown reads these inside a line
BREAK = "&#8203;"  # a zero-width space after @ and #, so that no user is mentioned and no issue is linked
TABLE_HEAD = "| | where | what |\n|---|---|---|\n"


class Markdown:
    """One section, written at the end: errors first, as many rows as a comment holds, and the number of the rest."""

    def __init__(self, subject: Subject, file: TextIO, color: str):  # noqa: ARG002  (the contract of all kinds)
        self._subject, self._file, self._reader = subject, file, CheckReader(subject.command)
        self._rows: dict[str, list[str]] = {severity: [] for severity in SEVERITIES}
        self._room = dict.fromkeys(SEVERITIES, MAX_REPORT)  # characters that the rows of a severity may still take
        self._counts: Counter[str] = Counter()

    def add(self, record: Record) -> None:
        """Keeps the rows of a record, as long as there is room for them."""
        self._collect(self._reader.add(record))

    def end(self, tail: Mapping[str, Any]) -> None:
        """Writes the section."""
        self._collect(self._reader.end(tail))
        parts = [f"### evtool {escape_markdown(self._subject.command)}: {self._format_result()}\n\n"]
        parts.append(_format_numbers(tail))
        parts.append(_format_handlers(tail.get("handlers")))
        text = "".join(parts)
        self._file.write(text + self._format_table(MAX_REPORT - len(text)))

    def _collect(self, checks: Iterable[Check]) -> None:
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
        """The table, cut at a row."""
        total = self._counts.total()
        if not total:
            return ""
        rows = []
        room -= len(TABLE_HEAD) + 100  # the line below the table
        for row in (row for severity in SEVERITIES for row in self._rows[severity]):
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
    """A text that Markdown and HTML show as it is: without markup, links, mentions and references."""
    text = sanitize(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    text = PUNCTUATION.sub(r"\\\g<0>", text)
    text = re.sub(r"[@#]", rf"\g<0>{BREAK}", text)
    return re.sub(r"(?i)(?<=www)\.|:(?=//)", lambda found: f"&#{ord(found[0])};", text)


def _format_row(problem: Problem) -> str:
    location = ""
    if problem.file:
        location = f"<code>{escape_markdown(shorten(problem.location, MAX_CELL))}</code>"
    title = escape_markdown(problem.title)
    message = escape_markdown(shorten(problem.advice, MAX_CELL))
    return f"| {problem.severity} | {location} | **{title}** {message} |\n"


def _format_numbers(tail: Mapping[str, Any]) -> str:
    """The summary in one line, and the coverage of `evtool test`."""
    numbers = [f"{key.replace('_', ' ')} {value:,}" for key, value in tail["summary"].items() if isinstance(value, int)]
    coverage = tail.get("coverage") or {}
    covered = [f"{key} {part['covered']:,} of {part['all']:,}" for key, part in coverage.items()]
    lines = [" · ".join(numbers), f"Coverage: {' · '.join(covered)}" if covered else ""]
    return "".join(f"{line}\n\n" for line in lines if line)


def _format_handlers(handlers: Mapping[str, int] | None) -> str:
    """The handlers that fire in a replay, and how often."""
    if not handlers:
        return ""
    rows = [f"| {escape_markdown(name)} | {count:,} |\n" for name, count in list(handlers.items())[:MAX_PLANNED]]
    more = ""
    if len(handlers) > MAX_PLANNED:
        more = f"\n{len(handlers) - MAX_PLANNED:,} more handlers are not shown.\n"
    return "| handler | fires |\n|---|--:|\n" + "".join(rows) + more + "\n"
