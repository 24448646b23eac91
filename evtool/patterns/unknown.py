"""Unknown values: parts of a pattern that its source leaves open, such as `!Ref Bus` or a variable of Terraform."""

import json
from collections.abc import Iterable, Mapping
from typing import Any


class Unknown:
    """A value that is unknown until deployment. It may replace any part of a pattern, or the whole pattern.

    `source` is its text in the rule source, for messages: `!Ref OrderBus`, `${var.source}`.
    """

    __slots__ = ("source",)

    def __init__(self, source: str):
        self.source = source

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Unknown) and other.source == self.source

    def __hash__(self) -> int:
        return hash(self.source)

    def __repr__(self) -> str:
        return f"Unknown({self.source!r})"


def find_unknown(value: Any) -> Unknown | None:
    """Returns the first unknown value in a value of Python code, such as the argument of an operator; or None."""
    if isinstance(value, Unknown):
        return value
    items: Iterable[Any] = ()
    if isinstance(value, Mapping):
        items = value.values()
    elif isinstance(value, list | tuple):
        items = value
    for item in items:
        unknown = find_unknown(item)
        if unknown:
            return unknown
    return None


def to_known(value: Any) -> Any:
    """Returns a copy of the value for JSON output, with None in place of unknown values."""
    if isinstance(value, Unknown):
        return None
    if isinstance(value, Mapping):
        return {key: to_known(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_known(item) for item in value]
    return value


def format_open_value(value: Any) -> str:
    """Formats a value as JSON, with the source texts of unknown values: `[">", !Ref Limit]`."""
    match value:
        case Unknown():
            return value.source
        case dict():
            members = [f"{json.dumps(key)}: {format_open_value(item)}" for key, item in value.items()]
            return "{" + ", ".join(members) + "}"
        case list():
            return f"[{', '.join(map(format_open_value, value))}]"
    return json.dumps(value, ensure_ascii=False)
