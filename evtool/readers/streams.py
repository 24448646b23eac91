"""Raw streams that report how many bytes were read, and a window of a stream in memory."""

import io
import re
from collections.abc import Callable
from errno import EAGAIN
from typing import NamedTuple

from evtool.readers.json_text import JsonProblem

# Bytes of one read.
CHUNK = 1 << 16
WHITESPACE = b" \t\n\r"

BOM = b"\xef\xbb\xbf"
# The bytes of UTF-8 that do not begin a character. Without them, the number of bytes is that of the characters.
_CONTINUATION_BYTES = bytes(range(0x80, 0xC0))
_WHITESPACE_PATTERN = re.compile(rb"[ \t\n\r]*+")


_NO_DATA = "it has nothing to read now, and may never have"


class FileStream(io.FileIO):
    """A file on the disk. Calls `on_bytes` with the number of bytes of each read. Closes the descriptor at the end.

    Raises OSError if the file has no data at the moment, like some files of /proc. They would never end.
    """

    def __init__(self, descriptor: int, on_bytes: Callable[[int], None] | None = None):
        super().__init__(descriptor)
        self._on_bytes = on_bytes

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Reads available data into a buffer. Returns the number of bytes."""
        size: int | None = super().readinto(buffer)
        if size is None:
            raise BlockingIOError(EAGAIN, _NO_DATA)
        if self._on_bytes:
            self._on_bytes(size)
        return size


class ChunkStream(io.RawIOBase):
    """The bytes that `read_chunk` returns. Calls `on_bytes` with the number of bytes of each chunk."""

    def __init__(self, read_chunk: Callable[[int], bytes], on_bytes: Callable[[int], None] | None = None):
        self._read_chunk = read_chunk
        self._on_bytes = on_bytes

    def readable(self) -> bool:
        """Returns True: the stream can be read."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Reads available data into a buffer. Returns the number of bytes."""
        data = self._read_chunk(len(buffer))
        buffer[: len(data)] = data
        if self._on_bytes:
            self._on_bytes(len(data))
        return len(data)


class Element(NamedTuple):
    """An element: its bytes, and its position in the stream (line and column from 1, offset in bytes from 0)."""

    raw: bytes
    line: int
    column: int
    offset: int


class StreamWindow:
    """The part of a stream that is in memory. `data[position:]` is not consumed yet.

    `line`, `column` and `offset` are those of the next byte. A byte order mark is skipped. It reads no more than
    necessary: the stream may be a pipe whose writer waits for an answer.

        stream     {"id": 1}\\n{"id": 2}\\n...
        data       {"id": 1}\\n{"id": 2}
        consume    up to index 10: returns {"id": 1}\\n, and the next byte is at line 2, column 1
    """

    def __init__(self, stream: io.BufferedIOBase):
        self.stream = stream
        self.data = b""
        self.position = 0
        # A pipe may deliver the byte order mark one byte at a time.
        while len(self.data) < len(BOM) and BOM.startswith(self.data) and self.read_more():
            pass
        if self.data.startswith(BOM):
            self.position = len(BOM)
        self.offset = self.position
        self.line = self.column = 1

    def make_problem(self, message: str, hint: str | None = None) -> JsonProblem:
        """Returns a problem with the position of the next byte."""
        return JsonProblem("EV002", message, self.line, self.column, self.offset, hint)

    def read_more(self) -> bool:
        """Reads available data, and drops the consumed bytes. Returns False at the end of the stream."""
        # read1() returns the data before an error first, and raises the error in the next call.
        chunk = self.stream.read1(CHUNK)
        self.data = self.data[self.position :] + chunk
        self.position = 0
        return bool(chunk)

    def has_bytes(self, size: int) -> bool:
        """Returns whether this many bytes are in memory. Reads more of a file, but never waits for a pipe."""
        if len(self.data) - self.position >= size:
            return True
        is_file = isinstance(getattr(self.stream, "raw", None), FileStream)
        return is_file and self.read_more() and len(self.data) >= size

    def consume(self, end: int) -> bytes:
        """Returns the bytes up to an index into `data`, and moves the position behind them."""
        consumed = self.data[self.position : end]
        line_breaks = consumed.count(b"\n")
        last_line = consumed
        if line_breaks:
            self.line += line_breaks
            self.column = 1
            last_line = consumed[consumed.rfind(b"\n") + 1 :]
        self.column += len(last_line.translate(None, _CONTINUATION_BYTES))
        self.offset += len(consumed)
        self.position = end
        return consumed

    def find_next(self) -> int:
        """Returns the index of the next byte in memory that is not whitespace, or the length of `data`."""
        return match_end(_WHITESPACE_PATTERN, self.data, self.position)

    def peek(self) -> bytes:
        """Consumes whitespace, and returns the next byte without consuming it; b"" at the end of the stream."""
        while True:
            self.consume(self.find_next())
            if self.position < len(self.data):
                return self.data[self.position : self.position + 1]
            if not self.read_more():
                return b""


def match_end(pattern: re.Pattern[bytes], data: bytes, position: int) -> int:
    """Returns the end of a match that begins at a position, or the position if nothing matches."""
    match = pattern.match(data, position)
    if match:
        return match.end()
    return position
