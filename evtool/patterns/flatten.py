"""Flattens an event into its values by dotted path, each with the array elements that contain it.

    event     {"detail": {"state": "paid", "items": [{"sku": "A"}, {"sku": "B", "tags": ["x", "y"]}]}}

    leaves    detail.state         "paid"  trail ()
              detail.items.sku     "A"     trail ((0, 0),)    element 0 of array 0
              detail.items.sku     "B"     trail ((0, 1),)    element 1 of array 0
              detail.items.tags    "x"     trail ((0, 1),)    the array of tags is not part of the trail
              detail.items.tags    "y"     trail ((0, 1),)

Arrays have no part in a path, as in patterns. Their numbers count the arrays of the event from 0.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import count
from typing import Any, NamedTuple

from evtool.errors import EvtoolError
from evtool.patterns.json_values import OBJECT, SCALAR, Scalar, kind_of, members_of, parse_lossless, to_scalar

# The array elements that contain a value, outermost first, each as (number of the array, index in it). A value that is
# itself an element belongs to the array's field, so this array is not part of its trail.
Trail = tuple[tuple[int, int], ...]


class EventError(EvtoolError, ValueError):
    """The value is not an event: it is not a JSON object."""


class Leaf(NamedTuple):
    """A value of an event, and the array elements that contain it."""

    value: Scalar
    trail: Trail


Leaves = Mapping[str, Sequence[Leaf]]


class Container(NamedTuple):
    """An object or array in an event, with its path and trail. `array_number` is None for an object."""

    path: str
    value: Any
    trail: Trail
    array_number: int | None


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
        # AWS ignores a value with an empty name below the top level.
        if key != "" or parent is None or kind_of(value) == OBJECT:
            yield path, value, trail


def _iter_elements(values: Iterable[Any], path: str, trail: Trail, array: int) -> Iterator[tuple[str, Any, Trail]]:
    for index, value in enumerate(values):
        if kind_of(value) == SCALAR:
            yield path, value, trail
        else:
            yield path, value, trail + ((array, index),)


def parse_object(event: Mapping[str, Any] | str | bytes) -> Any:
    """Returns an event as a mapping, from a mapping or from JSON text. Raises EventError if it is not an object."""
    document: Any = event
    if isinstance(event, (str, bytes)):
        try:
            document = parse_lossless(event)
        except ValueError as error:
            raise EventError(f"the event is {error}") from None
    if kind_of(document) != OBJECT:
        raise EventError("the event is not a JSON object")
    return document


def flatten_event(
    event: Mapping[str, Any] | str | bytes,
    paths: Collection[str] | None = None,
    containers: list[Container] | None = None,
) -> Leaves:
    """Returns the leaves of an event, which is a dict or JSON text. Text keeps number forms and duplicate keys.

    With `paths`, the paths of fields and of the objects that lead to them, the other members are skipped. All objects
    and arrays are added to `containers`, each one before its content.
    Raises EventError if the event is not a JSON object.
    """
    document = parse_object(event)
    leaves: defaultdict[str, list[Leaf]] = defaultdict(list)
    array_numbers = count()
    # A stack instead of recursion: the nesting of an event may exceed Python's recursion limit.
    levels = [_iter_fields(document, None, (), paths)]
    while levels:
        for path, value, trail in levels[-1]:
            kind = kind_of(value)
            if kind == SCALAR:
                leaves[path].append(Leaf(to_scalar(value), trail))
                continue
            if kind is None:
                raise EventError(f"the event is not JSON: {path} is of type {type(value).__name__}")
            number = None
            if kind != OBJECT:
                number = next(array_numbers)
            if containers is not None:
                containers.append(Container(path, value, trail, number))
            if number is None:
                levels.append(_iter_fields(value, path, trail, paths))
            else:
                levels.append(_iter_elements(value, path, trail, number))
            # The loop continues with the content of this container. The iterator of this level keeps its position.
            break
        else:
            levels.pop()
    return leaves
