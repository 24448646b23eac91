"""Amounts of bytes as people write them in routes.yaml: 4KiB, 64MB, 1GiB."""

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

UNITS = {
    "B": 1,
    **{f"{prefix}B": 1000**power for power, prefix in enumerate("KMGT", 1)},
    **{f"{prefix}iB": 1024**power for power, prefix in enumerate("KMGT", 1)},
}
LARGEST = 1024 * UNITS["TiB"]  # far beyond any machine, and within what system calls take
PATTERN = r"^[0-9]+(\.[0-9]+)?(B|[KMGT]i?B)$"


def size(text: object) -> int:
    """`"1.5KiB"` -> 1536. Raises ValueError with a sentence for a person."""
    if not isinstance(text, str) or not re.fullmatch(PATTERN, text):
        raise ValueError("a size is a number with a unit: 4KiB, 64MB or 1GiB")
    unit = re.sub(r"[0-9.]", "", text)
    found = float(text[: -len(unit)]) * UNITS[unit]
    if found > LARGEST:
        raise ValueError("a size is at most 1024TiB")
    return int(found)


def shown(count: int) -> str:
    """Bytes in the largest unit that gives a whole number: 1536 -> `1536B`, 2048 -> `2KiB`."""
    fitting = [unit for unit in UNITS if count and count % UNITS[unit] == 0]
    unit = max(fitting, key=lambda unit: UNITS[unit], default="B")
    return f"{count // UNITS[unit]}{unit}"


Size = Annotated[int, BeforeValidator(size), WithJsonSchema({"type": "string", "pattern": PATTERN})]


def sized(default: str, description: str) -> Any:
    """A field of a model that holds a Size: its default and its description, as people write them."""
    return Field(default=size(default), description=description, json_schema_extra={"default": default})
