"""Prints lines, tables and trees for people, and decides whether to use colour and how wide lines may be."""

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Any, NamedTuple, TextIO

from evtool.terminal.sanitize import sanitize

Segment = str | tuple[str, str]  # a text, or a text and its style in rich's words
Cell = Segment | list[Segment]  # of a table
DEFAULT_WIDTH = 80  # columns of a terminal that does not tell
PIPE_WIDTH = 500  # columns of a source line in a pipe
# removes the progress line from the terminal before something is printed; set by progress.py
erase_progress: Callable[[], None] = lambda: None  # noqa: E731
GAPS = (2, 1)  # columns between two columns of a table; the first that leaves enough room is taken
UNLIMITED = 1_000_000_000  # columns: lines of a pipe or a file are never wrapped


def format_count(number: int, noun: str) -> str:
    """`1 event`, `1,204 events`, `2 deliveries`."""
    if noun.endswith("y"):
        plural = noun[:-1] + "ies"
    else:
        plural = noun + "s"
    return f"{number:,} {noun if number == 1 else plural}"


class TreeNode(NamedTuple):
    """A line of a tree, the nodes below it, and further lines of its own."""

    segments: Sequence[Segment]
    children: Sequence["TreeNode"] = ()
    details: Sequence[Sequence[Segment]] = ()


class Screen:
    """A terminal, a pipe or a file that people read."""

    def __init__(self, file: TextIO, *, color: str = "auto"):
        """`color` is auto, always or never; auto heeds NO_COLOR, FORCE_COLOR, TERM=dumb and what the file is."""
        self.file = file
        self.is_terminal = file.isatty()
        self.color = _uses_color(color, terminal=self.is_terminal)

    @property
    def width(self) -> int:
        """Columns that a line may take."""
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
        """One line, made of texts and styled texts. On a terminal a long line is continued between two words."""
        text = "".join(sanitize(s if isinstance(s, str) else s[0]) for s in segments)
        wrap = wrap and self.is_terminal and not (text.isascii() and len(text) <= self.width)
        self._begin_output()
        if not self.color and not wrap:
            self._write(text)
            return
        rich_output, console = _import_rich_output(), self._create_console()
        line = rich_output.style_text(segments, color=self.color)
        for part in rich_output.wrap_line(line, self.width) if wrap else [line]:
            if self.color:
                console.print(part, soft_wrap=True)
            else:
                self._write(part.plain)

    def print_table(
        self, header: Sequence[str], rows: Iterable[Sequence[Cell]], *, right_aligned: Sequence[int] = ()
    ) -> None:
        """A table; `right_aligned` are the columns with numbers. If it is too wide, each row becomes a line."""
        self._begin_output()
        rows = list(rows)
        if not self.color and (lines := self._format_table([header, *rows], right_aligned)):
            self.file.write(lines)
            return
        console = self._create_console()
        table = _import_rich_output().build_table(
            header, rows, right_aligned=right_aligned, color=self.color, width=console.width, gaps=GAPS
        )
        if table is not None:
            console.print(table)
            return
        for row in (header, *rows):
            cells = (cell if isinstance(cell, list) else [cell] for cell in row)
            self.print_line(*(segment for cell in cells for segment in (*cell, "  ")))

    def _format_table(self, rows: Sequence[Sequence[Cell]], right_aligned: Sequence[int]) -> str:
        """A table as rich prints it, which takes a second for 1,000 rows; "" if it is too wide, or not ASCII."""
        texts = [[_to_text(cell) for cell in row] for row in rows]
        columns = [*zip(*texts, strict=True)]
        widths = [max(map(len, column)) for column in columns]
        is_wide = self.is_terminal and sum(widths) + GAPS[0] * (len(widths) - 1) > self.width
        if is_wide or not all(map(str.isascii, chain(*columns))):
            return ""
        aligned = [
            [text.rstrip().rjust(width) if index in right_aligned else text.ljust(width) for text in column]
            for index, (column, width) in enumerate(zip(columns, widths, strict=True))
        ]
        return "".join((" " * GAPS[0]).join(row) + "\n" for row in zip(*aligned, strict=True))

    def print_tree(self, node: TreeNode) -> None:
        """A tree, drawn with lines. On a terminal a long text is continued between two words."""
        self._begin_output()
        rich_output = _import_rich_output()
        tree = rich_output.build_tree(node, color=self.color, width=self.width if self.is_terminal else None)
        rich_output.create_console(self.file, width=UNLIMITED, color=self.color).print(tree)

    def _begin_output(self) -> None:
        if self.is_terminal:
            erase_progress()

    def _write(self, line: str) -> None:
        encoding = self.file.encoding or "utf-8"
        self.file.write(line.encode(encoding, "backslashreplace").decode(encoding) + "\n")

    def _create_console(self) -> Any:
        if self.is_terminal:
            width = self.width
        else:
            width = UNLIMITED
        return _import_rich_output().create_console(self.file, width=width, color=self.color)


def _to_text(cell: Cell) -> str:
    if isinstance(cell, list):
        segments = cell
    else:
        segments = [cell]
    return "".join(sanitize(segment if isinstance(segment, str) else segment[0]) for segment in segments)


def _import_rich_output() -> Any:
    from evtool.terminal import rich_output  # noqa: PLC0415  (rich takes four times as long to import as Python to start)

    return rich_output


def _uses_color(choice: str, *, terminal: bool) -> bool:
    if choice != "auto":
        return choice == "always"
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return terminal and os.environ.get("TERM") != "dumb"


def open_stderr() -> TextIO:
    """Standard error, or nowhere when it is closed."""
    return sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123  (lives as long as the process)
