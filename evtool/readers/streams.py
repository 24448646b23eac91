"""Streams: bytes that come when they come, and what of them is here already."""

import io
from collections.abc import Callable
from errno import EAGAIN

_NOTHING_NOW = "it has nothing to read now, and may never have"


class File(io.FileIO):
    """A file on the disk; `tell` is told how many bytes were read. It takes over the descriptor.

    Some that look like files have nothing to read at the moment (those of /proc): OSError is raised, they do not end.
    """

    def __init__(self, descriptor: int, tell: Callable[[int], None] | None = None):
        super().__init__(descriptor)
        self._told = tell

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Reads what is to be had at once, into a buffer; how many bytes that is."""
        size: int | None = super().readinto(buffer)
        if size is None:
            raise BlockingIOError(EAGAIN, _NOTHING_NOW)
        if self._told:
            self._told(size)
        return size


class Source(io.RawIOBase):
    """Bytes that were read ahead, then those that `read` gives; `tell` is told how many of these there were.

    `given` is how many bytes there were in all.
    """

    def __init__(self, read: Callable[[int], bytes], tell: Callable[[int], None] | None = None, ahead: bytes = b""):
        self._read = read
        self._tell = tell
        self._ahead = memoryview(ahead)
        self.given = 0

    def readable(self) -> bool:
        """It can be read."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Reads what is to be had at once, into a buffer; how many bytes that is."""
        size = len(buffer)
        if self._ahead:
            chunk, self._ahead = self._ahead[:size], self._ahead[size:]
            buffer[: len(chunk)] = chunk
            self.given += len(chunk)
            return len(chunk)
        data = self._read(size)
        buffer[: len(data)] = data
        self.given += len(data)
        if self._tell:
            self._tell(len(data))
        return len(data)


def is_here(stream: io.BufferedIOBase, taken: int) -> bool:
    """Whether there is one more line in what was read of a stream, of which so many bytes were taken.

    Nothing is read: a stream that has no more now would be waited for.
    """
    source = getattr(stream, "raw", None)
    if not isinstance(stream, io.BufferedReader) or not isinstance(source, Source) or source.given == taken:
        return False
    return b"\n" in stream.peek().lstrip()
