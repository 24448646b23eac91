"""Lookup tables of the index, one kind for each kind of operator: they find the conditions that may hold for a value.

A lookup must return every condition that holds for a value. It may also return conditions that do not hold, since the
pattern itself decides later. Example: `{"wildcard": "order-*-paid*"}` can be filed under the prefix `ORDER-`, or under
one of the parts `-pa`, `pai`, `aid`: each value for which the wildcard holds has all of them.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from math import inf
from typing import Any, NamedTuple, TypeVar

from evtool.patterns.conditions import Condition
from evtool.patterns.json_values import Scalar
from evtool.patterns.operators.cidr import find_digits, parse_address, parse_cidr
from evtool.patterns.operators.wildcard import split_literals

EXACT, IN_ANY_CASE, PREFIX, SUFFIX, PART, NUMBERS, ADDRESSES, PRESENT = range(8)
# Kinds in which one value may reach all keys.
BROAD = frozenset((NUMBERS, ADDRESSES, PRESENT))

# Up to this number, ranges are searched one by one.
MAX_LISTED_RANGES = 10
# Characters of a part of a wildcard that are looked up.
GRAM_LENGTH = 3
# Hexadecimal digits of an address that are looked up: all of IPv4, or the first of IPv6.
ADDRESS_DIGITS = 8

Target = TypeVar("Target")
# Returns the targets of the keys that a value reaches.
Lookup = Callable[[Scalar], Iterable[Target]]


class Key(NamedTuple):
    """A key to file a condition under: the path of its field, the kind of lookup, and a value or a range as a pair."""

    path: str
    kind: int
    value: Any


# --- the keys of a condition -----------------------------------------------------------------------------------------


def _to_number(digits: str) -> int:
    return int(digits[:ADDRESS_DIGITS].ljust(ADDRESS_DIGITS, "0"), 16)


def _iter_wildcard_keys(text: str) -> Iterator[tuple[int, Any]]:
    literals = split_literals(text)
    first, last = literals[0], literals[-1]
    if len(literals) == 1:
        yield EXACT, first
        return
    if first:
        yield PREFIX, first.upper()
    if last:
        yield SUFFIX, last.upper()
    for part in literals[1:-1]:
        for start in range(len(part) - GRAM_LENGTH + 1):
            yield PART, part[start : start + GRAM_LENGTH]


def _iter_keys(operator: str, expected: Any) -> Iterator[tuple[int, Any]]:
    match operator, expected:
        case "equals", str() if digits := parse_address(expected):
            yield ADDRESSES, (_to_number(digits), _to_number(digits))
        case ("equals" | "exactly", value) | ("numeric", ["=", value]):
            yield EXACT, value
        # Outside ASCII, upper and lower case do not always correspond (see operators/strings.py).
        case "equals-ignore-case", text if text.isascii():
            yield IN_ANY_CASE, text.upper()
        case ("prefix", str(text)):
            yield PREFIX, text.upper()
        case ("suffix", str(text)):
            yield SUFFIX, text.upper()
        case "prefix", {"equals-ignore-case": text} if text.isascii():
            yield PREFIX, text.upper()
        case "suffix", {"equals-ignore-case": text} if text.isascii():
            yield SUFFIX, text.upper()
        case "wildcard", text:
            yield from _iter_wildcard_keys(text)
        case "numeric", [(">" | ">="), lower]:
            yield NUMBERS, (lower, inf)
        case "numeric", [(">" | ">="), lower, _, upper]:
            yield NUMBERS, (lower, upper)
        case "numeric", [("<" | "<="), upper]:
            yield NUMBERS, (-inf, upper)
        case "cidr", text:
            block = parse_cidr(text)
            yield ADDRESSES, (_to_number(block.first), _to_number(block.last))


def keys_of(condition: Condition) -> list[Key]:
    """Returns the keys of a condition. Any one of them is enough to file it: each value for which it holds reaches all.

    The last key is the presence of any value, which is the only one for `anything-but` and `exists`.
    """
    keys = [Key(condition.path, kind, value) for kind, value in _iter_keys(condition.operator, condition.expected)]
    keys.append(Key(condition.path, PRESENT, None))
    return keys


# --- lookups ---------------------------------------------------------------------------------------------------------


def _build_exact(targets: Mapping[Any, Target]) -> Lookup[Target]:
    def look_up(value: Scalar) -> Iterable[Target]:
        if value in targets:
            return (targets[value],)
        return ()

    return look_up


def _build_in_any_case(targets: Mapping[str, Target]) -> Lookup[Target]:
    def look_up(value: Scalar) -> Iterable[Target]:
        target = None
        if value.__class__ is str:
            target = targets.get(value.upper())
        if target is None:
            return ()
        return (target,)

    return look_up


def _build_prefix(targets: Mapping[str, Target]) -> Lookup[Target]:
    lengths = sorted(set(map(len, targets)))
    # The engine compares the quoted JSON string, so a prefix may end with the closing quote (operators/strings.py).
    quote = ""
    if any(text.endswith('"') for text in targets):
        quote = '"'

    def look_up(value: Scalar) -> Iterable[Target]:
        if value.__class__ is not str:
            return ()
        text = (value + quote).upper()
        results = []
        for length in lengths:
            target = targets.get(text[:length])
            if target is not None:
                results.append(target)
        return results

    return look_up


def _build_suffix(targets: Mapping[str, Target]) -> Lookup[Target]:
    lengths = sorted(set(map(len, targets)))
    quote = ""
    if any(text.startswith('"') for text in targets):
        quote = '"'

    def look_up(value: Scalar) -> Iterable[Target]:
        if value.__class__ is not str:
            return ()
        text = (quote + value).upper()
        results = []
        for length in lengths:
            target = targets.get(text[max(len(text) - length, 0) :])
            if target is not None:
                results.append(target)
        return results

    return look_up


def _build_part(targets: Mapping[str, Target]) -> Lookup[Target]:
    def look_up(value: Scalar) -> Iterable[Target]:
        if type(value) is not str:
            return ()
        if len(value) > len(targets):
            return [target for part, target in targets.items() if part in value]
        parts = {value[start : start + GRAM_LENGTH] for start in range(len(value))}
        return [targets[part] for part in parts if part in targets]

    return look_up


class _IntervalTree:
    """An interval tree: the ranges that contain a middle, sorted by each end, and trees of those below and above it."""

    def __init__(self, targets: Mapping[tuple[float, float], Any]):
        ends = sorted(chain.from_iterable(targets))
        self.middle = ends[len(ends) // 2]
        self.below: _IntervalTree | None = None
        self.above: _IntervalTree | None = None
        below, above, around = {}, {}, []
        for (lower, upper), target in targets.items():
            if upper < self.middle:
                below[lower, upper] = target
            elif lower > self.middle:
                above[lower, upper] = target
            else:
                around.append((lower, upper, target))
        self.by_lower = sorted(around, key=_get_lower)
        self.by_upper = sorted(around, key=_get_upper)
        if below:
            self.below = _IntervalTree(below)
        if above:
            self.above = _IntervalTree(above)

    def find(self, value: float) -> list[Any]:
        """Returns the targets of the ranges that contain a value, their ends included."""
        results = []
        tree: _IntervalTree | None = self
        while tree:
            if value <= tree.middle:
                results += tree.by_lower[: bisect_right(tree.by_lower, value, key=_get_lower)]
                tree = tree.below
            else:
                results += tree.by_upper[bisect_left(tree.by_upper, value, key=_get_upper) :]
                tree = tree.above
        return [target for _, _, target in results]


def _get_lower(entry: tuple[float, float, Any]) -> float:
    return entry[0]


def _get_upper(entry: tuple[float, float, Any]) -> float:
    return entry[1]


def _build_numbers(targets: Mapping[tuple[float, float], Target]) -> Lookup[Target]:
    listed = [(lower, upper, target) for (lower, upper), target in targets.items()]
    tree: _IntervalTree | None = None
    if len(targets) > MAX_LISTED_RANGES:
        tree = _IntervalTree(targets)

    def look_up(value: Scalar) -> Iterable[Target]:
        if type(value) is not float:
            return ()
        if tree:
            return tree.find(value)
        return [target for lower, upper, target in listed if lower <= value <= upper]

    return look_up


def _build_addresses(targets: Mapping[tuple[float, float], Target]) -> Lookup[Target]:
    ranges = _IntervalTree(targets)

    def look_up(value: Scalar) -> Iterable[Target]:
        digits = find_digits(value)
        if digits:
            return ranges.find(_to_number(digits))
        return ()

    return look_up


def _build_present(targets: Mapping[None, Target]) -> Lookup[Target]:
    def look_up(_: Scalar) -> Iterable[Target]:
        return targets.values()

    return look_up


LOOKUPS: Mapping[int, Callable[[Mapping[Any, Any]], Lookup[Any]]] = {
    EXACT: _build_exact,
    IN_ANY_CASE: _build_in_any_case,
    PREFIX: _build_prefix,
    SUFFIX: _build_suffix,
    PART: _build_part,
    NUMBERS: _build_numbers,
    ADDRESSES: _build_addresses,
    PRESENT: _build_present,
}
