"""Explains why a condition does not hold for a value, and rates how close the value is, from 0 to 1.

The closeness decides which condition, branch and route an explanation shows first:

    condition               value     closeness    reason
    equals 300              "300"     0.95         "300" is a string, 300 is a number
    numeric [">=", 20]      12        0.57         12 is 8 below 20
    equals "USD"            "EUR"     0.3          "EUR" is not "USD"
"""

import json
import re
import unicodedata
from collections.abc import Callable
from decimal import Decimal
from difflib import SequenceMatcher
from functools import lru_cache
from os.path import commonprefix
from typing import Any, NamedTuple

from evtool.patterns.compiler import EQUALS
from evtool.patterns.conditions import Condition
from evtool.patterns.explain.descriptions import (
    describe_condition,
    describe_type,
    get_expected,
    name_type,
    quote,
    split_terms,
    to_text,
)
from evtool.patterns.json_values import NumberText, Scalar, format_number, to_scalar
from evtool.patterns.operators.arguments import ArgumentError
from evtool.patterns.operators.cidr import parse_address
from evtool.patterns.operators.numeric import COMPARISONS
from evtool.patterns.operators.registry import OPERATORS
from evtool.patterns.operators.wildcard import split_literals

# Characters of a string that are compared for similarity. The time grows with the square of the length.
MAX_COMPARED = 200
# The closeness of values that have nothing in common.
FAR = 0.1
# From this closeness, a mismatch is described even if the field has other alternatives.
NEAR = 0.8
# The closeness of a value that differs only in form: type, case or blanks.
ALMOST = 0.95


class Mismatch(NamedTuple):
    """The reason why a condition does not hold, and its closeness from 0 to 1, where 1 would hold."""

    closeness: float
    reason: str


def _is_match(operator: str, expected: Any, value: Scalar) -> bool:
    """Returns whether another condition would hold."""
    try:
        return OPERATORS[operator](expected)(value)
    except ArgumentError:
        return False


def _format_decimal(number: Decimal) -> str:
    number = number.normalize()
    if -10 < number.adjusted() < 20:
        return f"{number:f}"
    return f"{number:e}"


# --- numbers ---------------------------------------------------------------------------------------------------------


def _explain_gap(value: float, bound: Any) -> Mismatch:
    """Describes by how much a number misses a bound."""
    limit = Decimal(str(bound))
    # Decimal, since 0.3 - 0.1 is 0.19999999999999998 as a double.
    gap = Decimal(repr(value)) - limit
    # Relative to the bound: 1 is much for a bound of 2, and little for 1,000.
    closeness = float(1 / (1 + abs(gap) / (abs(limit) or 1)))
    side = "above"
    if gap < 0:
        side = "below"
    return Mismatch(max(FAR, NEAR * closeness), f"{format_number(value)} is {_format_decimal(abs(gap))} {side} {bound}")


def _find_failed_term(condition: Condition, value: float) -> tuple[str, Any]:
    """Returns the first comparison of `numeric` that does not hold for a number, and its bound."""
    for name, bound in split_terms(condition.expected):
        if not COMPARISONS[name](value, bound):
            return name, bound
    raise AssertionError("explain_mismatch is called for conditions that do not hold")


def _explain_numeric(condition: Condition, value: Scalar) -> Mismatch:
    if not isinstance(value, float | NumberText):
        return _explain_non_number(condition, value)
    if isinstance(value, NumberText):
        return Mismatch(FAR, f"{quote(value)} has more digits than numeric can compare")
    name, bound = _find_failed_term(condition, value)
    if value == bound:
        side = "below"
        if name == ">":
            side = "above"
        return Mismatch(NEAR, f"{format_number(value)} is not {side} {bound}: the bound itself does not count")
    return _explain_gap(value, bound)


def _explain_non_number(condition: Condition, value: Scalar) -> Mismatch:
    message = f"{describe_type(value, 'number')}, and numeric takes numbers only"
    if isinstance(value, str):
        number = _read_json(value)
        if isinstance(number, float) and condition.test(number):
            return Mismatch(ALMOST, f"{message}: without quotes it would hold")
    return Mismatch(FAR, message)


def _read_json(text: str) -> Scalar:
    """Returns the JSON scalar that is written in a string; None if it is something else."""
    try:
        return to_scalar(json.loads(text))
    except (ValueError, TypeError, RecursionError):
        return None


