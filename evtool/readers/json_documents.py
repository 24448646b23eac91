"""Reads the JSON documents that follow one another in a stream, in little memory.

Documents may take several lines, share a line, or be JSON Lines; an array counts as its elements. A document ends where
its brackets are closed. Where one is broken, they may never be: then the next document is searched at a place that no
well-formed document has, "}" before "{", or a line that begins with "{" although the text before it does not end with
",", ":" or "[":

    {"id": 1, "detail": {"total":       broken: cut off
    {"id": 2, "detail": {}}             found: the text before "{" ends with ":", so this line may still belong to it
    {"id": 3, "detail": {}}             but "}" before "{" cannot: the first document ended at the first such line
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
# up to a bracket, to a string that is not complete, or to a line break that "{", or nothing yet, follows
_TO_STOP = re.compile(rb'(?:[^"\[\]{}\n]++|' + _STRING + rb"|\n(?=[^{]))*+")
_TO_QUOTE = re.compile(rb'[^"\\\n]*+(?:\\[^\n][^"\\\n]*+)*+')
_BOUNDARY = re.compile(rb"(?:\}[ \t]*|\n\x1e?)(?=\{)")  # what only stands before a new document
_BLANKS = re.compile(rb"[ \t]*+")
_CONTINUING = b",:["  # after one of these, an object may begin on the next line
_RECORD_SEPARATOR = b"\x1e"  # begins each document of a JSON text sequence (RFC 7464)


class Document(NamedTuple):
    """The bytes of a document, its line and column from 1, and whether the next one can be read without waiting."""

    raw: bytes
    line: int
    column: int
    is_next_buffered: bool = False


class _End(Enum):
    """Why the scan of a document stops."""

    MISSING = auto()  # the end is not in memory yet
    CLOSED = auto()  # all brackets are closed
    BROKEN_STRING = auto()  # a string is not closed on its line
    OTHER_DOCUMENT = auto()  # another document begins before the brackets are closed


class _Text:
    """The text of a document while it is read. No more than `max_bytes` of it are kept."""

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
        """The whole text as one document."""
        raw = b"".join(self._parts).rstrip(WHITESPACE)
        if len(raw) > self._max_bytes or (self._size and not raw):
            message = f"an event of more than {self._max_bytes} bytes is too long"
            return JsonProblem("EV008", message, self._line, self._column, 0, TOO_LONG_HINT)
        return Document(raw, self._line, self._column)

    def split(self) -> Iterator[Document | JsonProblem]:
        """The broken document, and those that begin inside it."""
        whole = self.read()
        if isinstance(whole, JsonProblem):
            yield whole
            return
        window = StreamWindow(BytesIO(whole.raw))
        window.data, window.line, window.column = whole.raw, whole.line, whole.column
        for end in [*(match.end() for match in _BOUNDARY.finditer(whole.raw)), len(whole.raw)]:
            line, column = window.line, window.column
            yield Document(window.consume(end).rstrip(WHITESPACE), line, column)


class _BracketScan:
    """Finds the end of a document, which may come in several parts."""

    def __init__(self) -> None:
        self._depth = 0
        self._in_string = False
        self._last = b""  # the last byte of the previous part that is not whitespace

    def find_end(self, data: bytes, start: int) -> tuple[int, _End]:
        """Continues at an index into `data`: where the scan stops, and why."""
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
                self._depth += 1 if stop_byte in b"{[" else -1
                if not self._depth:
                    return position, _End.CLOSED

    def _pause(self, data: bytes, start: int, position: int) -> tuple[int, _End]:
        self._last = self._find_last(data, start, position)
        return position, _End.MISSING

    def _find_last(self, data: bytes, start: int, position: int) -> bytes:
        """The last byte before a position that is not whitespace."""
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
        self._skipper = LineSkipper(prover, max_bytes) if prover else None
        self._line_end = -1  # of the document that comes next, if that is known

    def read_next(self) -> Iterator[Document | JsonProblem]:
        """The document that begins at the next byte; several, if that one is broken."""
        window = self._window
        if self._skipper and self._skipper.skip(window):
            self._line_end = -1
            return
        text = _Text(window.line, window.column, self._max_bytes)
        has_brackets = window.data[window.position] in b"{["
        if not has_brackets:
            self._buffer_line()
        if self._line_end >= 0:
            line_end = self._line_end
        else:
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
        """Reads until the line is complete, or too long for a document."""
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
        """Whether nothing but another document follows on the line, as far as it is in memory."""
        position = match_end(_BLANKS, self._window.data, self._window.position)
        following = self._window.data[position : position + 2]
        return following[:1] in (b"", b"\n", b"{", b"[", _RECORD_SEPARATOR) or following in (b"\r", b"\r\n")

    def _read_to_document(self, text: _Text) -> None:
        """Reads what is not JSON, up to where another document begins."""
        window = self._window
        while not (boundary := _BOUNDARY.search(window.data, window.position)):
            end = len(window.data)
            text.add(window.consume(max(window.position, end - 1 if window.data[-1:] in (b"}", b"\n") else end)))
            if not window.read_more():
                text.add(window.consume(len(window.data)))
                return
        text.add(window.consume(boundary.end()))

    def _find_line_end(self, start: int) -> int:
        """The end of the line where a document begins, if the document is all of it; else -1.

        Bytes are counted, which is much faster than to scan the document.
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
        """Says in a document whether the next one is in memory."""
        window = self._window
        start = window.find_next()
        if start < len(window.data):
            self._line_end = self._find_line_end(start)
        else:
            self._line_end = -1
        if isinstance(document, JsonProblem):
            return document
        # a document of several lines usually ends with a line "}"
        is_next_buffered = self._line_end >= 0 or (
            window.data.startswith(b"{", start) and window.data.find(b"\n}\n", start) >= 0
        )
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
    """The documents of a stream, not parsed: a broken one is as it is written, up to the next that can be found.

    A document of more than `max_bytes` is a problem (EV008); arrays at the beginning may have any length. A stream
    without a document gives an empty one. What `prover` proves to be valid events may be left out.
    """
    window = StreamWindow(stream)
    if not detect_encoding(window.data).startswith("utf-8"):
        yield Document(window.data[:max_bytes], 1, 1)  # its parser names the encoding
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
    while first_byte := window.peek():
        if first_byte == _RECORD_SEPARATOR:
            window.consume(window.position + 1)
            continue
        for document in reader.read_next():
            if isinstance(document, Document) and document.raw.startswith(b"["):
                yield from _read_elements(document, max_bytes)
            else:
                yield document


def _read_long_arrays(window: StreamWindow, max_bytes: int, prover: Prover | None) -> Iterator[Document | JsonProblem]:
    """The elements of the arrays that begin a stream. Raises what is wrong with an array itself."""
    from evtool.readers.json_array import read_array  # noqa: PLC0415  (its patterns take longer to compile than an event to read)

    while window.peek() == b"[":
        for element in read_array(window, max_bytes, prover):
            if isinstance(element, JsonProblem):
                yield element
            else:
                yield Document(*element[:3])


def _read_elements(array: Document, max_bytes: int) -> Iterator[Document | JsonProblem]:
    """The elements of an array that is in memory."""
    from evtool.readers.json_array import read_elements  # noqa: PLC0415  (see above)

    for item in read_elements(BytesIO(array.raw), max_bytes=max_bytes):
        line, column = array.line + item.line - 1, item.column + (array.column - 1 if item.line == 1 else 0)
        if isinstance(item, JsonProblem):
            yield JsonProblem(item.code, item.message, line, column, item.offset, item.hint)
        else:
            yield Document(item.raw, line, column)
