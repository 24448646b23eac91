"""Explains in words why a value does not satisfy a condition, and rates how close it is."""

import json
import re
import unicodedata
from collections.abc import Callable, Iterator
from decimal import Decimal
from difflib import SequenceMatcher
from functools import lru_cache
from os.path import commonprefix
from typing import Any, NamedTuple

from evtool.findings.phrases import shorten
from evtool.patterns.compiler import EQUALS, UNKNOWN
from evtool.patterns.conditions import Condition
from evtool.patterns.json_values import NumberText, Scalar, format_number, to_scalar
from evtool.patterns.operators.arguments import ArgumentError
from evtool.patterns.operators.cidr import parse_address
from evtool.patterns.operators.numeric import COMPARISONS
from evtool.patterns.operators.registry import OPERATORS
from evtool.patterns.operators.wildcard import split_literals
from evtool.patterns.unknown import format_open_value

MAX_COMPARED = 200  # characters of a text that are looked at for likeness
FAR = 0.1  # the closeness of what has nothing in common
NEAR = 0.8  # from here on a miss is told, whatever else does not hold
ALMOST = 0.95  # the closeness of what differs in form only: type, case, blanks


class Mismatch(NamedTuple):
    """Why something does not hold, and how near it comes: from 0 to 1, where 1 would hold."""

    closeness: float
    reason: str


# --- words -----------------------------------------------------------------------------------------------------------


def _to_text(value: Scalar) -> str:
    """A value as its JSON has it, a text without its quotes."""
    if type(value) is float:
        return format_number(value)
    if isinstance(value, str):
        return value
    return json.dumps(value)


def _name_type(value: Scalar) -> str:
    if isinstance(value, float | NumberText):
        return "number"
    if value is None:
        return "null"
    if isinstance(value, str):
        return "string"
    return "boolean"


def _describe_type(value: Scalar, expected_type: str = "") -> str:
    """`300 is a number`, `"300" is a string`, `null is not a string`."""
    if value is None:
        return f"null is not a {expected_type}"
    return f"{quote(value)} is a {_name_type(value)}"


def _format_decimal(number: Decimal) -> str:
    number = number.normalize()
    if -10 < number.adjusted() < 20:
        return f"{number:f}"
    return f"{number:e}"


def quote(value: Any) -> str:
    """A value as JSON, cut where it is long."""
    if isinstance(value, float | NumberText):
        text = format_number(value)
    else:
        text = json.dumps(value, ensure_ascii=False)
    return shorten(text)


def describe_condition(condition: Condition) -> str:
    """What a condition asks for: `"USD"`, `numeric > 0 and <= 5`, `prefix "shop."`."""
    if condition.operator == EQUALS:
        return quote(get_expected(condition))
    if condition.unknown:
        text = shorten(format_open_value(condition.expected))
        if condition.operator == UNKNOWN:
            return text
        return f"{condition.operator} {text}"
    if condition.operator == "numeric":
        return "numeric " + " and ".join(f"{name} {bound}" for name, bound in split_terms(condition.expected))
    return f"{condition.operator} {quote(condition.expected)}"


# --- what a condition expects ----------------------------------------------------------------------------------------


def get_expected(condition: Condition) -> Scalar:
    """The value that a plain condition compares with; of a number that a double cannot keep only the text is left."""
    value = to_scalar(condition.expected)
    if isinstance(value, str) and not condition.test(value):
        return NumberText(value)
    return value


def split_terms(expected: list[Any]) -> Iterator[tuple[str, Any]]:
    """The comparisons of `numeric`, each with its bound."""
    return zip(expected[::2], expected[1::2], strict=True)


def _is_match(operator: str, expected: Any, value: Scalar) -> bool:
    """Whether another condition would hold."""
    try:
        return OPERATORS[operator](expected)(value)
    except ArgumentError:
        return False


# --- numbers ---------------------------------------------------------------------------------------------------------


def _explain_gap(value: float, bound: Any) -> Mismatch:
    """By how much a number misses a bound."""
    limit = Decimal(str(bound))
    gap = Decimal(repr(value)) - limit
    closeness = float(1 / (1 + abs(gap) / (abs(limit) or 1)))
    side = "above"
    if gap < 0:
        side = "below"
    return Mismatch(max(FAR, NEAR * closeness), f"{format_number(value)} is {_format_decimal(abs(gap))} {side} {bound}")


def _explain_numeric(condition: Condition, value: Scalar) -> Mismatch:
    if not isinstance(value, float | NumberText):
        return _explain_non_number(condition, value)
    if isinstance(value, NumberText):
        return Mismatch(FAR, f"{quote(value)} has more digits than numeric can compare")
    name, bound = next(term for term in split_terms(condition.expected) if not COMPARISONS[term[0]](value, term[1]))
    if value == bound:
        side = "below"
        if name == ">":
            side = "above"
        return Mismatch(NEAR, f"{format_number(value)} is not {side} {bound}: the bound itself does not count")
    return _explain_gap(value, bound)


def _explain_non_number(condition: Condition, value: Scalar) -> Mismatch:
    message = f"{_describe_type(value, 'number')}, and numeric takes numbers only"
    try:
        number = None
        if isinstance(value, str):
            number = to_scalar(json.loads(value))
    except (ValueError, TypeError, RecursionError):
        number = None
    if isinstance(number, float) and condition.test(number):
        return Mismatch(ALMOST, f"{message}: without quotes it would hold")
    return Mismatch(FAR, message)


