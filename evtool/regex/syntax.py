"""Parses the regular expressions of schemas into a tree, as far as their meaning is plain.

An expression is plain if it uses only what all engines understand alike and what an automaton can express. Look-around,
references to groups, flags, word boundaries and Unicode classes are not plain: callers get a NotPlainError and draw no
conclusion.

Example: `^a|b{2,}` becomes

    Alternatives([Sequential([Anchor(is_end=False), Characters("a")]), Repetition(Characters("b"), 2, None)])

where `Characters` has the ranges of code points, such as ((0x61, 0x61),) for `a`.
"""

import string
from collections.abc import Iterator, Sequence
from typing import NamedTuple

# Ranges of code points, both ends included.
Ranges = tuple[tuple[int, int], ...]

MAX_CODE = 0x10FFFF
# The automaton has a copy of the part for each repetition.
MAX_REPEAT = 1000
# The classes of ECMA-262 without Unicode mode: `\d` and `\w` are ASCII.
CLASSES: dict[str, Ranges] = {
    "d": ((0x30, 0x39),),
    "w": ((0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A)),
    "s": ((0x09, 0x0D), (0x20, 0x20), (0xA0, 0xA0), (0x2028, 0x2029), (0xFEFF, 0xFEFF)),
}
CONTROLS = {"t": 9, "n": 10, "v": 11, "f": 12, "r": 13, "0": 0}
# Every character except the line ends of ECMA-262.
DOT: Ranges = ((0, 9), (11, 12), (14, 0x2027), (0x202A, MAX_CODE))
HEX_LENGTHS = {"x": 2, "u": 4}


class NotPlainError(Exception):
    """An expression is not well-formed, or has a part whose meaning is not plain."""


class Characters(NamedTuple):
    """One character out of some ranges."""

    ranges: Ranges


class Anchor(NamedTuple):
    """The start or the end of the text."""

    is_end: bool


class Sequential(NamedTuple):
    """Parts that follow each other. Without parts it is the empty text."""

    parts: Sequence["Node"]


class Alternatives(NamedTuple):
    """Parts of which one matches."""

    parts: Sequence["Node"]


class Repetition(NamedTuple):
    """A part that repeats at least `least` and at most `most` times; `most` is None without an upper limit."""

    part: "Node"
    least: int
    most: int | None


Node = Characters | Anchor | Sequential | Alternatives | Repetition


def parse(expression: str) -> Node:
    """Parses an expression into a tree. Raises NotPlainError."""
    parser = _Parser(expression)
    node = parser.read_alternatives()
    if parser.position < len(expression):
        raise NotPlainError
    return node


def invert(ranges: Ranges) -> Ranges:
    """All characters that are not in some ranges."""
    result = []
    start = 0
    for first, last in sorted(ranges):
        if first > start:
            result.append((start, first - 1))
        start = max(start, last + 1)
    if start <= MAX_CODE:
        result.append((start, MAX_CODE))
    return tuple(result)


