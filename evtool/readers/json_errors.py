"""Scans a JSON text by its grammar, and describes the first error.

It is slower than Python's scanner, which reports neither the positions of values nor duplicate keys. So it runs only if
a position is needed. A text consists of tokens, and the state of the scanner is what it expects next:

    {"a": [1, 2]}    token    expected before        expected after
                     {        a value                a key or "}"
                     "a"      a key or "}"           ":"
                     :        ":"                    a value
                     [        a value                a value or "]"
                     1        a value or "]"         "," or "]"

A token that is not expected is the first error. Its message depends on both: `{"a" 1}` gives '":" is expected here'.
"""

import json
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from evtool.findings.phrases import shorten

# Characters of a text that a message repeats.
MAX_SHOWN = 40
# Digits of an integer. It is Python's default limit, and applies even if that limit is switched off.
MAX_DIGITS = 4300
INFINITIES = (float("inf"), float("-inf"))
BOM = "\ufeff"

_WHITESPACE = " \t\n\r"
_PLAIN = r'[^"\\\x00-\x1f]*+'
_STRING_CONTENT = rf'{_PLAIN}(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{{4}}){_PLAIN})*+'
_NUMBER = r"-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?"
_TOKEN = re.compile(
    rf'[{_WHITESPACE}]*+(?:(?P<string>"{_STRING_CONTENT}")|(?P<word>(?:true|false|null)(?![\w.+-]))|(?P<number>{_NUMBER}(?![\w.+-]))'
    r"|(?P<mark>[\[\]{}:,])|(?P<end>\Z)|(?P<strange>.))",
    re.DOTALL,
)
_STRING_CONTENT_PATTERN = re.compile(_STRING_CONTENT)
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|.)")

# The expectations of the scanner, as its messages name them.
_VALUE, _FIRST_VALUE, _NEXT_VALUE = "a value", 'a value or "]"', '"," or "]"'
_KEY, _FIRST_KEY, _NEXT_KEY = "a key", 'a key or "}"', '"," or "}"'
_COLON, _END = '":"', "the end"

_VALUES = (_VALUE, _FIRST_VALUE)
_KEYS = (_KEY, _FIRST_KEY)
_OPENING = {"[": ("]", _FIRST_VALUE), "{": ("}", _FIRST_KEY)}
_CLOSING = {"]": (_FIRST_VALUE, _NEXT_VALUE), "}": (_FIRST_KEY, _NEXT_KEY)}
_SEPARATORS = {(_COLON, ":"): _VALUE, (_NEXT_VALUE, ","): _VALUE, (_NEXT_KEY, ","): _KEY}

_QUOTE_HINT = "write strings in double quotes"
# Common mistakes in place of a value: pattern, code, message and hint. The first pattern that matches is used.
_COMMON_MISTAKES = (
    (re.compile(r"'[^'\n]*'?"), "EV002", "single quotes are not allowed", _QUOTE_HINT),
    (re.compile(r"-?(?:NaN|Infinity)\b"), "EV005", "{} is not a number in JSON", "use null for a missing number"),
    (re.compile(r"-?0[0-9][\w.+-]*"), "EV002", "{} is not a number: it has a leading zero", None),
    (re.compile(r"[-+.0-9][\w.+-]*"), "EV002", "{} is not a number", None),
    (
        re.compile(r"(?i:true|false|null)\b"),
        "EV002",
        "{} is not a value",
        "true, false and null have small letters",
    ),
    (re.compile(r"(?:None|undefined|nil)\b"), "EV002", "{} is not a value", "did you mean null?"),
    (re.compile(r"[^\W\d][\w.-]*"), "EV002", "{} is not a value", _QUOTE_HINT),
)


# Not named Error: json_text converts it to a JsonProblem.
class Fault(Exception):  # noqa: N818
    """A problem at an index of a text.

    `width` is the number of characters to underline. The message ends with the position of `related`, another index.
    """

    def __init__(
        self, code: str, message: str, index: int, hint: str | None = None, width: int = 1, related: int | None = None
    ):
        super().__init__(message)
        self.code = code
        self.message = message
        self.index = index
        self.hint = hint
        self.width = width
        self.related = related


