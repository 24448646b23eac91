"""Generates strings for the formats, regular expressions and lengths of a schema."""

import re
import string
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from uuid import UUID

import rstr

MAX_TRIES = 20  # strings that are tried for one place
_MORE = 8  # repeats of `*` and `+` beyond the first
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


class _Strings(rstr.Rstr):
    """Repeats only a few times what a regular expression allows to be repeated without bound."""

    def _handle_repeat(self, start_range: int, end_range: int, value: str) -> str:
        text: str = super()._handle_repeat(start_range, min(end_range, start_range + _MORE), value)
        return text


def iter_strings(
    rng: Random, formats: list[str], patterns: list[str], min_length: int, max_length: int | None
) -> Iterator[str]:
    """Candidates for a string: what fits the formats and expressions best comes first. They have to be checked."""
    for _ in range(MAX_TRIES):
        for name in formats:
            if name in FORMATS:
                yield FORMATS[name](rng)
        texts = [text for pattern in patterns if (text := _match(rng, pattern)) is not None]
        yield from texts
        if len(texts) > 1:  # a beginning and an end, for example
            yield from (first + second for first in texts for second in texts)
        if not patterns and not formats:
            yield _fit_length(_word(rng), min_length, max_length)
    yield _fit_length("", min_length, max_length)


def _match(rng: Random, pattern: str) -> str | None:
    """A string that a regular expression matches; None if Python does not know its form."""
    try:
        re.compile(pattern)
        text: str = _Strings(rng, **_ALPHABETS).xeger(pattern)
    except (re.error, KeyError, IndexError, OverflowError, RecursionError):
        return None
    return text


def _fit_length(text: str, min_length: int, max_length: int | None) -> str:
    longer = text + "".join(WORDS[index % len(WORDS)] for index in range(max(0, min_length - len(text))))
    return (text if len(text) >= min_length else longer[:min_length])[:max_length]
