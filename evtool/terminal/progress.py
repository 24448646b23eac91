"""Shows on standard error how far long work is, if that is a terminal: a label, a bar, a count and a rate."""

import os
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TextIO, TypeVar

from evtool.terminal import screen
from evtool.terminal.screen import Screen, format_count, open_stderr

DELAY = 0.3  # seconds of work before the first line is drawn
INTERVAL = 0.1  # seconds between two lines
BAR_WIDTH = 20  # columns
Item = TypeVar("Item")
ERASE = "\r\x1b[2K"


class Progress:
    """One line that is drawn again and again, and erased before anything else is printed on the terminal."""

    def __init__(
        self,
        label: str,
        unit: str,
        *,
        total: Callable[[], int | None] = lambda: None,
        quiet: bool = False,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ):
        """`unit` is what `count` counts, such as event.

        `total` gives the sum of all sizes of `advance`, if it is known; it is not asked where no line is drawn.
        """
        self._label, self._unit, self._clock = label, unit, clock
        self._stream = stream or open_stderr()
        self._is_shown = not quiet and self._stream.isatty() and os.environ.get("TERM") != "dumb"
        if self._is_shown:
            self._total = total()
        else:
            self._total = None
        self._size = self._count = 0
        self._start = clock()
        self._next = self._start + DELAY
        self._is_drawn = False

    def advance(self, size: int) -> None:
        """Adds to what is done of the total."""
        self._size += size
        self._update()

    def count(self, number: int = 1) -> None:
        """Adds to the number of units that are done."""
        self._count += number
        self._update()

    def add(self, number: int) -> None:
        """Counts units, of which the total is known."""
        self._size += number
        self.count(number)

    def track(self, items: Iterable[Item], size: Callable[[Item], int] = lambda item: 0) -> Iterator[Item]:  # noqa: ARG005
        """Counts items after they have been used, and adds their sizes to what is done of the total."""
        try:
            for item in items:
                yield item
                self._size += size(item)
                self.count()
        finally:
            self.erase()

    def close(self) -> None:
        """Removes the line: nothing more is counted."""
        self.erase()

    def erase(self) -> None:
        """Removes the line from the terminal."""
        if self._is_drawn:
            self._stream.write(ERASE)
            self._stream.flush()
            self._is_drawn = False

    def _update(self) -> None:
        if not self._is_shown:
            return
        now = self._clock()
        if now >= self._next:
            self._next = now + INTERVAL
            screen.erase_progress = self.erase
            self._stream.write(ERASE + self._format(now)[: Screen(self._stream).width - 1])
            self._stream.flush()
            self._is_drawn = True

    def _format(self, now: float) -> str:
        rate = self._count / max(now - self._start, 0.001)
        counted = f"{format_count(self._count, self._unit)}  {rate:,.0f}/s"
        if not self._total:
            return f"{self._label}  {counted}"
        share = min(1.0, self._size / self._total)
        bar = "#" * round(share * BAR_WIDTH)
        return f"{self._label}  [{bar:.<{BAR_WIDTH}}] {share:4.0%}  {counted}"
