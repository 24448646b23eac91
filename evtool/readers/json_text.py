"""Parses JSON strictly, reports the first error, and finds the positions of values."""

import re
import sys
from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate, count
from json import JSONDecoder, detect_encoding
from typing import Any, NamedTuple

import msgspec

MAX_DEPTH = 200  # of arrays and objects in each other: every version of Python parses that much
MAX_DIGITS = 4300  # of an integer: Python's own default, kept where that is switched off

_BOM = "\ufeff"
_INFINITIES = (float("inf"), float("-inf"))
_NO_KEY = (0, 0, 0)
_UTF8_HINT = "save the file as UTF-8"
# a surrogate escape that is half of no pair, or may be: the scanner decides
_MAYBE_LONE_SURROGATE = re.compile(
    rb"(?i:\\\\ud[89a-f]|\\ud[89ab]..(?!\\ud[c-f])|(?<!\\ud[89ab]..)\\ud[c-f])", re.DOTALL
)
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)  # one that is not closed goes to the end
_DEPTH_CHANGE = [(byte in b"[{") - (byte in b"]}") for byte in range(256)]
_NON_BRACKETS = bytes(byte for byte in range(256) if not _DEPTH_CHANGE[byte])


TOO_LONG_HINT = "--max-bytes N allows longer events"


class JsonProblem(ValueError):  # noqa: N818  (also carried about as a value)
    """The first thing that is wrong with a JSON text.

    `code` is one of `evtool.findings.codes.CODES`. `line` and `column` count from 1, columns in characters, with a
    replacement character for what is not UTF-8; `offset` counts bytes from 0. `width` is how many characters to
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
        if related is None:
            self.message = summary
        else:
            self.message = f"{summary} {related[0]}:{related[1]}"
        self.line = line
        self.column = column
        self.offset = offset
        self.hint = hint
        self.width = width

    def __str__(self) -> str:
        return self.message


class Span(NamedTuple):
    """Where a value and its key stand in a JSON text.

    Lines and columns count from 1, columns and widths in characters; `start` and `end` are byte offsets of the value.
    A width is cut at the end of the first line. The root and the elements of arrays have no key: zeros.
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
    """An array or object whose end is not reached yet; `next_indices` are those of an array's elements to come."""

    pointer: str
    key: tuple[int, int, int]
    start: int  # in characters
    start_byte: int
    next_indices: Iterator[int] | None


class _LineIndex:
    """The lines of a text, to find the places of indices into it."""

    def __init__(self, text: str):
        line_breaks = [match.span() for match in re.finditer("\r?\n", text)]
        self.starts = [len(_BOM) * text.startswith(_BOM), *(end for _, end in line_breaks)]
        self.ends = [*(start for start, _ in line_breaks), len(text)]

    def span(self, start: int, end: int) -> tuple[int, int, int]:
        """Line and column of what stands between two indices, and how much of it is on that line."""
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
# the errors of msgspec are ValueErrors in some of its versions only
UNDECODABLE = (msgspec.MsgspecError, ValueError, RecursionError, OverflowError)


def _is_deeper(raw: bytes, limit: int) -> bool:
    if raw.count(b"[") + raw.count(b"{") <= limit:
        return False
    brackets = _STRING.sub(b"", raw).translate(None, _NON_BRACKETS)
    return max(accumulate(map(_DEPTH_CHANGE.__getitem__, brackets)), default=0) > limit


def _decode(raw: bytes) -> str:
    """The characters of a JSON text, a byte order mark included."""
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
    """The parts of a text as `json_errors.scan` yields them; raises JsonProblem for the first thing that is wrong."""
    from evtool.readers import json_errors  # noqa: PLC0415  (its grammar takes longer to compile than most events to parse)

    try:
        yield from json_errors.scan(text, max_depth)
    except json_errors.Fault as fault:
        code, summary, index, hint, width, related_index = fault.args
        line, column = json_errors.line_and_column_of(text, index)
        related = None
        if related_index is not None:
            related = json_errors.line_and_column_of(text, related_index)
        raise JsonProblem(code, summary, line, column, len(text[:index].encode()), hint, width, related) from None


def _find_problem(raw: bytes, max_depth: int) -> JsonProblem | None:
    try:
        for _ in _scan(_decode(raw), max_depth):
            pass
    except JsonProblem as problem:
        return problem
    return None


def refuses_long_integers() -> bool:
    """Whether this Python, and with it msgspec, refuses integers of more than MAX_DIGITS digits."""
    return 0 < sys.get_int_max_str_digits() <= MAX_DIGITS


def _parse_fast(raw: bytes) -> Any:
    """The value of a JSON text in half of the time. Raises one of UNDECODABLE for texts that others have to look at.

    msgspec keeps the last of two members with the same key, so that the value, encoded again, has fewer quotes. Without
    a backslash, each string has two.
    """
    if b"\\" in raw or not refuses_long_integers():
        raise ValueError("not decided")
    value = _decode_fast(raw)
    if raw.count(b'"') != _encode(value).count(b'"'):
        raise ValueError("duplicate key")
    return value


def parse_json(raw: bytes, *, max_depth: int = MAX_DEPTH) -> Any:
    """The value of a JSON text (RFC 8259) in UTF-8, with or without a byte order mark. Integers stay exact.

    Raises JsonProblem for the first thing that is wrong. Wrong is also what other readers would take in another way or
    not at all: a key twice in an object, NaN and Infinity, numbers too large for a float, half of a surrogate pair.
    """
    is_doubtful = _is_deeper(raw, max_depth) or (b"\\u" in raw and _MAYBE_LONE_SURROGATE.search(raw))
    if is_doubtful and (problem := _find_problem(raw, max_depth)):
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
    """Where each value of a JSON text that parses stands, by its JSON Pointer (RFC 6901); "" is the whole text's."""
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
            spans[container.pointer] = Span(
                *container.key, *line_index.span(container.start, end), container.start_byte, end_byte
            )
            continue
        if stack and stack[-1].next_indices:
            pointer, key = f"{stack[-1].pointer}/{next(stack[-1].next_indices)}", _NO_KEY
        if kind == "scalar":
            spans[pointer] = Span(*key, *line_index.span(start, end), start_byte, end_byte)
        else:
            stack.append(_OpenContainer(pointer, key, start, start_byte, count() if kind == "[" else None))
    return spans
