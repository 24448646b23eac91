"""Checks array consistency: all fields of a pattern must hold in the same element of each array.

    pattern    {"items": {"sku": ["A"], "size": ["L"]}}
    event      {"items": [{"sku": "A", "size": "M"}, {"sku": "B", "size": "L"}]}

    sku        holds with the trail ((0, 0),): in element 0 of array 0
    size       holds with the trail ((0, 1),): in element 1 of array 0
    result     not consistent, although both fields hold: one item would have to be "A" and "L"

The check takes one field after the other and keeps the possible choices of array elements:

    start      {()}              nothing is chosen
    sku        {((0, 0),)}       element 0 of array 0 is chosen
    size       {}                its trail needs element 1 of the same array: no choice is left

Only arrays that several fields share are part of a choice. An array that no later field shares is dropped from it, so
that the number of choices stays small.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import NamedTuple

from evtool.patterns.flatten import Trail

# Choices that are tried in addition to those that an event without duplicate or dotted keys can need.
MAX_TRIES = 10_000


class FieldMatch(NamedTuple):
    """The trails of the values for which a field holds, the trails of all its values, and whether it may have no value.

    Unless the field may have no value, `present` is empty or equal to `hits`.
    """

    hits: Collection[Trail]
    present: Collection[Trail]
    can_be_absent: bool = False


class _Node:
    """An element of an array, or the event: the arrays in it that lead to trails, and the trail that ends here."""

    __slots__ = ("arrays", "trail")

    def __init__(self) -> None:
        self.arrays: dict[int, dict[int, _Node]] = {}
        self.trail: Trail | None = None


def _build_tree(trails: Iterable[Trail]) -> _Node:
    root = _Node()
    for trail in trails:
        node = root
        for array, index in trail:
            node = node.arrays.setdefault(array, {}).setdefault(index, _Node())
        node.trail = trail
    return root


def _find_compatible(root: _Node, chosen: Trail) -> Iterator[Trail]:
    """Yields the trails of a tree that use no other element of an array than the chosen one."""
    chosen_indices = dict(chosen)
    nodes = [root]
    while nodes:
        node = nodes.pop()
        if node.trail is not None:
            yield node.trail
        for array, elements in node.arrays.items():
            if array not in chosen_indices:
                nodes.extend(elements.values())
            elif chosen_indices[array] in elements:
                nodes.append(elements[chosen_indices[array]])


def _extend_choices(field: FieldMatch, choices: Collection[Trail]) -> Iterator[Trail]:
    """Yields the choices of array elements in which one more field holds."""
    hits = _build_tree(field.hits)
    present = None
    if field.can_be_absent:
        present = _build_tree(field.present)
    for choice in choices:
        for trail in _find_compatible(hits, choice):
            yield tuple(sorted(set(choice).union(trail)))
        if present is not None and next(_find_compatible(present, choice), None) is None:
            yield choice


def _find_shared_arrays(fields: Sequence[FieldMatch]) -> dict[int, int]:
    """Returns the arrays that several fields share, each with the position of the last of these fields."""
    first_fields: dict[int, int] = {}
    last_fields: dict[int, int] = {}
    for position, field in enumerate(fields):
        for trail in chain(field.hits, field.present):
            for array, _ in trail:
                first_fields.setdefault(array, position)
                last_fields[array] = position
    return {array: position for array, position in last_fields.items() if position > first_fields[array]}


def _restrict(trails: Iterable[Trail], arrays: Collection[int]) -> set[Trail]:
    """Returns the trails without other arrays."""
    return {tuple(pair for pair in trail if pair[0] in arrays) for trail in trails}


def _holds_without_arrays(field: FieldMatch) -> bool:
    if field.hits:
        return True
    return field.can_be_absent and not field.present


def is_consistent(fields: Sequence[FieldMatch]) -> bool:
    """Returns whether all fields hold together with at most one chosen element of each array.

    The order of the fields matters for those that may have no value: like AWS, the check looks only at the elements
    that earlier fields have chosen. The work grows with the number of trails. It can grow faster only if an event has
    the same field on several ways through arrays, by duplicate or dotted keys. Then the search is limited, and the
    result after the limit is False.
    """
    shared: dict[int, int] = {}
    # Most events have no arrays on the way to the fields of a pattern.
    if any(any(field.hits) or any(field.present) for field in fields):
        shared = _find_shared_arrays(fields)
    if not shared:
        return all(map(_holds_without_arrays, fields))
    choices: set[Trail] = {()}
    for position, field in enumerate(fields):
        hits = _restrict(field.hits, shared)
        present: Collection[Trail] = ()
        if field.can_be_absent:
            present = _restrict(field.present, shared)
        limit = MAX_TRIES + len(choices) + sum(len(trail) + 1 for trail in hits)
        candidates = islice(_extend_choices(FieldMatch(hits, present, field.can_be_absent), choices), limit)
        # Without the arrays that no later field shares.
        choices = {tuple(pair for pair in choice if shared[pair[0]] > position) for choice in candidates}
        if not choices:
            return False
    return True
