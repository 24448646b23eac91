"""Checks array consistency: all fields of a pattern must match in the same element of each array."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from evtool.patterns.flatten import Trail

MAX_TRIES = 10_000  # beyond those that an event without duplicate or dotted keys can need, see `is_consistent`


class FieldMatch(NamedTuple):
    """Where a field's condition holds, where the field has any value, and whether it holds where it has none."""

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
    """The trails of a tree that stand in no other element of an array than the chosen one."""
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
    """The ways to choose array elements, when one more field is to hold."""
    hits, present = _build_tree(field.hits), _build_tree(field.present if field.can_be_absent else ())
    for choice in choices:
        for trail in _find_compatible(hits, choice):
            yield tuple(sorted({*choice, *trail}))
        if field.can_be_absent and next(_find_compatible(present, choice), None) is None:
            yield choice


def _find_shared_arrays(fields: Sequence[FieldMatch]) -> dict[int, int]:
    """The arrays that several fields stand in, each with the last of these fields."""
    first_fields: dict[int, int] = {}
    last_fields: dict[int, int] = {}
    for index, field in enumerate(fields):
        for trail in (*field.hits, *field.present) if field.can_be_absent else field.hits:
            for array, _ in trail:
                first_fields.setdefault(array, index)
                last_fields[array] = index
    return {array: index for array, index in last_fields.items() if index > first_fields[array]}


def is_consistent(fields: Sequence[FieldMatch]) -> bool:
    """Whether all fields hold at once with at most one element chosen of each array.

    The fields are taken in the order given, which matters for those that hold where they have no value: AWS looks only
    at what is chosen before. The work grows with the number of trails. Only an event that names one field by ways
    through several arrays, with duplicate or dotted keys, could take more; such a search ends early and says no.
    """
    has_arrays = any(any(field.hits) or any(field.present) for field in fields)
    if has_arrays:
        shared = _find_shared_arrays(fields)
    else:
        shared = {}
    if not shared:
        return all(field.hits or (field.can_be_absent and not field.present) for field in fields)
    choices: Collection[Trail] = {()}
    for index, field in enumerate(fields):
        hits, present = (
            {tuple(pair for pair in trail if pair[0] in shared) for trail in trails}
            for trails in (field.hits, field.present)
        )
        limit = MAX_TRIES + len(choices) + sum(len(trail) + 1 for trail in hits)
        candidates = islice(_extend_choices(FieldMatch(hits, present, field.can_be_absent), choices), limit)
        choices = {tuple(pair for pair in choice if shared[pair[0]] > index) for choice in candidates}
        if not choices:
            return False
    return True
