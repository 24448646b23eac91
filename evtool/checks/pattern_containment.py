"""Proves that one pattern matches every event that another pattern matches. Without a proof the answer is no.

A pattern covers another if each branch of the other lies in one of its branches. A branch lies in a second one if it
has all fields of the second, and each of its conditions takes only values that a condition of the second takes, too:

    {"source": ["shop.cart"], "detail": {"total": [{"numeric": [">", 20]}]}}
        lies in {"source": [{"prefix": "shop."}]}: every value that "shop.cart" takes begins with "shop."
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from evtool.checks.base import is_absence, map_fields
from evtool.patterns.conditions import Branch, Condition, Field
from evtool.patterns.json_values import to_scalar
from evtool.patterns.operators.cidr import parse_address
from evtool.patterns.operators.wildcard import split_literals
from evtool.patterns.pattern import Pattern

# The fields that are a string in events of every envelope.
ALWAYS_STRINGS = ("id", "source")
STRING_OPERATORS = ("exactly", "prefix", "suffix", "wildcard", "equals-ignore-case")
# A path with fewer dots leads through no array, since `detail` is an object.
FLAT_DEPTH = 2
# Pairs of branches of two patterns that are compared.
MAX_PAIRS = 10_000

# A bound of a range and whether it belongs to the range, as a pair that can be compared with other pairs.
Bound = tuple[float, int]


def covers(outer: Pattern, inner: Pattern) -> bool:
    """Whether it is proven that `outer` matches every event that `inner` matches."""
    if len(outer.branches) * len(inner.branches) > MAX_PAIRS:
        return False
    return all(map(partial(_lies_in_one, outer=outer.branches), inner.branches))


def _lies_in_one(inner: Branch, outer: Sequence[Branch]) -> bool:
    return any(map(partial(_lies_in, inner), outer))


def _lies_in(inner: Branch, outer: Branch) -> bool:
    fields = map_fields(inner)
    # Absence in an element of an array depends on which elements the other fields choose, so both branches need the
    # same fields, and absence in the same ones.
    if any(map(_can_be_absent_in_array, outer)):
        if {field.path for field in outer} != set(fields):
            return False
        if any(field.can_be_absent != fields[field.path].can_be_absent for field in outer):
            return False
    return all(_is_implied(field, fields.get(field.path)) for field in outer)


def _can_be_absent_in_array(field: Field) -> bool:
    return field.can_be_absent and field.path.count(".") >= FLAT_DEPTH


def _is_implied(outer: Field, inner: Field | None) -> bool:
    if inner is None:
        return outer.path in ALWAYS_STRINGS and any(map(_takes_all_strings, outer.conditions))
    if inner.can_be_absent and not outer.can_be_absent:
        return False
    return all(is_absence(condition) or _takes_all_of(outer, condition) for condition in inner.conditions)


def _takes_all_of(outer: Field, inner: Condition) -> bool:
    """Whether a field holds for every value for which a condition holds."""
    if inner.operator in ("equals", "exactly") and _takes_one_value(inner):
        return outer.test(to_scalar(inner.expected))
    return any(map(partial(_implies, inner), outer.conditions))


def _takes_one_value(condition: Condition) -> bool:
    """Whether a condition takes a single value."""
    expected = condition.expected
    # A string that is an IP address takes all spellings of this address, such as ::1 and 0:0::1.
    if condition.operator == "equals" and isinstance(expected, str) and parse_address(expected) is not None:
        return False
    return condition.test(to_scalar(expected))


def _implies(inner: Condition, outer: Condition) -> bool:
    if is_absence(outer):
        return False
    if outer.operator == "exists":
        return True
    if (inner.operator, inner.expected) == (outer.operator, outer.expected):
        return True
    if inner.operator in STRING_OPERATORS and _takes_all_strings(outer):
        return True
    prove = PROOFS.get((inner.operator, outer.operator))
    return prove is not None and prove(inner.expected, outer.expected)


def _takes_all_strings(condition: Condition) -> bool:
    match condition.operator, condition.expected:
        case ("exists", True) | ("prefix", "") | ("suffix", "") | ("wildcard", "*"):
            return True
    return False


# --- one operator against another: the arguments of the inner and of the outer condition -----------------------------


def _is_longer_prefix(inner: Any, outer: Any) -> bool:
    return isinstance(inner, str) and isinstance(outer, str) and inner.startswith(outer)


def _is_longer_suffix(inner: Any, outer: Any) -> bool:
    return isinstance(inner, str) and isinstance(outer, str) and inner.endswith(outer)


def _is_prefix_in_wildcard(inner: Any, outer: Any) -> bool:
    # A wildcard `shop.*` has the literals "shop." and "". A prefix with a quote is excluded: AWS compares strings with
    # the quotes around them, so the prefix `abc"` holds for the string `abc`.
    literals = split_literals(outer)
    is_prefix = literals[1:] == [""]
    return isinstance(inner, str) and '"' not in inner and is_prefix and inner.startswith(literals[0])


def _is_suffix_in_wildcard(inner: Any, outer: Any) -> bool:
    literals = split_literals(outer)
    is_suffix = literals[:-1] == [""]
    return isinstance(inner, str) and '"' not in inner and is_suffix and inner.endswith(literals[-1])


def _is_wildcard_in_prefix(inner: Any, outer: Any) -> bool:
    return isinstance(outer, str) and split_literals(inner)[0].startswith(outer)


def _is_wildcard_in_suffix(inner: Any, outer: Any) -> bool:
    return isinstance(outer, str) and split_literals(inner)[-1].endswith(outer)


def _is_narrower_range(inner: Any, outer: Any) -> bool:
    low, high = _read_range(inner)
    outer_low, outer_high = _read_range(outer)
    return outer_low <= low and high <= outer_high


def _read_range(terms: Any) -> tuple[Bound, Bound]:
    """Returns the lower and the upper bound of a range.

    `[">", 5, "<=", 9]` is (5, 1) and (9, 0): a lower bound that is left out is greater than one that is not, and an
    upper bound that is left out is (9, -1), which is less.
    """
    low, high = (float("-inf"), 0), (float("inf"), 0)
    for name, value in zip(terms[::2], terms[1::2], strict=True):
        bound = float(value)
        if name == ">":
            low = (bound, 1)
        elif name == ">=":
            low = (bound, 0)
        elif name == "<":
            high = (bound, -1)
        elif name == "<=":
            high = (bound, 0)
        elif name == "=":
            low = high = (bound, 0)
    return low, high


def _excludes_more(inner: Any, outer: Any) -> bool:
    """Whether one `anything-but` excludes all values that another one excludes."""
    # `anything-but` with an operator, such as a prefix, is not compared.
    if isinstance(inner, Mapping) or isinstance(outer, Mapping):
        return False
    # The type counts: True == 1 in Python, but not in JSON.
    excluded = [(type(value), value) for value in _as_list(inner)]
    return all((type(value), value) in excluded for value in _as_list(outer))


def _as_list(value: Any) -> list[Any]:
    if isinstance(value, list):
        return value
    return [value]


PROOFS: dict[tuple[str, str], Callable[[Any, Any], bool]] = {
    ("prefix", "prefix"): _is_longer_prefix,
    ("suffix", "suffix"): _is_longer_suffix,
    ("prefix", "wildcard"): _is_prefix_in_wildcard,
    ("suffix", "wildcard"): _is_suffix_in_wildcard,
    ("wildcard", "prefix"): _is_wildcard_in_prefix,
    ("wildcard", "suffix"): _is_wildcard_in_suffix,
    ("numeric", "numeric"): _is_narrower_range,
    ("anything-but", "anything-but"): _excludes_more,
}
