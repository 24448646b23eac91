"""Reads the elements of a JSON array of any length one at a time, in little memory."""

import re
from collections.abc import Iterator
from io import BufferedIOBase

from evtool.readers.json_lines import Prover
from evtool.readers.json_text import TOO_LONG_HINT, JsonProblem
from evtool.readers.streams import WHITESPACE, Element, StreamWindow, match_end

_BLOCK = 1 << 14  # bytes of elements that are proven at once; if one cannot be, all are read one by one
_TRUNCATED_HINT = "is the text cut off?"
_STRING = rb'"[^"\\\n]*+(?:\\[^\n][^"\\\n]*+)*+"'


def _build_content_pattern(levels: int) -> bytes:
    """A pattern for what stands in brackets: other things, strings, and brackets in it up to some levels deep."""
    nested = b""
    if levels:
        nested = rb"|[\[{]" + _build_content_pattern(levels - 1) + rb"[\]}]"
    return rb'(?:[^"\[\]{}]++|' + _STRING + nested + b")*+"


# up to a bracket that opens or closes, or to a string that is not complete in what is in memory; the common depths of
# events are passed over in one step
_TO_BRACKET = re.compile(_build_content_pattern(4))
_TO_BRACKET_OR_COMMA = re.compile(rb'(?:[^"\[\]{},]++|' + _STRING + b")*+")
_OPENING = re.compile(rb"[\[{][\[{ \t\n\r]*+")
_TO_QUOTE = re.compile(rb'[^"\\\n]*+(?:\\[^\n][^"\\\n]*+)*+')


def _read_element(window: StreamWindow, max_bytes: int) -> Element | JsonProblem:
    """Take an element, up to the comma or bracket after it, or to where it breaks off."""
    start = (window.line, window.column, window.offset)
    buffer, size = bytearray(), 0
    is_container = window.data[window.position] in b"[{"
    end, depth, in_string = window.position + is_container, 1 + is_container, False
    while True:
        end, depth, in_string = _find_element_end(window.data, end, depth, in_string)
        consumed = window.consume(end)
        size += len(consumed)
        if size <= max_bytes:
            buffer += consumed
        is_half_escape = in_string and window.data[end:] == b"\\"  # of an escape
        if (end < len(window.data) and not is_half_escape) or not window.read_more():
            break
        end = window.position
    if size > max_bytes:
        message = f"an event of {size} bytes is too long; {max_bytes} are allowed"
        return JsonProblem("EV008", message, *start, TOO_LONG_HINT)
    return Element(bytes(buffer.rstrip(WHITESPACE)), *start)


def _describe_break(window: StreamWindow, start: str) -> JsonProblem:
    """What to say where neither a comma nor the end of the array follows an element."""
    stop_byte = window.data[window.position : window.position + 1]
    if window.data[window.position :] in (b"", b"\\"):
        return window.make_problem(f"the text ends inside the array, in what begins at {start}", _TRUNCATED_HINT)
    if stop_byte in b"[]{}":
        return window.make_problem(f'"," or "]" is expected here, not "{stop_byte.decode()}"')
    return window.make_problem("a string is not closed on its line", r"a line break in a string is written \n")


def _find_element_end(data: bytes, position: int, depth: int, in_string: bool) -> tuple[int, int, bool]:  # noqa: FBT001
    """Go on to the end of an element, or of the data: where that is, how deep in brackets, and whether in a string.

    An element ends at depth 1, outside of strings, at a comma or a bracket. A line break in a string ends it, too.
    """
    while position < len(data):
        if in_string:
            position = match_end(_TO_QUOTE, data, position)
            if data[position : position + 1] != b'"':
                break
            position += 1
            in_string = False
        position = match_end(_TO_BRACKET if depth > 1 else _TO_BRACKET_OR_COMMA, data, position)
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
            position = match_end(_OPENING, data, position)
            depth += len(data[bracket_start:position].translate(None, WHITESPACE))
    return position, depth, in_string


class _ElementSkipper:
    """Passes over elements that are proven to be valid events, a block of them at a time."""

    def __init__(self, prover: Prover, max_bytes: int):
        self._prover, self._block_size = prover, min(_BLOCK, max_bytes)
        self._next_try = 0  # as an offset into the stream

    def skip(self, window: StreamWindow) -> None:
        """Consumes as many whole elements, with the commas after them, as can be proven; never the last one in memory.

        The next element most likely begins as this one does: `{"version"`.
        """
        while window.offset >= self._next_try and window.has_bytes(self._block_size):
            start, data = window.position, window.data
            beginning = data[start : data.find(b'"', data.find(b'"', start) + 1) + 1]
            end = -1
            if beginning[:1] == b"{":
                end = data.rfind(beginning, start + 1, start + self._block_size)
            elements = b""
            if end > 0:
                elements = data[start:end].rstrip(WHITESPACE)
            if not elements.endswith(b",") or not self._prover.prove_elements(elements[:-1]):
                self._next_try = window.offset + self._block_size
                return
            window.consume(end)


def read_array(window: StreamWindow, max_bytes: int, prover: Prover | None = None) -> Iterator[Element | JsonProblem]:
    """The elements of the array that begins in a window, up to its end, but for those that are proven.

    Raises what is wrong with the array itself.
    """
    skipper = _ElementSkipper(prover, max_bytes) if prover else None
    if window.peek() != b"[":
        raise window.make_problem("an array is expected here")
    window.consume(window.position + 1)
    has_next = window.peek() != b"]"
    while has_next:
        first_byte = window.peek()
        if skipper:
            skipper.skip(window)
        if first_byte == b"":
            raise window.make_problem("the text ends inside the array", _TRUNCATED_HINT)
        if first_byte in b",:]}":
            raise window.make_problem(f'a value is expected here, not "{first_byte.decode()}"')
        start = f"{window.line}:{window.column}"
        element = _read_element(window, max_bytes)
        stop_byte = window.data[window.position : window.position + 1]
        if stop_byte and stop_byte in b",[]{}":
            yield element
        if not stop_byte or stop_byte not in b",]":
            raise _describe_break(window, start)
        has_next = stop_byte == b","
        if has_next:
            comma = (window.line, window.column, window.offset)
            window.consume(window.position + 1)
            if window.peek() == b"]":
                raise JsonProblem("EV002", 'a comma before "]" is not allowed', *comma)
    window.consume(window.position + 1)


def read_elements(stream: BufferedIOBase, *, max_bytes: int) -> Iterator[Element | JsonProblem]:
    """The elements of the array that a stream holds, not parsed, and what is wrong with the array around them.

    An element of more than `max_bytes` is passed over and told (EV008). Where the array itself is broken (cut off, a
    comma missing, text after its end), one problem tells where, and nothing follows.
    """
    try:
        window = StreamWindow(stream)
        yield from read_array(window, max_bytes)
        if window.peek():
            raise window.make_problem("there is more text after the end of the array")
    except JsonProblem as problem:
        yield problem
