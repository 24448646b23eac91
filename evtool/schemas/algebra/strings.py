"""Generates strings for the formats, regular expressions and lengths of a schema."""

import re
import string
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from uuid import UUID

import rstr

from evtool.regex.containment import find_common_text

MAX_TRIES = 20  # strings that are tried for one place
_MORE = 8  # repeats of `*` and `+` beyond the first
_MOST_REPEATS = 10_000
_START = datetime(2026, 1, 1, tzinfo=UTC)
_DAY = 24 * 3600
WORDS = ("alpha", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hotel", "india", "juliet", "kilo", "lima")
_ALPHABETS = {"printable": string.ascii_letters + string.digits + "-_. "}


def generate_id(rng: Random) -> str:
    """A random UUID."""
    return str(UUID(int=rng.getrandbits(128), version=4))


def generate_time(rng: Random) -> str:
    """A time in the first four weeks of 2026, in RFC 3339."""
    return _pick_time(rng).strftime("%Y-%m-%dT%H:%M:%SZ")


def _pick_time(rng: Random) -> datetime:
    return _START + timedelta(seconds=rng.randrange(28 * _DAY))


def _word(rng: Random) -> str:
    return rng.choice(WORDS)


FORMATS: dict[str, Callable[[Random], str]] = {
    "date-time": generate_time,
    "date": lambda rng: f"{_pick_time(rng):%Y-%m-%d}",
    "time": lambda rng: f"{_pick_time(rng):%H:%M:%SZ}",
    "duration": lambda rng: f"PT{rng.randint(1, 59)}M",
    "email": lambda rng: f"{_word(rng)}@example.com",
    "idn-email": lambda rng: f"{_word(rng)}@example.com",
    "hostname": lambda rng: f"{_word(rng)}.example.com",
    "idn-hostname": lambda rng: f"{_word(rng)}.example.com",
    "ipv4": lambda rng: f"192.0.2.{rng.randint(1, 254)}",
    "ipv6": lambda rng: f"2001:db8::{rng.randint(1, 0xFFFF):x}",
    "uri": lambda rng: f"https://example.com/{_word(rng)}",
    "uri-reference": lambda rng: f"/{_word(rng)}",
    "iri": lambda rng: f"https://example.com/{_word(rng)}",
    "iri-reference": lambda rng: f"/{_word(rng)}",
    "uri-template": lambda rng: f"https://example.com/{_word(rng)}/{{id}}",
    "uuid": generate_id,
    "json-pointer": lambda rng: f"/{_word(rng)}",
    "relative-json-pointer": lambda rng: f"{rng.randint(0, 3)}",
    "regex": lambda rng: f"^{_word(rng)}$",
}


SHORT = {"email": "a@b.co", "idn-email": "a@b.co", "hostname": "a.co", "uri": "a:b", "iri": "a:b", "ipv6": "::1"}
LONG: dict[str, Callable[[str], str]] = {
    "email": lambda text: f"{text}@example.com",
    "idn-email": lambda text: f"{text}@example.com",
    "uri": lambda text: f"https://example.com/{text}",
    "iri": lambda text: f"https://example.com/{text}",
    "uri-reference": lambda text: f"/{text}",
}
UNICODE_CLASSES = {"L": "A-Za-z", "Letter": "A-Za-z", "Lu": "A-Z", "Ll": "a-z", "N": "0-9", "Nd": "0-9", "P": ".,"}


class _Strings(rstr.Rstr):
    """Repeats only a few times what a regular expression allows to be repeated without bound."""

    most_repeats = _MORE

    def _handle_repeat(self, start_range: int, end_range: int, value: str) -> str:
        text: str = super()._handle_repeat(start_range, min(end_range, start_range + self.most_repeats), value)
        return text


def iter_strings(
    rng: Random, formats: list[str], patterns: list[str], min_length: int, max_length: int | None
) -> Iterator[str]:
    """Candidates for a string: what fits the formats and expressions best comes first. They have to be checked."""
    known = [name for name in formats if name in FORMATS]
    repeats = _list_repeats(min_length, max_length)
    for number in range(MAX_TRIES * (1 if len(repeats) == 1 else 3)):
        for name in known:
            yield FORMATS[name](rng)
        found = (_match(rng, pattern, repeats[number % len(repeats)]) for pattern in patterns)
        texts = [text for text in found if text is not None]
        yield from texts
        if len(patterns) > 1 and (common := find_common_text(patterns, min_length, max_length, rng)) is not None:
            yield common
        if not patterns and not known:
            yield _fit_length(_word(rng), min_length, max_length)
    if patterns and (common := find_common_text(patterns, min_length, max_length, rng)) is not None:
        yield common
    for text in filter(None, (_match(rng, pattern, 0) for pattern in patterns)):
        padding = _fit_length("", max(0, min_length - len(text)), None)
        yield from (padding + text, text + padding)  # an expression that is open at one end
    yield from (SHORT[name] for name in known if name in SHORT)
    yield from (LONG[name](_fit_length("", min_length, max_length)) for name in known if name in LONG)
    yield _fit_length("", min_length, max_length)


def _list_repeats(min_length: int, max_length: int | None) -> list[int]:
    """How often a part is repeated at most beyond the least: several numbers, if the length of the text is limited."""
    if min_length:
        longer = [min(min_length, _MOST_REPEATS)]
    else:
        longer = []
    return [_MORE, *longer, *([0, 1, 2, min(max_length, _MOST_REPEATS)] if max_length is not None else [])]


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
    """The expression with some ASCII characters in place of classes of Unicode, which Python does not know."""
    if "\\p{" not in pattern:
        return pattern
    texts, is_inside = [], False
    for part in re.findall(r"\\p\{\w+\}|\\.|.", pattern, re.DOTALL):
        characters = None
        if part.startswith("\\p{"):
            characters = UNICODE_CLASSES.get(part[3:-1])
        texts.append(part if characters is None else characters if is_inside else f"[{characters}]")
        is_inside = (is_inside or part == "[") and part != "]"
    return "".join(texts)


def _fit_length(text: str, min_length: int, max_length: int | None) -> str:
    longer = text + "".join(WORDS[index % len(WORDS)] for index in range(max(0, min_length - len(text))))
    return (text if len(text) >= min_length else longer[:min_length])[:max_length]