class _Parser:
    def __init__(self, text: str):
        self._text = text
        self.position = 0

    def read_alternatives(self) -> Node:
        parts = [self._read_sequence()]
        while self._take("|"):
            parts.append(self._read_sequence())
        if len(parts) == 1:
            return parts[0]
        return Alternatives(parts)

    def _read_sequence(self) -> Node:
        parts = []
        while self.position < len(self._text) and self._text[self.position] not in "|)":
            parts.append(self._read_repetition(self._read_atom()))
        if len(parts) == 1:
            return parts[0]
        return Sequential(parts)

    def _read_atom(self) -> Node:
        char = self._next()
        match char:
            case "(":
                return self._read_group()
            case "[":
                return Characters(self._read_class())
            case ".":
                return Characters(DOT)
            case "^" | "$":
                return Anchor(char == "$")
            case "\\":
                return Characters(self._read_escape())
            case "*" | "+" | "?" | "{" | "}" | "]":
                raise NotPlainError
        return Characters(((ord(char), ord(char)),))

    def _read_group(self) -> Node:
        if self._take("?") and not self._take(":"):
            # `(?<name>` and `(?P<name>` name a group. All others are look-ahead or flags.
            if not self._take("P<") and not self._take("<"):
                raise NotPlainError
            # `(?<=` and `(?<!` are look-behind.
            if self._peek() in ("=", "!"):
                raise NotPlainError
            while self._next() != ">":
                pass
        node = self.read_alternatives()
        if not self._take(")"):
            raise NotPlainError
        return node

    def _read_repetition(self, node: Node) -> Node:
        least: int
        most: int | None
        match self._peek():
            case "*":
                least, most = 0, None
            case "+":
                least, most = 1, None
            case "?":
                least, most = 0, 1
            case "{":
                least, most = self._read_count()
            case _:
                return node
        self.position += 1
        # A lazy repetition matches the same texts.
        self._take("?")
        # `a++` is possessive in some engines and an error in others. So is the repetition of an anchor.
        if self._peek() in ("+", "*", "{", "?") or isinstance(node, Anchor):
            raise NotPlainError
        if max(least, most or 0) > MAX_REPEAT:
            raise NotPlainError
        return Repetition(node, least, most)

    def _read_count(self) -> tuple[int, int | None]:
        """Reads the numbers of `{2}`, `{2,}` or `{2,5}`, up to the closing brace."""
        end = self._text.find("}", self.position)
        least, comma, most = self._text[self.position + 1 : end].partition(",")
        if end < 0 or not least.isdecimal() or not (most == "" or most.isdecimal()):
            raise NotPlainError
        self.position = end
        if most:
            return int(least), int(most)
        if comma:
            return int(least), None
        return int(least), int(least)

    def _read_class(self) -> Ranges:
        is_inverted = self._take("^")
        ranges: list[tuple[int, int]] = []
        while not self._take("]"):
            first = self._read_class_item()
            if self._peek() == "-" and self._text[self.position + 1 : self.position + 2] not in ("]", ""):
                self.position += 1
                last = self._read_class_item()
                if not _is_single(first) or not _is_single(last) or first[0][0] > last[0][0]:
                    raise NotPlainError
                ranges.append((first[0][0], last[0][0]))
            else:
                ranges += first
        if is_inverted:
            return invert(tuple(ranges))
        return tuple(ranges)

    def _read_class_item(self) -> Ranges:
        char = self._next()
        if char == "\\":
            return self._read_escape()
        # In some dialects this is a class inside a class, or an intersection of classes.
        if char == "[" or (char == "&" and self._peek() == "&"):
            raise NotPlainError
        return ((ord(char), ord(char)),)

    def _read_escape(self) -> Ranges:
        char = self._next()
        if char in CLASSES:
            return CLASSES[char]
        if char.lower() in CLASSES:
            return invert(CLASSES[char.lower()])
        if char in CONTROLS and not self._peek().isdecimal():
            return ((CONTROLS[char], CONTROLS[char]),)
        if char in HEX_LENGTHS:
            code = self._read_hex(HEX_LENGTHS[char])
            return ((code, code),)
        # `\b`, `\1`, `\p{L}` and all other letters and digits.
        if char.isalnum():
            raise NotPlainError
        return ((ord(char), ord(char)),)

    def _read_hex(self, length: int) -> int:
        digits = self._text[self.position : self.position + length]
        # int() alone would accept a sign, blanks and underscores.
        if len(digits) < length or not set(digits) <= set(string.hexdigits):
            raise NotPlainError
        self.position += length
        return int(digits, 16)

    def _peek(self) -> str:
        return self._text[self.position : self.position + 1]

    def _next(self) -> str:
        if self.position >= len(self._text):
            raise NotPlainError
        self.position += 1
        return self._text[self.position - 1]

    def _take(self, text: str) -> bool:
        is_next = self._text.startswith(text, self.position)
        if is_next:
            self.position += len(text)
        return is_next


def _is_single(ranges: Ranges) -> bool:
    return len(ranges) == 1 and ranges[0][0] == ranges[0][1]


def list_ranges(node: Node) -> Iterator[Ranges]:
    """Yields the ranges of all characters in a tree."""
    match node:
        case Characters(ranges):
            yield ranges
        case Sequential(parts) | Alternatives(parts):
            for part in parts:
                yield from list_ranges(part)
        case Repetition(part, _, _):
            yield from list_ranges(part)
