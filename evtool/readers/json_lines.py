"""Reads JSON Lines: the lines that are not blank, except those that are known to be valid events."""

from collections.abc import Callable, Iterator
from io import BufferedReader
from json import detect_encoding

from evtool.readers.json_text import JsonProblem
from evtool.readers.stream_window import BOM, CHUNK, WHITESPACE, Element

ProveLines = Callable[[bytes], list[bool]]  # for each line of a block, whether it is known to be a valid event


class _LineReader:
    """Reads the lines of a stream that are not proven. `number` is that of the last line, from 1.

    Of a line that is longer than the limit, only the beginning is read.
    """

    def __init__(self, stream: BufferedReader, limit: int, prove: ProveLines | None):
        self.number = 0
        self._stream, self._limit, self._prove = stream, limit, prove

    def read_lines(self) -> Iterator[bytes]:
        """The lines. The first one is never left out: it shows the encoding of the stream."""
        while line := self._stream.readline(self._limit):
            self.number += 1
            yield line
            if self._prove:
                yield from self._read_unproven(self._prove)

    def _read_unproven(self, prove: ProveLines) -> Iterator[bytes]:
        while block := self._read_block():
            lines = block.removesuffix(b"\n").split(b"\n")
            is_short = len(block) + len(b"\r\n") <= self._limit  # then every line is
            proven = prove(block) if is_short else [False] * len(lines)
            if all(proven):
                self.number += len(proven)
                continue
            for is_proven, line in zip(proven, lines, strict=True):
                self.number += 1
                if not is_proven:
                    yield line + b"\n"

    def _read_block(self) -> bytes:
        """The whole lines that are in memory, or one line that is not; empty if that one is too long, or at the end."""
        buffered = self._stream.peek(1)
        size = buffered.rfind(b"\n") + 1
        if size:
            return self._stream.read(size)
        return b"" if len(buffered) >= self._limit else self._stream.readline(self._limit)


def read_lines(
    stream: BufferedReader, *, max_bytes: int, prove: ProveLines | None = None
) -> Iterator[Element | JsonProblem]:
    """The lines of a stream that are not blank, not parsed, without those that `prove` proves to be valid events.

    A line of more than `max_bytes` is a problem (EV008). Raises OSError, with the number of the last line before.
    """
    limit = max_bytes + len(b"\r\n")
    reader = _LineReader(stream, limit, prove)
    try:
        for line in reader.read_lines():
            is_first = reader.number == 1
            text = line.removeprefix(BOM) if is_first else line
            raw = text.strip(WHITESPACE)
            is_cut = len(line) >= limit and not line.endswith(b"\n")
            has_more = is_cut and not _is_rest_blank(stream)
            if len(raw) > max_bytes or has_more or (is_cut and raw):
                yield JsonProblem("EV008", f"a line of more than {max_bytes} bytes is too long", reader.number, 1, 0)
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
