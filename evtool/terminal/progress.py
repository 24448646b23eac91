"""Shows a progress bar on standard error during long work, if standard error is a terminal."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from evtool.terminal.screen import open_stderr

MIN_BYTES = 4 * 1024 * 1024  # bytes; what is smaller is done before a bar is drawn


@contextmanager
def show_progress(total: int | None, *, quiet: bool) -> Iterator[Callable[[int], None]]:
    """A function that is told how many bytes were done. `total` is None where nobody knows."""
    stream = open_stderr()
    if quiet or not stream.isatty() or (total is not None and total < MIN_BYTES):
        yield lambda _: None
        return
    from rich.console import Console  # noqa: PLC0415  (only where there is a bar to draw)
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn  # noqa: PLC0415

    columns = (BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(file=stream), transient=True) as progress:
        task = progress.add_task("", total=total)
        yield lambda size: progress.update(task, advance=size)
