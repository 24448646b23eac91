"""The grammar of JSON, part by part, and what to tell a person where a text breaks it.

Slower than the standard scanner, which knows neither places nor duplicate keys: it runs when a place is wanted.
"""

import json
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

MAX_DIGITS = 4300  # of an integer: Python's own default, kept where that is switched off
INFINITE = (float("inf"), float("-inf"))
BOM = "\ufeff"

_BLANK = " \t\n\r"
_PLAIN = r'[^"\\\x00-\x1f]*+'
_TEXT = rf'{_PLAIN}(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{{4}}){_PLAIN})*+'
_NUMBER = r"-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?"
_TOKEN = re.compile(
    rf'[{_BLANK}]*+(?:(?P<string>"{_TEXT}")|(?P<word>(?:true|false|null)(?![\w.+-]))|(?P<number>{_NUMBER}(?![\w.+-]))'
    r"|(?P<mark>[\[\]{}:,])|(?P<end>\Z)|(?P<strange>.))",
    re.DOTALL,
)
_WHOLE_TEXT = re.compile(_TEXT)
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|.)")

# what the scanner can be waiting for, in the words of its messages
_VALUE, _FIRST_VALUE, _NEXT_VALUE = "a value", 'a value or "]"', '"," or "]"'
_KEY, _FIRST_KEY, _NEXT_KEY = "a key", 'a key or "}"', '"," or "}"'
_COLON, _END = '":"', "the end"

_VALUES = (_VALUE, _FIRST_VALUE)
_KEYS = (_KEY, _FIRST_KEY)
_OPENING = {"[": ("]", _FIRST_VALUE), "{": ("}", _FIRST_KEY)}
_CLOSING = {"]": (_FIRST_VALUE, _NEXT_VALUE), "}": (_FIRST_KEY, _NEXT_KEY)}
_BETWEEN = {(_COLON, ":"): _VALUE, (_NEXT_VALUE, ","): _VALUE, (_NEXT_KEY, ","): _KEY}

_STRANGE = (  # what people write where JSON wants a value: code, message, hint
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
        self, code: str, message: str, index: int, hint: str | None = None, width: int = 1, other: int | None = None
    ):
        super().__init__(code, message, index, hint, width, other)


_LINES = "one event a line belongs into a .jsonl file"
_ONLY_CR = "a line ends with a carriage return alone: save the file with line feeds"


class _Open(NamedTuple):
    """An array or object that is not closed yet."""

    closer: str
    start: int
    keys: dict[str, int]  # name -> where it stands


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:39]}…"


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
        if float(number) in INFINITE:
            raise Fault("EV005", f"{_short(number)} is too large for a number", start, width=len(number))
    elif len(digits) > MAX_DIGITS:
        message = f"an integer of {len(digits)} digits is too long; {MAX_DIGITS} are allowed"
        raise Fault("EV005", message, start, width=len(number))


_CHECKS: dict[str, Callable[[str, int, int], None]] = {
    "string": _check_string,
    "number": _check_number,
    "word": lambda *_: None,
}


def _new_key(text: str, start: int, end: int, keys: dict[str, int]) -> str:
    """What a key spells. Raises when it spells the same as an earlier key of the object."""
    plain = text[start + 1 : end - 1]
    name = str(json.loads(text[start:end])) if "\\" in plain else plain
    if name in keys:
        message = f'the key "{_short(name)}" stands twice in this object, first at'
        raise Fault("EV003", message, start, width=end - start, other=keys[name])
    keys[name] = start
    return name


def _broken_string(text: str, start: int) -> Fault:
    whole = _WHOLE_TEXT.match(text, start + 1)
    end = whole.end() if whole else start
    stop = text[end : end + 1]
    if text[end:] in ("", "\\"):
        return Fault("EV002", "the string that begins here is not closed", start, "is the text cut off?")
    if text.startswith("\\u", end):
        return Fault("EV002", r"\u wants four hexadecimal digits", end, width=2)
    if stop == "\\":
        return Fault("EV002", f"{text[end : end + 2]} is not an escape in JSON", end, width=2)
    if stop in "\r\n":
        return Fault("EV002", "the string is not closed on its line", start, r"a line break in a string is written \n")
    return Fault("EV002", "a control character in a string must be escaped", end, rf"write it as \u{ord(stop):04x}")


