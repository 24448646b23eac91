"""Converts RFC 3339 timestamps to milliseconds since 1970, and back."""

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

# In seconds since 1970. RFC 3339 has four digits for a year.
YEAR_10000 = 253_402_300_800
# The syntax of RFC 3339, which also allows times that do not exist, such as February 30.
TIMESTAMP_PATTERN = r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})"
# Matches most valid times, and no invalid ones. So most times need no slower check.
COMMON_TIME = re.compile(
    r"[12]\d{3}-(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,9})?(?:Z|\+00:00)",
    re.ASCII,
)


def to_milliseconds(time: str) -> int:
    """Converts an RFC 3339 time to milliseconds since 1970. A time without an offset is in UTC. Raises ValueError.

    A leap second (23:59:60 in UTC) becomes the first second of the next day, as in POSIX time.
    """
    is_leap_second = time[16:19] == ":60"
    text = time
    if is_leap_second:
        # Python has no second 60.
        text = f"{time[:16]}:59{time[19:]}"
    moment = datetime.fromisoformat(text.upper())
    if not moment.tzinfo:
        moment = moment.replace(tzinfo=UTC)
    if is_leap_second and moment.astimezone(UTC).strftime("%H:%M") != "23:59":
        raise ValueError(f"a leap second is at 23:59:60 in UTC: {time}")
    return round(moment.timestamp() * 1000) + 1000 * is_leap_second


# Cached: many deliveries are due at the same time.
@lru_cache(maxsize=16)
def format_timestamp(ms: int) -> str:
    """Formats milliseconds since 1970 as a UTC time with a fixed width."""
    seconds, milliseconds = divmod(ms, 1000)
    date_and_time = datetime.fromtimestamp(seconds, UTC).isoformat()[: len("2026-11-30T10:00:00")]
    return f"{date_and_time}.{milliseconds:03d}Z"


def normalize_time(time: Any) -> Any:
    """Converts the time of a PutEvents entry, which may be in seconds since 1970, to that of an envelope."""
    is_number = isinstance(time, int | float) and not isinstance(time, bool)
    if is_number and 0 <= time < YEAR_10000:
        return format_timestamp(round(time * 1000))
    return time


def is_timestamp(value: object) -> bool:
    """Returns whether a value is an RFC 3339 time that exists and that `format_timestamp` can write."""
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