_JSON_LINES_HINT = "write one event per line into a .jsonl file"
_CARRIAGE_RETURN_HINT = "a line ends with a carriage return only: save the file with line feeds"


class _OpenContainer(NamedTuple):
    """An array or object that is not closed yet. `keys` are the indices of its keys, by name."""

    closer: str
    start: int
    keys: dict[str, int]


def _check_string(text: str, start: int, end: int) -> None:
    """Raises Fault for half of a surrogate pair in a string that is otherwise well-formed."""
    if "\\u" not in text[start:end]:
        return
    # The first half of a pair, until its second half follows.
    high = None
    for escape in _ESCAPE.finditer(text, start, end):
        unit = int(escape[1] or "0", 16)
        is_low = 0xDC00 <= unit <= 0xDFFF
        if is_low and high and high.end() == escape.start():
            high = None
        elif is_low or high:
            high = high or escape
            break
        elif 0xD800 <= unit <= 0xDBFF:
            high = escape
    if high:
        raise Fault("EV006", f"{high[0]} is half of a surrogate pair, not a character", high.start(), width=6)


def _check_number(text: str, start: int, end: int) -> None:
    """Raises Fault for a well-formed number that is out of range."""
    number = text[start:end]
    digits = number.removeprefix("-")
    if not digits.isdigit():
        if float(number) in INFINITIES:
            raise Fault("EV005", f"{shorten(number, MAX_SHOWN)} is too large for a number", start, width=len(number))
    elif len(digits) > MAX_DIGITS:
        message = f"an integer of {len(digits)} digits is too long; {MAX_DIGITS} are allowed"
        raise Fault("EV005", message, start, width=len(number))


def _check_word(_text: str, _start: int, _end: int) -> None:
    # The token pattern matches only true, false and null.
    pass


_CHECKS: dict[str, Callable[[str, int, int], None]] = {
    "string": _check_string,
    "number": _check_number,
    "word": _check_word,
}


def _add_key(text: str, start: int, end: int, keys: dict[str, int]) -> str:
    """Returns the name of a key, with escapes resolved. Raises Fault if the object already has this name."""
    name = text[start + 1 : end - 1]
    if "\\" in name:
        name = str(json.loads(text[start:end]))
    if name in keys:
        message = f'the key "{shorten(name, MAX_SHOWN)}" occurs twice in this object, first at'
        raise Fault("EV003", message, start, width=end - start, related=keys[name])
    keys[name] = start
    return name


def _describe_broken_string(text: str, start: int) -> Fault:
    end = start
    match = _STRING_CONTENT_PATTERN.match(text, start + 1)
    if match:
        end = match.end()
    stop_char = text[end : end + 1]
    if text[end:] in ("", "\\"):
        return Fault("EV002", "the string that begins here is not closed", start, "is the text cut off?")
    if text.startswith("\\u", end):
        return Fault("EV002", r"\u needs four hexadecimal digits", end, width=2)
    if stop_char == "\\":
        return Fault("EV002", f"{text[end : end + 2]} is not an escape in JSON", end, width=2)
    if stop_char in "\r\n":
        return Fault("EV002", "the string is not closed on its line", start, r"write a line break in a string as \n")
    return Fault(
        "EV002", "a control character in a string must be escaped", end, rf"write it as \u{ord(stop_char):04x}"
    )


def _describe_truncation(text: str, stack: list[_OpenContainer]) -> Fault:
    end = max(len(text.rstrip(_WHITESPACE)), text.startswith(BOM))
    if not stack:
        return Fault("EV002", "there is no JSON value: the text is empty", end)
    container = "array"
    if stack[-1].closer == "}":
        container = "object"
    start = stack[-1].start
    return Fault(
        "EV002", f"the text ends inside the {container} that begins at", end, "is the text cut off?", related=start
    )


