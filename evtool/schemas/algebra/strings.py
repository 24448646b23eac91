"""Generates strings for the formats, regular expressions and lengths of a schema.

The rules are easy to follow one by one and hard to follow together, so this module proposes candidates and its caller
checks each against the schema. Example, for the pattern "^[A-Z]+$" and at least 10 characters: a random match repeats
`[A-Z]` at most 9 times and is too short, so the next candidates repeat it more often.
"""

import re
import string
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from uuid import UUID

import rstr

from evtool.regex.containment import find_common_text

# Rounds of candidates for one place.
MAX_TRIES = 20
# Repetitions of `*` and `+` beyond the first.
_MORE = 8
_MOST_REPEATS = 10_000
_START = datetime(2026, 1, 1, tzinfo=UTC)
_DAY = 24 * 3600
WORDS = ("alpha", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hotel", "india", "juliet", "kilo", "lima")
# The characters that `.` becomes.
_ALPHABETS = {"printable": string.ascii_letters + string.digits + "-_. "}

_TIME_FORMATS = {"date-time": "%Y-%m-%dT%H:%M:%SZ", "date": "%Y-%m-%d", "time": "%H:%M:%SZ"}
_WORD_FORMATS = {
    "email": "{}@example.com",
    "idn-email": "{}@example.com",
    "hostname": "{}.example.com",
    "idn-hostname": "{}.example.com",
    "uri": "https://example.com/{}",
    "uri-reference": "/{}",
    "iri": "https://example.com/{}",
    "iri-reference": "/{}",
    "uri-template": "https://example.com/{}/{{id}}",
    "json-pointer": "/{}",
    "regex": "^{}$",
}
# Each with the lowest and the highest number.
_NUMBER_FORMATS = {
    "duration": ("PT{}M", 1, 59),
    "ipv4": ("192.0.2.{}", 1, 254),
    "ipv6": ("2001:db8::{:x}", 1, 0xFFFF),
    "relative-json-pointer": ("{}", 0, 3),
}
FORMATS = frozenset(_TIME_FORMATS) | frozenset(_WORD_FORMATS) | frozenset(_NUMBER_FORMATS) | {"uuid"}

# The shortest strings of some formats, and templates for long ones, for schemas that limit the length as well.
SHORT = {"email": "a@b.co", "idn-email": "a@b.co", "hostname": "a.co", "uri": "a:b", "iri": "a:b", "ipv6": "::1"}
LONG = {
    "email": "{}@example.com",
    "idn-email": "{}@example.com",
    "uri": "https://example.com/{}",
    "iri": "https://example.com/{}",
    "uri-reference": "/{}",
}
UNICODE_CLASSES = {"L": "A-Za-z", "Letter": "A-Za-z", "Lu": "A-Z", "Ll": "a-z", "N": "0-9", "Nd": "0-9", "P": ".,"}


def generate_id(rng: Random) -> str:
    """A random UUID."""
    return str(UUID(int=rng.getrandbits(128), version=4))


def generate_time(rng: Random) -> str:
    """A time in the first four weeks of 2026, in RFC 3339."""
    return _generate_format("date-time", rng)


def _generate_format(name: str, rng: Random) -> str:
    """A string of a format in FORMATS."""
    if name in _TIME_FORMATS:
        time = _START + timedelta(seconds=rng.randrange(28 * _DAY))
        return time.strftime(_TIME_FORMATS[name])
    if name in _WORD_FORMATS:
        return _WORD_FORMATS[name].format(_word(rng))
    if name in _NUMBER_FORMATS:
        template, lowest, highest = _NUMBER_FORMATS[name]
        return template.format(rng.randint(lowest, highest))
    return generate_id(rng)


def _word(rng: Random) -> str:
    return rng.choice(WORDS)


class _Strings(rstr.Rstr):
    """Repeats only a few times what a regular expression allows to be repeated without bound."""

    most_repeats = _MORE

    def _handle_repeat(self, start_range: int, end_range: int, value: str) -> str:
        text: str = super()._handle_repeat(start_range, min(end_range, start_range + self.most_repeats), value)
        return text


def iter_strings(
    rng: Random, formats: list[str], patterns: list[str], min_length: int, max_length: int | None
) -> Iterator[str]:
    """Yields candidates for a string, those that probably fit first. The caller has to check them."""
    known = [name for name in formats if name in FORMATS]
    repeats = _list_repeats(min_length, max_length)
    tries = MAX_TRIES
    if len(repeats) > 1:
        tries *= 3
    for number in range(tries):
        for name in known:
            yield _generate_format(name, rng)
        yield from _match_all(rng, patterns, repeats[number % len(repeats)])
        # A match of one pattern rarely matches the others, too.
        if len(patterns) > 1:
            yield from _iter_common(patterns, min_length, max_length, rng)
        if not patterns and not known:
            yield _fit_length(_word(rng), min_length, max_length)
    if patterns:
        yield from _iter_common(patterns, min_length, max_length, rng)
    yield from _iter_padded(rng, patterns, min_length)
    longest = _fit_length("", min_length, max_length)
    yield from _list_extremes(known, longest)
    yield longest


def _match_all(rng: Random, patterns: Sequence[str], most_repeats: int) -> list[str]:
    """A string for each pattern whose form Python knows."""
    texts = []
    for pattern in patterns:
        text = _match(rng, pattern, most_repeats)
        if text is not None:
            texts.append(text)
    return texts


def _list_extremes(formats: Sequence[str], text: str) -> list[str]:
    """The shortest string of each format, and long ones that contain a text."""
    shortest = [SHORT[name] for name in formats if name in SHORT]
    return shortest + [LONG[name].format(text) for name in formats if name in LONG]


def _iter_common(patterns: list[str], min_length: int, max_length: int | None, rng: Random) -> Iterator[str]:
    text = find_common_text(patterns, min_length, max_length, rng)
    if text is not None:
        yield text


def _iter_padded(rng: Random, patterns: Sequence[str], min_length: int) -> Iterator[str]:
    """Short matches with text before or after them, for expressions that are open at one end."""
    for pattern in patterns:
        text = _match(rng, pattern, 0)
        if text:
            padding = _fit_length("", max(0, min_length - len(text)), None)
            yield padding + text
            yield text + padding


def _list_repeats(min_length: int, max_length: int | None) -> list[int]:
    """The highest numbers of repetitions to try for a part. They are several if the length of the text is limited."""
    repeats = [_MORE]
    if min_length:
        repeats.append(min(min_length, _MOST_REPEATS))
    if max_length is not None:
        repeats += [0, 1, 2, min(max_length, _MOST_REPEATS)]
    return repeats


def _match(rng: Random, pattern: str, most_repeats: int) -> str | None:
    """A string that a regular expression matches; None if Python does not know its form."""
    strings = _Strings(rng, **_ALPHABETS)
    strings.most_repeats = most_repeats
    try:
        expression = _write_classes(pattern)
        re.compile(expression)
        text: str = strings.xeger(expression)
    except (re.error, KeyError, IndexError, OverflowError, RecursionError):
        return None
    return text


def _write_classes(pattern: str) -> str:
    """The expression with some ASCII characters in place of Unicode classes, which Python does not know."""
    if "\\p{" not in pattern:
        return pattern
    texts, is_inside = [], False
    for part in re.findall(r"\\p\{\w+\}|\\.|.", pattern, re.DOTALL):
        characters = None
        if part.startswith("\\p{"):
            characters = UNICODE_CLASSES.get(part[3:-1])
        if characters is None:
            texts.append(part)
        elif is_inside:
            texts.append(characters)
        else:
            texts.append(f"[{characters}]")
        if part == "[":
            is_inside = True
        elif part == "]":
            is_inside = False
    return "".join(texts)


def _fit_length(text: str, min_length: int, max_length: int | None) -> str:
    """A text of words with a length between the limits."""
    if len(text) < min_length:
        # A word has at least one character, so this many are enough.
        words = [WORDS[index % len(WORDS)] for index in range(min_length - len(text))]
        text = (text + "".join(words))[:min_length]
    return text[:max_length]
