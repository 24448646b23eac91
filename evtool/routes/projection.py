"""Decodes only those fields of an event that patterns use, with a decoder made for their paths.

The paths become a type, with a field for each name on them, and msgspec reads an event into it: what has no field is
passed over as bytes. An event that does not fit the type is not projected; it takes the long way of `flatten_event`.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec

from evtool.patterns.field_values import MISSING, SCALAR_TYPES, ArrayValues, Getter
from evtool.patterns.flatten import Trail
from evtool.patterns.json_values import NumberText, to_scalars

MAX_ARRAY_DEPTH = 3  # arrays directly in arrays that fit the type
MAX_PATH_NAMES = 20  # names on the way to a field
MAX_PROJECTED_FIELDS = 1000  # fields, plain and dotted: msgspec looks for the field of a name from one to the next
SCALAR_UNION = str | int | float | bool | None
_NOT_IN_NAMES = re.compile('["\\\\\x00-\x1f\ud800-\udfff]')  # msgspec refuses fields with these characters


class Misfit(Exception):  # noqa: N818  (it is no error: the event takes the long way)
    """An event that is not projected."""


# the exceptions for an event that does not fit; UnicodeError: a string with half of a surrogate pair
MISFITS = (Misfit, msgspec.MsgspecError, RecursionError, UnicodeError)


class _DottedName:
    """A name with dots that spells several names on the way to a field: no event that has one fits the type."""


class _Step(NamedTuple):
    """A name on the way to a field, and the attribute that keeps what is there."""

    name: str
    attribute: str


class _NameNode:
    """What stands below one name: further names, and whether it is a field itself."""

    __slots__ = ("children", "is_field")

    def __init__(self) -> None:
        self.children: dict[str, _NameNode] = {}
        self.is_field = False

    def iter_dotted_names(self) -> Iterator[str]:
        """The names below that are reached in several steps, as one dotted name."""
        for name, names in self.children.items():
            for child in names.children:
                yield f"{name}.{child}"
            yield from (f"{name}.{dotted_name}" for dotted_name in names.iter_dotted_names())


def _is_projectable(path: str) -> bool:
    names = path.split(".")
    return "" not in names and len(names) <= MAX_PATH_NAMES and not _NOT_IN_NAMES.search(path)


def _build_tree(paths: Iterable[str]) -> _NameNode:
    root = _NameNode()
    for path in paths:
        names = root
        for name in path.split("."):
            names = names.children.setdefault(name, _NameNode())
        names.is_field = True
    return root


def _build_type(names: _NameNode) -> type[msgspec.Struct]:
    """A type with an attribute for each name: `f0`, `f1` and so on."""
    fields: list[tuple[str, Any, Any]] = []
    for number, child in enumerate(names.children.values()):
        if child.is_field or not child.children:
            fields.append((f"f{number}", Any, MISSING))
        else:
            child_type = _build_type(child)
            fields.append((f"f{number}", _build_nested_type(child_type), child_type()))
    dotted_names = list(names.iter_dotted_names())
    fields += [(f"f{number}", _DottedName, MISSING) for number in range(len(fields), len(fields) + len(dotted_names))]
    json_names = {f"f{number}": name for number, name in enumerate([*names.children, *dotted_names])}
    return msgspec.defstruct("Projected", fields, rename=json_names, frozen=True, gc=False)


def _build_nested_type(object_type: type[msgspec.Struct]) -> Any:
    """An object, objects in arrays, or something without fields."""
    element: Any = object_type | SCALAR_UNION
    for _ in range(MAX_ARRAY_DEPTH):
        element = object_type | list[element] | SCALAR_UNION
    return element


def _iter_steps(names: _NameNode) -> Iterator[tuple[_Step, ...]]:
    """The ways to all fields."""
    for number, (name, child) in enumerate(names.children.items()):
        step = _Step(name, f"f{number}")
        if child.is_field:
            yield (step,)
        yield from ((step, *child_steps) for child_steps in _iter_steps(child))


def _refuse(*_: Any) -> Any:
    raise Misfit


def _find_values(value: Any, steps: Sequence[_Step], trail: Trail) -> Iterator[tuple[Any, Trail]]:
    """The scalars at the end of some steps, through whatever arrays there are, and the array elements they stand in."""
    kind = value.__class__
    if kind in SCALAR_TYPES:
        if not steps:
            yield value, trail
    elif isinstance(value, msgspec.Struct):
        child = getattr(value, steps[0].attribute)
        if child is not MISSING:
            yield from _find_values(child, steps[1:], trail)
    elif kind is list:
        for index, element in enumerate(value):
            if element.__class__ in SCALAR_TYPES:
                element_trail = trail
            else:
                element_trail = (*trail, (id(value), index))
            yield from _find_values(element, steps, element_trail)
    elif kind is dict:
        yield from _find_values_in_dict(value, steps, trail)
    else:
        raise Misfit


def _find_values_in_dict(value: dict[str, Any], steps: Sequence[_Step], trail: Trail) -> Iterator[tuple[Any, Trail]]:
    """The same where a field is asked for, and fields below it."""
    remaining_path = ".".join([*(step.name for step in steps), ""])
    for key, child in value.items():
        if remaining_path.startswith(f"{key}."):
            yield from _find_values(child, steps[f"{key}".count(".") + 1 :], trail)


def _read_one_array(event: Any, getters: Sequence[tuple[Getter, Getter]]) -> Sequence[Any]:
    """What stands in the objects of one array, found much faster. Raises AttributeError when the way is another."""
    for get_array, get_value in getters:
        value = get_array(event)
        if value.__class__ is list:
            while len(value) == 1 and value[0].__class__ is list:
                (value,) = value
            return [item for item in map(get_value, value) if item is not MISSING]
    raise AttributeError


def _build_array_getter(steps: Sequence[_Step]) -> Getter:
    attributes = [step.attribute for step in steps]
    getters = [
        (attrgetter(".".join(attributes[:end])), attrgetter(".".join(attributes[end:])))
        for end in range(1, len(attributes))
    ]
    last: tuple[Any, Any] = (None, None)  # several patterns ask for the same

    def get(event: Any) -> Any:
        nonlocal last
        last_event, result = last
        if last_event is not event:
            try:
                raw_values = _read_one_array(event, getters)
            except AttributeError:
                raw_values = None
            if raw_values is None or not SCALAR_TYPES.issuperset(map(type, raw_values)):
                raw_values = [value for value, _ in _find_values(event, steps, ())]
            values = to_scalars(raw_values)
            if values:
                result = ArrayValues(values, lambda: [trail for _, trail in _find_values(event, steps, ())])
            else:
                result = MISSING
            last = event, result
        return result

    return get


class Projection:
    """A way to read the given fields of events."""

    def __init__(self, fields: Iterable[str]):
        """Projects as many of the fields as can be; when one of the others is asked for, the event is a misfit."""
        paths = list(fields)
        projectable = [path for path in paths if _is_projectable(path)]
        is_small = sum(path.count(".") ** 2 + 1 for path in projectable) <= MAX_PROJECTED_FIELDS
        root = _build_tree(projectable if is_small else ())
        event_type = _build_type(root)
        self._steps_by_path = {".".join(step.name for step in steps): steps for steps in _iter_steps(root)}
        self.project_text = msgspec.json.Decoder(event_type, float_hook=NumberText, dec_hook=_refuse).decode
        self._convert = partial(msgspec.convert, type=event_type, dec_hook=_refuse)
        self.getters: dict[str, Getter] = dict.fromkeys(paths, _refuse)
        for path, steps in self._steps_by_path.items():
            self.getters[path] = attrgetter(".".join(step.attribute for step in steps))

    def project_document(self, event: dict[str, Any]) -> Any:
        """The fields of an event, for the getters. Raises MsgspecError or Misfit when it does not fit."""
        return self._convert(event)

    def learn(self, projected: Any) -> None:
        """Takes the way through arrays from now on, for the fields where this event has some.

        It is told so by the AttributeError of a getter.
        """
        for path, steps in self._steps_by_path.items():
            try:
                self.getters[path](projected)
            except AttributeError:
                self.getters[path] = _build_array_getter(steps)
