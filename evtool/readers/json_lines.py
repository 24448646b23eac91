"""Reads JSON Lines: the lines that are not blank, except those that are known to be valid events."""

from collections import deque
from collections.abc import Callable, Iterator
from io import BufferedReader
from json import detect_encoding
from typing import Protocol

from evtool.readers.json_text import TOO_LONG_HINT, JsonProblem
from evtool.readers.streams import BOM, CHUNK, WHITESPACE, Element, StreamWindow

_BLOCK = 1 << 15  # bytes; more would leave the cache of the processor


class Prover(Protocol):
    """Recognises valid events in bulk, so that a reader need not return them. It may always fail to."""

    most_begun: int  # blocks that may be begun before the answer for the first of them is asked for

    def begin_lines(self, block: bytes) -> Callable[[], list[bool]]:
        """Begins to prove a block. The answer has for each line whether it is a valid event, which is counted then."""

    def prove_block(self, block: bytes) -> bool:
        """Whether all lines of a block are valid events, which are counted then."""

    def prove_elements(self, elements: bytes) -> bool:
        """The same for elements of an array, with the commas between them."""

    def prove_document(self, text: bytes) -> bool:
        """Whether a text is one valid event, which is counted then."""


class _LineReader:
    """Reads the lines of a stream that are not proven. `number` is that of the last line, from 1.

    Of a line that is longer than the limit, only the beginning is read.
    """

    def __init__(self, stream: BufferedReader, limit: int, prover: Prover | None):
        self.number = 0
        self._stream, self._limit, self._prover = stream, limit, prover

    def read_lines(self) -> Iterator[bytes]:
        """The lines. The first one is never left out: it shows the encoding of the stream."""
        while line := self._stream.readline(self._limit):
            self.number += 1
            yield line
            if self._prover:
                yield from self._read_unproven(self._prover)

    def _read_unproven(self, prover: Prover) -> Iterator[bytes]:
        begun: deque[tuple[bytes, Callable[[], list[bool]]]] = deque()
        error: OSError | None = None
        try:
            for block in self._read_blocks():
                is_short = len(block) + len(b"\r\n") <= self._limit and block.endswith(b"\n")  # then every line is
                begun.append((block, prover.begin_lines(block) if is_short else list))
                if len(begun) >= prover.most_begun:
                    yield from self._select_unproven(*begun.popleft())
        except OSError as problem:
            error = problem  # what comes before it is reported first
        for block, get_proven in begun:
            yield from self._select_unproven(block, get_proven)
        if error:
            raise error

    def _read_blocks(self) -> Iterator[bytes]:
        """The rest of the stream: blocks of whole lines, and lines without an end."""
        rest = b""
        while part := self._stream.read1(_BLOCK):
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
        *lines, last = block.split(b"\n")
        for number, line in enumerate([*(line + b"\n" for line in lines), *([last] if last else [])]):
            self.number += 1
            if not (proven and proven[number]):
                yield line


class LineSkipper:
    """Passes over the lines in a window that are proven to be valid events, a block of them at a time."""

    def __init__(self, prover: Prover, max_bytes: int):
        self._prover, self._block_size = prover, min(_BLOCK, max_bytes)
        self._next_try = 0  # as an offset into the stream

    def skip(self, window: StreamWindow) -> bool:
        """Consumes a block of the lines in memory if all of them are proven; whether they are."""
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
    """The lines of a stream that are not blank, not parsed, without those that `prover` proves to be valid events.

    A line of more than `max_bytes` is a problem (EV008). Raises OSError, with the number of the last line before.
    """
    limit = max_bytes + len(b"\r\n")
    reader = _LineReader(stream, limit, prover)
    try:
        for line in reader.read_lines():
            is_first = reader.number == 1
            if is_first:
                text = line.removeprefix(BOM)
            else:
                text = line
            raw = text.strip(WHITESPACE)
            is_cut = len(line) >= limit and not line.endswith(b"\n")
            has_more = is_cut and not _is_rest_blank(stream)
            if len(raw) > max_bytes or has_more or (is_cut and raw):
                yield JsonProblem(
                    "EV008", f"a line of more than {max_bytes} bytes is too long", reader.number, 1, 0, TOO_LONG_HINT
                )
            elif raw:
                yield Element(raw, reader.number, len(text) - len(text.lstrip(WHITESPACE)) + 1, 0)
            if is_first and not detect_encoding(raw).startswith("utf-8"):
                return  # one finding for the file, not one for each line
    except OSError as error:
        if reader.number == 0:
            raise
        raise OSError(error.errno, f"{error.strerror or error}, after line {reader.number}") from None


def _is_rest_blank(stream: BufferedReader) -> bool:
    """Reads the rest of a line; whether it is blank."""
    is_blank = True
    while part := stream.readline(CHUNK):
        is_blank = is_blank and not part.strip(WHITESPACE)
        if part.endswith(b"\n"):
            break
    return is_blank
