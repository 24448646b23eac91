"""Parses durations ("10s"), sizes ("64MB") and times ("2h" ago), and defines the pydantic fields for the first two."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
MAX_DURATION = 3650 * SECONDS["d"]  # a longer time cannot be added to a date
DURATION_PATTERN = r"^[0-9]+(\.[0-9]+)?(ms|s|m|h|d)$"

BYTES = {
    "B": 1,
    **{f"{prefix}B": 1000**power for power, prefix in enumerate("KMGT", 1)},
    **{f"{prefix}iB": 1024**power for power, prefix in enumerate("KMGT", 1)},
}
MAX_SIZE = 1024 * BYTES["TiB"]  # larger than any machine, and within what system calls accept
SIZE_PATTERN = r"^[0-9]+(\.[0-9]+)?(B|[KMGT]i?B)$"


def parse_duration(text: object) -> float:
    """`"1.5m"` -> 90.0 seconds. Raises ValueError with a sentence for the user."""
    if not isinstance(text, str) or not re.fullmatch(DURATION_PATTERN, text):
        raise ValueError("a length of time is a number with a unit: 500ms, 10s, 15m, 24h or 7d")
    seconds = _convert(text, SECONDS)
    if seconds > MAX_DURATION:
        raise ValueError("a length of time is at most 3650d")
    return seconds


def parse_size(text: object) -> int:
    """`"1.5KiB"` -> 1536 bytes. Raises ValueError with a sentence for the user."""
    if not isinstance(text, str) or not re.fullmatch(SIZE_PATTERN, text):
        raise ValueError("a size is a number with a unit: 4KiB, 64MB or 1GiB")
    size = _convert(text, BYTES)
    if size > MAX_SIZE:
        raise ValueError("a size is at most 1024TiB")
    return int(size)


def parse_time(text: str, now: int) -> int:
    """A time as people name it, in milliseconds since 1970: an RFC 3339 time, a date, or how long ago (`2h`).

    Raises ValueError with a sentence for a person.
    """
    if re.fullmatch(DURATION_PATTERN, text):
        return now - round(parse_duration(text) * 1000)
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(
            f'"{text}" is not a time; write 2026-11-23T10:00Z, 2026-11-23, or how long ago, such as 2h'
        ) from None
    return round((parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp() * 1000)


def format_size(count: int) -> str:
    """Bytes in the largest unit that gives a whole number: 1536 -> `1536B`, 2048 -> `2KiB`."""
    exact_units = [unit for unit in BYTES if count and count % BYTES[unit] == 0]
    unit = max(exact_units, key=lambda unit: BYTES[unit], default="B")
    return f"{count // BYTES[unit]}{unit}"


def _convert(text: str, units: Mapping[str, float]) -> float:
    unit = re.sub(r"[0-9.]", "", text)
    return float(text.removesuffix(unit)) * units[unit]


def _read_duration(value: object) -> float:
    # a float is one of our own defaults
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
    """A model's field that holds a Duration: its default as users write it, and its description."""
    return Field(default=parse_duration(default), description=description, json_schema_extra={"default": default})


def size_field(default: str, description: str) -> Any:
    """A model's field that holds a Size: its default as users write it, and its description."""
    return Field(default=parse_size(default), description=description, json_schema_extra={"default": default})
