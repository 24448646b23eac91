"""Prints a finding for people: location and message, the source line with a caret, and the hint."""

import re

from evtool.findings.finding import Finding
from evtool.findings.phrases import format_location
from evtool.terminal.sanitize import sanitize
from evtool.terminal.screen import Screen, Segment
from evtool.terminal.styles import SEVERITY_STYLES

MAX_WIDTH = 150  # columns of a source line that are shown, even where there is room for more
TAB = "    "  # a tab of a source line, so that the caret stands where it should
SECRET = re.compile(r"(?<=whsec_)[A-Za-z0-9+/=_-]+")  # of a webhook, in a line of routes.yaml


def show_finding(screen: Screen, finding: Finding) -> None:
    """Shows one finding."""
    location = format_location(finding.file, finding.line, finding.column)
    style = SEVERITY_STYLES[finding.severity]
    if finding.severity == "error":
        severity: list[Segment] = []
    else:
        severity = [(f"{finding.severity}: ", style)]
    screen.print_line((f"{location}: ", "bold"), (f"{finding.code} ", style), *severity, finding.message)
    if finding.excerpt is None or finding.line is None or finding.column is None:
        if finding.suggestion:
            screen.print_line("    ", finding.suggestion)
        return
    line_prefix = f"{finding.line:>5} | "
    column = finding.column - finding.excerpt_start + 1
    excerpt = SECRET.sub(lambda match: "*" * len(match[0]), finding.excerpt)
    text, column = _clip(excerpt, column, max(30, min(MAX_WIDTH, screen.width - len(line_prefix))))
    screen.print_line((line_prefix, "dim"), text.replace("\t", TAB), wrap=False)
    padding = " " * _count_columns(text[: column - 1])
    caret = "^" * max(1, _count_columns(text[column - 1 : column - 1 + finding.width]))
    hint = ""
    if finding.suggestion:
        hint = f" {finding.suggestion}"
    bar: Segment = (f"{'':>5} | ", "dim")
    if not screen.is_terminal or _count_columns(padding + caret + hint) + len(line_prefix) <= screen.width:
        screen.print_line(bar, padding, (caret, style), hint, wrap=False)
        return
    screen.print_line(bar, padding, (caret, style), wrap=False)
    if hint:
        screen.print_line(bar, finding.suggestion or "")


def _clip(text: str, column: int, width: int) -> tuple[str, int]:
    """As much of a long line as fits, with the column in it."""
    if len(text) <= width:
        return text, column
    start = max(0, min(column - 1 - width // 3, len(text) - width))
    return text[start : start + width], column - start


def _count_columns(text: str) -> int:
    """How many columns a text takes on a terminal once it is sanitized."""
    sanitized = sanitize(text.replace("\t", TAB))
    if sanitized.isascii():
        return len(sanitized)
    from unicodedata import combining, east_asian_width  # noqa: PLC0415  (for the few texts that are wide)

    return sum(0 if combining(c) else 2 if east_asian_width(c) in "WF" else 1 for c in sanitized)
