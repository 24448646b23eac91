"""Flattens an event into its values by dotted path, each with the array elements that contain it."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import count
from typing import Any, NamedTuple

from evtool.errors import EvtoolError
from evtool.patterns.json_values import OBJECT, SCALAR, Scalar, kind_of, members_of, parse_lossless, to_scalar

# The array elements that a value stands in, outermost first, each as (number of the array, index in it). A value that
# is itself an element counts for the array's field and does not stand in the array.
Trail = tuple[tuple[int, int], ...]


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
    array_number: int | None


# --- reading --------------------------------------------------------------------------------------------------------


def _iter_fields(
    document: Any, parent: str | None, trail: Trail, paths: Collection[str] | None
) -> Iterator[tuple[str, Any, Trail]]:
    for key, value in members_of(document):
        if parent is None:
            path = f"{key}"
        else:
            path = f"{parent}.{key}"
        if paths is not None and path not in paths:
            continue
        if key != "" or parent is None or kind_of(value) == OBJECT:  # AWS does not see an empty name below the top
            yield path, value, trail


def _iter_elements(values: Iterable[Any], path: str, trail: Trail, array: int) -> Iterator[tuple[str, Any, Trail]]:
    for index, value in enumerate(values):
        yield path, value, trail if kind_of(value) == SCALAR else (*trail, (array, index))


def flatten_event(
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
        document = parse_lossless(event) if isinstance(event, (str, bytes)) else event
    except ValueError as error:
        raise EventError(f"the event is {error}") from None
    if kind_of(document) != OBJECT:
        raise EventError("the event is not a JSON object")
    leaves: defaultdict[str, list[Leaf]] = defaultdict(list)
    array_numbers = count()
    levels = [_iter_fields(document, None, (), paths)]  # not by recursion: events nest as deep as they like
    while levels:
        for path, value, trail in levels[-1]:
            kind = kind_of(value)
            if kind == SCALAR:
                leaves[path].append(Leaf(to_scalar(value), trail))
                continue
            if kind is None:
                raise EventError(f"the event is not JSON: {path} is of type {type(value).__name__}")
            number = None if kind == OBJECT else next(array_numbers)
            if containers is not None:
                containers.append(Container(path, value, trail, number))
            if number is None:
                levels.append(_iter_fields(value, path, trail, paths))
            else:
                levels.append(_iter_elements(value, path, trail, number))
            break  # and come back to the rest of this level when that one is done
        else:
            levels.pop()
    return leaves
