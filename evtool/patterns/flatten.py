"""The leaves of an event: its values by the dotted path of their field, and which array elements each stands in."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import count, islice
from typing import Any, NamedTuple

from evtool.errors import EvtoolError
from evtool.patterns.json_values import OBJECT, SCALAR, Scalar, kind_of, members, parse, scalar

# The array elements that a value stands in, outermost first, each as (number of the array, index in it). A value that
# is itself an element counts for the array's field and does not stand in the array.
Trail = tuple[tuple[int, int], ...]

TRIES = 10_000  # beyond those that an event without duplicate or dotted keys can need, see `consistent`


class EventError(EvtoolError, ValueError):
    """What should be an event is not a JSON object."""


class Leaf(NamedTuple):
    """A value of an event and the array elements that it stands in."""

    value: Scalar
    trail: Trail


Leaves = Mapping[str, Sequence[Leaf]]


class Container(NamedTuple):
    """An object or array in an event: its path, what it is, the array elements it stands in, and an array's number."""

    path: str
    value: Any
    trail: Trail
    number: int | None


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


# --- reading --------------------------------------------------------------------------------------------------------


def _fields(
    document: Any, above: str | None, trail: Trail, paths: Collection[str] | None
) -> Iterator[tuple[str, Any, Trail]]:
    for key, value in members(document):
        path = f"{key}" if above is None else f"{above}.{key}"
        if paths is not None and path not in paths:
            continue
        if key != "" or above is None or kind_of(value) == OBJECT:  # AWS does not see an empty name below the top
            yield path, value, trail


def _elements(values: Iterable[Any], path: str, trail: Trail, array: int) -> Iterator[tuple[str, Any, Trail]]:
    for index, value in enumerate(values):
        yield path, value, trail if kind_of(value) == SCALAR else (*trail, (array, index))


def leaves_of(
    event: Mapping[str, Any] | str | bytes,
    paths: Collection[str] | None = None,
    containers: list[Container] | None = None,
) -> Leaves:
    """The leaves of an event, given as a dict or as JSON text; text keeps number forms and duplicate keys.

    With `paths`, the paths of fields and of the objects that lead to them, the rest of the event is passed over. The
    objects and arrays in the event are added to `containers`, each before what is in it.
    Raises EventError when the event is not a JSON object.
    """
    try:
        document = parse(event) if isinstance(event, (str, bytes)) else event
    except ValueError as error:
        raise EventError(f"the event is {error}") from None
    if kind_of(document) != OBJECT:
        raise EventError("the event is not a JSON object")
    leaves: defaultdict[str, list[Leaf]] = defaultdict(list)
    arrays = count()
    levels = [_fields(document, None, (), paths)]  # not by recursion: events nest as deep as they like
    while levels:
        for path, value, trail in levels[-1]:
            kind = kind_of(value)
            if kind == SCALAR:
                leaves[path].append(Leaf(scalar(value), trail))
                continue
            if kind is None:
                raise EventError(f"the event is not JSON: {path} is of type {type(value).__name__}")
            number = None if kind == OBJECT else next(arrays)
            if containers is not None:
                containers.append(Container(path, value, trail, number))
            if number is None:
                levels.append(_fields(value, path, trail, paths))
            else:
                levels.append(_elements(value, path, trail, number))
            break  # and come back to the rest of this level when that one is done
        else:
            levels.pop()
    return leaves


# --- array consistency ----------------------------------------------------------------------------------------------


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
