"""`numeric`: compares numbers, as doubles, with one or two bounds."""

import json
from collections.abc import Callable, Sequence
from operator import eq, ge, gt, le, lt
from typing import Any

from evtool.patterns.json_values import ARRAY, OBJECT, SCALAR, NumberText, Scalar, kind_of, to_python
from evtool.patterns.operators.arguments import TOO_MANY, ArgumentError, Test, is_string, require_double, require_number

COMPARISONS: dict[str, Callable[[float, float], bool]] = {"=": eq, "<": lt, "<=": le, ">": gt, ">=": ge}
# Comparisons of other languages.
OPERATOR_HINTS = {"!=": 'write {"anything-but": 5} instead', "==": 'write "="'}


def _format_term(terms: Sequence[Any], index: int) -> str:
    """Formats a term as AWS does in its messages."""
    # AWS names the bracket that ends the list if the term is missing.
    if index >= len(terms):
        return "]"
    kind = kind_of(terms[index])
    if kind == OBJECT:
        return "{"
    if kind != SCALAR:
        return "["
    if isinstance(terms[index], str):
        return str(terms[index])
    value = to_python(terms[index])
    if isinstance(value, str):
        return value
    return json.dumps(value)


def _require_bound(terms: Sequence[Any], index: int, name: str) -> float | NumberText:
    # AWS names "=" in words here.
    word = name
    if name == "=":
        word = "equals"
    message = f"Value of {word} must be numeric"
    if index >= len(terms):
        raise ArgumentError(message)
    return require_number(terms[index], message, index)


def _build_comparison(name: str, bound: float) -> Test:
    compare = COMPARISONS[name]

    def holds(value: Scalar) -> bool:
        # A NumberText is not compared: a double cannot hold it.
        return type(value) is float and compare(value, bound)

    return holds


def _parse_upper_bound(terms: Sequence[Any]) -> tuple[str, float | NumberText]:
    """Returns the comparison and the bound of the second half of a range. Raises ArgumentError."""
    if not is_string(terms[2]):
        raise ArgumentError(f"Bad value in numeric range: {_format_term(terms, 2)}", 2)
    name = terms[2]
    if name not in ("<", "<="):
        raise ArgumentError(f"Bad numeric range operator: {name}", 2, hint='the upper bound follows "<" or "<="')
    bound = _require_bound(terms, 3, name)
    if len(terms) > 4:
        raise ArgumentError("Too many terms in numeric range expression", 4)
    return name, bound


def numeric(argument: Any) -> Test:
    """`{"numeric": [">", 0, "<=", 5]}`."""
    if kind_of(argument) != ARRAY:
        raise ArgumentError("Value of numeric must be an array.", hint='write it as [">", 0, "<=", 5]')
    if not argument or not is_string(argument[0]):
        message = f"Invalid member in numeric match: {_format_term(argument, 0)}"
        raise ArgumentError(message, hint="a comparison comes first")
    name = argument[0]
    if name not in COMPARISONS:
        hint = OPERATOR_HINTS.get(name, f"the comparisons are {', '.join(COMPARISONS)}")
        raise ArgumentError(f"Unrecognized numeric range operator: {name}", 0, hint=hint)
    bound = _require_bound(argument, 1, name)
    if len(argument) == 2:
        return _build_comparison(name, require_double(bound, 1))
    return _build_range(name, bound, argument)


def _build_range(name: str, bound: float | NumberText, terms: Sequence[Any]) -> Test:
    """Returns the test for a range that begins with a comparison and a bound. Raises ArgumentError."""
    hint = None
    if name not in (">", ">="):
        if name != "=":
            hint = "the lower bound of a range comes first"
        raise ArgumentError(TOO_MANY, 2, hint=hint)
    upper_name, upper_limit = _parse_upper_bound(terms)
    lower_bound = require_double(bound, 1)
    upper_bound = require_double(upper_limit, 3)
    if lower_bound >= upper_bound:
        if lower_bound == upper_bound:
            hint = 'for one number use "="'
        raise ArgumentError("Bottom must be less than top", hint=hint)
    is_above = COMPARISONS[name]
    is_below = COMPARISONS[upper_name]

    def holds(value: Scalar) -> bool:
        return type(value) is float and is_above(value, lower_bound) and is_below(value, upper_bound)

    return holds
