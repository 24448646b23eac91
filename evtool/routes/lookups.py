"""Lookup tables of the index, one kind per operator: the conditions that may hold for a value.

A lookup must return every condition that may hold for a value; it may also return conditions that do not hold.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from math import inf
from typing import Any, NamedTuple, TypeVar

from evtool.patterns.conditions import Condition
from evtool.patterns.json_values import Scalar
from evtool.patterns.operators.cidr import find_digits, parse_address, parse_cidr
from evtool.patterns.operators.wildcard import split_literals

EXACT, IN_ANY_CASE, PREFIX, SUFFIX, PART, NUMBERS, ADDRESSES, PRESENT = range(8)
BROAD = frozenset((NUMBERS, ADDRESSES, PRESENT))  # where one value may meet all

MAX_LISTED_RANGES = 10  # ranges that are looked through one by one
GRAM_LENGTH = 3  # characters of a part of a wildcard that are looked up
ADDRESS_DIGITS = 8  # digits of an address that are looked up: those of IPv4, or the first of IPv6

Target = TypeVar("Target")
Lookup = Callable[[Scalar], Iterable[Target]]  # what is filed under something that a value may meet


class Key(NamedTuple):
    """What a condition is filed under: its field, the kind of lookup, and there the value, or the range as two ends."""

    path: str
    kind: int
    value: Any


# --- what a condition is filed under ---------------------------------------------------------------------------------


def _to_number(digits: str) -> int:
    return int(digits[:ADDRESS_DIGITS].ljust(ADDRESS_DIGITS, "0"), 16)


def _iter_wildcard_keys(text: str) -> Iterator[tuple[int, Any]]:
    first, *rest = split_literals(text)
    if not rest:
        yield EXACT, first
        return
    if first:
        yield PREFIX, first.upper()
    if rest[-1]:
        yield SUFFIX, rest[-1].upper()
    for part in rest[:-1]:
        yield from ((PART, part[start : start + GRAM_LENGTH]) for start in range(len(part) - GRAM_LENGTH + 1))


def _iter_keys(operator: str, expected: Any) -> Iterator[tuple[int, Any]]:
    match operator, expected:
        case "equals", str() if digits := parse_address(expected):
            yield ADDRESSES, (_to_number(digits), _to_number(digits))
        case ("equals" | "exactly", value) | ("numeric", ["=", value]):
            yield EXACT, value
        case "equals-ignore-case", text if text.isascii():  # in other scripts case is not symmetric, see `strings`
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
        case "numeric", [(">" | ">="), lower, *rest]:
            yield NUMBERS, (lower, rest[1] if rest else inf)
        case "numeric", [("<" | "<="), upper]:
            yield NUMBERS, (-inf, upper)
        case "cidr", text:
            block = parse_cidr(text)
            yield ADDRESSES, (_to_number(block.first), _to_number(block.last))


def keys_of(condition: Condition) -> list[Key]:
    """The keys of which any one will do to file a condition: a value for which it holds meets each of them.

    The last one is the presence of any value, which is all there is for `anything-but` and `exists`.
    """
    kinds = [*_iter_keys(condition.operator, condition.expected), (PRESENT, None)]
    return [Key(condition.path, kind, value) for kind, value in kinds]


# --- lookups ---------------------------------------------------------------------------------------------------------


def _build_exact(targets: Mapping[Any, Target]) -> Lookup[Target]:
    return lambda value: (targets[value],) if value in targets else ()


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
    lengths = sorted({len(text) for text in targets})
    # see `strings.starts_with`
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
    lengths = sorted({len(text) for text in targets})
    quote = ""
    if any(text.startswith('"') for text in targets):
        quote = '"'

    def look_up(value: Scalar) -> Iterable[Target]:
        if value.__class__ is not str:
            return ()
        text = (quote + value).upper()
        results = []
        for length in lengths:
            target = targets.get(text[-length:] if length else "")
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
        return [
            targets[part]
            for part in {value[start : start + GRAM_LENGTH] for start in range(len(value))}
            if part in targets
        ]

    return look_up


class _IntervalTree:
    """An interval tree: the ranges around a middle, sorted by either end, and trees of those below and above it."""

    def __init__(self, targets: Mapping[tuple[float, float], Any]):
        ends = sorted(end for ends in targets for end in ends)
        middle = ends[len(ends) // 2]
        below = {ends: target for ends, target in targets.items() if ends[1] < middle}
        above = {ends: target for ends, target in targets.items() if ends[0] > middle}
        around = [(*ends, target) for ends, target in targets.items() if ends[0] <= middle <= ends[1]]
        self.middle = middle
        self.by_lower = sorted(around, key=_get_lower)
        self.by_upper = sorted(around, key=_get_upper)
        self.below = _IntervalTree(below) if below else None
        self.above = _IntervalTree(above) if above else None

    def find(self, value: float) -> list[Any]:
        """What is filed under the ranges that a value is in, or at an end of."""
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
    if len(targets) > MAX_LISTED_RANGES:
        ranges = _IntervalTree(targets)
        return lambda value: ranges.find(value) if type(value) is float else ()
    listed = [(*ends, target) for ends, target in targets.items()]

    def look_up(value: Scalar) -> Iterable[Target]:
        if type(value) is float:
            return [target for low, high, target in listed if low <= value <= high]
        return ()

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
    return lambda _: targets.values()


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
