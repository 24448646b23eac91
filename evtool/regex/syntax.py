"""Parses the regular expressions of schemas into a tree, as far as their meaning is plain.

Look-around, references to groups, flags, word boundaries and classes of Unicode are not plain; nothing is said of them.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

Ranges = tuple[tuple[int, int], ...]  # of code points, both ends included

MAX_CODE = 0x10FFFF
MAX_REPEAT = 1000  # copies that a counted repetition may need
CLASSES: dict[str, Ranges] = {
    "d": ((0x30, 0x39),),
    "w": ((0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A)),
    "s": ((0x09, 0x0D), (0x20, 0x20), (0xA0, 0xA0), (0x2028, 0x2029), (0xFEFF, 0xFEFF)),
}
CONTROLS = {"t": 9, "n": 10, "v": 11, "f": 12, "r": 13, "0": 0}
DOT: Ranges = ((0, 9), (11, 12), (14, 0x2027), (0x202A, MAX_CODE))
SYNTAX_CHARACTERS = "^$\\.*+?()[]{}|/-"


class NotPlainError(Exception):
    """The expression has a part whose meaning is not plain, or is not well-formed."""


class Characters(NamedTuple):
    """One character out of some ranges."""

    ranges: Ranges


class Anchor(NamedTuple):
    """The start or the end of the text."""

    is_end: bool


class Sequential(NamedTuple):
    """Parts that follow each other; none for the empty text."""

    parts: Sequence["Node"]


class Alternatives(NamedTuple):
    """Parts of which one is taken."""

    parts: Sequence["Node"]


class Repetition(NamedTuple):
    """A part several times; `most` is None if there is no upper limit."""

    part: "Node"
    least: int
    most: int | None


Node = Characters | Anchor | Sequential | Alternatives | Repetition


def parse(expression: str) -> Node:
    """The tree of an expression. Raises NotPlainError."""
    parser = _Parser(expression)
    node = parser.read_alternatives()
    if parser.position < len(expression):
        raise NotPlainError
    return node


def invert(ranges: Ranges) -> Ranges:
    """All characters that are not in some ranges."""
    result, start = [], 0
    for first, last in sorted(ranges):
        if first > start:
            result.append((start, first - 1))
        start = max(start, last + 1)
    if start <= MAX_CODE:
        return (*result, (start, MAX_CODE))
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
            if not self._take("P<") and not self._take("<"):
                raise NotPlainError  # look-around or flags
            if self._peek() in ("=", "!"):
                raise NotPlainError
            while self._next() != ">":
                pass
        node = self.read_alternatives()
        if not self._take(")"):
            raise NotPlainError
        return node

    def _read_repetition(self, node: Node) -> Node:
        least, most = 1, None
        match self._peek():
            case "*":
                least = 0
            case "+":
                pass
            case "?":
                least, most = 0, 1
            case "{":
                least, most = self._read_count()
            case _:
                return node
        if self._peek() != "":
            self.position += 1
        self._take("?")  # lazy
        if self._peek() in ("+", "*", "{", "?") or isinstance(node, Anchor) or max(least, most or 0) > MAX_REPEAT:
            raise NotPlainError
        return Repetition(node, least, most)

    def _read_count(self) -> tuple[int, int | None]:
        """The numbers of `{2}`, `{2,}` and `{2,5}`; the position is then that of the closing brace."""
        end = self._text.find("}", self.position)
        least, comma, most = self._text[self.position + 1 : end].partition(",")
        if end < 0 or not least.isdecimal() or not (most == "" or most.isdecimal()):
            raise NotPlainError
        self.position = end
        return int(least), int(most) if most else None if comma else int(least)

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
        if char == "[" or (char == "&" and self._peek() == "&"):
            raise NotPlainError  # a class inside a class, or an intersection, in some dialects
        return ((ord(char), ord(char)),)

    def _read_escape(self) -> Ranges:
        char = self._next()
        if char in CLASSES:
            return CLASSES[char]
        if char.lower() in CLASSES:
            return invert(CLASSES[char.lower()])
        if char in CONTROLS and not self._peek().isdecimal():
            return ((CONTROLS[char], CONTROLS[char]),)
        if char in ("x", "u"):
            length = 4
            if char == "x":
                length = 2
            digits = self._text[self.position : self.position + length]
            try:
                code = int(digits, 16)
            except ValueError:
                raise NotPlainError from None
            self.position += length
            return ((code, code),)
        if char.isalnum():
            raise NotPlainError
        return ((ord(char), ord(char)),)

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
    """The ranges of all characters in a tree."""
    match node:
        case Characters(ranges):
            yield ranges
        case Sequential(parts) | Alternatives(parts):
            for part in parts:
                yield from list_ranges(part)
        case Repetition(part, _, _):
            yield from list_ranges(part)
