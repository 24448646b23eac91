"""Prints a finding for people: location and message, the source line with a caret, and the hint.

For example:

    order.json:2:11: EV104 total should be number, got the string "12"
        2 | {"total": "12"}
          |           ^^^^ remove the quotes
"""

import re

from evtool.findings.finding import Finding
from evtool.findings.phrases import format_location
from evtool.terminal.sanitize import sanitize
from evtool.terminal.screen import Screen, Segment
from evtool.terminal.styles import SEVERITY_STYLES

# Columns of a source line. Longer excerpts are hard to read, even if the terminal is wider.
MAX_WIDTH = 150
# Replaces a tab in a source line: the width of a tab varies between terminals, and the caret would move.
TAB = "    "
# The secret of a webhook, in a line of routes.yaml. A log must not show it.
SECRET = re.compile(r"(?<=whsec_)[A-Za-z0-9+/=_-]+")


def show_finding(screen: Screen, finding: Finding) -> None:
    """Prints one finding."""
    location = format_location(finding.file, finding.line, finding.column)
    style = SEVERITY_STYLES[finding.severity]
    line: list[Segment] = [(f"{location}: ", "bold"), (f"{finding.code} ", style)]
    if finding.severity != "error":
        line.append((f"{finding.severity}: ", style))
    screen.print_line(*line, finding.message)
    if finding.excerpt is None or finding.line is None or finding.column is None:
        if finding.suggestion:
            screen.print_line("    ", finding.suggestion)
        return
    line_prefix = f"{finding.line:>5} | "
    column = finding.column - finding.excerpt_start + 1
    excerpt = SECRET.sub(_mask, finding.excerpt)
    text, column = _clip(excerpt, column, max(30, min(MAX_WIDTH, screen.width - len(line_prefix))))
    screen.print_line((line_prefix, "dim"), text.replace("\t", TAB), wrap=False)
    padding = " " * _count_columns(text[: column - 1])
    caret = "^" * max(1, _count_columns(text[column - 1 : column - 1 + finding.width]))
    hint = ""
    if finding.suggestion:
        hint = f" {finding.suggestion}"
    bar: Segment = (f"{'':>5} | ", "dim")
    # In a pipe the line may be longer than the assumed width, so that the hint stays next to the caret.
    if not screen.is_terminal or _count_columns(padding + caret + hint) + len(line_prefix) <= screen.width:
        screen.print_line(bar, padding, (caret, style), hint, wrap=False)
        return
    screen.print_line(bar, padding, (caret, style), wrap=False)
    if hint:
        screen.print_line(bar, finding.suggestion or "")


def _mask(match: re.Match[str]) -> str:
    # The same length, so that the caret stays under its column.
    return "*" * len(match[0])


def _clip(text: str, column: int, width: int) -> tuple[str, int]:
    """Cuts a long line to a width around a column. Returns the part, and the column in it."""
    if len(text) <= width:
        return text, column
    # One third before the column, two thirds after it: the cause is usually after the start of a value.
    start = max(0, min(column - 1 - width // 3, len(text) - width))
    return text[start : start + width], column - start


def _count_columns(text: str) -> int:
    """Returns the number of columns of a sanitized text on a terminal."""
    sanitized = sanitize(text.replace("\t", TAB))
    if sanitized.isascii():
        return len(sanitized)
    # Imported late: few texts have other characters than ASCII.
    from unicodedata import combining, east_asian_width  # noqa: PLC0415

    columns = 0
    for char in sanitized:
        if combining(char):
            continue
        columns += 1
        # Wide and full-width characters, such as Chinese ones, take two columns.
        if east_asian_width(char) in "WF":
            columns += 1
    return columns
