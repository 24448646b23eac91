"""Reads the JSON documents that follow one another in a stream, in little memory.

A document may have several lines, several documents may share a line, and an array counts as its elements. A document
ends where its brackets are closed. In a broken document they may never be closed. So the reader also ends it at a place
that no well-formed document has: a line that begins with "{" although the text before it does not end with ",", ":" or
"[":

    {"id": 1, "detail": {"total":       broken: cut off
    {"id": 2, "detail": {}}             the text before "{" ends with ":", so this line may belong to the document
    {"id": 3, "detail": {}}             the text before "{" ends with "}", so another document begins here

Then the text so far is split at all places where "}" or a line break is followed by "{". So the three lines are three
documents, and only the first one is broken.
"""

import re
from collections.abc import Iterator
from enum import Enum, auto
from io import BufferedIOBase, BytesIO
from json import detect_encoding
from typing import NamedTuple

from evtool.readers.json_lines import LineSkipper, Prover
from evtool.readers.json_text import TOO_LONG_HINT, JsonProblem, parse_json
from evtool.readers.streams import WHITESPACE, StreamWindow, match_end

_STRING = rb'"[^"\\\n]*+(?:\\[^\n][^"\\\n]*+)*+"'
# Matches up to a bracket, to a string that is not complete in memory, or to a line break before "{" or at the end.
_TO_STOP = re.compile(rb'(?:[^"\[\]{}\n]++|' + _STRING + rb"|\n(?=[^{]))*+")
_TO_QUOTE = re.compile(rb'[^"\\\n]*+(?:\\[^\n][^"\\\n]*+)*+')
# The text before a new document. Inside a document, it may only occur after a line break.
_BOUNDARY = re.compile(rb"(?:\}[ \t]*|\n\x1e?)(?=\{)")
_BLANKS = re.compile(rb"[ \t]*+")
# After one of these, an object of the same document may begin on the next line.
_CONTINUING = b",:["
_DEPTH_CHANGES = {b"{": 1, b"[": 1, b"}": -1, b"]": -1}
# Begins each document of a JSON text sequence (RFC 7464).
_RECORD_SEPARATOR = b"\x1e"


class Document(NamedTuple):
    """The bytes of a document, its line and column from 1, and whether the next one is already in memory."""

    raw: bytes
    line: int
    column: int
    is_next_buffered: bool = False


class _End(Enum):
    """The reason why the scan of a document stops."""

    # The end is not in memory yet.
    MISSING = auto()
    # All brackets are closed.
    CLOSED = auto()
    # A string is not closed on its line.
    BROKEN_STRING = auto()
    # Another document begins before the brackets are closed.
    OTHER_DOCUMENT = auto()


class _Text:
    """The text of a document while it is read. Keeps at most `max_bytes` in memory."""

    def __init__(self, line: int, column: int, max_bytes: int):
        self._line, self._column, self._max_bytes = line, column, max_bytes
        self._size = 0
        self._parts: list[bytes] = []

    def add(self, part: bytes) -> None:
        self._size += len(part)
        if self._size <= self._max_bytes + len(WHITESPACE):
            self._parts.append(part)
        else:
            self._parts.clear()

    def read(self) -> Document | JsonProblem:
        """Returns the whole text as one document, or a problem if it is too long."""
        raw = b"".join(self._parts).rstrip(WHITESPACE)
        if len(raw) > self._max_bytes or (self._size and not raw):
            message = f"an event of more than {self._max_bytes} bytes is too long"
            return JsonProblem("EV008", message, self._line, self._column, 0, TOO_LONG_HINT)
        return Document(raw, self._line, self._column)

    def split(self) -> Iterator[Document | JsonProblem]:
        """Yields the broken document, and the documents that begin inside it."""
        whole = self.read()
        if isinstance(whole, JsonProblem):
            yield whole
            return
        window = StreamWindow(BytesIO(whole.raw))
        window.data, window.line, window.column = whole.raw, whole.line, whole.column
        ends = [match.end() for match in _BOUNDARY.finditer(whole.raw)]
        ends.append(len(whole.raw))
        for end in ends:
            line, column = window.line, window.column
            yield Document(window.consume(end).rstrip(WHITESPACE), line, column)


