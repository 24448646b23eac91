"""Reads the elements of a JSON array of any length one at a time, in little memory."""

import re
from collections.abc import Iterator
from io import BufferedIOBase
from typing import NamedTuple

from evtool.readers.json_text import JsonProblem

CHUNK = 1 << 16

_BOM = b"\xef\xbb\xbf"
_CONTINUATION_BYTES = bytes(range(0x80, 0xC0))  # bytes of UTF-8 that begin no character
_TRUNCATED_HINT = "is the text cut off?"
_WHITESPACE = b" \t\n\r"
_WHITESPACE_PATTERN = re.compile(rb"[ \t\n\r]*+")
_STRING = rb'"[^"\\\n]*+(?:\\[^\n][^"\\\n]*+)*+"'


def _build_content_pattern(levels: int) -> bytes:
    """A pattern for what stands in brackets: other things, strings, and brackets in it up to some levels deep."""
    nested = rb"|[\[{]" + _build_content_pattern(levels - 1) + rb"[\]}]" if levels else b""
    return rb'(?:[^"\[\]{}]++|' + _STRING + nested + b")*+"


# up to a bracket that opens or closes, or to a string that is not complete in what is in memory; the common depths of
# events are passed over in one step
_TO_BRACKET = re.compile(_build_content_pattern(4))
_TO_BRACKET_OR_COMMA = re.compile(rb'(?:[^"\[\]{},]++|' + _STRING + b")*+")
_OPENING = re.compile(rb"[\[{][\[{ \t\n\r]*+")
_TO_QUOTE = re.compile(rb'[^"\\\n]*+(?:\\[^\n][^"\\\n]*+)*+')


class Element(NamedTuple):
    """One element: its bytes, and where in the stream it begins (line and column from 1, bytes from 0)."""

    raw: bytes
    line: int
    column: int
    offset: int


class _Window:
    """The part of a stream that is in memory, and the place of its first byte that is not taken yet."""

    def __init__(self, stream: BufferedIOBase):
        self.stream = stream
        self.data = b""
        self.position = 0
        while len(self.data) < len(_BOM) and self.read_more():
            pass
        self.position = self.offset = len(_BOM) if self.data.startswith(_BOM) else 0
        self.line = self.column = 1

    def make_problem(self, message: str, hint: str | None = None) -> JsonProblem:
        return JsonProblem("EV002", message, self.line, self.column, self.offset, hint)

    def read_more(self) -> bool:
        chunk = self.stream.read1(CHUNK)  # what there is before something goes wrong
        self.data = self.data[self.position :] + chunk
        self.position = 0
        return bool(chunk)

    def consume(self, end: int) -> bytes:
        consumed = self.data[self.position : end]
        line_breaks = consumed.count(b"\n")
        if line_breaks:
            self.line += line_breaks
            self.column = 1
        last_line = consumed[consumed.rfind(b"\n") + 1 :] if line_breaks else consumed
        self.column += len(last_line.translate(None, _CONTINUATION_BYTES))
        self.offset += len(consumed)
        self.position = end
        return consumed

    def peek(self) -> bytes:
        """The next byte that is not blank, b"" at the end; blanks before it are taken."""
        while True:
            self.consume(_match_end(_WHITESPACE_PATTERN, self.data, self.position))
            if self.position < len(self.data):
                return self.data[self.position : self.position + 1]
            if not self.read_more():
                return b""

    def read_element(self, max_bytes: int) -> Element | JsonProblem:
        """Take an element, up to the comma or bracket after it, or to where it breaks off."""
        start = (self.line, self.column, self.offset)
        buffer, size = bytearray(), 0
        is_container = self.data[self.position] in b"[{"
        end, depth, in_string = self.position + is_container, 1 + is_container, False
        while True:
            end, depth, in_string = _find_element_end(self.data, end, depth, in_string)
            consumed = self.consume(end)
            size += len(consumed)
            if size <= max_bytes:
                buffer += consumed
            is_half_escape = in_string and self.data[end:] == b"\\"  # of an escape
            if (end < len(self.data) and not is_half_escape) or not self.read_more():
                break
            end = self.position
        if size > max_bytes:
            message = f"an event of {size} bytes is too long; {max_bytes} are allowed"
            return JsonProblem("EV008", message, *start)
        return Element(bytes(buffer.rstrip(_WHITESPACE)), *start)

    def describe_break(self, start: str) -> JsonProblem:
        """What to say where neither a comma nor the end of the array follows an element."""
        stop_byte = self.data[self.position : self.position + 1]
        if self.data[self.position :] in (b"", b"\\"):
            return self.make_problem(f"the text ends inside the array, in what begins at {start}", _TRUNCATED_HINT)
        if stop_byte in b"[]{}":
            return self.make_problem(f'"," or "]" is expected here, not "{stop_byte.decode()}"')
        return self.make_problem("a string is not closed on its line", r"a line break in a string is written \n")


