"""Reads the values of single fields from an event, on demand, in whatever form the event was decoded.

A getter returns MISSING, a scalar, `ArrayValues`, or a value that `normalize_value` turns into one of these.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import NoneType
from typing import Any, NamedTuple

import msgspec

from evtool.patterns.flatten import EventError, Leaves, Trail
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

MISSING = msgspec.UNSET  # what a decoder leaves where a field is not there
SCALAR_TYPES = frozenset((str, NumberText, int, float, bool, NoneType))

Getter = Callable[[Any], Any]  # takes an event, in whatever form it was read, and gives the value at one path
Getters = Mapping[str, Getter]  # by path


class ArrayValues(NamedTuple):
    """The values that one path has in an event where it leads through arrays, at least one; and, when asked, their
    trails, in the same order."""

    values: Sequence[Scalar]
    trails: Callable[[], Sequence[Trail]]


class LeafGetters(dict[str, Getter]):
    """Getters for an event all of whose leaves were read before."""

    def __missing__(self, path: str) -> Getter:
        def get(leaves: Leaves) -> Any:
            field_leaves = leaves.get(path)
            if field_leaves:
                return ArrayValues([leaf.value for leaf in field_leaves], lambda: [leaf.trail for leaf in field_leaves])
            return MISSING

        self[path] = get
        return get


def normalize_value(value: Any) -> Any:
    """A value as it is compared: MISSING, a Scalar or ArrayValues. Raises EventError for what is not JSON."""
    kind = value.__class__
    if kind is NumberText:
        return parse_number(value)
    if kind is ArrayValues or value is MISSING:
        return value
    if kind in SCALAR_TYPES:
        return to_scalar(value)
    kind = kind_of(value)
    if kind == ARRAY:
        if len(value) == 1 and value[0].__class__ in SCALAR_TYPES:  # which is the same as if it were in no array
            return to_scalar(value[0])
        is_flat = SCALAR_TYPES.issuperset(map(type, value))
        values = to_scalars(value if is_flat else [element for element, _ in _iter_elements(value, ())])
        if values:
            return ArrayValues(values, lambda: [trail for _, trail in _iter_elements(value, ())])
        return MISSING
    if kind == OBJECT:
        return MISSING
    if kind == SCALAR:
        return to_scalar(value)
    return _refuse(value)


def _iter_elements(values: Sequence[Any], trail: Trail) -> Iterator[tuple[Any, Trail]]:
    for index, value in enumerate(values):
        kind = SCALAR if value.__class__ in SCALAR_TYPES else kind_of(value)
        if kind == SCALAR:
            yield value, trail
        elif kind == ARRAY:
            yield from _iter_elements(value, (*trail, (id(values), index)))
        elif kind is None:
            _refuse(value)


def _refuse(value: Any) -> Any:
    raise EventError(f"the event is not JSON: there is a {type(value).__name__} in it")
