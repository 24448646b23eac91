"""`exists`: whether a field has a value."""

from typing import Any

from evtool.patterns.operators.arguments import ArgumentError, Test, is_string


def exists(argument: Any) -> Test:
    """`{"exists": true}` holds for every value, `{"exists": false}` for none: it is for fields that have no value."""
    if isinstance(argument, bool):
        return lambda _: argument
    hint = None
    if is_string(argument):
        hint = "write true or false without quotes"
    raise ArgumentError("exists match pattern must be either true or false.", hint=hint)
