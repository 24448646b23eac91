"""`numeric`: numbers above, below or between bounds, compared as doubles."""

import json
from collections.abc import Callable, Sequence
from operator import eq, ge, gt, le, lt
from typing import Any

from evtool.patterns.json_values import ARRAY, OBJECT, SCALAR, Digits, kind_of, plain
from evtool.patterns.operators.arguments import TOO_MANY, OperandError, Test, double, is_string, number

COMPARISONS: dict[str, Callable[[float, float], bool]] = {"=": eq, "<": lt, "<=": le, ">": gt, ">=": ge}
HINTS = {"!=": 'write {"anything-but": 5} instead', "==": 'write "="'}


def _shown(terms: Sequence[Any], index: int) -> str:
    """A term as AWS names it in its messages."""
    if index >= len(terms):
        return "]"
    kind = kind_of(terms[index])
    if kind != SCALAR:
        return "{" if kind == OBJECT else "["
    value = plain(terms[index]) if not isinstance(terms[index], str) else terms[index]
    return value if isinstance(value, str) else json.dumps(value)


def _bound(terms: Sequence[Any], index: int, name: str) -> float | Digits:
    message = f"Value of {'equals' if name == '=' else name} must be numeric"
    if index >= len(terms):
        raise OperandError(message)
    return number(terms[index], message, index)


def _comparing(name: str, bound: float) -> Test:
    compare = COMPARISONS[name]
    return lambda value: type(value) is float and compare(value, bound)


def _upper(terms: Sequence[Any]) -> tuple[str, float | Digits]:
    """The comparison and the bound of the second half of a range."""
    if not is_string(terms[2]):
        raise OperandError(f"Bad value in numeric range: {_shown(terms, 2)}", 2)
    name = terms[2]
    if name not in ("<", "<="):
        raise OperandError(f"Bad numeric range operator: {name}", 2, hint='the upper bound follows "<" or "<="')
    bound = _bound(terms, 3, name)
    if len(terms) > 4:
        raise OperandError("Too many terms in numeric range expression", 4)
    return name, bound


def numeric(argument: Any) -> Test:
    """`{"numeric": [">", 0, "<=", 5]}`."""
    if kind_of(argument) != ARRAY:
        raise OperandError("Value of numeric must be an array.", hint='write it as [">", 0, "<=", 5]')
    if not argument or not is_string(argument[0]):
        raise OperandError(f"Invalid member in numeric match: {_shown(argument, 0)}", hint="a comparison comes first")
    name = argument[0]
    if name not in COMPARISONS:
        hint = HINTS.get(name, f"there are {', '.join(COMPARISONS)}")
        raise OperandError(f"Unrecognized numeric range operator: {name}", 0, hint=hint)
    bound = _bound(argument, 1, name)
    if len(argument) == 2:
        return _comparing(name, double(bound, 1))
    if name not in (">", ">="):
        raise OperandError(TOO_MANY, 2, hint=None if name == "=" else "the lower bound of a range comes first")
    upper, limit = _upper(argument)
    bottom, top = double(bound, 1), double(limit, 3)
    if bottom >= top:
        raise OperandError("Bottom must be less than top", hint='for one number use "="' if bottom == top else None)
    above, below = COMPARISONS[name], COMPARISONS[upper]
    return lambda value: type(value) is float and above(value, bottom) and below(value, top)
