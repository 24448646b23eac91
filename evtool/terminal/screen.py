"""Prints lines, tables and trees for people, and decides whether to use color and how wide lines may be.

A line consists of segments: texts with an optional style. The kind of the stream decides how they appear:

    segments       ("done", "green"), " in 5 ms"
    pipe           done in 5 ms
    terminal       \\x1b[32mdone\\x1b[0m in 5 ms, wrapped at the width of the terminal
"""

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Any, NamedTuple, TextIO

from evtool.terminal.sanitize import sanitize

# A text, or a text and its style as rich names it.
Segment = str | tuple[str, str]
# The content of one cell of a table.
Cell = Segment | list[Segment]
# Columns of a terminal that does not report its width.
DEFAULT_WIDTH = 80
# Columns of a source line in a pipe. Lines without a limit would fill logs: a JSON Lines file may have lines of 1 MiB.
PIPE_WIDTH = 500
# Columns between two columns of a table. The first gap that leaves enough space is used.
GAPS = (2, 1)
# Columns that are enough for every line. Lines in a pipe or a file are not wrapped, so that grep finds whole messages.
UNLIMITED = 1_000_000_000


def _erase_nothing() -> None:
    pass


# Removes the progress line from the terminal before other output. A variable that progress.py sets, since most commands
# run without that module.
erase_progress: Callable[[], None] = _erase_nothing


def format_count(number: int, noun: str) -> str:
    """Returns a number with its noun: `1 event`, `1,204 events`, `2 deliveries`."""
    if number == 1:
        return f"1 {noun}"
    if noun.endswith("y"):
        return f"{number:,} {noun[:-1]}ies"
    return f"{number:,} {noun}s"


class TreeNode(NamedTuple):
    """A line of a tree, the nodes below it, and additional lines under the first one."""

    segments: Sequence[Segment]
    children: Sequence["TreeNode"] = ()
    details: Sequence[Sequence[Segment]] = ()


class Screen:
    """A terminal, a pipe or a file that people read."""

    def __init__(self, file: TextIO, *, color: str = "auto"):
        """`color` is auto, always or never. auto respects NO_COLOR, FORCE_COLOR, TERM=dumb and the kind of the file."""
        self.file = file
        self.is_terminal = file.isatty()
        self.color = _uses_color(color, terminal=self.is_terminal)

    @property
    def width(self) -> int:
        """The number of columns of a line."""
        # Asked each time: the user may resize the terminal while a command runs.
        columns = os.environ.get("COLUMNS", "")
        if columns.isdecimal() and int(columns) > 0:
            return int(columns)
        try:
            if self.is_terminal:
                return os.get_terminal_size(self.file.fileno()).columns or DEFAULT_WIDTH
            return PIPE_WIDTH
        except (OSError, ValueError):
            return DEFAULT_WIDTH

    def print_line(self, *segments: Segment, wrap: bool = True) -> None:
        """Prints one line. On a terminal, a long line is wrapped between words."""
        text = _to_text(segments)
        wrap = wrap and self.is_terminal and not (text.isascii() and len(text) <= self.width)
        self._begin_output()
        # Most lines are printed without rich, since it takes long to import.
        if not self.color and not wrap:
            self._write(text)
            return
        rich_output, console = _import_rich_output(), self._create_console()
        line = rich_output.style_text(segments, color=self.color)
        lines = [line]
        if wrap:
            lines = rich_output.wrap_line(line, self.width)
        for part in lines:
            if self.color:
                console.print(part, soft_wrap=True)
            else:
                self._write(part.plain)

    def print_table(
        self, header: Sequence[str], rows: Iterable[Sequence[Cell]], *, right_aligned: Sequence[int] = ()
    ) -> None:
        """Prints a table, or a line for each row if the table is too wide. `right_aligned` are columns of numbers."""
        self._begin_output()
        table = [[_to_segments(cell) for cell in header]]
        for row in rows:
            table.append([_to_segments(cell) for cell in row])
        if not self.color:
            text = self._format_table(table, right_aligned)
            if text:
                self.file.write(text)
                return
        console = self._create_console()
        rich_table = _import_rich_output().build_table(
            table, right_aligned=right_aligned, color=self.color, width=console.width, gaps=GAPS
        )
        if rich_table is not None:
            console.print(rich_table)
            return
        for cells in table:
            line: list[Segment] = []
            for cell in cells:
                line += cell
                line.append("  ")
            self.print_line(*line)

    def _format_table(self, table: Sequence[Sequence[list[Segment]]], right_aligned: Sequence[int]) -> str:
        """Returns a table as rich prints it, or "" if it is too wide or not ASCII.

        rich takes a second for 1,000 rows. It is needed only for color, for wrapping, and to measure wide characters.
        """
        texts = [[_to_text(cell) for cell in cells] for cells in table]
        columns = list(zip(*texts, strict=True))
        widths = [max(map(len, column)) for column in columns]
        is_wide = self.is_terminal and sum(widths) + GAPS[0] * (len(widths) - 1) > self.width
        if is_wide or not all(map(str.isascii, chain.from_iterable(columns))):
            return ""
        lines = []
        for row in texts:
            cells = []
            for index, text in enumerate(row):
                if index in right_aligned:
                    cells.append(text.rstrip().rjust(widths[index]))
                else:
                    cells.append(text.ljust(widths[index]))
            lines.append((" " * GAPS[0]).join(cells) + "\n")
        return "".join(lines)

    def print_tree(self, node: TreeNode) -> None:
        """Prints a tree with lines between its nodes. On a terminal, a long text is wrapped between words."""
        self._begin_output()
        rich_output = _import_rich_output()
        width = None
        if self.is_terminal:
            width = self.width
        tree = rich_output.build_tree(node, color=self.color, width=width)
        # The lines of the tree are wrapped already. The console must not wrap them again, in the middle of words.
        rich_output.create_console(self.file, width=UNLIMITED, color=self.color).print(tree)

    def _begin_output(self) -> None:
        if self.is_terminal:
            erase_progress()

    def _write(self, line: str) -> None:
        # An ASCII terminal shows other characters as escapes. They must not end the command with UnicodeEncodeError.
        encoding = self.file.encoding or "utf-8"
        self.file.write(line.encode(encoding, "backslashreplace").decode(encoding) + "\n")

    def _create_console(self) -> Any:
        width = UNLIMITED
        if self.is_terminal:
            width = self.width
        return _import_rich_output().create_console(self.file, width=width, color=self.color)


def _to_segments(cell: Cell) -> list[Segment]:
    if isinstance(cell, list):
        return cell
    return [cell]


def _to_text(segments: Iterable[Segment]) -> str:
    """Returns the sanitized text of segments, without styles."""
    texts = []
    for segment in segments:
        text = segment
        if isinstance(segment, tuple):
            text = segment[0]
        texts.append(sanitize(str(text)))
    return "".join(texts)


def _import_rich_output() -> Any:
    # Importing rich takes four times as long as starting Python.
    from evtool.terminal import rich_output  # noqa: PLC0415

    return rich_output


def _uses_color(choice: str, *, terminal: bool) -> bool:
    if choice != "auto":
        return choice == "always"
    # The conventions of https://no-color.org and https://force-color.org.
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return terminal and os.environ.get("TERM") != "dumb"


def open_stderr() -> TextIO:
    """Returns standard error, or a stream that discards everything if standard error is closed."""
    if sys.stderr:
        return sys.stderr
    # Never closed: it is used until the process ends.
    return open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123
