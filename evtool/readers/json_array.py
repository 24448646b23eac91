"""Reads the elements of a JSON array of any length one at a time, in little memory.

An element is not parsed here. Its end is found by counting brackets outside of strings, in parts as they arrive:

    part 1       [{"id": "1", "detail": {"note": "a ]      depth 3, inside a string
    part 2        b"}}, {"id": "2"                         the string ends; depth 2, then 1; "," at depth 1 is the end
    element      {"id": "1", "detail": {"note": "a ] b"}}
"""

import re
from collections.abc import Iterator
from io import BufferedIOBase

from evtool.readers.json_lines import Prover
from evtool.readers.json_text import TOO_LONG_HINT, JsonProblem
from evtool.readers.streams import WHITESPACE, Element, StreamWindow, match_end

# Bytes of elements that are proven together. If one of them is not valid, all are read one by one.
_BLOCK = 1 << 14
_TRUNCATED_HINT = "is the text cut off?"
_STRING = rb'"[^"\\\n]*+(?:\\[^\n][^"\\\n]*+)*+"'


def _build_content_pattern(levels: int) -> bytes:
    """Returns a pattern for the content of brackets: strings, other text, and nested brackets up to some levels."""
    nested = b""
    if levels:
        nested = rb"|[\[{]" + _build_content_pattern(levels - 1) + rb"[\]}]"
    return rb'(?:[^"\[\]{}]++|' + _STRING + nested + b")*+"


# Matches up to a bracket, or to a string that is not complete in memory. Four levels cover most events, so that the
# regular expression engine finds their end in one step.
_TO_BRACKET = re.compile(_build_content_pattern(4))
_TO_BRACKET_OR_COMMA = re.compile(rb'(?:[^"\[\]{},]++|' + _STRING + b")*+")
_OPENING = re.compile(rb"[\[{][\[{ \t\n\r]*+")
_TO_QUOTE = re.compile(rb'[^"\\\n]*+(?:\\[^\n][^"\\\n]*+)*+')


def _read_element(window: StreamWindow, max_bytes: int) -> Element | JsonProblem:
    """Consumes an element, up to the comma or bracket after it, or to a position where the text is broken."""
    line, column, offset = window.line, window.column, window.offset
    buffer, size = bytearray(), 0
    is_container = window.data[window.position] in b"[{"
    end, depth, in_string = window.position + is_container, 1 + is_container, False
    while True:
        end, depth, in_string = _find_element_end(window.data, end, depth, in_string)
        consumed = window.consume(end)
        size += len(consumed)
        if size <= max_bytes:
            buffer += consumed
        # The second character of an escape is in the next part.
        is_half_escape = in_string and window.data[end:] == b"\\"
        if (end < len(window.data) and not is_half_escape) or not window.read_more():
            break
        end = window.position
    if size > max_bytes:
        message = f"an event of {size} bytes is too long; {max_bytes} are allowed"
        return JsonProblem("EV008", message, line, column, offset, TOO_LONG_HINT)
    return Element(bytes(buffer.rstrip(WHITESPACE)), line, column, offset)


def _describe_break(window: StreamWindow, start: str) -> JsonProblem:
    """Returns the problem if neither a comma nor the end of the array follows an element."""
    stop_byte = window.data[window.position : window.position + 1]
    if window.data[window.position :] in (b"", b"\\"):
        return window.make_problem(f"the text ends inside the array, in what begins at {start}", _TRUNCATED_HINT)
    if stop_byte in b"[]{}":
        return window.make_problem(f'"," or "]" is expected here, not "{stop_byte.decode()}"')
    return window.make_problem("a string is not closed on its line", r"write a line break in a string as \n")


def _find_element_end(data: bytes, position: int, depth: int, in_string: bool) -> tuple[int, int, bool]:  # noqa: FBT001
    """Finds the end of an element, or of the data. Returns its index, the depth of brackets, and whether in a string.

    An element ends with a comma or a bracket at depth 1 outside of strings. A line break in a string ends it, too.
    """
    while position < len(data):
        if in_string:
            position = match_end(_TO_QUOTE, data, position)
            if data[position : position + 1] != b'"':
                break
            position += 1
            in_string = False
        if depth > 1:
            position = match_end(_TO_BRACKET, data, position)
        else:
            position = match_end(_TO_BRACKET_OR_COMMA, data, position)
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
    """Skips elements that are proven to be valid events, a block of them at a time."""

    def __init__(self, prover: Prover, max_bytes: int):
        self._prover, self._block_size = prover, min(_BLOCK, max_bytes)
        # An offset into the stream. A block that is not proven is not tried again, element by element.
        self._next_try = 0

    def skip(self, window: StreamWindow) -> None:
        """Consumes the whole elements in memory, with the commas after them, if they are proven; never the last one.

        The end of the last whole element is found without scanning: the elements of an array probably begin with the
        same text, such as `{"version"`. If the guess is wrong, the elements are not proven, and are read one by one.
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


def _consume_comma(window: StreamWindow) -> None:
    line, column, offset = window.line, window.column, window.offset
    window.consume(window.position + 1)
    if window.peek() == b"]":
        raise JsonProblem("EV002", 'a comma before "]" is not allowed', line, column, offset)


def read_array(window: StreamWindow, max_bytes: int, prover: Prover | None = None) -> Iterator[Element | JsonProblem]:
    """Yields the elements of the array that begins in a window, without those that are proven to be valid events.

    Raises JsonProblem for a problem of the array itself.
    """
    skipper = None
    if prover:
        skipper = _ElementSkipper(prover, max_bytes)
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
            _consume_comma(window)
    window.consume(window.position + 1)


def read_elements(stream: BufferedIOBase, *, max_bytes: int) -> Iterator[Element | JsonProblem]:
    """Yields the elements of the array in a stream as texts, and the problems of the array.

    An element with more than `max_bytes` is a problem (EV008), and the next one follows. If the array itself is broken
    (cut off, a missing comma, text after its end), its problem is the last item.
    """
    try:
        window = StreamWindow(stream)
        yield from read_array(window, max_bytes)
        if window.peek():
            raise window.make_problem("there is more text after the end of the array")
    except JsonProblem as problem:
        yield problem
