"""Scans a JSON text by its grammar, and describes the first error in it.

Slower than the standard scanner, which knows neither places nor duplicate keys: it runs when a place is wanted.
"""

import json
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from evtool.findings.phrases import shorten

MAX_SHOWN = 40  # characters of a text that a message repeats
MAX_DIGITS = 4300  # of an integer: Python's own default, kept where that is switched off
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

# what the scanner can be waiting for, in the words of its messages
_VALUE, _FIRST_VALUE, _NEXT_VALUE = "a value", 'a value or "]"', '"," or "]"'
_KEY, _FIRST_KEY, _NEXT_KEY = "a key", 'a key or "}"', '"," or "}"'
_COLON, _END = '":"', "the end"

_VALUES = (_VALUE, _FIRST_VALUE)
_KEYS = (_KEY, _FIRST_KEY)
_OPENING = {"[": ("]", _FIRST_VALUE), "{": ("}", _FIRST_KEY)}
_CLOSING = {"]": (_FIRST_VALUE, _NEXT_VALUE), "}": (_FIRST_KEY, _NEXT_KEY)}
_SEPARATORS = {(_COLON, ":"): _VALUE, (_NEXT_VALUE, ","): _VALUE, (_NEXT_KEY, ","): _KEY}

_COMMON_MISTAKES = (  # what people write where JSON wants a value: code, message, hint
    (re.compile(r"'[^'\n]*'?"), "EV002", "single quotes are not allowed", "strings stand in double quotes"),
    (re.compile(r"-?(?:NaN|Infinity)\b"), "EV005", "{} is not a number in JSON", "null says that there is no number"),
    (re.compile(r"-?0[0-9][\w.+-]*"), "EV002", "{} is not a number: it has a leading zero", None),
    (re.compile(r"[-+.0-9][\w.+-]*"), "EV002", "{} is not a number", None),
    (re.compile(r"(?i:true|false|null)\b"), "EV002", "{} is not a value", "true, false and null are in small letters"),
    (re.compile(r"(?:None|undefined|nil)\b"), "EV002", "{} is not a value", "did you mean null?"),
    (re.compile(r"[^\W\d][\w.-]*"), "EV002", "{} is not a value", "strings stand in double quotes"),
)


class Fault(Exception):  # noqa: N818  (what JsonProblem is made of)
    """What is wrong at a place of a text.

    In `args`: code, message, index, hint, how many characters to underline, another index that the message ends with.
    """

    def __init__(
        self, code: str, message: str, index: int, hint: str | None = None, width: int = 1, related: int | None = None
    ):
        super().__init__(code, message, index, hint, width, related)


_JSON_LINES_HINT = "one event a line belongs into a .jsonl file"
_CARRIAGE_RETURN_HINT = "a line ends with a carriage return alone: save the file with line feeds"


class _OpenContainer(NamedTuple):
    """An array or object that is not closed yet."""

    closer: str
    start: int
    keys: dict[str, int]  # name -> where it stands


def _check_string(text: str, start: int, end: int) -> None:
    """Raise for half of a surrogate pair in a string that is well-formed otherwise."""
    if "\\u" not in text[start:end]:
        return
    high = None  # half of a pair that waits for its other half
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
    """Raise for a number that cannot be kept as it is; it is well-formed."""
    number = text[start:end]
    digits = number.removeprefix("-")
    if not digits.isdigit():
        if float(number) in INFINITIES:
            raise Fault("EV005", f"{shorten(number, MAX_SHOWN)} is too large for a number", start, width=len(number))
    elif len(digits) > MAX_DIGITS:
        message = f"an integer of {len(digits)} digits is too long; {MAX_DIGITS} are allowed"
        raise Fault("EV005", message, start, width=len(number))


_CHECKS: dict[str, Callable[[str, int, int], None]] = {
    "string": _check_string,
    "number": _check_number,
    "word": lambda *_: None,
}


def _add_key(text: str, start: int, end: int, keys: dict[str, int]) -> str:
    """What a key spells. Raises when it spells the same as an earlier key of the object."""
    content = text[start + 1 : end - 1]
    if "\\" in content:
        name = str(json.loads(text[start:end]))
    else:
        name = content
    if name in keys:
        message = f'the key "{shorten(name, MAX_SHOWN)}" stands twice in this object, first at'
        raise Fault("EV003", message, start, width=end - start, related=keys[name])
    keys[name] = start
    return name


def _describe_broken_string(text: str, start: int) -> Fault:
    match = _STRING_CONTENT_PATTERN.match(text, start + 1)
    if match:
        end = match.end()
    else:
        end = start
    stop_char = text[end : end + 1]
    if text[end:] in ("", "\\"):
        return Fault("EV002", "the string that begins here is not closed", start, "is the text cut off?")
    if text.startswith("\\u", end):
        return Fault("EV002", r"\u wants four hexadecimal digits", end, width=2)
    if stop_char == "\\":
        return Fault("EV002", f"{text[end : end + 2]} is not an escape in JSON", end, width=2)
    if stop_char in "\r\n":
        return Fault("EV002", "the string is not closed on its line", start, r"a line break in a string is written \n")
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
    """What to tell about the first thing that does not belong where it stands."""
    char = text[index : index + 1]
    if expected == _END:
        whitespace = text[len(text[:index].rstrip(_WHITESPACE)) : index]
        hint = (
            _CARRIAGE_RETURN_HINT
            if "\r" in whitespace and "\n" not in whitespace
            else _JSON_LINES_HINT
            if char in ("{", "[")
            else None
        )
        return Fault("EV002", "there is more text after the end of the value", index, hint)
    if char == "":
        return _describe_truncation(text, stack)
    if char == '"' and expected in _VALUES + _KEYS:
        return _describe_broken_string(text, index)
    if char == "#" or text.startswith(("//", "/*"), index):
        return Fault("EV002", "JSON has no comments", index)
    preceding = text[:index].rstrip(_WHITESPACE)
    if char in "]}" and preceding.endswith(","):
        return Fault("EV002", f'a comma before "{char}" is not allowed', len(preceding) - 1)
    for pattern, code, message, hint in _COMMON_MISTAKES if expected in _VALUES else ():
        if match := pattern.match(text, index):
            return Fault(code, message.format(shorten(match[0], MAX_SHOWN)), index, hint, len(match[0]))
    hint = "keys stand in double quotes" if expected in _KEYS else None
    return Fault("EV002", f"{expected} is expected here, not {char!r}", index, hint)


def _expect_next(stack: list[_OpenContainer]) -> str:
    if not stack:
        return _END
    if stack[-1].closer == "}":
        return _NEXT_KEY
    return _NEXT_VALUE


def line_and_column_of(text: str, index: int) -> tuple[int, int]:
    """Line and column, in characters from 1, of an index into a text. A byte order mark takes no column."""
    line_start = text.rfind("\n", 0, index) + 1
    has_bom = line_start == 0 and text.startswith(BOM)
    return text.count("\n", 0, index) + 1, index - line_start + 1 - has_bom


def scan(text: str, max_depth: int) -> Iterator[tuple[str, int, int, str]]:
    """Yield (kind, start, end, what a key spells) of every part in order; raise the first Fault.

    Kinds are `key`, `scalar` and the four brackets. `max_depth` is how many brackets may be open at once.
    """
    stack: list[_OpenContainer] = []
    expected = _VALUE
    position = len(BOM) if text.startswith(BOM) else 0
    while token := _TOKEN.match(text, position):
        group = token.lastgroup or ""
        start, position = token.span(group)
        kind = text[start] if group == "mark" else group
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
