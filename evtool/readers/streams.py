"""Raw streams that report how many bytes were read, and the part of a stream that is in memory."""

import io
import re
from collections.abc import Callable
from errno import EAGAIN
from typing import NamedTuple

from evtool.readers.json_text import JsonProblem

CHUNK = 1 << 16
WHITESPACE = b" \t\n\r"

BOM = b"\xef\xbb\xbf"
_CONTINUATION_BYTES = bytes(range(0x80, 0xC0))  # bytes of UTF-8 that begin no character
_WHITESPACE_PATTERN = re.compile(rb"[ \t\n\r]*+")


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


class ChunkStream(io.RawIOBase):
    """The bytes that `read_chunk` returns; `on_bytes` is called with the number of bytes of each chunk."""

    def __init__(self, read_chunk: Callable[[int], bytes], on_bytes: Callable[[int], None] | None = None):
        self._read_chunk = read_chunk
        self._on_bytes = on_bytes

    def readable(self) -> bool:
        """It can be read."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Reads what is to be had at once, into a buffer; how many bytes that is."""
        data = self._read_chunk(len(buffer))
        buffer[: len(data)] = data
        if self._on_bytes:
            self._on_bytes(len(data))
        return len(data)


class Element(NamedTuple):
    """One element: its bytes, and where in the stream it begins (line and column from 1, bytes from 0)."""

    raw: bytes
    line: int
    column: int
    offset: int


class StreamWindow:
    """The part of a stream that is in memory; `data[position:]` is not consumed yet.

    `line`, `column` and `offset` are those of the next byte. A byte order mark is skipped. No more is read than is
    needed: the stream may be a pipe whose writer waits.
    """

    def __init__(self, stream: io.BufferedIOBase):
        self.stream = stream
        self.data = b""
        self.position = 0
        while len(self.data) < len(BOM) and BOM.startswith(self.data) and self.read_more():
            pass
        self.position = self.offset = len(BOM) if self.data.startswith(BOM) else 0
        self.line = self.column = 1

    def make_problem(self, message: str, hint: str | None = None) -> JsonProblem:
        """A problem at the next byte."""
        return JsonProblem("EV002", message, self.line, self.column, self.offset, hint)

    def read_more(self) -> bool:
        """Reads what is available, after the bytes that are not consumed yet. False at the end of the stream."""
        chunk = self.stream.read1(CHUNK)  # everything before an error is returned first
        self.data = self.data[self.position :] + chunk
        self.position = 0
        return bool(chunk)

    def has_bytes(self, size: int) -> bool:
        """Whether as many bytes are in memory; reads more of a file, but never waits for a pipe."""
        if len(self.data) - self.position >= size:
            return True
        is_file = isinstance(getattr(self.stream, "raw", None), FileStream)
        return is_file and self.read_more() and len(self.data) >= size

    def consume(self, end: int) -> bytes:
        """The bytes up to an index into `data`."""
        consumed = self.data[self.position : end]
        line_breaks = consumed.count(b"\n")
        if line_breaks:
            self.line += line_breaks
            self.column = 1
        if line_breaks:
            last_line = consumed[consumed.rfind(b"\n") + 1 :]
        else:
            last_line = consumed
        self.column += len(last_line.translate(None, _CONTINUATION_BYTES))
        self.offset += len(consumed)
        self.position = end
        return consumed

    def find_next(self) -> int:
        """The index of the next byte in memory that is not whitespace; the length of `data` if there is none."""
        return match_end(_WHITESPACE_PATTERN, self.data, self.position)

    def peek(self) -> bytes:
        """The next byte that is not whitespace, b"" at the end; whitespace before it is consumed."""
        while True:
            self.consume(self.find_next())
            if self.position < len(self.data):
                return self.data[self.position : self.position + 1]
            if not self.read_more():
                return b""


def match_end(pattern: re.Pattern[bytes], data: bytes, position: int) -> int:
    """Where a match that begins at a position ends; the position itself where there is none."""
    match = pattern.match(data, position)
    if match:
        return match.end()
    return position