class _BracketScan:
    """Finds the end of a document that arrives in several parts."""

    def __init__(self) -> None:
        self._depth = 0
        self._in_string = False
        # The last byte of the previous part that is not whitespace.
        self._last = b""

    def find_end(self, data: bytes, start: int) -> tuple[int, _End]:
        """Continues at an index into `data`. Returns the index where the scan stops, and the reason."""
        position = start
        while True:
            if self._in_string:
                position = match_end(_TO_QUOTE, data, position)
                if data[position : position + 1] == b"\n" or data[position : position + 2] == b"\\\n":
                    return position, _End.BROKEN_STRING
                if data[position : position + 1] != b'"':
                    return self._pause(data, start, position)
                self._in_string = False
                position += 1
            position = match_end(_TO_STOP, data, position)
            stop_byte = data[position : position + 1]
            if not stop_byte or data[position:] == b"\n":
                return self._pause(data, start, position)
            position += 1
            if stop_byte == b'"':
                self._in_string = True
            elif stop_byte == b"\n":
                if data.startswith(b"{", position) and self._find_last(data, start, position) not in _CONTINUING:
                    return position, _End.OTHER_DOCUMENT
            else:
                self._depth += _DEPTH_CHANGES[stop_byte]
                if not self._depth:
                    return position, _End.CLOSED

    def _pause(self, data: bytes, start: int, position: int) -> tuple[int, _End]:
        self._last = self._find_last(data, start, position)
        return position, _End.MISSING

    def _find_last(self, data: bytes, start: int, position: int) -> bytes:
        """Returns the last byte before a position that is not whitespace."""
        while position > start and data[position - 1] in WHITESPACE:
            position -= 1
        if position > start:
            return data[position - 1 : position]
        return self._last


class _DocumentReader:
    """Reads one document after the other from a window."""

    def __init__(self, window: StreamWindow, max_bytes: int, prover: Prover | None):
        self._window = window
        self._max_bytes = max_bytes
        self._skipper: LineSkipper | None = None
        if prover:
            self._skipper = LineSkipper(prover, max_bytes)
        # The end of the next document if it is a whole line, or -1. Kept from `_mark`, which needs it, too.
        self._line_end = -1

    def read_next(self) -> Iterator[Document | JsonProblem]:
        """Yields the document that begins at the next byte. If it is broken, yields also those that begin inside it."""
        window = self._window
        if self._skipper and self._skipper.skip(window):
            self._line_end = -1
            return
        text = _Text(window.line, window.column, self._max_bytes)
        has_brackets = window.data[window.position] in b"{["
        if not has_brackets:
            self._buffer_line()
        line_end = self._line_end
        if line_end < 0:
            line_end = self._find_line_end(window.position)
        if line_end >= 0:
            text.add(window.consume(line_end))
            yield self._mark(text.read())
        elif has_brackets:
            yield from self._read_brackets(text)
        else:
            self._read_to_document(text)
            yield self._mark(text.read())

    def _buffer_line(self) -> None:
        """Reads until the line is complete in memory, or too long for a document."""
        window = self._window
        while window.data.find(b"\n", window.position) < 0 and len(window.data) - window.position <= self._max_bytes:
            if not window.read_more():
                return
            self._line_end = -1

    def _read_brackets(self, text: _Text) -> Iterator[Document | JsonProblem]:
        window, scan = self._window, _BracketScan()
        while True:
            position, end = scan.find_end(window.data, window.position)
            text.add(window.consume(position))
            if end is not _End.MISSING:
                break
            if not window.read_more():
                text.add(window.consume(len(window.data)))
                break
        if end is _End.CLOSED:
            if not self._is_line_finished():
                self._read_to_document(text)
            yield self._mark(text.read())
            return
        if end is _End.BROKEN_STRING:
            self._read_to_document(text)
        yield from text.split()

    def _is_line_finished(self) -> bool:
        """Returns whether only another document follows on the line, as far as the line is in memory."""
        position = match_end(_BLANKS, self._window.data, self._window.position)
        following = self._window.data[position : position + 2]
        return following[:1] in (b"", b"\n", b"{", b"[", _RECORD_SEPARATOR) or following in (b"\r", b"\r\n")

    def _read_to_document(self, text: _Text) -> None:
        """Reads text that is not JSON, up to the beginning of another document."""
        window = self._window
        boundary = _BOUNDARY.search(window.data, window.position)
        while not boundary:
            end = len(window.data)
            # These bytes may be the beginning of a boundary whose "{" is not in memory yet.
            if window.data[-1:] in (b"}", b"\n"):
                end -= 1
            text.add(window.consume(max(window.position, end)))
            if not window.read_more():
                text.add(window.consume(len(window.data)))
                return
            boundary = _BOUNDARY.search(window.data, window.position)
        text.add(window.consume(boundary.end()))

    def _find_line_end(self, start: int) -> int:
        """Returns the end of the line on which a document begins, if the document is the whole line; else -1.

        It only counts brackets, also those in strings, which is much faster than a scan of the document. If strings
        have brackets, the numbers may differ, and the document is scanned.
        """
        data = self._window.data
        end = data.find(b"\n", start)
        if end < 0 or data[start] in b"[":
            return -1
        if data[start] not in b"{":
            if _is_json(data[start:end]):
                return end
            return -1
        last = end - 1
        while data[last] in WHITESPACE:
            last -= 1
        is_closed = data[last] in b"}" and data.count(b"{", start, end) == data.count(b"}", start, end)
        if is_closed and not _BOUNDARY.search(data, start, end):
            return end
        return -1

    def _mark(self, document: Document | JsonProblem) -> Document | JsonProblem:
        """Sets in a document whether the next one is in memory."""
        window = self._window
        start = window.find_next()
        self._line_end = -1
        if start < len(window.data):
            self._line_end = self._find_line_end(start)
        if isinstance(document, JsonProblem):
            return document
        is_next_buffered = self._line_end >= 0
        # A document of several lines usually ends with a line "}".
        if not is_next_buffered and window.data.startswith(b"{", start):
            is_next_buffered = window.data.find(b"\n}\n", start) >= 0
        return document._replace(is_next_buffered=is_next_buffered)


