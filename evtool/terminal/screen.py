"""The screen: where people read. Colour and lines only where they are wanted."""

import os
import sys
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, TextIO

from evtool.terminal.sanitize import harmless

Segment = str | tuple[str, str]  # a text, or a text and its style in rich's words
NARROW = 80  # columns of a terminal that does not tell
WIDE = 500  # columns of a line in a pipe: nothing is cut that a program may look for


def counted(number: int, noun: str) -> str:
    """`1 event`, `1,204 events`, `2 deliveries`."""
    plural = noun[:-1] + "ies" if noun.endswith("y") else noun + "s"
    return f"{number:,} {noun if number == 1 else plural}"


class Node(NamedTuple):
    """A line of a tree, and the nodes below it."""

    segments: Sequence[Segment]
    children: Sequence["Node"] = ()


class Screen:
    """A terminal, a pipe or a file that people read."""

    def __init__(self, file: TextIO, *, color: str = "auto"):
        """`color` is auto, always or never; auto heeds NO_COLOR, FORCE_COLOR, TERM=dumb and what the file is."""
        self.file = file
        self.terminal = file.isatty()
        self.color = _wants_color(color, terminal=self.terminal)

    @property
    def width(self) -> int:
        """Columns that a line may take."""
        named = os.environ.get("COLUMNS", "")
        if named.isdecimal() and int(named) > 0:
            return int(named)
        try:
            return os.get_terminal_size(self.file.fileno()).columns or NARROW if self.terminal else WIDE
        except (OSError, ValueError):
            return NARROW

    def line(self, *segments: Segment) -> None:
        """One line, made of texts and styled texts."""
        if self.color:
            rich_output = _drawing()
            self._console().print(rich_output.styled(segments, color=True), soft_wrap=True)
            return
        text = "".join(harmless(s if isinstance(s, str) else s[0]) for s in segments)
        encoding = self.file.encoding or "utf-8"
        self.file.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")

    def table(self, header: Sequence[str], rows: Iterable[Sequence[Segment]], *, right: Sequence[int] = ()) -> None:
        """A table; `right` are the columns with numbers."""
        self._console().print(_drawing().table(header, rows, right=right, color=self.color))

    def tree(self, node: Node) -> None:
        """A tree, drawn with lines."""
        self._console().print(_drawing().tree(node, color=self.color))

    def _console(self) -> Any:
        return _drawing().console(self.file, width=self.width, color=self.color)


def _drawing() -> Any:
    from evtool.terminal import rich_output as drawing  # noqa: PLC0415  (rich takes four times as long to import as Python to start)

    return drawing


def _wants_color(choice: str, *, terminal: bool) -> bool:
    if choice != "auto":
        return choice == "always"
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return terminal and os.environ.get("TERM") != "dumb"


def errors() -> TextIO:
    """Standard error, or nowhere when it is closed."""
    return sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123  (lives as long as the process)
