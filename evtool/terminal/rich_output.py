"""Builds coloured lines, tables and trees with rich. Imported only when such output is printed."""

import re
from collections.abc import Iterable, Sequence
from typing import TextIO

from rich.cells import cell_len
from rich.console import Console, JustifyMethod
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from evtool.terminal.sanitize import sanitize

Segment = str | tuple[str, str]  # a text, or a text and its style in rich's words
Cell = Segment | list[Segment]
INDENT = 4  # columns of a continued line
GUIDE = 4  # columns that the lines of a tree take for each of its levels
# a line of a tree, the branches below it, and further lines of its own
Branch = tuple[Sequence[Segment], Sequence["Branch"], Sequence[Sequence[Segment]]]


class _PipeConsole(Console):
    """A console that leaves a closed pipe to whoever called: rich would end the process with exit code 1."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def create_console(file: TextIO, *, width: int, color: bool) -> Console:
    """A console that interprets nothing: text is text, styles come from us alone."""
    return _PipeConsole(
        file=file,
        width=width,
        force_terminal=color,
        color_system="auto" if color else None,
        no_color=not color,
        highlight=False,
        markup=False,
        emoji=False,
        legacy_windows=False,
    )


def style_text(segments: Iterable[Segment], *, color: bool) -> Text:
    """Segments as rich's text, sanitized."""
    parts = ((s, "") if isinstance(s, str) else s for s in segments)
    return Text.assemble(*((sanitize(text), style if color else "") for text, style in parts))


def wrap_line(line: Text, width: int) -> list[Text]:
    """Breaks a line between words and indents what follows. A word that is longer than a line stays whole."""
    indent = min(len(line.plain) - len(line.plain.lstrip()) + INDENT, width // 2)
    breaks, column = [], 0
    for word in re.finditer(r"\s*\S+", line.plain):
        columns = cell_len(word.group())
        if column and column + columns > width:
            breaks.append(word.start())
            column, columns = indent, cell_len(word.group().lstrip())
        column += columns
    first, *others = line.divide(breaks)
    return [first, *(Text(" " * indent) + part[len(part.plain) - len(part.plain.lstrip()) :] for part in others)]


def build_table(
    header: Sequence[str],
    rows: Iterable[Sequence[Cell]],
    *,
    right_aligned: Sequence[int],
    color: bool,
    width: int,
    gaps: Sequence[int],
) -> Table | None:
    """A table without lines, or None if a word is too long for its column; `right_aligned` are columns of numbers.

    `gaps` are the columns between two columns, of which the first that leave enough room are taken.
    """
    cells = [
        [style_text(cell if isinstance(cell, list) else [cell], color=color) for cell in row]
        for row in ([*header], *rows)
    ]
    columns = list(zip(*cells, strict=True))
    gap = next((gap for gap in gaps if _fit_columns(columns, width, gap)), gaps[-1])
    widths = _fit_columns(columns, width, gap)
    if widths is None:
        return None
    # the gaps are columns of their own: whether a fixed width includes the padding depends on the version of rich
    rich_table = Table(box=None, pad_edge=False, padding=0, header_style="bold" if color else "")
    for index, name in enumerate(cells[0]):
        if index:
            rich_table.add_column("", width=gap)
        justify: JustifyMethod = "left"
        if index in right_aligned:
            justify = "right"
        rich_table.add_column(name, justify=justify, width=widths[index])
    for first, *others in cells[1:]:
        rich_table.add_row(first, *(part for cell in others for part in ("", cell)))
    return rich_table


def _fit_columns(columns: Sequence[Sequence[Text]], width: int, gap: int) -> list[int] | None:
    """The widths of columns so that no word is broken, or None if there is not enough room."""
    widths = [max(text.cell_len for text in column) for column in columns]
    longest_words = [
        max(cell_len(word) for text in column for word in (text.plain.split() or [""])) for column in columns
    ]
    excess = sum(widths) + gap * (len(columns) - 1) - width
    for index in sorted(range(len(columns)), key=lambda index: longest_words[index] - widths[index]):
        cut = max(0, min(excess, widths[index] - longest_words[index]))
        widths[index] -= cut
        excess -= cut
    if excess <= 0:
        return widths
    return None


def build_tree(node: Branch, *, color: bool, width: int | None) -> Tree:
    """A tree with guide lines, for a console that wraps nothing. A word that is longer than a line stays whole."""
    segments, children, details = node
    lines = [style_text(line, color=color) for line in (segments, *details)]
    parts = [part for line in lines for part in (wrap_line(line, width) if width is not None else [line])]
    rich_tree = Tree(Text("\n").join(parts), guide_style="dim" if color else "")
    child_width = None
    if width is not None:
        child_width = max(width - GUIDE, 1)
    rich_tree.children = [build_tree(child, color=color, width=child_width) for child in children]
    return rich_tree
