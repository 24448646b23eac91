"""The values of an event that patterns look at: each is read when it is asked for, whatever form the event has.

A getter gives MISSING, a scalar, `Several` values, or something that `settled` makes one of these.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import NoneType
from typing import Any, NamedTuple

import msgspec

from evtool.patterns.flatten import EventError, Leaves, Trail
from evtool.patterns.json_values import ARRAY, OBJECT, SCALAR, Digits, Scalar, kind_of, number, scalar, scalars

MISSING = msgspec.UNSET  # what a decoder leaves where a field is not there
SCALARS = frozenset((str, Digits, int, float, bool, NoneType))

Getter = Callable[[Any], Any]  # takes an event, in whatever form it was read, and gives the value at one path
Getters = Mapping[str, Getter]  # by path


class Several(NamedTuple):
    """The values that one path has in an event where it leads through arrays, at least one; and, when asked, their
    trails, in the same order."""

    values: Sequence[Scalar]
    trails: Callable[[], Sequence[Trail]]


class OfLeaves(dict[str, Getter]):
    """Getters for an event all of whose leaves were read before."""

    def __missing__(self, path: str) -> Getter:
        def get(leaves: Leaves) -> Any:
            here = leaves.get(path)
            return Several([leaf.value for leaf in here], lambda: [leaf.trail for leaf in here]) if here else MISSING

        self[path] = get
        return get


def settled(value: Any) -> Any:
    """A value as it is compared: MISSING, a Scalar or Several. Raises EventError for what is not JSON."""
    kind = value.__class__
    if kind is Digits:
        return number(value)
    if kind is Several or value is MISSING:
        return value
    if kind in SCALARS:
        return scalar(value)
    kind = kind_of(value)
    if kind == ARRAY:
        if len(value) == 1 and value[0].__class__ in SCALARS:  # which is the same as if it were in no array
            return scalar(value[0])
        plain = SCALARS.issuperset(map(type, value))
        values = scalars(value if plain else [element for element, _ in _elements(value, ())])
        return Several(values, lambda: [trail for _, trail in _elements(value, ())]) if values else MISSING
    if kind == OBJECT:
        return MISSING
    return scalar(value) if kind == SCALAR else _refuse(value)


def _elements(values: Sequence[Any], trail: Trail) -> Iterator[tuple[Any, Trail]]:
    for index, value in enumerate(values):
        kind = SCALAR if value.__class__ in SCALARS else kind_of(value)
        if kind == SCALAR:
            yield value, trail
        elif kind == ARRAY:
            yield from _elements(value, (*trail, (id(values), index)))
        elif kind is None:
            _refuse(value)


def _refuse(value: Any) -> Any:
    raise EventError(f"the event is not JSON: there is a {type(value).__name__} in it")
