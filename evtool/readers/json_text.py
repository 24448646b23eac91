"""Parses JSON strictly, reports the first error, and finds the positions of values.

Parsing tries the fastest way first. Only a text with an error is scanned by the grammar in `json_errors`:

    1  msgspec, if the text has no backslash          most texts
    2  Python's scanner with checks in its hooks      texts with escapes, or that msgspec refuses
    3  json_errors                                    texts with an error, for its message and position

`find_spans` also uses the grammar. For `{"a": [5]}` it returns, by JSON Pointer:

    ""      line 1, column 1, bytes 0 to 10
    /a      line 1, column 7, bytes 6 to 9; its key is at column 2
    /a/0    line 1, column 8, bytes 7 to 8; an element has no key
"""

import re
import sys
from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate, count
from json import JSONDecoder, detect_encoding
from typing import Any, NamedTuple

import msgspec

# Levels of nested arrays and objects. Every version of Python can parse this depth.
MAX_DEPTH = 200
# Digits of an integer. It is Python's default limit, and applies even if that limit is switched off.
MAX_DIGITS = 4300

_BOM = "\ufeff"
_INFINITIES = (float("inf"), float("-inf"))
_NO_KEY = (0, 0, 0)
_UTF8_HINT = "save the file as UTF-8"
# A surrogate escape that may be half of a pair without the other half. The grammar decides.
_MAYBE_LONE_SURROGATE = re.compile(
    rb"(?i:\\\\ud[89a-f]|\\ud[89ab]..(?!\\ud[c-f])|(?<!\\ud[89ab]..)\\ud[c-f])", re.DOTALL
)
# A string. One that is not closed extends to the end of the text.
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_DEPTH_CHANGE = [(byte in b"[{") - (byte in b"]}") for byte in range(256)]
_NON_BRACKETS = bytes(byte for byte in range(256) if not _DEPTH_CHANGE[byte])


TOO_LONG_HINT = "--max-bytes N allows longer events"


# Not named Error: readers also yield it as a value.
class JsonProblem(ValueError):  # noqa: N818
    """The first problem of a JSON text.

    `code` is one of `evtool.findings.codes.CODES`. `line` and `column` count from 1, columns in characters; bytes that
    are not UTF-8 count as a replacement character. `offset` counts bytes from 0. `width` is the number of characters to
    underline. `message` is the `summary`, followed by the `related` line and column, if there is one.
    """

    def __init__(
        self,
        code: str,
        summary: str,
        line: int,
        column: int,
        offset: int,
        hint: str | None = None,
        width: int = 1,
        related: tuple[int, int] | None = None,
    ):
        super().__init__(code, summary, line, column, offset, hint, width, related)
        self.code = code
        self.summary = summary
        self.related = related
        self.message = summary
        if related is not None:
            self.message = f"{summary} {related[0]}:{related[1]}"
        self.line = line
        self.column = column
        self.offset = offset
        self.hint = hint
        self.width = width

    def __str__(self) -> str:
        return self.message


class Span(NamedTuple):
    """The position of a value and its key in a JSON text.

    Lines and columns count from 1, columns and widths in characters. `start` and `end` are byte offsets of the value. A
    width ends at the end of the first line. The root and the elements of arrays have no key, which is zeros.
    """

    key_line: int
    key_column: int
    key_width: int
    line: int
    column: int
    width: int
    start: int
    end: int


class _OpenContainer(NamedTuple):
    """An array or object whose end is not reached yet.

    `start` counts characters. `next_indices` yields the indices of the next elements; it is None for an object.
    """

    pointer: str
    key: tuple[int, int, int]
    start: int
    start_byte: int
    next_indices: Iterator[int] | None


class _LineIndex:
    """The lines of a text, to convert indices into it to lines and columns."""

    def __init__(self, text: str):
        # A byte order mark is not part of the first line.
        self.starts = [len(_BOM) * text.startswith(_BOM)]
        self.ends = []
        for match in re.finditer("\r?\n", text):
            self.ends.append(match.start())
            self.starts.append(match.end())
        self.ends.append(len(text))

    def span(self, start: int, end: int) -> tuple[int, int, int]:
        """Returns line and column of the text between two indices, and its width on that line."""
        line = bisect_right(self.starts, start)
        return line, start - self.starts[line - 1] + 1, min(end, self.ends[line - 1]) - start


def _build_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("duplicate key")
    return members


def _parse_float(text: str) -> float:
    number = float(text)
    if number in _INFINITIES:
        raise ValueError("too large")
    return number


def _parse_int(text: str) -> int:
    if len(text) > MAX_DIGITS and len(text.removeprefix("-")) > MAX_DIGITS:
        raise ValueError("too long")
    return int(text)


def _reject_constant(name: str) -> None:
    raise ValueError(name)


_DECODER = JSONDecoder(
    object_pairs_hook=_build_object, parse_float=_parse_float, parse_int=_parse_int, parse_constant=_reject_constant
)
_decode_fast = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode
# The errors of msgspec are ValueErrors only in some versions.
UNDECODABLE = (msgspec.MsgspecError, ValueError, RecursionError, OverflowError)


def _is_deeper(raw: bytes, limit: int) -> bool:
    if raw.count(b"[") + raw.count(b"{") <= limit:
        return False
    brackets = _STRING.sub(b"", raw).translate(None, _NON_BRACKETS)
    return max(accumulate(map(_DEPTH_CHANGE.__getitem__, brackets)), default=0) > limit


