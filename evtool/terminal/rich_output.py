"""Drawing: coloured lines, tables and trees, by rich. Imported only when there is something to draw."""

from collections.abc import Iterable, Sequence
from typing import TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from evtool.terminal.sanitize import harmless

Segment = str | tuple[str, str]  # a text, or a text and its style in rich's words
Branch = tuple[Sequence[Segment], Sequence["Branch"]]  # a line of a tree, and the branches below it


class _Pipe(Console):
    """A console that leaves a closed pipe to whoever called: rich would end the process with exit code 1."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def console(file: TextIO, *, width: int, color: bool) -> Console:
    """A console that interprets nothing: text is text, styles come from us alone."""
    return _Pipe(
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


def styled(segments: Iterable[Segment], *, color: bool) -> Text:
    """Segments as rich's text, made harmless."""
    parts = ((s, "") if isinstance(s, str) else s for s in segments)
    return Text.assemble(*((harmless(text), style if color else "") for text, style in parts))


def table(header: Sequence[str], rows: Iterable[Sequence[Segment]], *, right: Sequence[int], color: bool) -> Table:
    """A table without lines; `right` are the columns with numbers."""
    drawn = Table(box=None, pad_edge=False, header_style="bold" if color else "")
    for index, name in enumerate(header):
        drawn.add_column(name, justify="right" if index in right else "left", overflow="fold")
    for row in rows:
        drawn.add_row(*(styled([cell], color=color) for cell in row))
    return drawn


def tree(node: Branch, *, color: bool) -> Tree:
    """A tree with guide lines."""
    segments, children = node
    drawn = Tree(styled(segments, color=color), guide_style="dim" if color else "")
    drawn.children = [tree(child, color=color) for child in children]
    return drawn
