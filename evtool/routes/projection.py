"""Projection: of an event only what patterns ask for is read, by a decoder made for their paths.

The paths become a type, with a field for each name on them, and msgspec reads an event into it: what has no field is
passed over as bytes. An event that does not fit the type is not projected; it takes the long way of `leaves_of`.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec

from evtool.patterns.field_values import MISSING, SCALARS, Getter, Several
from evtool.patterns.flatten import Trail
from evtool.patterns.json_values import Digits, scalars

DEEPEST = 3  # arrays directly in arrays that fit the type
LONGEST = 20  # names on the way to a field
MOST = 1000  # fields, plain and dotted: msgspec looks for the field of a name from one to the next
PLAIN = str | int | float | bool | None


class Misfit(Exception):  # noqa: N818  (it is no error: the event takes the long way)
    """An event that is not projected."""


MISFITS = (Misfit, msgspec.MsgspecError, RecursionError)  # what tells that an event does not fit


class _Dotted:
    """A name with dots that spells several names on the way to a field: no event that has one fits the type."""


class _Step(NamedTuple):
    """A name on the way to a field, and the attribute that keeps what is there."""

    name: str
    attribute: str


class _Names:
    """What stands below one name: further names, and whether it is a field itself."""

    __slots__ = ("below", "is_field")

    def __init__(self) -> None:
        self.below: dict[str, _Names] = {}
        self.is_field = False

    def joined(self) -> Iterator[str]:
        """The names below that are reached in several steps, as one dotted name."""
        for name, names in self.below.items():
            for other in names.below:
                yield f"{name}.{other}"
            yield from (f"{name}.{more}" for more in names.joined())


def _fits(path: str) -> bool:
    names = path.split(".")
    return "" not in names and len(names) <= LONGEST


def _tree(paths: Iterable[str]) -> _Names:
    root = _Names()
    for path in paths:
        names = root
        for name in path.split("."):
            names = names.below.setdefault(name, _Names())
        names.is_field = True
    return root


def _type(names: _Names) -> type[msgspec.Struct]:
    """A type with an attribute for each name: `f0`, `f1` and so on."""
    fields: list[tuple[str, Any, Any]] = []
    for number, below in enumerate(names.below.values()):
        if below.is_field or not below.below:
            fields.append((f"f{number}", Any, MISSING))
        else:
            inner = _type(below)
            fields.append((f"f{number}", _nested(inner), inner()))
    joined = list(names.joined())
    fields += [(f"f{number}", _Dotted, MISSING) for number in range(len(fields), len(fields) + len(joined))]
    spelled = {f"f{number}": name for number, name in enumerate([*names.below, *joined])}
    return msgspec.defstruct("Projected", fields, rename=spelled, frozen=True, gc=False)


def _nested(inner: type[msgspec.Struct]) -> Any:
    """An object, objects in arrays, or something without fields."""
    element: Any = inner | PLAIN
    for _ in range(DEEPEST):
        element = inner | list[element] | PLAIN
    return element


def _steps(names: _Names) -> Iterator[tuple[_Step, ...]]:
    """The ways to all fields."""
    for number, (name, below) in enumerate(names.below.items()):
        step = _Step(name, f"f{number}")
        if below.is_field:
            yield (step,)
        yield from ((step, *more) for more in _steps(below))


def _refuse(*_: Any) -> Any:
    raise Misfit


def _found(value: Any, steps: Sequence[_Step], trail: Trail) -> Iterator[tuple[Any, Trail]]:
    """The scalars at the end of some steps, through whatever arrays there are, and the array elements they stand in."""
    kind = value.__class__
    if kind in SCALARS:
        if not steps:
            yield value, trail
    elif isinstance(value, msgspec.Struct):
        below = getattr(value, steps[0].attribute)
        if below is not MISSING:
            yield from _found(below, steps[1:], trail)
    elif kind is list:
        for index, element in enumerate(value):
            in_array = trail if element.__class__ in SCALARS else (*trail, (id(value), index))
            yield from _found(element, steps, in_array)
    elif kind is dict:
        yield from _found_in_dict(value, steps, trail)
    else:
        raise Misfit


def _found_in_dict(value: dict[str, Any], steps: Sequence[_Step], trail: Trail) -> Iterator[tuple[Any, Trail]]:
    """The same where a field is asked for, and fields below it."""
    rest = ".".join([*(step.name for step in steps), ""])
    for key, below in value.items():
        if rest.startswith(f"{key}."):
            yield from _found(below, steps[f"{key}".count(".") + 1 :], trail)


def _in_one_array(event: Any, ways: Sequence[tuple[Getter, Getter]]) -> Sequence[Any]:
    """What stands in the objects of one array, found much faster. Raises AttributeError when the way is another."""
    for to_array, rest in ways:
        value = to_array(event)
        if value.__class__ is list:
            while len(value) == 1 and value[0].__class__ is list:
                (value,) = value
            return [found for found in map(rest, value) if found is not MISSING]
    raise AttributeError


def _walker(steps: Sequence[_Step]) -> Getter:
    attributes = [step.attribute for step in steps]
    ways = [
        (attrgetter(".".join(attributes[:end])), attrgetter(".".join(attributes[end:])))
        for end in range(1, len(attributes))
    ]
    last: tuple[Any, Any] = (None, None)  # several patterns ask for the same

    def get(event: Any) -> Any:
        nonlocal last
        seen, several = last
        if seen is not event:
            try:
                found = _in_one_array(event, ways)
            except AttributeError:
                found = None
            if found is None or not SCALARS.issuperset(map(type, found)):
                found = [value for value, _ in _found(event, steps, ())]
            values = scalars(found)
            several = Several(values, lambda: [trail for _, trail in _found(event, steps, ())]) if values else MISSING
            last = event, several
        return several

    return get


class Projection:
    """A way to read the given fields of events."""

    def __init__(self, fields: Iterable[str]):
        """Projects as many of the fields as can be; when one of the others is asked for, the event is a misfit."""
        paths = list(fields)
        fitting = [path for path in paths if _fits(path)]
        few = sum(path.count(".") ** 2 + 1 for path in fitting) <= MOST
        tree = _tree(fitting if few else ())
        type_ = _type(tree)
        self._ways = {".".join(step.name for step in steps): steps for steps in _steps(tree)}
        self.of_text = msgspec.json.Decoder(type_, float_hook=Digits, dec_hook=_refuse).decode
        self._convert = partial(msgspec.convert, type=type_, dec_hook=_refuse)
        self.getters: dict[str, Getter] = dict.fromkeys(paths, _refuse)
        for path, steps in self._ways.items():
            self.getters[path] = attrgetter(".".join(step.attribute for step in steps))

    def of_document(self, event: dict[str, Any]) -> Any:
        """The fields of an event, for the getters. Raises MsgspecError or Misfit when it does not fit."""
        return self._convert(event)

    def learn(self, projected: Any) -> None:
        """Takes the way through arrays from now on, for the fields where this event has some.

        It is told so by the AttributeError of a getter.
        """
        for path, steps in self._ways.items():
            try:
                self.getters[path](projected)
            except AttributeError:
                self.getters[path] = _walker(steps)
