"""Shows the progress of long work on standard error, if that is a terminal: a label, a bar, a count and a rate.

For example:

    publishing  [##########..........]  50%  4,000 events  2,500/s
"""

import os
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TextIO, TypeVar

from evtool.terminal import screen
from evtool.terminal.screen import Screen, format_count, open_stderr

# Seconds before the line is drawn for the first time. Short work should not flicker.
DELAY = 0.3
# Seconds between two updates of the line.
INTERVAL = 0.1
# Columns.
BAR_WIDTH = 20
Item = TypeVar("Item")
# Returns to the first column and clears the line (ECMA-48).
ERASE = "\r\x1b[2K"


def _return_none() -> None:
    return None


def _return_zero(_: object) -> int:
    return 0


class Progress:
    """One line that is updated in place, and erased before other output on the terminal."""

    def __init__(
        self,
        label: str,
        unit: str,
        *,
        total: Callable[[], int | None] = _return_none,
        quiet: bool = False,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ):
        """`unit` is the noun for the units of `count`, such as event.

        `total` returns the sum of all sizes that `advance` will add, or None if it is unknown. It is called only if
        the line is shown: to count the bytes of all input files takes time.
        """
        self._label, self._unit, self._clock = label, unit, clock
        self._stream = stream or open_stderr()
        self._is_shown = not quiet and self._stream.isatty() and os.environ.get("TERM") != "dumb"
        self._total = None
        if self._is_shown:
            self._total = total()
        self._size = self._count = 0
        self._start = clock()
        self._next = self._start + DELAY
        self._is_drawn = False

    def advance(self, size: int) -> None:
        """Adds to the finished part of the total."""
        self._size += size
        self._update()

    def count(self, number: int = 1) -> None:
        """Adds to the number of finished units."""
        self._count += number
        self._update()

    def add(self, number: int) -> None:
        """Counts finished units, if the total is a number of units."""
        self._size += number
        self.count(number)

    def track(self, items: Iterable[Item], size: Callable[[Item], int] = _return_zero) -> Iterator[Item]:
        """Yields items. Counts each one, and adds its size, after the caller has used it."""
        try:
            for item in items:
                yield item
                self._size += size(item)
                self.count()
        finally:
            self.erase()

    def close(self) -> None:
        """Removes the line when the work is finished."""
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
            # From now on, Screen erases the line before it prints.
            screen.erase_progress = self.erase
            self._stream.write(ERASE + self._format(now)[: Screen(self._stream).width - 1])
            self._stream.flush()
            self._is_drawn = True

    def _format(self, now: float) -> str:
        # A clock with a low resolution may not have advanced yet.
        rate = self._count / max(now - self._start, 0.001)
        counted = f"{format_count(self._count, self._unit)}  {rate:,.0f}/s"
        if not self._total:
            return f"{self._label}  {counted}"
        share = min(1.0, self._size / self._total)
        bar = "#" * round(share * BAR_WIDTH)
        return f"{self._label}  [{bar:.<{BAR_WIDTH}}] {share:4.0%}  {counted}"