# --- plain values ----------------------------------------------------------------------------------------------------


def _explain_equals(condition: Condition, value: Scalar) -> Mismatch:
    expected = get_expected(condition)
    if type(expected) is str and type(value) is str:
        return _explain_string(expected, value)
    message = f"{quote(value)} is not {quote(expected)}"
    if isinstance(expected, float | NumberText) and isinstance(value, float | NumberText):
        if isinstance(value, float) and isinstance(expected, float):
            return _explain_gap(value, condition.expected)
        return Mismatch(FAR, f"{message}: numbers of this length are compared digit by digit")
    if name_type(expected) == name_type(value) or expected is None or value is None:
        return Mismatch(FAR, message)
    reason = f"{describe_type(value)}, {describe_type(expected)}"
    if _is_quoted(value, expected) or _is_quoted(expected, value):
        return Mismatch(ALMOST, reason)
    return Mismatch(FAR, reason)


def _is_quoted(text: Scalar, value: Scalar) -> bool:
    """Returns whether a string has the JSON of another value: `"300"` that of 300, `"true"` that of true."""
    if type(text) is not str:
        return False
    unquoted = _read_json(text)
    return unquoted == value and type(unquoted) is type(value)


def _explain_string(expected: str, value: str) -> Mismatch:
    actual, target = quote(value), quote(expected)
    if value.casefold() == expected.casefold():
        return Mismatch(ALMOST, f"{actual} differs from {target} in upper and lower case only")
    if "".join(value.split()) == "".join(expected.split()):
        return Mismatch(ALMOST, f"{actual} differs from {target} in blanks only")
    if unicodedata.normalize("NFKC", value) == unicodedata.normalize("NFKC", expected):
        return Mismatch(ALMOST, f"{actual} looks like {target}, but is made of other characters")
    if "*" in expected and _is_match("wildcard", expected, value):
        return Mismatch(0.9, f"{actual} is not {target}: a star matches other characters only in a wildcard")
    closeness = _measure_similarity(expected, value)
    if closeness >= NEAR:
        return Mismatch(closeness, f"{actual} is near {target}, but not equal")
    return Mismatch(closeness, f"{actual} is not {target}")


# Cached: many patterns name the same values.
@lru_cache(maxsize=1000)
def _measure_similarity(first: str, second: str) -> float:
    return max(FAR, 0.9 * SequenceMatcher(None, first[:MAX_COMPARED], second[:MAX_COMPARED], autojunk=False).ratio())


# --- operators on strings --------------------------------------------------------------------------------------------


def _explain_exactly(condition: Condition, value: str) -> Mismatch:
    if parse_address(value) is not None and parse_address(value) == parse_address(condition.expected):
        actual, target = quote(value), quote(condition.expected)
        return Mismatch(ALMOST, f"{actual} is the address {target}, but spelled in another way")
    return _explain_string(condition.expected, value)


def _explain_ignore_case(condition: Condition, value: str) -> Mismatch:
    actual, target = quote(value), quote(condition.expected)
    closeness = _measure_similarity(condition.expected.lower(), value.lower())
    return Mismatch(closeness, f"{actual} is not {target}, in upper or lower case")


def _explain_prefix(condition: Condition, value: str) -> Mismatch:
    return _explain_affix(condition, value, "begin", "at the beginning", step=1)


def _explain_suffix(condition: Condition, value: str) -> Mismatch:
    return _explain_affix(condition, value, "end", "at the end", step=-1)


def _explain_affix(condition: Condition, value: str, verb: str, location: str, *, step: int) -> Mismatch:
    """Explains a prefix; or a suffix as the prefix of the reversed strings, with a step of -1."""
    text = condition.expected
    any_case = isinstance(text, dict)
    if any_case:
        text = next(iter(text.values()))
    actual, target = quote(value), quote(text)
    if value[::step].lower().startswith(text[::step].lower()) and not any_case:
        return Mismatch(ALMOST, f"{actual} {verb}s with {target} in other upper and lower case only")
    if text in value:
        return Mismatch(NEAR, f"{actual} has {target} in it, but not {location}")
    # The rule of ruff is about paths, for which commonprefix() is a trap. These are characters.
    common = commonprefix([value[::step], text[::step]])  # noqa: RUF071
    closeness = NEAR * len(common) / len(text)
    if 2 * len(common) < len(text):
        return Mismatch(max(FAR, closeness), f"{actual} does not {verb} with {target}")
    return Mismatch(closeness, f"{actual} {verb}s with {quote(common[::step])}, but not with {target}")


