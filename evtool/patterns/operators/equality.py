"""Plain values in a pattern, and the operator `exactly`."""

from typing import Any

from evtool.patterns.json_values import NumberText, Scalar
from evtool.patterns.operators.arguments import Test, require_string
from evtool.patterns.operators.cidr import parse_address


def equals(expected: Scalar) -> Test:
    """Returns the test for a plain value. A string that is an IP address matches all spellings of the address."""
    if isinstance(expected, float | NumberText):
        return _equals_of_type(expected)
    if not isinstance(expected, str):

        def is_constant(value: Scalar) -> bool:
            # true, false and null are single objects. `is` keeps true apart from 1.
            return value is expected

        return is_constant
    digits = parse_address(expected)
    if digits is None:
        return _equals_of_type(expected)

    def is_address(value: Scalar) -> bool:
        # AWS compares the leading digits: see `AddressBlock.contains`.
        if type(value) is not str:
            return False
        return (parse_address(value) or "").startswith(digits)

    return is_address


def _equals_of_type(expected: Scalar) -> Test:
    # The type keeps 300 apart from "300" and from true. 300, 300.0 and 3e2 are the same float.
    expected_type = type(expected)

    def holds(value: Scalar) -> bool:
        return value == expected and type(value) is expected_type

    return holds


def exactly(argument: Any) -> Test:
    """`{"exactly": "10.0.0.1"}`: this string only, whereas `"10.0.0.1"` matches every spelling of the address."""
    return _equals_of_type(require_string(argument, "exact match pattern must be a string"))
