"""How the conditions of patterns are looked up by a value: what each is filed under, and who is met there.

A shelf only has to find every condition that may hold for a value; those that do not hold may come along.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from math import inf
from typing import Any, NamedTuple, TypeVar

from evtool.patterns.conditions import Condition
from evtool.patterns.json_values import Scalar
from evtool.patterns.operators.cidr import block_of, digits_of
from evtool.patterns.operators.wildcard import literals_of

EXACT, IN_ANY_CASE, PREFIX, SUFFIX, PART, NUMBERS, ADDRESSES, PRESENT = range(8)
BROAD = frozenset((NUMBERS, ADDRESSES, PRESENT))  # where one value may meet all

LISTED = 10  # ranges that are looked through one by one
GRAM = 3  # characters of a part of a wildcard that are looked up
ADDRESS = 8  # digits of an address that are looked up: those of IPv4, or the first of IPv6

Filed = TypeVar("Filed")
Shelf = Callable[[Scalar], Iterable[Filed]]  # what is filed under something that a value may meet


class Key(NamedTuple):
    """What a condition is filed under: its field, the kind of shelf, and there the value, or the range as two ends."""

    path: str
    kind: int
    value: Any


# --- what a condition is filed under ---------------------------------------------------------------------------------


def _address(digits: str) -> int:
    return int(digits[:ADDRESS], 16)


def _of_wildcard(text: str) -> Iterator[tuple[int, Any]]:
    first, *others = literals_of(text)
    if not others:
        yield EXACT, first
        return
    if first:
        yield PREFIX, first.upper()
    if others[-1]:
        yield SUFFIX, others[-1].upper()
    for part in others[:-1]:
        yield from ((PART, part[at : at + GRAM]) for at in range(len(part) - GRAM + 1))


def _kinds(operator: str, expected: Any) -> Iterator[tuple[int, Any]]:
    match operator, expected:
        case "equals", str() if digits := digits_of(expected):
            yield ADDRESSES, (_address(digits), _address(digits))
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
            yield from _of_wildcard(text)
        case "numeric", [(">" | ">="), lower, *rest]:
            yield NUMBERS, (lower, rest[1] if rest else inf)
        case "numeric", [("<" | "<="), upper]:
            yield NUMBERS, (-inf, upper)
        case "cidr", text:
            block = block_of(text)
            yield ADDRESSES, (_address(block.first), _address(block.last))


def keys_of(condition: Condition) -> list[Key]:
    """The keys of which any one will do to file a condition: a value for which it holds meets each of them.

    The last one is the presence of any value, which is all there is for `anything-but` and `exists`.
    """
    kinds = [*_kinds(condition.operator, condition.expected), (PRESENT, None)]
    return [Key(condition.path, kind, value) for kind, value in kinds]


# --- shelves ---------------------------------------------------------------------------------------------------------


def _exact(filed: Mapping[Any, Filed]) -> Shelf[Filed]:
    return lambda value: (filed[value],) if value in filed else ()


def _in_any_case(filed: Mapping[str, Filed]) -> Shelf[Filed]:
    def met(value: Scalar) -> Iterable[Filed]:
        below = filed.get(value.upper()) if value.__class__ is str else None
        return () if below is None else (below,)

    return met


def _prefix(filed: Mapping[str, Filed]) -> Shelf[Filed]:
    lengths = sorted({len(text) for text in filed})
    after = '"' if any(text.endswith('"') for text in filed) else ""  # see `strings.starting`

    def met(value: Scalar) -> Iterable[Filed]:
        if value.__class__ is not str:
            return ()
        text = (value + after).upper()
        found = []
        for length in lengths:
            below = filed.get(text[:length])
            if below is not None:
                found.append(below)
        return found

    return met


def _suffix(filed: Mapping[str, Filed]) -> Shelf[Filed]:
    lengths = sorted({len(text) for text in filed})
    before = '"' if any(text.startswith('"') for text in filed) else ""

    def met(value: Scalar) -> Iterable[Filed]:
        if value.__class__ is not str:
            return ()
        text = (before + value).upper()
        found = []
        for length in lengths:
            below = filed.get(text[-length:] if length else "")
            if below is not None:
                found.append(below)
        return found

    return met


def _part(filed: Mapping[str, Filed]) -> Shelf[Filed]:
    def met(value: Scalar) -> Iterable[Filed]:
        if type(value) is not str:
            return ()
        if len(value) > len(filed):
            return [what for part, what in filed.items() if part in value]
        return [filed[part] for part in {value[at : at + GRAM] for at in range(len(value))} if part in filed]

    return met


class _Ranges:
    """An interval tree: the ranges around a middle, sorted by either end, and trees of those below and above it."""

    def __init__(self, filed: Mapping[tuple[float, float], Any]):
        ends = sorted(end for ends in filed for end in ends)
        middle = ends[len(ends) // 2]
        below = {ends: what for ends, what in filed.items() if ends[1] < middle}
        above = {ends: what for ends, what in filed.items() if ends[0] > middle}
        around = [(*ends, what) for ends, what in filed.items() if ends[0] <= middle <= ends[1]]
        self.middle = middle
        self.by_lower = sorted(around, key=_lower)
        self.by_upper = sorted(around, key=_upper)
        self.below = _Ranges(below) if below else None
        self.above = _Ranges(above) if above else None

    def holding(self, value: float) -> list[Any]:
        """What is filed under the ranges that a value is in, or at an end of."""
        found = []
        tree: _Ranges | None = self
        while tree:
            if value <= tree.middle:
                found += tree.by_lower[: bisect_right(tree.by_lower, value, key=_lower)]
                tree = tree.below
            else:
                found += tree.by_upper[bisect_left(tree.by_upper, value, key=_upper) :]
                tree = tree.above
        return [what for _, _, what in found]


def _lower(item: tuple[float, float, Any]) -> float:
    return item[0]


def _upper(item: tuple[float, float, Any]) -> float:
    return item[1]


def _numbers(filed: Mapping[tuple[float, float], Filed]) -> Shelf[Filed]:
    if len(filed) > LISTED:
        ranges = _Ranges(filed)
        return lambda value: ranges.holding(value) if type(value) is float else ()
    listed = [(*ends, what) for ends, what in filed.items()]

    def met(value: Scalar) -> Iterable[Filed]:
        return [what for low, high, what in listed if low <= value <= high] if type(value) is float else ()

    return met


def _addresses(filed: Mapping[tuple[float, float], Filed]) -> Shelf[Filed]:
    ranges = _Ranges(filed)

    def met(value: Scalar) -> Iterable[Filed]:
        digits = digits_of(value) if type(value) is str else None
        return ranges.holding(_address(digits)) if digits else ()

    return met


def _present(filed: Mapping[None, Filed]) -> Shelf[Filed]:
    return lambda _: filed.values()


SHELVES: Mapping[int, Callable[[Mapping[Any, Any]], Shelf[Any]]] = {
    EXACT: _exact,
    IN_ANY_CASE: _in_any_case,
    PREFIX: _prefix,
    SUFFIX: _suffix,
    PART: _part,
    NUMBERS: _numbers,
    ADDRESSES: _addresses,
    PRESENT: _present,
}