def _describe_unexpected(text: str, index: int, expected: str, stack: list[_OpenContainer]) -> Fault:
    """Describes the first token that is not expected."""
    char = text[index : index + 1]
    if expected == _END:
        return _describe_second_value(text, index)
    if char == "":
        return _describe_truncation(text, stack)
    if char == '"' and expected in _VALUES + _KEYS:
        return _describe_broken_string(text, index)
    if char == "#" or text.startswith(("//", "/*"), index):
        return Fault("EV002", "JSON has no comments", index)
    preceding = text[:index].rstrip(_WHITESPACE)
    if char in "]}" and preceding.endswith(","):
        return Fault("EV002", f'a comma before "{char}" is not allowed', len(preceding) - 1)
    if expected in _VALUES:
        for pattern, code, message, hint in _COMMON_MISTAKES:
            match = pattern.match(text, index)
            if match:
                return Fault(code, message.format(shorten(match[0], MAX_SHOWN)), index, hint, len(match[0]))
    hint = None
    if expected in _KEYS:
        hint = "write keys in double quotes"
    return Fault("EV002", f"{expected} is expected here, not {char!r}", index, hint)


def _describe_second_value(text: str, index: int) -> Fault:
    whitespace = text[len(text[:index].rstrip(_WHITESPACE)) : index]
    hint = None
    if "\r" in whitespace and "\n" not in whitespace:
        hint = _CARRIAGE_RETURN_HINT
    elif text[index] in "{[":
        hint = _JSON_LINES_HINT
    return Fault("EV002", "there is more text after the end of the value", index, hint)


def _expect_next(stack: list[_OpenContainer]) -> str:
    if not stack:
        return _END
    if stack[-1].closer == "}":
        return _NEXT_KEY
    return _NEXT_VALUE


def line_and_column_of(text: str, index: int) -> tuple[int, int]:
    """Returns line and column, in characters from 1, of an index. A byte order mark does not count as a character."""
    line_start = text.rfind("\n", 0, index) + 1
    has_bom = line_start == 0 and text.startswith(BOM)
    return text.count("\n", 0, index) + 1, index - line_start + 1 - has_bom


def _iter_tokens(text: str) -> Iterator[tuple[str, int, int]]:
    """Yields (kind, start, end) of each token; the kind of a bracket, comma or colon is the character. Never ends."""
    position = 0
    if text.startswith(BOM):
        position = len(BOM)
    while True:
        token = _TOKEN.match(text, position)
        assert token is not None, "the pattern matches any character, and the end"
        kind = token.lastgroup or ""
        start, position = token.span(kind)
        if kind == "mark":
            kind = text[start]
        yield kind, start, position


def scan(text: str, max_depth: int) -> Iterator[tuple[str, int, int, str]]:
    """Yields (kind, start, end, name of a key) of every part in order. Raises the first Fault.

    Kinds are `key`, `scalar` and the four brackets. `max_depth` is the number of brackets that may be open.
    """
    stack: list[_OpenContainer] = []
    expected = _VALUE
    for kind, start, position in _iter_tokens(text):
        if expected in _VALUES and kind in _CHECKS:
            _CHECKS[kind](text, start, position)
            yield "scalar", start, position, ""
            expected = _expect_next(stack)
        elif expected in _VALUES and kind in _OPENING:
            if len(stack) >= max_depth:
                raise Fault("EV007", f"nested more than {max_depth} levels deep", start)
            yield kind, start, position, ""
            closer, expected = _OPENING[kind]
            stack.append(_OpenContainer(closer, start, {}))
        elif expected in _KEYS and kind == "string":
            _check_string(text, start, position)
            yield "key", start, position, _add_key(text, start, position, stack[-1].keys)
            expected = _COLON
        elif expected in _CLOSING.get(kind, ()):
            yield kind, start, position, ""
            stack.pop()
            expected = _expect_next(stack)
        elif (expected, kind) in _SEPARATORS:
            expected = _SEPARATORS[expected, kind]
        elif (expected, kind) == (_END, "end"):
            return
        else:
            raise _describe_unexpected(text, start, expected, stack)
