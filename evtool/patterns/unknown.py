"""The value that a pattern has where its source leaves something open: `!Ref Bus`, a variable of Terraform."""

import json
from collections.abc import Mapping
from typing import Any


class Unknown:
    """A value that is not known before deployment. It may stand anywhere in a pattern, also for the whole of it.

    `source` is how the source writes it, for messages: `!Ref OrderBus`, `${var.source}`.
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
    """The first unknown in a value that Python code has made, such as the argument of an operator."""
    if isinstance(value, Unknown):
        return value
    items = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    return next(filter(None, map(find_unknown, items)), None)


def to_known(value: Any) -> Any:
    """The value with None for everything in it that is unknown, as JSON has it."""
    if isinstance(value, Unknown):
        return None
    if isinstance(value, Mapping):
        return {key: to_known(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_known(item) for item in value]
    return value


def format_open_value(value: Any) -> str:
    """A value as JSON, with what is unknown in it as its source writes it."""
    match value:
        case Unknown():
            return value.source
        case dict():
            return f"{{{', '.join(f'{json.dumps(key)}: {format_open_value(item)}' for key, item in value.items())}}}"
        case list():
            return f"[{', '.join(map(format_open_value, value))}]"
    return json.dumps(value, ensure_ascii=False)