# --- plain values ----------------------------------------------------------------------------------------------------


def _explain_equals(condition: Condition, value: Scalar) -> Mismatch:
    expected = get_expected(condition)
    if type(expected) is str and type(value) is str:
        return _explain_string(expected, value)
    message = f"{quote(value)} is not {quote(expected)}"
    if isinstance(expected, float | NumberText) and isinstance(value, float | NumberText):
        if isinstance(value, float) and isinstance(expected, float):
            return _explain_gap(value, condition.expected)
        return Mismatch(FAR, f"{message}: numbers as long as this are compared digit by digit")
    if _name_type(expected) == _name_type(value) or expected is None or value is None:
        return Mismatch(FAR, message)
    is_same = _is_spelling_of(value, expected) or _is_spelling_of(expected, value)
    return Mismatch(ALMOST if is_same else FAR, f"{_describe_type(value)}, {_describe_type(expected)}")


def _is_spelling_of(text: Scalar, value: Scalar) -> bool:
    """Whether a text spells another value: `"300"` is 300, `"true"` is true."""
    try:
        if type(text) is str:
            spelled = to_scalar(json.loads(text))
        else:
            spelled = text
    except (ValueError, TypeError, RecursionError):
        return False
    return type(text) is str and spelled == value and type(spelled) is type(value)


def _explain_string(expected: str, value: str) -> Mismatch:
    actual, target = quote(value), quote(expected)
    if value.casefold() == expected.casefold():
        return Mismatch(ALMOST, f"{actual} differs from {target} in upper and lower case only")
    if "".join(value.split()) == "".join(expected.split()):
        return Mismatch(ALMOST, f"{actual} differs from {target} in blanks only")
    if unicodedata.normalize("NFKC", value) == unicodedata.normalize("NFKC", expected):
        return Mismatch(ALMOST, f"{actual} looks like {target}, but is made of other characters")
    if "*" in expected and _is_match("wildcard", expected, value):
        return Mismatch(0.9, f"{actual} is not {target}: only in a wildcard a star stands for other characters")
    closeness = _measure_similarity(expected, value)
    if closeness >= NEAR:
        return Mismatch(closeness, f"{actual} is near {target}, but not equal")
    return Mismatch(closeness, f"{actual} is not {target}")


@lru_cache(maxsize=1000)  # many patterns ask for the same values
def _measure_similarity(first: str, second: str) -> float:
    return max(FAR, 0.9 * SequenceMatcher(None, first[:MAX_COMPARED], second[:MAX_COMPARED], autojunk=False).ratio())


# --- operators on texts ----------------------------------------------------------------------------------------------


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
    return _explain_affix(condition, value, ("begin", "at the beginning"), lambda text: text)


def _explain_suffix(condition: Condition, value: str) -> Mismatch:
    return _explain_affix(condition, value, ("end", "at the end"), lambda text: text[::-1])


def _explain_affix(condition: Condition, value: str, words: tuple[str, str], orient: Callable[[str], str]) -> Mismatch:
    """Of a suffix the same is told as of a prefix, with all texts turned round."""
    verb, location = words
    any_case = isinstance(condition.expected, dict)
    if any_case:
        text = next(iter(condition.expected.values()))
    else:
        text = condition.expected
    actual, target, turned = quote(value), quote(text), orient(value)
    if turned.lower().startswith(orient(text).lower()) and not any_case:
        return Mismatch(ALMOST, f"{actual} {verb}s with {target} in other upper and lower case only")
    if text in value:
        return Mismatch(NEAR, f"{actual} has {target} in it, but not {location}")
    common = commonprefix([turned, orient(text)])  # noqa: RUF071  (of characters)
    closeness = NEAR * len(common) / len(text)
    if 2 * len(common) < len(text):
        return Mismatch(max(FAR, closeness), f"{actual} does not {verb} with {target}")
    return Mismatch(closeness, f"{actual} {verb}s with {quote(orient(common))}, but not with {target}")


def _explain_wildcard(condition: Condition, value: str) -> Mismatch:
    actual, target = quote(value), quote(condition.expected)
    if _is_match("wildcard", condition.expected.lower(), value.lower()):
        return Mismatch(ALMOST, f"{actual} differs from {target} in upper and lower case only")
    parts = split_literals(condition.expected)
    if len(parts) == 1:
        return _explain_string(parts[0], value)
    if not value.startswith(parts[0]):
        return Mismatch(FAR, f"{actual} does not begin with {quote(parts[0])}, as {target} asks")
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
    message = f"{_describe_type(value, 'string')}, and {condition.operator} takes strings only"
    if value is not None and condition.test(_to_text(value)):
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
    if isinstance(argument, list):
        texts = argument
    else:
        texts = [argument]
    excluding = next((text for text in texts if not _is_match("anything-but", {inner: text}, value)), argument)
    return Mismatch(0.5, f"{quote(value)} is excluded by anything-but {inner} {quote(excluding)}")


def explain_mismatch(condition: Condition, value: Scalar) -> Mismatch:
    """Why a condition does not hold for a value, for which its test says no."""
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