def _decode(raw: bytes) -> str:
    """Decodes a JSON text, with its byte order mark. Raises JsonProblem if it is not UTF-8."""
    encoding = detect_encoding(raw)
    if not encoding.startswith("utf-8"):
        raise JsonProblem("EV004", f"this is {encoding[:6].upper()}, not UTF-8", 1, 1, 0, _UTF8_HINT)
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        offset = error.start
    prefix = raw[:offset].decode().removeprefix(_BOM)
    line, column = prefix.count("\n") + 1, len(prefix) - prefix.rfind("\n")
    raise JsonProblem("EV004", f"the byte 0x{raw[offset]:02x} is not UTF-8 here", line, column, offset, _UTF8_HINT)


def _scan(text: str, max_depth: int) -> Iterator[tuple[str, int, int, str]]:
    """Yields the parts of a text as `json_errors.scan` does. Raises JsonProblem for the first problem."""
    # Imported late: to compile its grammar takes longer than to parse most events.
    from evtool.readers import json_errors  # noqa: PLC0415

    try:
        yield from json_errors.scan(text, max_depth)
    except json_errors.Fault as fault:
        line, column = json_errors.line_and_column_of(text, fault.index)
        offset = len(text[: fault.index].encode())
        related = None
        if fault.related is not None:
            related = json_errors.line_and_column_of(text, fault.related)
        raise JsonProblem(fault.code, fault.message, line, column, offset, fault.hint, fault.width, related) from None


def _find_problem(raw: bytes, max_depth: int) -> JsonProblem | None:
    try:
        for _ in _scan(_decode(raw), max_depth):
            pass
    except JsonProblem as problem:
        return problem
    return None


def refuses_long_integers() -> bool:
    """Returns whether this Python, and with it msgspec, refuses integers of more than MAX_DIGITS digits."""
    return 0 < sys.get_int_max_str_digits() <= MAX_DIGITS


def _parse_fast(raw: bytes) -> Any:
    """Parses a JSON text in half of the time. Raises one of UNDECODABLE if the slower parser has to decide.

    msgspec keeps only the last of two members with the same key. So the value, encoded again, has fewer quotes than the
    text. Without a backslash, each string has exactly two quotes.
    """
    if b"\\" in raw or not refuses_long_integers():
        raise ValueError("not decided")
    value = _decode_fast(raw)
    if raw.count(b'"') != _encode(value).count(b'"'):
        raise ValueError("duplicate key")
    return value


def parse_json(raw: bytes, *, max_depth: int = MAX_DEPTH) -> Any:
    """Returns the value of a JSON text (RFC 8259) in UTF-8, with or without a byte order mark. Integers are exact.

    Raises JsonProblem for the first problem. Texts that other readers refuse, or read differently, are problems, too:
    duplicate keys, NaN and Infinity, numbers too large for a float, half of a surrogate pair.
    """
    is_doubtful = _is_deeper(raw, max_depth) or (b"\\u" in raw and _MAYBE_LONE_SURROGATE.search(raw))
    if is_doubtful:
        problem = _find_problem(raw, max_depth)
        if problem:
            raise problem
    try:
        return _parse_fast(raw)
    except UNDECODABLE:
        pass
    try:
        return _DECODER.decode(raw.decode().removeprefix(_BOM))
    except (ValueError, RecursionError) as error:
        code = "EV005"
        if isinstance(error, RecursionError):
            code = "EV007"
        raise _find_problem(raw, max_depth) or JsonProblem(code, f"beyond this Python: {error}", 1, 1, 0) from None


def find_spans(raw: bytes) -> dict[str, Span]:
    """Returns the position of each value of a well-formed JSON text, by its JSON Pointer (RFC 6901)."""
    text = _decode(raw)
    line_index = _LineIndex(text)
    spans: dict[str, Span] = {}
    stack: list[_OpenContainer] = []
    pointer, key = "", _NO_KEY
    previous_end = end_byte = 0
    for kind, start, end, name in _scan(text, len(text)):
        start_byte = end_byte + len(text[previous_end:start].encode())
        previous_end, end_byte = end, start_byte + len(text[start:end].encode())
        if kind == "key":
            pointer = f"{stack[-1].pointer}/{name.replace('~', '~0').replace('/', '~1')}"
            key = line_index.span(start, end)
            continue
        if kind in ("]", "}"):
            container = stack.pop()
            position = line_index.span(container.start, end)
            spans[container.pointer] = _build_span(container.key, position, container.start_byte, end_byte)
            continue
        if stack and stack[-1].next_indices:
            pointer, key = f"{stack[-1].pointer}/{next(stack[-1].next_indices)}", _NO_KEY
        if kind == "scalar":
            spans[pointer] = _build_span(key, line_index.span(start, end), start_byte, end_byte)
        elif kind == "[":
            stack.append(_OpenContainer(pointer, key, start, start_byte, count()))
        else:
            stack.append(_OpenContainer(pointer, key, start, start_byte, None))
    return spans


def _build_span(key: tuple[int, int, int], value: tuple[int, int, int], start: int, end: int) -> Span:
    key_line, key_column, key_width = key
    line, column, width = value
    return Span(key_line, key_column, key_width, line, column, width, start, end)
