"""Raw streams that report how many bytes were read, and whether the next line is already buffered."""

import io
from collections.abc import Callable
from errno import EAGAIN

_NO_DATA = "it has nothing to read now, and may never have"


class FileStream(io.FileIO):
    """A file on the disk; `on_bytes` is called with the number of bytes of each read. It takes over the descriptor.

    Some that look like files have nothing to read at the moment (those of /proc): OSError is raised, they do not end.
    """

    def __init__(self, descriptor: int, on_bytes: Callable[[int], None] | None = None):
        super().__init__(descriptor)
        self._on_bytes = on_bytes

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Reads what is to be had at once, into a buffer; how many bytes that is."""
        size: int | None = super().readinto(buffer)
        if size is None:
            raise BlockingIOError(EAGAIN, _NO_DATA)
        if self._on_bytes:
            self._on_bytes(size)
        return size


class LookaheadStream(io.RawIOBase):
    """Bytes that were read ahead, then those that `read_chunk` returns; `on_bytes` is called with the number of
    bytes of each chunk.

    `position` is the number of bytes that were read from this stream.
    """

    def __init__(
        self, read_chunk: Callable[[int], bytes], on_bytes: Callable[[int], None] | None = None, lookahead: bytes = b""
    ):
        self._read_chunk = read_chunk
        self._on_bytes = on_bytes
        self._lookahead = memoryview(lookahead)
        self.position = 0

    def readable(self) -> bool:
        """It can be read."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Reads what is to be had at once, into a buffer; how many bytes that is."""
        size = len(buffer)
        if self._lookahead:
            chunk, self._lookahead = self._lookahead[:size], self._lookahead[size:]
            buffer[: len(chunk)] = chunk
            self.position += len(chunk)
            return len(chunk)
        data = self._read_chunk(size)
        buffer[: len(data)] = data
        self.position += len(data)
        if self._on_bytes:
            self._on_bytes(len(data))
        return len(data)


def is_next_line_buffered(stream: io.BufferedIOBase, consumed: int) -> bool:
    """Whether the buffer of a stream, of which `consumed` bytes were consumed, holds one more line.

    Nothing is read: a stream that has no more now would be waited for.
    """
    source = getattr(stream, "raw", None)
    if (
        not isinstance(stream, io.BufferedReader)
        or not isinstance(source, LookaheadStream)
        or source.position == consumed
    ):
        return False
    return b"\n" in stream.peek().lstrip()