def _match_end(pattern: re.Pattern[bytes], data: bytes, position: int) -> int:
    match = pattern.match(data, position)
    return match.end() if match else position


def _find_element_end(data: bytes, position: int, depth: int, in_string: bool) -> tuple[int, int, bool]:  # noqa: FBT001
    """Go on to the end of an element, or of the data: where that is, how deep in brackets, and whether in a string.

    An element ends at depth 1, outside of strings, at a comma or a bracket. A line break in a string ends it, too.
    """
    while position < len(data):
        if in_string:
            position = _match_end(_TO_QUOTE, data, position)
            if data[position : position + 1] != b'"':
                break
            position += 1
            in_string = False
        position = _match_end(_TO_BRACKET if depth > 1 else _TO_BRACKET_OR_COMMA, data, position)
        stop_byte = data[position : position + 1]
        if stop_byte == b'"':
            in_string = True
            position += 1
        elif depth == 1 or not stop_byte:
            break
        elif stop_byte in b"]}":
            depth -= 1
            position += 1
        else:
            bracket_start = position
            position = _match_end(_OPENING, data, position)
            depth += len(data[bracket_start:position].translate(None, _WHITESPACE))
    return position, depth, in_string


def _read_elements(window: _Window, max_bytes: int) -> Iterator[Element | JsonProblem]:
    """As `read_elements`, but raises what is wrong with the array itself."""
    if window.peek() != b"[":
        raise window.make_problem("an array is expected here")
    window.consume(window.position + 1)
    has_next = window.peek() != b"]"
    while has_next:
        first_byte = window.peek()
        if first_byte == b"":
            raise window.make_problem("the text ends inside the array", _TRUNCATED_HINT)
        if first_byte in b",:]}":
            raise window.make_problem(f'a value is expected here, not "{first_byte.decode()}"')
        start = f"{window.line}:{window.column}"
        element = window.read_element(max_bytes)
        stop_byte = window.data[window.position : window.position + 1]
        if stop_byte and stop_byte in b",[]{}":
            yield element
        if not stop_byte or stop_byte not in b",]":
            raise window.describe_break(start)
        has_next = stop_byte == b","
        if has_next:
            comma = (window.line, window.column, window.offset)
            window.consume(window.position + 1)
            if window.peek() == b"]":
                raise JsonProblem("EV002", 'a comma before "]" is not allowed', *comma)
    window.consume(window.position + 1)
    if window.peek():
        raise window.make_problem("there is more text after the end of the array")


def read_elements(stream: BufferedIOBase, *, max_bytes: int) -> Iterator[Element | JsonProblem]:
    """The elements of the array that a stream holds, not parsed, and what is wrong with the array around them.

    An element of more than `max_bytes` is passed over and told (EV008). Where the array itself is broken (cut off, a
    comma missing, text after its end), one problem tells where, and nothing follows.
    """
    try:
        yield from _read_elements(_Window(stream), max_bytes)
    except JsonProblem as problem:
        yield problem
