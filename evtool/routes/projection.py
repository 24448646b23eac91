"""Decodes only those fields of an event that patterns use, with a decoder that is made for their paths.

The paths become a type with an attribute for each name, and msgspec decodes an event into it. Members without an
attribute are skipped as bytes. Example for the paths `source` and `detail.total`:

    class Projected:  f0 = source (any value),  f1 = detail (an object with f0 = total, or arrays of such objects)
    {"source": "shop", "id": "1", "detail": {"total": 5, "items": [...]}}  ->  f0 "shop", f1.f0 5
    the getter of detail.total reads attrgetter("f1.f0")

An event that does not fit the type, such as one with a name `detail.total`, is read by `flatten_event` instead.
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

# Arrays directly inside arrays that the type allows.
MAX_ARRAY_DEPTH = 3
# Names in a path.
MAX_PATH_NAMES = 20
# Plain and dotted names together: msgspec compares the name of a member with one attribute after the other.
MAX_PROJECTED_FIELDS = 1000
SCALAR_UNION = str | int | float | bool | None
# msgspec refuses names with these characters.
_NOT_IN_NAMES = re.compile('["\\\\\x00-\x1f\ud800-\udfff]')


# Not named an error, since the event is then read by `flatten_event`.
class Misfit(Exception):  # noqa: N818
    """An event that cannot be projected."""


# The exceptions for an event that does not fit. UnicodeError: it has a string with a lone surrogate.
MISFITS = (Misfit, msgspec.MsgspecError, RecursionError, UnicodeError)


class _DottedName:
    """The type of a member whose name contains dots, such as `detail.total`: no event with such a member fits."""


class _Step(NamedTuple):
    """One name of a path, and the attribute with its value."""

    name: str
    attribute: str


class _NameNode:
    """The names below one name of a path, and whether a path ends here."""

    __slots__ = ("children", "is_field")

    def __init__(self) -> None:
        self.children: dict[str, _NameNode] = {}
        self.is_field = False

    def iter_dotted_names(self) -> Iterator[str]:
        """Yields the dotted names that would be mistaken for a path: two or more names below, joined."""
        for name, names in self.children.items():
            for child in names.children:
                yield f"{name}.{child}"
            for dotted_name in names.iter_dotted_names():
                yield f"{name}.{dotted_name}"


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
    """Builds a type with an attribute for each name: `f0`, `f1` and so on."""
    fields: list[tuple[str, Any, Any]] = []
    json_names: dict[str, str] = {}
    for name, child in names.children.items():
        attribute = f"f{len(fields)}"
        json_names[attribute] = name
        if child.is_field or not child.children:
            fields.append((attribute, Any, MISSING))
        else:
            child_type = _build_type(child)
            fields.append((attribute, _build_nested_type(child_type), child_type()))
    for name in names.iter_dotted_names():
        attribute = f"f{len(fields)}"
        json_names[attribute] = name
        fields.append((attribute, _DottedName, MISSING))
    return msgspec.defstruct("Projected", fields, rename=json_names, frozen=True, gc=False)


def _build_nested_type(object_type: type[msgspec.Struct]) -> Any:
    """Builds the type of a value that should be an object: it may also be an array of objects, or a scalar."""
    element: Any = object_type | SCALAR_UNION
    for _ in range(MAX_ARRAY_DEPTH):
        element = object_type | list[element] | SCALAR_UNION
    return element


def _iter_steps(names: _NameNode) -> Iterator[tuple[_Step, ...]]:
    """Yields the steps to each field."""
    for number, (name, child) in enumerate(names.children.items()):
        step = _Step(name, f"f{number}")
        if child.is_field:
            yield (step,)
        for child_steps in _iter_steps(child):
            yield (step,) + child_steps


def _refuse(*_: Any) -> Any:
    raise Misfit


def _find_values(value: Any, steps: Sequence[_Step], trail: Trail) -> Iterator[tuple[Any, Trail]]:
    """Yields the scalars at the end of some steps, also inside arrays, each with its array elements."""
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
                element_trail = trail + ((id(value), index),)
            yield from _find_values(element, steps, element_trail)
    elif kind is dict:
        yield from _find_values_in_dict(value, steps, trail)
    else:
        raise Misfit


def _find_values_in_dict(value: dict[str, Any], steps: Sequence[_Step], trail: Trail) -> Iterator[tuple[Any, Trail]]:
    """Does the same inside a value that is decoded whole, because one path ends at it and others go further."""
    remaining_path = "".join(f"{step.name}." for step in steps)
    for key, child in value.items():
        if remaining_path.startswith(f"{key}."):
            yield from _find_values(child, steps[f"{key}".count(".") + 1 :], trail)


def _read_one_array(event: Any, getters: Sequence[tuple[Getter, Getter]]) -> Sequence[Any]:
    """Reads the values in the objects of one array, much faster than `_find_values`.

    Raises AttributeError if there are other arrays on the path.
    """
    for get_array, get_value in getters:
        value = get_array(event)
        if value.__class__ is list:
            while len(value) == 1 and value[0].__class__ is list:
                (value,) = value
            return [item for item in map(get_value, value) if item is not MISSING]
    raise AttributeError


def _build_array_getter(steps: Sequence[_Step]) -> Getter:
    """Builds a getter for a path with arrays. It splits the path at each name, where the array may be."""
    attributes = [step.attribute for step in steps]
    getters = []
    for end in range(1, len(attributes)):
        getters.append((attrgetter(".".join(attributes[:end])), attrgetter(".".join(attributes[end:]))))
    # The last event and its result, since several patterns read the same field of an event.
    last: tuple[Any, Any] = (None, None)

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
    """Reads the given fields of events."""

    def __init__(self, fields: Iterable[str]):
        """Prepares the projection. Reading a field that cannot be projected raises Misfit."""
        paths = list(fields)
        projectable = [path for path in paths if _is_projectable(path)]
        # A path of n names adds up to n * n plain and dotted names.
        if sum(path.count(".") ** 2 + 1 for path in projectable) > MAX_PROJECTED_FIELDS:
            projectable = []
        root = _build_tree(projectable)
        event_type = _build_type(root)
        self._steps_by_path = {".".join(step.name for step in steps): steps for steps in _iter_steps(root)}
        self.project_text = msgspec.json.Decoder(event_type, float_hook=NumberText, dec_hook=_refuse).decode
        self._convert = partial(msgspec.convert, type=event_type, dec_hook=_refuse)
        self.getters: dict[str, Getter] = dict.fromkeys(paths, _refuse)
        for path, steps in self._steps_by_path.items():
            self.getters[path] = attrgetter(".".join(step.attribute for step in steps))

    def project_document(self, event: dict[str, Any]) -> Any:
        """Returns the projected event for the getters. Raises MsgspecError or Misfit if it does not fit."""
        return self._convert(event)

    def learn(self, projected: Any) -> None:
        """Replaces the getters of the fields that are inside arrays in this event: they raise AttributeError."""
        for path, steps in self._steps_by_path.items():
            try:
                self.getters[path](projected)
            except AttributeError:
                self.getters[path] = _build_array_getter(steps)
