"""Array consistency: all fields of a pattern must match in the same element of each array."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from evtool.patterns.flatten import Trail

TRIES = 10_000  # beyond those that an event without duplicate or dotted keys can need, see `consistent`


class Found(NamedTuple):
    """Where a field's condition holds, where the field has any value, and whether it holds where it has none."""

    hits: Collection[Trail]
    present: Collection[Trail]
    absent: bool = False


class _Node:
    """An element of an array, or the event: the arrays in it that lead to trails, and the trail that ends here."""

    __slots__ = ("arrays", "trail")

    def __init__(self) -> None:
        self.arrays: dict[int, dict[int, _Node]] = {}
        self.trail: Trail | None = None


def _tree(trails: Iterable[Trail]) -> _Node:
    root = _Node()
    for trail in trails:
        node = root
        for array, index in trail:
            node = node.arrays.setdefault(array, {}).setdefault(index, _Node())
        node.trail = trail
    return root


def _within(root: _Node, chosen: Trail) -> Iterator[Trail]:
    """The trails of a tree that stand in no other element of an array than the chosen one."""
    fixed = dict(chosen)
    nodes = [root]
    while nodes:
        node = nodes.pop()
        if node.trail is not None:
            yield node.trail
        for array, elements in node.arrays.items():
            if array not in fixed:
                nodes.extend(elements.values())
            elif fixed[array] in elements:
                nodes.append(elements[fixed[array]])


def _choices(found: Found, chosen: Collection[Trail]) -> Iterator[Trail]:
    """The ways to choose array elements, when one more field is to hold."""
    hits, present = _tree(found.hits), _tree(found.present if found.absent else ())
    for choice in chosen:
        for trail in _within(hits, choice):
            yield tuple(sorted({*choice, *trail}))
        if found.absent and next(_within(present, choice), None) is None:
            yield choice


def _shared(fields: Sequence[Found]) -> dict[int, int]:
    """The arrays that several fields stand in, each with the last of these fields."""
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    for number, found in enumerate(fields):
        for trail in (*found.hits, *found.present) if found.absent else found.hits:
            for array, _ in trail:
                first.setdefault(array, number)
                last[array] = number
    return {array: number for array, number in last.items() if number > first[array]}


def consistent(fields: Sequence[Found]) -> bool:
    """Whether all fields hold at once with at most one element chosen of each array.

    The fields are taken in the order given, which matters for those that hold where they have no value: AWS looks only
    at what is chosen before. The work grows with the number of trails. Only an event that names one field by ways
    through several arrays, with duplicate or dotted keys, could take more; such a search ends early and says no.
    """
    scattered = any(any(found.hits) or any(found.present) for found in fields)
    shared = _shared(fields) if scattered else {}
    if not shared:
        return all(found.hits or (found.absent and not found.present) for found in fields)
    chosen: Collection[Trail] = {()}
    for number, found in enumerate(fields):
        hits, present = (
            {tuple(pair for pair in trail if pair[0] in shared) for trail in trails}
            for trails in (found.hits, found.present)
        )
        limit = TRIES + len(chosen) + sum(len(trail) + 1 for trail in hits)
        choices = islice(_choices(Found(hits, present, found.absent), chosen), limit)
        chosen = {tuple(pair for pair in choice if shared[pair[0]] > number) for choice in choices}
        if not chosen:
            return False
    return True
