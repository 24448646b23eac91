"""`exists`: whether a field has a value."""

from typing import Any

from evtool.patterns.json_values import Scalar
from evtool.patterns.operators.arguments import ArgumentError, Test, is_string


def exists(argument: Any) -> Test:
    """`{"exists": true}` holds for every value, `{"exists": false}` for no value.

    The second one matches fields without a value, which never reach a test: see `Field.can_be_absent`.
    """
    if isinstance(argument, bool):

        def holds(_: Scalar) -> bool:
            return argument

        return holds
    hint = None
    if is_string(argument):
        hint = "write true or false without quotes"
    raise ArgumentError("exists match pattern must be either true or false.", hint=hint)
