"""Plain values in a pattern, and the operator `exactly`."""

from typing import Any

from evtool.patterns.json_values import NumberText, Scalar
from evtool.patterns.operators.arguments import Test, require_string, restrict_to_strings
from evtool.patterns.operators.cidr import parse_address


def equals(expected: Scalar) -> Test:
    """The test for a plain value. A string that is an IP address stands for all spellings of the address."""
    if isinstance(expected, float | NumberText):  # 300, 300.0 and 3e2 are the same number, and "300" is none
        return lambda value: value == expected and type(value) is type(expected)
    if not isinstance(expected, str):
        return lambda value: value is expected
    digits = parse_address(expected)
    if digits is None:
        return lambda value: value == expected and type(value) is str
    # so AWS does: see `AddressBlock.contains`
    return restrict_to_strings(lambda value: (parse_address(value) or "").startswith(digits))


def exactly(argument: Any) -> Test:
    """`{"exactly": "10.0.0.1"}`: the very string, whereas `"10.0.0.1"` is any spelling of that address."""
    text = require_string(argument, "exact match pattern must be a string")
    return lambda value: value == text and type(value) is str