def _is_json(raw: bytes) -> bool:
    try:
        parse_json(raw)
    except JsonProblem:
        return False
    return True


def read_documents(
    stream: BufferedIOBase, *, max_bytes: int, prover: Prover | None = None
) -> Iterator[Document | JsonProblem]:
    """Yields the documents of a stream as texts. A broken document ends where the next one is found.

    A document with more than `max_bytes` is a problem (EV008). Arrays at the beginning of the stream may have any
    length. A stream without a document gives an empty one. Events that `prover` proves to be valid may be missing.
    """
    window = StreamWindow(stream)
    if not detect_encoding(window.data).startswith("utf-8"):
        # The parser of the text reports its encoding.
        yield Document(window.data[:max_bytes], 1, 1)
        return
    if not window.peek():
        yield Document(b"", window.line, window.column)
        return
    if window.peek() == b"[":
        try:
            yield from _read_long_arrays(window, max_bytes, prover)
        except JsonProblem as problem:
            yield problem
            return
    reader = _DocumentReader(window, max_bytes, prover)
    for first_byte in iter(window.peek, b""):
        if first_byte == _RECORD_SEPARATOR:
            window.consume(window.position + 1)
            continue
        for document in reader.read_next():
            if isinstance(document, Document) and document.raw.startswith(b"["):
                yield from _read_elements(document, max_bytes)
            else:
                yield document


def _read_long_arrays(window: StreamWindow, max_bytes: int, prover: Prover | None) -> Iterator[Document | JsonProblem]:
    """Yields the elements of the arrays at the beginning of a stream. Raises JsonProblem for a broken array."""
    # Imported late: to compile its patterns takes longer than to read an event.
    from evtool.readers.json_array import read_array  # noqa: PLC0415

    while window.peek() == b"[":
        for element in read_array(window, max_bytes, prover):
            if isinstance(element, JsonProblem):
                yield element
            else:
                yield Document(element.raw, element.line, element.column)


def _read_elements(array: Document, max_bytes: int) -> Iterator[Document | JsonProblem]:
    """Yields the elements of an array that is in memory."""
    from evtool.readers.json_array import read_elements  # noqa: PLC0415

    for item in read_elements(BytesIO(array.raw), max_bytes=max_bytes):
        line, column = array.line + item.line - 1, item.column
        # Only the first line of the array may begin in the middle of a line of the stream.
        if item.line == 1:
            column += array.column - 1
        if isinstance(item, JsonProblem):
            yield JsonProblem(item.code, item.message, line, column, item.offset, item.hint)
        else:
            yield Document(item.raw, line, column)
