"""Converts RFC 3339 timestamps to milliseconds since 1970 and back."""

import re
from datetime import UTC, datetime
from typing import Any

YEAR_10000 = 253_402_300_800  # in seconds since 1970; no time is written with five digits for its year
TIMESTAMP_PATTERN = (
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})"  # RFC 3339
)


def to_milliseconds(time: str) -> int:
    """An RFC 3339 time as milliseconds since 1970; without an offset it is taken as UTC. Raises ValueError."""
    parsed = datetime.fromisoformat(time)
    return round((parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp() * 1000)


def format_timestamp(ms: int) -> str:
    """Milliseconds since 1970 as a UTC time with a fixed width."""
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{ms % 1000:03d}Z"


def normalize_time(time: Any) -> Any:
    """The time of an entry of a PutEvents request, which may be in seconds since 1970, as an envelope has it."""
    is_number = isinstance(time, int | float) and not isinstance(time, bool)
    return format_timestamp(round(time * 1000)) if is_number and 0 <= time < YEAR_10000 else time


def is_timestamp(value: object) -> bool:
    """Whether this is a time of RFC 3339, and one that can be written down again."""
    if not isinstance(value, str) or not re.fullmatch(TIMESTAMP_PATTERN, value):
        return False
    try:
        format_timestamp(to_milliseconds(value))
    except (ValueError, OverflowError):
        return False
    return True