def _explain_wildcard(condition: Condition, value: str) -> Mismatch:
    actual, target = quote(value), quote(condition.expected)
    if _is_match("wildcard", condition.expected.lower(), value.lower()):
        return Mismatch(ALMOST, f"{actual} differs from {target} in upper and lower case only")
    parts = split_literals(condition.expected)
    if len(parts) == 1:
        return _explain_string(parts[0], value)
    if not value.startswith(parts[0]):
        return Mismatch(FAR, f"{actual} does not begin with {quote(parts[0])}, as {target} asks")
    # The more parts are found, the closer is the value.
    position = len(parts[0])
    for number, part in enumerate(parts[1:-1], start=1):
        start = value.find(part, position)
        if start < 0:
            context = ""
            if position:
                context = f" after {quote(value[:position])}"
            return Mismatch(NEAR * number / len(parts), f"{actual} has no {quote(part)}{context}, as {target} asks")
        position = start + len(part)
    closeness = NEAR * (1 - 1 / len(parts))
    if value.endswith(parts[-1]):
        return Mismatch(closeness, f"{actual} is too short for {target}, whose parts must not overlap")
    return Mismatch(closeness, f"{actual} does not end with {quote(parts[-1])}, as {target} asks")


def _explain_cidr(condition: Condition, value: str) -> Mismatch:
    if parse_address(value) is not None:
        return Mismatch(0.4, f"{quote(value)} is not in the range {condition.expected}")
    address = re.split(r"[/:%]", value)[0].strip("[] ")
    if _is_match("cidr", condition.expected, address):
        return Mismatch(ALMOST, f"{quote(value)} is not an IP address alone: {quote(address)} would hold")
    return Mismatch(FAR, f"{quote(value)} is not an IP address")


STRING_EXPLAINERS: dict[str, Callable[[Condition, str], Mismatch]] = {
    "cidr": _explain_cidr,
    "equals-ignore-case": _explain_ignore_case,
    "exactly": _explain_exactly,
    "prefix": _explain_prefix,
    "suffix": _explain_suffix,
    "wildcard": _explain_wildcard,
}


def _explain_non_string(condition: Condition, value: Scalar) -> Mismatch:
    message = f"{describe_type(value, 'string')}, and {condition.operator} takes strings only"
    if value is not None and condition.test(to_text(value)):
        return Mismatch(ALMOST, f"{message}: in quotes it would hold")
    return Mismatch(FAR, message)


def _explain_excluded(condition: Condition, value: Scalar) -> Mismatch:
    expected = condition.expected
    if not isinstance(expected, dict):
        description = "the value"
        if isinstance(expected, list) and len(expected) > 1:
            description = "one of the values"
        return Mismatch(0.5, f"{quote(value)} is {description} that anything-but excludes")
    inner, argument = next(iter(expected.items()))
    excluding = argument
    if isinstance(argument, list):
        excluding = _find_excluding(inner, argument, value)
    return Mismatch(0.5, f"{quote(value)} is excluded by anything-but {inner} {quote(excluding)}")


def _find_excluding(inner: str, texts: list[str], value: Scalar) -> str | list[str]:
    """Returns the text of an anything-but list that excludes a value."""
    for text in texts:
        if not _is_match("anything-but", {inner: text}, value):
            return text
    return texts


def explain_mismatch(condition: Condition, value: Scalar) -> Mismatch:
    """Explains why a condition does not hold for a value. Call it only if the test of the condition returned False."""
    if condition.operator == EQUALS:
        return _explain_equals(condition, value)
    if condition.operator == "numeric":
        return _explain_numeric(condition, value)
    if condition.operator == "anything-but":
        return _explain_excluded(condition, value)
    if condition.operator == "exists":
        return Mismatch(0.5, f"the field is there, with the value {quote(value)}")
    if not isinstance(value, str):
        return _explain_non_string(condition, value)
    if condition.operator in STRING_EXPLAINERS:
        return STRING_EXPLAINERS[condition.operator](condition, value)
    return Mismatch(FAR, f"{quote(value)} does not hold for {describe_condition(condition)}")
