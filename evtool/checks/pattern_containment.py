"""Proves that one pattern matches every event that another pattern matches. Without a proof the answer is no.

A pattern covers another if each branch of the other lies in one of its branches. A branch lies in a second one if it
has all fields of the second, and each of its conditions takes only values that a condition of the second takes, too:

    {"source": ["shop.cart"], "detail": {"total": [{"numeric": [">", 20]}]}}
        lies in {"source": [{"prefix": "shop."}]}: every value that "shop.cart" takes begins with "shop."
"""

from collections.abc import Callable, Mapping
from typing import Any

from evtool.patterns.conditions import Branch, Condition, Field
from evtool.patterns.json_values import to_scalar
from evtool.patterns.operators.cidr import parse_address
from evtool.patterns.operators.wildcard import split_literals
from evtool.patterns.pattern import Pattern

ALWAYS_STRINGS = ("id", "source")  # the fields that are a string in every event, whatever its envelope
STRING_OPERATORS = ("exactly", "prefix", "suffix", "wildcard", "equals-ignore-case")
FLAT_DEPTH = 2  # names in a path that leads through no array: `detail` is an object
MAX_PAIRS = 10_000  # of branches that are compared


def covers(outer: Pattern, inner: Pattern) -> bool:
    """Whether it is proven that `outer` matches every event that `inner` matches."""
    if len(outer.branches) * len(inner.branches) > MAX_PAIRS:
        return False
    return all(any(_lies_in(branch, other) for other in outer.branches) for branch in inner.branches)


def _lies_in(inner: Branch, outer: Branch) -> bool:
    fields = {field.path: field for field in inner}
    # Absence in an element of an array depends on which elements the other fields choose: all have to be the same.
    if any(field.can_be_absent and field.path.count(".") >= FLAT_DEPTH for field in outer):
        if {field.path for field in outer} != set(fields):
            return False
        if any(field.can_be_absent != fields[field.path].can_be_absent for field in outer):
            return False
    return all(_is_implied(field, fields.get(field.path)) for field in outer)


def _is_implied(outer: Field, inner: Field | None) -> bool:
    if inner is None:
        return outer.path in ALWAYS_STRINGS and any(map(_takes_all_strings, outer.conditions))
    if inner.can_be_absent and not outer.can_be_absent:
        return False
    return all(_takes_all_of(outer, condition) for condition in inner.conditions if not _is_absence(condition))


def _takes_all_of(outer: Field, inner: Condition) -> bool:
    """Whether a field holds for every value for which a condition holds."""
    if inner.operator in ("equals", "exactly") and _takes_one_value(inner):
        return outer.test(to_scalar(inner.expected))
    return any(_implies(inner, condition) for condition in outer.conditions)


def _takes_one_value(condition: Condition) -> bool:
    """Whether a condition takes a single value; a string that is an IP address stands for all its spellings."""
    expected = condition.expected
    if condition.operator == "equals" and isinstance(expected, str) and parse_address(expected) is not None:
        return False
    return condition.test(to_scalar(expected))


def _implies(inner: Condition, outer: Condition) -> bool:
    if _is_absence(outer):
        return False
    if (outer.operator == "exists") or (inner.operator, inner.expected) == (outer.operator, outer.expected):
        return True
    if inner.operator in STRING_OPERATORS and _takes_all_strings(outer):
        return True
    prove = PROOFS.get((inner.operator, outer.operator))
    return prove is not None and prove(inner.expected, outer.expected)


def _is_absence(condition: Condition) -> bool:
    return condition.operator == "exists" and condition.expected is False


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
    first, *rest = split_literals(outer)
    return isinstance(inner, str) and '"' not in inner and rest == [""] and inner.startswith(first)


def _is_suffix_in_wildcard(inner: Any, outer: Any) -> bool:
    *rest, last = split_literals(outer)
    return isinstance(inner, str) and '"' not in inner and rest == [""] and inner.endswith(last)


def _is_wildcard_in_prefix(inner: Any, outer: Any) -> bool:
    return isinstance(outer, str) and split_literals(inner)[0].startswith(outer)


def _is_wildcard_in_suffix(inner: Any, outer: Any) -> bool:
    return isinstance(outer, str) and split_literals(inner)[-1].endswith(outer)


def _is_narrower_range(inner: Any, outer: Any) -> bool:
    low, high = _read_range(inner)
    outer_low, outer_high = _read_range(outer)
    return outer_low <= low and high <= outer_high


def _read_range(terms: Any) -> tuple[tuple[float, int], tuple[float, int]]:
    """The lower and the upper bound of a range, as pairs that can be compared: 1 says that the bound is left out."""
    low, high = (float("-inf"), 0), (float("inf"), 0)
    for name, bound in zip(terms[::2], terms[1::2], strict=True):
        if name in ("=", ">=", ">"):
            low = (float(bound), 1 if name == ">" else 0)
        if name in ("=", "<=", "<"):
            high = (float(bound), -1 if name == "<" else 0)
    return low, high


def _excludes_more(inner: Any, outer: Any) -> bool:
    if isinstance(inner, Mapping) or isinstance(outer, Mapping):
        return False
    excluded, others = (value if isinstance(value, list) else [value] for value in (inner, outer))
    return all(any(type(value) is type(other) and value == other for other in excluded) for value in others)


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
