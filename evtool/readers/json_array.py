"""The elements of a JSON array of any length, one after the other, in little memory."""

import re
from collections.abc import Iterator
from io import BufferedIOBase
from typing import NamedTuple

from evtool.readers.json_text import JsonProblem

CHUNK = 1 << 16

_BOM = b"\xef\xbb\xbf"
_NO_CHARACTER = bytes(range(0x80, 0xC0))  # bytes of UTF-8 that begin no character
_CUT = "is the text cut off?"
_BLANK = b" \t\n\r"
_BLANKS = re.compile(rb"[ \t\n\r]*+")
_STRING = rb'"[^"\\\n]*+(?:\\[^\n][^"\\\n]*+)*+"'


def _content(levels: int) -> bytes:
    """A pattern for what stands in brackets: other things, strings, and brackets in it up to some levels deep."""
    nested = rb"|[\[{]" + _content(levels - 1) + rb"[\]}]" if levels else b""
    return rb'(?:[^"\[\]{}]++|' + _STRING + nested + b")*+"


# up to a bracket that opens or closes, or to a string that is not complete in what is in memory; the common depths of
# events are passed over in one step
_TO_BRACKET = re.compile(_content(4))
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
        self.at = 0
        while len(self.data) < len(_BOM) and self.read_on():
            pass
        self.at = self.offset = len(_BOM) if self.data.startswith(_BOM) else 0
        self.line = self.column = 1

    def problem(self, message: str, hint: str | None = None) -> JsonProblem:
        return JsonProblem("EV002", message, self.line, self.column, self.offset, hint)

    def read_on(self) -> bool:
        chunk = self.stream.read1(CHUNK)  # what there is before something goes wrong
        self.data = self.data[self.at :] + chunk
        self.at = 0
        return bool(chunk)

    def take(self, end: int) -> bytes:
        taken = self.data[self.at : end]
        breaks = taken.count(b"\n")
        if breaks:
            self.line += breaks
            self.column = 1
        rest = taken[taken.rfind(b"\n") + 1 :] if breaks else taken
        self.column += len(rest.translate(None, _NO_CHARACTER))
        self.offset += len(taken)
        self.at = end
        return taken

    def peek(self) -> bytes:
        """The next byte that is not blank, b"" at the end; blanks before it are taken."""
        while True:
            self.take(_end(_BLANKS, self.data, self.at))
            if self.at < len(self.data):
                return self.data[self.at : self.at + 1]
            if not self.read_on():
                return b""

    def element(self, max_bytes: int) -> Element | JsonProblem:
        """Take an element, up to the comma or bracket after it, or to where it breaks off."""
        begin = (self.line, self.column, self.offset)
        kept, size = bytearray(), 0
        opens = self.data[self.at] in b"[{"
        end, depth, quoted = self.at + opens, 1 + opens, False
        while True:
            end, depth, quoted = _skim(self.data, end, depth, quoted)
            taken = self.take(end)
            size += len(taken)
            if size <= max_bytes:
                kept += taken
            is_half = quoted and self.data[end:] == b"\\"  # of an escape
            if (end < len(self.data) and not is_half) or not self.read_on():
                break
            end = self.at
        if size > max_bytes:
            message = f"an event of {size} bytes is too long; {max_bytes} are allowed"
            return JsonProblem("EV008", message, *begin)
        return Element(bytes(kept.rstrip(_BLANK)), *begin)

    def broken(self, begin: str) -> JsonProblem:
        """What to say where neither a comma nor the end of the array follows an element."""
        stop = self.data[self.at : self.at + 1]
        if self.data[self.at :] in (b"", b"\\"):
            return self.problem(f"the text ends inside the array, in what begins at {begin}", _CUT)
        if stop in b"[]{}":
            return self.problem(f'"," or "]" is expected here, not "{stop.decode()}"')
        return self.problem("a string is not closed on its line", r"a line break in a string is written \n")


def _end(pattern: re.Pattern[bytes], data: bytes, at: int) -> int:
    found = pattern.match(data, at)
    return found.end() if found else at


def _skim(data: bytes, at: int, depth: int, quoted: bool) -> tuple[int, int, bool]:  # noqa: FBT001
    """Go on to the end of an element, or of the data: where that is, how deep in brackets, and whether in a string.

    An element ends at depth 1, outside of strings, at a comma or a bracket. A line break in a string ends it, too.
    """
    while at < len(data):
        if quoted:
            at = _end(_TO_QUOTE, data, at)
            if data[at : at + 1] != b'"':
                break
            at += 1
            quoted = False
        at = _end(_TO_BRACKET if depth > 1 else _TO_BRACKET_OR_COMMA, data, at)
        stop = data[at : at + 1]
        if stop == b'"':
            quoted = True
            at += 1
        elif depth == 1 or not stop:
            break
        elif stop in b"]}":
            depth -= 1
            at += 1
        else:
            opening = at
            at = _end(_OPENING, data, at)
            depth += len(data[opening:at].translate(None, _BLANK))
    return at, depth, quoted


def _elements(window: _Window, max_bytes: int) -> Iterator[Element | JsonProblem]:
    """As `elements`, but raises what is wrong with the array itself."""
    if window.peek() != b"[":
        raise window.problem("an array is expected here")
    window.take(window.at + 1)
    more = window.peek() != b"]"
    while more:
        begin = window.peek()
        if begin == b"":
            raise window.problem("the text ends inside the array", _CUT)
        if begin in b",:]}":
            raise window.problem(f'a value is expected here, not "{begin.decode()}"')
        place = f"{window.line}:{window.column}"
        element = window.element(max_bytes)
        stop = window.data[window.at : window.at + 1]
        if stop and stop in b",[]{}":
            yield element
        if not stop or stop not in b",]":
            raise window.broken(place)
        more = stop == b","
        if more:
            comma = (window.line, window.column, window.offset)
            window.take(window.at + 1)
            if window.peek() == b"]":
                raise JsonProblem("EV002", 'a comma before "]" is not allowed', *comma)
    window.take(window.at + 1)
    if window.peek():
        raise window.problem("there is more text after the end of the array")


def elements(stream: BufferedIOBase, *, max_bytes: int) -> Iterator[Element | JsonProblem]:
    """The elements of the array that a stream holds, not parsed, and what is wrong with the array around them.

    An element of more than `max_bytes` is passed over and told (EV008). Where the array itself is broken (cut off, a
    comma missing, text after its end), one problem tells where, and nothing follows.
    """
    try:
        yield from _elements(_Window(stream), max_bytes)
    except JsonProblem as problem:
        yield problem
