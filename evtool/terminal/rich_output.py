"""Builds colored lines, tables and trees with rich. Imported only when such output is printed."""

import re
from collections.abc import Iterable, Sequence
from typing import TextIO

from rich.cells import cell_len
from rich.console import Console, JustifyMethod
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from evtool.terminal.sanitize import sanitize

# A text, or a text and its style as rich names it.
Segment = str | tuple[str, str]
# Columns by which the continuation of a wrapped line is indented.
INDENT = 4
# Columns that rich uses for the guide lines of each level of a tree.
GUIDE = 4
# A line of a tree, the branches below it, and additional lines under the first one.
Branch = tuple[Sequence[Segment], Sequence["Branch"], Sequence[Sequence[Segment]]]


class _PipeConsole(Console):
    """A console that raises BrokenPipeError for a closed pipe. rich's own method ends the process with exit code 1."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def create_console(file: TextIO, *, width: int, color: bool) -> Console:
    """Returns a console that prints text literally: only evtool adds styles."""
    color_system = None
    if color:
        color_system = "auto"
    return _PipeConsole(
        file=file,
        width=width,
        force_terminal=color,
        color_system=color_system,  # type: ignore[arg-type]
        no_color=not color,
        highlight=False,
        markup=False,
        emoji=False,
        legacy_windows=False,
    )


def style_text(segments: Iterable[Segment], *, color: bool) -> Text:
    """Returns segments as a text of rich, sanitized, and without styles unless `color` is set."""
    line = Text()
    for segment in segments:
        text, style = segment, ""
        if isinstance(segment, tuple):
            text, style = segment
        if not color:
            style = ""
        line.append(sanitize(str(text)), style)
    return line


def wrap_line(line: Text, width: int) -> list[Text]:
    """Wraps a line between words, and indents the continuation. A word that is longer than a line is not broken."""
    indent = min(len(line.plain) - len(line.plain.lstrip()) + INDENT, width // 2)
    breaks, column = [], 0
    for word in re.finditer(r"\s*\S+", line.plain):
        columns = cell_len(word.group())
        if column and column + columns > width:
            breaks.append(word.start())
            column, columns = indent, cell_len(word.group().lstrip())
        column += columns
    parts = list(line.divide(breaks))
    lines = parts[:1]
    for part in parts[1:]:
        # The blanks between two words are dropped where the line is broken.
        blanks = len(part.plain) - len(part.plain.lstrip())
        lines.append(Text(" " * indent) + part[blanks:])
    return lines


def build_table(
    table: Sequence[Sequence[Sequence[Segment]]],
    *,
    right_aligned: Sequence[int],
    color: bool,
    width: int,
    gaps: Sequence[int],
) -> Table | None:
    """Returns a table without lines, or None if a word is too long for its column.

    The first row is the header. `right_aligned` are the columns with numbers. `gaps` are the possible distances between
    two columns; the first that leaves enough space is used.
    """
    rows = [[style_text(cell, color=color) for cell in row] for row in table]
    columns = list(zip(*rows, strict=True))
    gap, widths = _choose_gap(columns, width, gaps)
    if widths is None:
        return None
    header_style = ""
    if color:
        header_style = "bold"
    rich_table = Table(box=None, pad_edge=False, padding=0, header_style=header_style)
    # Each gap is a column: versions of rich differ in whether the fixed width of a column includes its padding.
    for index, name in enumerate(rows[0]):
        if index:
            rich_table.add_column("", width=gap)
        justify: JustifyMethod = "left"
        if index in right_aligned:
            justify = "right"
        rich_table.add_column(name, justify=justify, width=widths[index])
    for row in rows[1:]:
        cells: list[Text | str] = []
        for cell in row:
            cells += [cell, ""]
        rich_table.add_row(*cells[:-1])
    return rich_table


def _choose_gap(columns: Sequence[Sequence[Text]], width: int, gaps: Sequence[int]) -> tuple[int, list[int] | None]:
    """Returns the first gap that leaves enough space, and the widths of the columns; None as widths if no gap does."""
    for gap in gaps:
        widths = _fit_columns(columns, width, gap)
        if widths:
            return gap, widths
    return gaps[-1], None


def _fit_columns(columns: Sequence[Sequence[Text]], width: int, gap: int) -> list[int] | None:
    """Returns widths of columns with which no word is broken, or None if there is not enough space."""
    widths = [max(text.cell_len for text in column) for column in columns]
    # By this much each column can become narrower.
    slack = [widths[index] - _longest_word(column) for index, column in enumerate(columns)]
    excess = sum(widths) + gap * (len(columns) - 1) - width
    # The columns with the most slack become narrower first.
    for index in sorted(range(len(columns)), key=slack.__getitem__, reverse=True):
        cut = max(0, min(excess, slack[index]))
        widths[index] -= cut
        excess -= cut
    if excess <= 0:
        return widths
    return None


def _longest_word(column: Sequence[Text]) -> int:
    """Returns the width of the longest word in a column."""
    longest = 0
    for text in column:
        for word in text.plain.split():
            longest = max(longest, cell_len(word))
    return longest


def build_tree(node: Branch, *, color: bool, width: int | None) -> Tree:
    """Returns a tree with guide lines, wrapped at `width`. A word that is longer than a line is not broken."""
    segments, children, details = node
    lines: list[Text] = []
    for part in (segments, *details):
        line = style_text(part, color=color)
        if width is None:
            lines.append(line)
        else:
            lines += wrap_line(line, width)
    child_width = None
    if width is not None:
        child_width = max(width - GUIDE, 1)
    guide_style = ""
    if color:
        guide_style = "dim"
    rich_tree = Tree(Text("\n").join(lines), guide_style=guide_style)
    rich_tree.children = [build_tree(child, color=color, width=child_width) for child in children]
    return rich_tree
