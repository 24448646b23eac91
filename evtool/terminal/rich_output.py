"""Builds coloured lines, tables and trees with rich. Imported only when such output is printed."""

from collections.abc import Iterable, Sequence
from typing import TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from evtool.terminal.sanitize import sanitize

Segment = str | tuple[str, str]  # a text, or a text and its style in rich's words
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


def build_table(
    header: Sequence[str], rows: Iterable[Sequence[Segment]], *, right_aligned: Sequence[int], color: bool
) -> Table:
    """A table without lines; `right_aligned` are the columns with numbers."""
    rich_table = Table(box=None, pad_edge=False, header_style="bold" if color else "")
    for index, name in enumerate(header):
        rich_table.add_column(name, justify="right" if index in right_aligned else "left", overflow="fold")
    for row in rows:
        rich_table.add_row(*(style_text([cell], color=color) for cell in row))
    return rich_table


def build_tree(node: Branch, *, color: bool) -> Tree:
    """A tree with guide lines."""
    segments, children, details = node
    label = Text("\n").join(style_text(line, color=color) for line in (segments, *details))
    rich_tree = Tree(label, guide_style="dim" if color else "")
    rich_tree.children = [build_tree(child, color=color) for child in children]
    return rich_tree
