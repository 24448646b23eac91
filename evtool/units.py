"""Lengths of time as people write them in routes.yaml and on the command line: 500ms, 10s, 15m, 24h, 7d."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
LONGEST = 3650 * 86400.0  # what is longer can no longer be added to a date
PATTERN = r"^[0-9]+(\.[0-9]+)?(ms|s|m|h|d)$"


def seconds(text: object) -> float:
    """`"1.5m"` -> 90.0. Raises ValueError with a sentence for a person."""
    if not isinstance(text, str) or not re.fullmatch(PATTERN, text):
        raise ValueError("a length of time is a number with a unit: 500ms, 10s, 15m, 24h or 7d")
    unit = re.sub(r"[0-9.]", "", text)
    length = float(text[: -len(unit)]) * UNITS[unit]
    if length > LONGEST:
        raise ValueError("a length of time is at most 3650d")
    return length


def moment(text: str, now: int) -> int:
    """A time as people name it, in milliseconds since 1970: an RFC 3339 time, a date, or how long ago (`2h`).

    Raises ValueError with a sentence for a person.
    """
    if re.fullmatch(PATTERN, text):
        return now - round(seconds(text) * 1000)
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f'"{text}" is no time: 2026-11-23T10:00Z, 2026-11-23, or how long ago, such as 2h') from None
    return round((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() * 1000)


def _read(value: object) -> float:
    return value if isinstance(value, float) else seconds(value)  # a float is a default of ours


def _positive(value: float) -> float:
    if not value:
        raise ValueError("a time limit is longer than nothing")
    return value


Duration = Annotated[float, BeforeValidator(_read), WithJsonSchema({"type": "string", "pattern": PATTERN})]
TimeLimit = Annotated[Duration, AfterValidator(_positive)]


def lasting(default: str, description: str) -> Any:
    """A field of a model that holds a Duration: its default and its description, as people write them."""
    return Field(default=seconds(default), description=description, json_schema_extra={"default": default})