def _truncated(text: str, opened: list[_Open]) -> Fault:
    end = max(len(text.rstrip(_BLANK)), text.startswith(BOM))
    if not opened:
        return Fault("EV002", "there is no JSON value: the text is empty", end)
    what = "object" if opened[-1].closer == "}" else "array"
    begin = opened[-1].start
    return Fault("EV002", f"the text ends inside the {what} that begins at", end, "is the text cut off?", other=begin)


def _unexpected(text: str, index: int, expected: str, opened: list[_Open]) -> Fault:
    """What to tell about the first thing that does not belong where it stands."""
    char = text[index : index + 1]
    if expected == _END:
        between = text[len(text[:index].rstrip(_BLANK)) : index]
        hint = _ONLY_CR if "\r" in between and "\n" not in between else _LINES if char in ("{", "[") else None
        return Fault("EV002", "there is more text after the end of the value", index, hint)
    if char == "":
        return _truncated(text, opened)
    if char == '"' and expected in _VALUES + _KEYS:
        return _broken_string(text, index)
    if char == "#" or text.startswith(("//", "/*"), index):
        return Fault("EV002", "JSON has no comments", index)
    before = text[:index].rstrip(_BLANK)
    if char in "]}" and before.endswith(","):
        return Fault("EV002", f'a comma before "{char}" is not allowed', len(before) - 1)
    for pattern, code, message, hint in _STRANGE if expected in _VALUES else ():
        if found := pattern.match(text, index):
            return Fault(code, message.format(_short(found[0])), index, hint, len(found[0]))
    hint = "keys stand in double quotes" if expected in _KEYS else None
    return Fault("EV002", f"{expected} is expected here, not {char!r}", index, hint)


def _next(opened: list[_Open]) -> str:
    return _END if not opened else _NEXT_KEY if opened[-1].closer == "}" else _NEXT_VALUE


def place(text: str, index: int) -> tuple[int, int]:
    """Line and column, in characters from 1, of an index into a text. A byte order mark takes no column."""
    begin = text.rfind("\n", 0, index) + 1
    marked = begin == 0 and text.startswith(BOM)
    return text.count("\n", 0, index) + 1, index - begin + 1 - marked


def scan(text: str, max_depth: int) -> Iterator[tuple[str, int, int, str]]:
    """Yield (kind, start, end, what a key spells) of every part in order; raise the first Fault.

    Kinds are `key`, `scalar` and the four brackets. `max_depth` is how many brackets may be open at once.
    """
    opened: list[_Open] = []
    expected = _VALUE
    at = len(BOM) if text.startswith(BOM) else 0
    while token := _TOKEN.match(text, at):
        group = token.lastgroup or ""
        start, at = token.span(group)
        kind = text[start] if group == "mark" else group
        if expected in _VALUES and kind in _CHECKS:
            _CHECKS[kind](text, start, at)
            yield "scalar", start, at, ""
            expected = _next(opened)
        elif expected in _VALUES and kind in _OPENING:
            if len(opened) >= max_depth:
                raise Fault("EV007", f"nested more than {max_depth} levels deep", start)
            yield kind, start, at, ""
            closer, expected = _OPENING[kind]
            opened.append(_Open(closer, start, {}))
        elif expected in _KEYS and kind == "string":
            _check_string(text, start, at)
            yield "key", start, at, _new_key(text, start, at, opened[-1].keys)
            expected = _COLON
        elif expected in _CLOSING.get(kind, ()):
            yield kind, start, at, ""
            opened.pop()
            expected = _next(opened)
        elif (expected, kind) in _BETWEEN:
            expected = _BETWEEN[expected, kind]
        elif (expected, kind) == (_END, "end"):
            return
        else:
            raise _unexpected(text, start, expected, opened)
