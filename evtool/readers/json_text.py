"""JSON text, strictly: its value, or the first thing that is wrong with it; and where each part of it stands."""

import re
from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate, count
from json import JSONDecoder, detect_encoding
from typing import Any, NamedTuple

MAX_DEPTH = 200  # of arrays and objects in each other: every version of Python parses that much
MAX_DIGITS = 4300  # of an integer: Python's own default, kept where that is switched off

_BOM = "\ufeff"
_INFINITE = (float("inf"), float("-inf"))
_NO_KEY = (0, 0, 0)
_SAVE = "save the file as UTF-8"
# a surrogate escape that is half of no pair, or may be: the scanner decides
_MAYBE_LONE = re.compile(rb"(?i:\\\\ud[89a-f]|\\ud[89ab]..(?!\\ud[c-f])|(?<!\\ud[89ab]..)\\ud[c-f])", re.DOTALL)
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)  # one that is not closed goes to the end
_STEP = [(byte in b"[{") - (byte in b"]}") for byte in range(256)]
_NO_BRACKETS = bytes(byte for byte in range(256) if not _STEP[byte])


class JsonProblem(ValueError):  # noqa: N818  (also carried about as a value)
    """The first thing that is wrong with a JSON text.

    `code` is one of `evtool.findings.finding.CODES`. `line` and `column` count from 1, columns in characters, with a
    replacement character for what is not UTF-8; `offset` counts bytes from 0. `width` is how many characters to
    underline. `message` is what is `said`, with the `other` place in the text that it ends with, if it does.
    """

    def __init__(
        self,
        code: str,
        said: str,
        line: int,
        column: int,
        offset: int,
        hint: str | None = None,
        width: int = 1,
        other: tuple[int, int] | None = None,
    ):
        super().__init__(code, said, line, column, offset, hint, width, other)
        self.code = code
        self.said = said
        self.other = other
        self.message = said if other is None else f"{said} {other[0]}:{other[1]}"
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


class _Level(NamedTuple):
    """An array or object whose end is not reached yet; `indices` are those of an array's elements to come."""

    pointer: str
    key: tuple[int, int, int]
    start: int  # in characters
    first: int  # in bytes
    indices: Iterator[int] | None


class _Lines:
    """The lines of a text, to find the places of indices into it."""

    def __init__(self, text: str):
        breaks = [found.span() for found in re.finditer("\r?\n", text)]
        self.starts = [len(_BOM) * text.startswith(_BOM), *(end for _, end in breaks)]
        self.ends = [*(start for start, _ in breaks), len(text)]

    def span(self, start: int, end: int) -> tuple[int, int, int]:
        """Line and column of what stands between two indices, and how much of it is on that line."""
        line = bisect_right(self.starts, start)
        return line, start - self.starts[line - 1] + 1, min(end, self.ends[line - 1]) - start


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("duplicate key")
    return made


def _float(text: str) -> float:
    number = float(text)
    if number in _INFINITE:
        raise ValueError("too large")
    return number


def _int(text: str) -> int:
    if len(text) > MAX_DIGITS and len(text.removeprefix("-")) > MAX_DIGITS:
        raise ValueError("too long")
    return int(text)


def _constant(name: str) -> None:
    raise ValueError(name)


_DECODER = JSONDecoder(object_pairs_hook=_object, parse_float=_float, parse_int=_int, parse_constant=_constant)


def _is_deeper(raw: bytes, limit: int) -> bool:
    if raw.count(b"[") + raw.count(b"{") <= limit:
        return False
    brackets = _STRING.sub(b"", raw).translate(None, _NO_BRACKETS)
    return max(accumulate(map(_STEP.__getitem__, brackets)), default=0) > limit


def _text(raw: bytes) -> str:
    """The characters of a JSON text, a byte order mark included."""
    encoding = detect_encoding(raw)
    if not encoding.startswith("utf-8"):
        raise JsonProblem("EV004", f"this is {encoding[:6].upper()}, not UTF-8", 1, 1, 0, _SAVE)
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        offset = error.start
    good = raw[:offset].decode().removeprefix(_BOM)
    line, column = good.count("\n") + 1, len(good) - good.rfind("\n")
    raise JsonProblem("EV004", f"the byte 0x{raw[offset]:02x} is not UTF-8 here", line, column, offset, _SAVE)


def _scan(text: str, max_depth: int) -> Iterator[tuple[str, int, int, str]]:
    """The parts of a text as `json_errors.scan` yields them; raises JsonProblem for the first thing that is wrong."""
    from evtool.readers import json_errors  # noqa: PLC0415  (its grammar takes longer to compile than most events to parse)

    try:
        yield from json_errors.scan(text, max_depth)
    except json_errors.Fault as fault:
        code, said, index, hint, width, other = fault.args
        line, column = json_errors.place(text, index)
        there = None if other is None else json_errors.place(text, other)
        raise JsonProblem(code, said, line, column, len(text[:index].encode()), hint, width, there) from None


def _first_problem(raw: bytes, max_depth: int) -> JsonProblem | None:
    try:
        for _ in _scan(_text(raw), max_depth):
            pass
    except JsonProblem as problem:
        return problem
    return None


def parse(raw: bytes, *, max_depth: int = MAX_DEPTH) -> Any:
    """The value of a JSON text (RFC 8259) in UTF-8, with or without a byte order mark. Integers stay exact.

    Raises JsonProblem for the first thing that is wrong. Wrong is also what other readers would take in another way or
    not at all: a key twice in an object, NaN and Infinity, numbers too large for a float, half of a surrogate pair.
    """
    is_doubtful = _is_deeper(raw, max_depth) or (b"\\u" in raw and _MAYBE_LONE.search(raw))
    if is_doubtful and (problem := _first_problem(raw, max_depth)):
        raise problem
    try:
        return _DECODER.decode(raw.decode().removeprefix(_BOM))
    except (ValueError, RecursionError) as error:
        beyond = "EV007" if isinstance(error, RecursionError) else "EV005"
        raise _first_problem(raw, max_depth) or JsonProblem(beyond, f"beyond this Python: {error}", 1, 1, 0) from None


def positions(raw: bytes) -> dict[str, Span]:
    """Where each value of a JSON text that parses stands, by its JSON Pointer (RFC 6901); "" is the whole text's."""
    text = _text(raw)
    lines = _Lines(text)
    spans: dict[str, Span] = {}
    opened: list[_Level] = []
    pointer, key = "", _NO_KEY
    seen = last = 0
    for kind, start, end, name in _scan(text, len(text)):
        first = last + len(text[seen:start].encode())
        seen, last = end, first + len(text[start:end].encode())
        if kind == "key":
            pointer = f"{opened[-1].pointer}/{name.replace('~', '~0').replace('/', '~1')}"
            key = lines.span(start, end)
            continue
        if kind in ("]", "}"):
            level = opened.pop()
            spans[level.pointer] = Span(*level.key, *lines.span(level.start, end), level.first, last)
            continue
        if opened and opened[-1].indices:
            pointer, key = f"{opened[-1].pointer}/{next(opened[-1].indices)}", _NO_KEY
        if kind == "scalar":
            spans[pointer] = Span(*key, *lines.span(start, end), first, last)
        else:
            opened.append(_Level(pointer, key, start, first, count() if kind == "[" else None))
    return spans
