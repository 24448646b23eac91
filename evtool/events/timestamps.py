"""Converts RFC 3339 timestamps to milliseconds since 1970 and back."""

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

YEAR_10000 = 253_402_300_800  # in seconds since 1970; no time is written with five digits for its year
TIMESTAMP_PATTERN = (
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})"  # RFC 3339
)
# most, and only, times of RFC 3339 that exist
COMMON_TIME = re.compile(
    r"[12]\d{3}-(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,9})?(?:Z|\+00:00)",
    re.ASCII,
)


def to_milliseconds(time: str) -> int:
    """An RFC 3339 time as milliseconds since 1970; without an offset it is taken as UTC. Raises ValueError.

    A leap second (23:59:60 in UTC) is the first second of the next day, as in POSIX time.
    """
    is_leap_second = time[16:19] == ":60"
    parsed = datetime.fromisoformat((f"{time[:16]}:59{time[19:]}" if is_leap_second else time).upper())
    if parsed.tzinfo:
        moment = parsed
    else:
        moment = parsed.replace(tzinfo=UTC)
    if is_leap_second and moment.astimezone(UTC).strftime("%H:%M") != "23:59":
        raise ValueError(f"a leap second is at 23:59:60 in UTC: {time}")
    return round(moment.timestamp() * 1000) + 1000 * is_leap_second


@lru_cache(maxsize=16)  # many deliveries are due at the same time
def format_timestamp(ms: int) -> str:
    """Milliseconds since 1970 as a UTC time with a fixed width."""
    seconds, milliseconds = divmod(ms, 1000)
    date_and_time = datetime.fromtimestamp(seconds, UTC).isoformat()[: len("2026-11-30T10:00:00")]
    return f"{date_and_time}.{milliseconds:03d}Z"


def normalize_time(time: Any) -> Any:
    """The time of an entry of a PutEvents request, which may be in seconds since 1970, as an envelope has it."""
    is_number = isinstance(time, int | float) and not isinstance(time, bool)
    if is_number and 0 <= time < YEAR_10000:
        return format_timestamp(round(time * 1000))
    return time


def is_timestamp(value: object) -> bool:
    """Whether this is a time of RFC 3339, and one that can be written down again."""
    if not isinstance(value, str):
        return False
    if COMMON_TIME.fullmatch(value):
        return True
    if not re.fullmatch(TIMESTAMP_PATTERN, value):
        return False
    try:
        format_timestamp(to_milliseconds(value))
    except (ValueError, OverflowError):
        return False
    return True
