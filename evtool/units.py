"""Parses durations ("10s"), sizes ("64MB") and times ("2h" ago), and defines the pydantic fields for the first two."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
# A much longer time cannot be added to a date.
MAX_DURATION = 3650 * SECONDS["d"]
DURATION_PATTERN = r"^[0-9]+(\.[0-9]+)?(ms|s|m|h|d)$"

BYTES = {
    "B": 1,
    "KB": 1000,
    "MB": 1000**2,
    "GB": 1000**3,
    "TB": 1000**4,
    "KiB": 1024,
    "MiB": 1024**2,
    "GiB": 1024**3,
    "TiB": 1024**4,
}
# Larger than the memory of any machine, and within the range that system calls accept.
MAX_SIZE = 1024 * BYTES["TiB"]
SIZE_PATTERN = r"^[0-9]+(\.[0-9]+)?(B|[KMGT]i?B)$"


def parse_duration(text: object) -> float:
    """Parses a duration: `"1.5m"` is 90.0 seconds. Raises ValueError with a sentence for the user."""
    if not isinstance(text, str) or not re.fullmatch(DURATION_PATTERN, text):
        raise ValueError("a length of time is a number with a unit: 500ms, 10s, 15m, 24h or 7d")
    seconds = _convert(text, SECONDS)
    if seconds > MAX_DURATION:
        raise ValueError("a length of time is at most 3650d")
    return seconds


def parse_size(text: object) -> int:
    """Parses a size: `"1.5KiB"` is 1536 bytes. Raises ValueError with a sentence for the user."""
    if not isinstance(text, str) or not re.fullmatch(SIZE_PATTERN, text):
        raise ValueError("a size is a number with a unit: 4KiB, 64MB or 1GiB")
    size = _convert(text, BYTES)
    if size > MAX_SIZE:
        raise ValueError("a size is at most 1024TiB")
    return int(size)


def parse_time(text: str, now: int) -> int:
    """Parses a time to milliseconds since 1970: an RFC 3339 time, a date, or a duration before `now` (`2h`).

    A time without an offset is UTC. Raises ValueError with a sentence for the user.
    """
    if re.fullmatch(DURATION_PATTERN, text):
        return now - round(parse_duration(text) * 1000)
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(
            f'"{text}" is not a time; write 2026-11-23T10:00Z, 2026-11-23, or how long ago, such as 2h'
        ) from None
    if not parsed.tzinfo:
        parsed = parsed.replace(tzinfo=UTC)
    return round(parsed.timestamp() * 1000)


def format_size(count: int) -> str:
    """Formats bytes in the largest unit that gives a whole number: 1536 is `1536B`, 2048 is `2KiB`."""
    if count == 0:
        return "0B"
    exact_units = [unit for unit in BYTES if count % BYTES[unit] == 0]
    largest = max(exact_units, key=BYTES.__getitem__)
    return f"{count // BYTES[largest]}{largest}"


def _convert(text: str, units: Mapping[str, float]) -> float:
    unit = re.sub(r"[0-9.]", "", text)
    return float(text.removesuffix(unit)) * units[unit]


def _read_duration(value: object) -> float:
    # A float is one of evtool's own defaults: users always write a string with a unit.
    if isinstance(value, float):
        return value
    return parse_duration(value)


def _check_positive(value: float) -> float:
    if not value:
        raise ValueError("should be longer than 0")
    return value


Duration = Annotated[
    float, BeforeValidator(_read_duration), WithJsonSchema({"type": "string", "pattern": DURATION_PATTERN})
]
TimeLimit = Annotated[Duration, AfterValidator(_check_positive)]
Size = Annotated[int, BeforeValidator(parse_size), WithJsonSchema({"type": "string", "pattern": SIZE_PATTERN})]


def duration_field(default: str, description: str) -> Any:
    """Builds a model's field that holds a Duration, from its default as users write it, and its description."""
    return Field(default=parse_duration(default), description=description, json_schema_extra={"default": default})


def size_field(default: str, description: str) -> Any:
    """Builds a model's field that holds a Size, from its default as users write it, and its description."""
    return Field(default=parse_size(default), description=description, json_schema_extra={"default": default})
