"""Reads JSON Lines: the lines that are not blank, without those that are proven to be valid events.

Most lines of a large file are valid events, and `validate` needs only their number. So a prover gets the lines first, a
block of them at a time. Only the lines that it does not prove are returned:

    block        {"id": "1", ...}\\n{"id": "2", ...}\\n{"id": 3, ...}\\n
    prover       [True, True, False]
    returned     line 3, whose problem the reader of events then reports
"""

from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from io import BufferedReader
from json import detect_encoding
from typing import Protocol

from evtool.readers.json_text import TOO_LONG_HINT, JsonProblem
from evtool.readers.streams import BOM, CHUNK, WHITESPACE, Element, StreamWindow

# Bytes. A larger block does not fit into the cache of the processor.
_BLOCK = 1 << 15


class Prover(Protocol):
    """Recognizes valid events in bulk, so that a reader need not return them. It need not recognize all of them."""

    # The number of blocks that may be begun before the answer for the first one is needed.
    most_begun: int

    def begin_lines(self, block: bytes) -> Callable[[], list[bool]]:
        """Begins to prove a block. The answer has True for each line that is a valid event. It counts these events."""

    def prove_block(self, block: bytes) -> bool:
        """Returns whether all lines of a block are valid events, and counts them."""

    def prove_elements(self, elements: bytes) -> bool:
        """Returns whether all elements of an array, with commas between them, are valid events, and counts them."""

    def prove_document(self, text: bytes) -> bool:
        """Returns whether a text is one valid event, and counts it."""


class _LineReader:
    """Reads the lines of a stream that are not proven. `number` is the number of the last line, from 1.

    For a line that is longer than the limit, it returns only the beginning.
    """

    def __init__(self, stream: BufferedReader, limit: int, prover: Prover | None):
        self.number = 0
        self._stream, self._limit, self._prover = stream, limit, prover

    def read_lines(self) -> Iterator[bytes]:
        """Yields the lines. The first one is always among them: it shows the encoding of the stream."""
        for line in iter(self._read_line, b""):
            self.number += 1
            yield line
            if self._prover:
                yield from self._read_unproven(self._prover)

    def _read_line(self) -> bytes:
        return self._stream.readline(self._limit)

    def _read_unproven(self, prover: Prover) -> Iterator[bytes]:
        begun: deque[tuple[bytes, Callable[[], list[bool]]]] = deque()
        error: OSError | None = None
        try:
            for block in self._read_blocks():
                # Then every line is within the limit, too.
                is_short = len(block) + len(b"\r\n") <= self._limit and block.endswith(b"\n")
                get_proven: Callable[[], list[bool]] = list
                if is_short:
                    get_proven = prover.begin_lines(block)
                begun.append((block, get_proven))
                if len(begun) >= prover.most_begun:
                    yield from self._select_unproven(*begun.popleft())
        except OSError as problem:
            # The lines before the error are returned first.
            error = problem
        for block, get_proven in begun:
            yield from self._select_unproven(block, get_proven)
        if error:
            raise error

    def _read_blocks(self) -> Iterator[bytes]:
        """Yields the rest of the stream: blocks of whole lines, and parts of lines that exceed the limit."""
        rest = b""
        for part in iter(partial(self._stream.read1, _BLOCK), b""):
            data = rest + part
            end = data.rfind(b"\n") + 1
            rest = data[end:]
            if end:
                yield data[:end]
            if len(rest) >= self._limit:
                yield rest
                rest = b""
        if rest:
            yield rest

    def _select_unproven(self, block: bytes, get_proven: Callable[[], list[bool]]) -> Iterator[bytes]:
        proven = get_proven()
        if proven and all(proven):
            self.number += len(proven)
            return
        for number, line in enumerate(_split_lines(block)):
            self.number += 1
            if not (proven and proven[number]):
                yield line


def _split_lines(block: bytes) -> Iterator[bytes]:
    """Yields the lines of a block with their line feeds. The last one may have none."""
    # Not bytes.splitlines(), which also splits at a carriage return.
    start = 0
    while start < len(block):
        end = block.find(b"\n", start) + 1 or len(block)
        yield block[start:end]
        start = end


class LineSkipper:
    """Skips the lines in a window that are proven to be valid events, a block of them at a time."""

    def __init__(self, prover: Prover, max_bytes: int):
        self._prover, self._block_size = prover, min(_BLOCK, max_bytes)
        # An offset into the stream. A block that is not proven is not tried again, line by line.
        self._next_try = 0

    def skip(self, window: StreamWindow) -> bool:
        """Consumes a block of the lines in memory if all of them are proven. Returns whether it did."""
        if window.offset < self._next_try:
            return False
        start = window.position
        end = window.data.rfind(b"\n", start, start + self._block_size) + 1
        if end and self._prover.prove_block(window.data[start:end]):
            window.consume(end)
            return True
        self._next_try = window.offset + max(end - start, 1)
        return False


def read_lines(
    stream: BufferedReader, *, max_bytes: int, prover: Prover | None = None
) -> Iterator[Element | JsonProblem]:
    """Yields the lines of a stream as text, without blank ones and those that `prover` proves to be valid events.

    A line with more than `max_bytes` is a problem (EV008). Raises OSError with the number of the last line before it.
    """
    limit = max_bytes + len(b"\r\n")
    reader = _LineReader(stream, limit, prover)
    try:
        for line in reader.read_lines():
            is_first = reader.number == 1
            text = line
            if is_first:
                text = line.removeprefix(BOM)
            raw = text.strip(WHITESPACE)
            is_cut = len(line) >= limit and not line.endswith(b"\n")
            has_more = is_cut and not _is_rest_blank(stream)
            if len(raw) > max_bytes or has_more or (is_cut and raw):
                yield JsonProblem(
                    "EV008", f"a line of more than {max_bytes} bytes is too long", reader.number, 1, 0, TOO_LONG_HINT
                )
            elif raw:
                yield Element(raw, reader.number, len(text) - len(text.lstrip(WHITESPACE)) + 1, 0)
            # One finding for a file in another encoding, not one for each line.
            if is_first and not detect_encoding(raw).startswith("utf-8"):
                return
    except OSError as error:
        if reader.number == 0:
            raise
        raise OSError(error.errno, f"{error.strerror or error}, after line {reader.number}") from None


def _is_rest_blank(stream: BufferedReader) -> bool:
    """Reads the rest of a line. Returns whether it is blank."""
    is_blank = True
    for part in iter(partial(stream.readline, CHUNK), b""):
        is_blank = is_blank and not part.strip(WHITESPACE)
        if part.endswith(b"\n"):
            break
    return is_blank
