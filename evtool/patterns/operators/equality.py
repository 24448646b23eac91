"""Plain values in a pattern, and `exactly`."""

from typing import Any

from evtool.patterns.json_values import Digits, Scalar
from evtool.patterns.operators.arguments import Test, on_strings, string
from evtool.patterns.operators.cidr import digits_of


def equal_to(expected: Scalar) -> Test:
    """The test for a plain value. A string that is an IP address stands for all spellings of the address."""
    if isinstance(expected, float | Digits):  # 300, 300.0 and 3e2 are the same number, and "300" is none
        return lambda value: value == expected and type(value) is type(expected)
    if not isinstance(expected, str):
        return lambda value: value is expected
    digits = digits_of(expected)
    if digits is None:
        return lambda value: value == expected and type(value) is str
    return on_strings(lambda value: (digits_of(value) or "").startswith(digits))  # so AWS does: see `Block.holds`


def exactly(argument: Any) -> Test:
    """`{"exactly": "10.0.0.1"}`: the very string, whereas `"10.0.0.1"` is any spelling of that address."""
    text = string(argument, "exact match pattern must be a string")
    return lambda value: value == text and type(value) is str
