"""Reads the values of single fields from an event on demand, in any decoded form of the event.

A pattern asks for few fields, and most patterns are decided by the first. So a value is read only when a branch needs
it, and its trails only when several fields are in arrays:

    pattern       {"source": ["shop"], "detail": {"items": {"sku": ["A"]}}}

    "source"      its getter returns "cart": the branch does not match, and no other getter is called
    "detail.items.sku"
                  its getter returns ArrayValues(["A", "B"], trails); `trails` is a function that is not called here,
                  since no other field of the pattern is in an array

A getter returns MISSING, a scalar, `ArrayValues`, or a value that `normalize_value` turns into one of these.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from types import NoneType
from typing import Any, NamedTuple

import msgspec

from evtool.patterns.flatten import EventError, Leaf, Leaves, Trail
from evtool.patterns.json_values import (
    ARRAY,
    OBJECT,
    SCALAR,
    NumberText,
    Scalar,
    kind_of,
    parse_number,
    to_scalar,
    to_scalars,
)

# The value that a decoder of msgspec gives to an absent field.
MISSING = msgspec.UNSET
SCALAR_TYPES = frozenset((str, NumberText, int, float, bool, NoneType))

# Takes an event in some decoded form, and returns the value at one path.
Getter = Callable[[Any], Any]
# By path.
Getters = Mapping[str, Getter]


class ArrayValues(NamedTuple):
    """The values of a path that leads through arrays, at least one. `trails` returns their trails, in this order."""

    values: Sequence[Scalar]
    trails: Callable[[], Sequence[Trail]]


class LeafGetters(dict[str, Getter]):
    """Getters for an event that is given as its leaves."""

    def __missing__(self, path: str) -> Getter:
        def get(leaves: Leaves) -> Any:
            field_leaves = leaves.get(path)
            if not field_leaves:
                return MISSING
            # Not a nested function: Python would evaluate its annotations for each value, a tenth of a match.
            return ArrayValues([leaf.value for leaf in field_leaves], partial(_list_leaf_trails, field_leaves))

        self[path] = get
        return get


def normalize_value(value: Any) -> Any:
    """Returns a value in the form in which it is compared: MISSING, a Scalar or ArrayValues.

    Raises EventError for a value that JSON does not have.
    """
    kind = value.__class__
    if kind is NumberText:
        return parse_number(value)
    if kind is ArrayValues or value is MISSING:
        return value
    if kind in SCALAR_TYPES:
        return to_scalar(value)
    kind = kind_of(value)
    if kind == ARRAY:
        return _normalize_array(value)
    if kind == OBJECT:
        return MISSING
    if kind == SCALAR:
        return to_scalar(value)
    return _refuse(value)


def _normalize_array(array: Any) -> Any:
    # An array with one scalar is equivalent to the scalar, and cheaper.
    if len(array) == 1 and array[0].__class__ in SCALAR_TYPES:
        return to_scalar(array[0])
    if SCALAR_TYPES.issuperset(map(type, array)):
        values = to_scalars(array)
    else:
        values = to_scalars([element for element, _ in _iter_elements(array, ())])
    if not values:
        return MISSING
    return ArrayValues(values, partial(_list_array_trails, array))


def _list_leaf_trails(leaves: Sequence[Leaf]) -> Sequence[Trail]:
    return [leaf.trail for leaf in leaves]


def _list_array_trails(array: Sequence[Any]) -> Sequence[Trail]:
    return [trail for _, trail in _iter_elements(array, ())]


def _iter_elements(array: Sequence[Any], trail: Trail) -> Iterator[tuple[Any, Trail]]:
    """Yields the scalars in an array, with trails below it. The number of an array is its id() here."""
    for index, value in enumerate(array):
        if value.__class__ in SCALAR_TYPES:
            yield value, trail
            continue
        kind = kind_of(value)
        if kind == SCALAR:
            yield value, trail
        elif kind == ARRAY:
            yield from _iter_elements(value, trail + ((id(array), index),))
        elif kind is None:
            _refuse(value)


def _refuse(value: Any) -> Any:
    raise EventError(f"the event is not JSON: there is a {type(value).__name__} in it")
