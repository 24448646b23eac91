"""RFC 3339 timestamps and milliseconds since 1970."""

import re
from datetime import UTC, datetime
from typing import Any

YEAR_10000 = 253_402_300_800  # in seconds since 1970; no time is written with five digits for its year
TIMESTAMP = (
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})"  # RFC 3339
)


def milliseconds(time: str) -> int:
    """An RFC 3339 time as milliseconds since 1970; without an offset it is taken as UTC. Raises ValueError."""
    moment = datetime.fromisoformat(time)
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def rfc3339(ms: int) -> str:
    """Milliseconds since 1970 as a UTC time with a fixed width."""
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{ms % 1000:03d}Z"


def timestamp_of(time: Any) -> Any:
    """The time of an entry of a PutEvents request, which may be in seconds since 1970, as an envelope has it."""
    is_number = isinstance(time, int | float) and not isinstance(time, bool)
    return rfc3339(round(time * 1000)) if is_number and 0 <= time < YEAR_10000 else time


def is_timestamp(value: object) -> bool:
    """Whether this is a time of RFC 3339, and one that can be written down again."""
    if not isinstance(value, str) or not re.fullmatch(TIMESTAMP, value):
        return False
    try:
        rfc3339(milliseconds(value))
    except (ValueError, OverflowError):
        return False
    return True
