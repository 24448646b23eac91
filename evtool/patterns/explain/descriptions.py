"""Describes values and conditions in words."""

import json
from collections.abc import Iterator
from typing import Any

from evtool.findings.phrases import shorten
from evtool.patterns.compiler import EQUALS, UNKNOWN
from evtool.patterns.conditions import Condition
from evtool.patterns.json_values import NumberText, Scalar, format_number, to_scalar
from evtool.patterns.unknown import format_open_value


def to_text(value: Scalar) -> str:
    """Returns the JSON of a value; of a string without the quotes."""
    if type(value) is float:
        return format_number(value)
    if isinstance(value, str):
        return value
    return json.dumps(value)


def name_type(value: Scalar) -> str:
    """Returns the JSON type of a value."""
    if isinstance(value, float | NumberText):
        return "number"
    if value is None:
        return "null"
    if isinstance(value, str):
        return "string"
    return "boolean"


def describe_type(value: Scalar, expected_type: str = "") -> str:
    """Describes the type: `300 is a number`, `"300" is a string`, `null is not a string`."""
    if value is None:
        return f"null is not a {expected_type}"
    return f"{quote(value)} is a {name_type(value)}"


def quote(value: Any) -> str:
    """Returns the JSON of a value, shortened if it is long."""
    if isinstance(value, float | NumberText):
        text = format_number(value)
    else:
        text = json.dumps(value, ensure_ascii=False)
    return shorten(text)


def describe_condition(condition: Condition) -> str:
    """Describes a condition: `"USD"`, `numeric > 0 and <= 5`, `prefix "shop."`."""
    if condition.operator == EQUALS:
        return quote(get_expected(condition))
    if condition.unknown:
        text = shorten(format_open_value(condition.expected))
        if condition.operator == UNKNOWN:
            return text
        return f"{condition.operator} {text}"
    if condition.operator == "numeric":
        terms = [f"{name} {bound}" for name, bound in split_terms(condition.expected)]
        return "numeric " + " and ".join(terms)
    return f"{condition.operator} {quote(condition.expected)}"


def get_expected(condition: Condition) -> Scalar:
    """Returns the value of a plain condition in the form in which it is compared."""
    value = to_scalar(condition.expected)
    # `expected` has a number that a double cannot hold as a string. Only the test knows that it is a number.
    if isinstance(value, str) and not condition.test(value):
        return NumberText(value)
    return value


def split_terms(expected: list[Any]) -> Iterator[tuple[str, Any]]:
    """Yields the comparisons of `numeric`, each with its bound."""
    return zip(expected[::2], expected[1::2], strict=True)
