"""`numeric`: compares numbers with one or two bounds, as doubles."""

import json
from collections.abc import Callable, Sequence
from operator import eq, ge, gt, le, lt
from typing import Any

from evtool.patterns.json_values import ARRAY, OBJECT, SCALAR, NumberText, kind_of, to_python
from evtool.patterns.operators.arguments import TOO_MANY, ArgumentError, Test, is_string, require_double, require_number

COMPARISONS: dict[str, Callable[[float, float], bool]] = {"=": eq, "<": lt, "<=": le, ">": gt, ">=": ge}
OPERATOR_HINTS = {"!=": 'write {"anything-but": 5} instead', "==": 'write "="'}


def _format_term(terms: Sequence[Any], index: int) -> str:
    """A term as AWS names it in its messages."""
    if index >= len(terms):
        return "]"
    kind = kind_of(terms[index])
    if kind != SCALAR:
        if kind == OBJECT:
            return "{"
        return "["
    if not isinstance(terms[index], str):
        value = to_python(terms[index])
    else:
        value = terms[index]
    if isinstance(value, str):
        return value
    return json.dumps(value)


def _require_bound(terms: Sequence[Any], index: int, name: str) -> float | NumberText:
    message = f"Value of {'equals' if name == '=' else name} must be numeric"
    if index >= len(terms):
        raise ArgumentError(message)
    return require_number(terms[index], message, index)


def _build_comparison(name: str, bound: float) -> Test:
    compare = COMPARISONS[name]
    return lambda value: type(value) is float and compare(value, bound)


def _parse_upper_bound(terms: Sequence[Any]) -> tuple[str, float | NumberText]:
    """The comparison and the bound of the second half of a range."""
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
        raise ArgumentError(
            f"Invalid member in numeric match: {_format_term(argument, 0)}", hint="a comparison comes first"
        )
    name = argument[0]
    if name not in COMPARISONS:
        hint = OPERATOR_HINTS.get(name, f"there are {', '.join(COMPARISONS)}")
        raise ArgumentError(f"Unrecognized numeric range operator: {name}", 0, hint=hint)
    bound = _require_bound(argument, 1, name)
    if len(argument) == 2:
        return _build_comparison(name, require_double(bound, 1))
    if name not in (">", ">="):
        raise ArgumentError(TOO_MANY, 2, hint=None if name == "=" else "the lower bound of a range comes first")
    upper_name, upper_limit = _parse_upper_bound(argument)
    lower_bound, upper_bound = require_double(bound, 1), require_double(upper_limit, 3)
    if lower_bound >= upper_bound:
        raise ArgumentError(
            "Bottom must be less than top", hint='for one number use "="' if lower_bound == upper_bound else None
        )
    is_above, is_below = COMPARISONS[name], COMPARISONS[upper_name]
    return lambda value: type(value) is float and is_above(value, lower_bound) and is_below(value, upper_bound)
