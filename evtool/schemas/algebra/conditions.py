"""Describes the events in which a field of a pattern holds as a JSON Schema, from above or from below.

EventBridge flattens arrays: a field holds if a value at its path does, or an element of an array there, at any depth;
and the path may lead through arrays of objects. The schema has to accept all these events. Example, from above, for the
pattern {"item": {"sku": ["A"]}}, whose field has the steps ("item", "sku") and the leaf {"enum": ["A"]}. With

    S = {"required": ["sku"], "properties": {"sku": "A", or an array that contains "A" or an array}}

the events in which the field holds are among the objects that fit

    {"required": ["item"], "properties": {"item": S, or an array that contains S or an array}}

An array inside an array is accepted with any content, which makes the schema accept more: "from above" allows that
(leaves.py explains the two directions). From below, every element of the outer array has to fit S, since another field
of the pattern may choose the element.
"""

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from evtool.patterns.conditions import Condition, Field
from evtool.schemas.algebra.leaves import NOTHING, SCALAR, describe_values

# Names in a path. The size of the schema doubles with each of them.
MAX_STEPS = 9
# The keywords whose value is not a schema.
_DATA = ("enum", "type", "required")

Steps = tuple[str, ...]
# A path, and the schema of its value; None if the path has no value.
Entry = tuple[Steps, dict[str, Any] | None]


class TooLong(ValueError):  # noqa: N818  (not an error: no conclusion is drawn about such a path)
    """A path has too many steps to be described."""


def split_path(path: str, dotted: Collection[str] = ()) -> Steps:
    """The names of a path. `dotted` are the names with a dot: `a.b` may be one name or two."""
    steps, names = [], path.split(".")
    while names:
        length = _count_joined(names, dotted)
        steps.append(".".join(names[:length]))
        names = names[length:]
    return tuple(steps)


def _count_joined(names: Sequence[str], dotted: Collection[str]) -> int:
    """The number of parts at the start of a path that make up one name. The longest name comes first."""
    for number in range(len(names), 1, -1):
        if ".".join(names[:number]) in dotted:
            return number
    return 1


def describe_field(field: Field, steps: Steps, *, from_above: bool) -> dict[str, Any]:
    """The objects in which a field holds. Raises TooLong."""
    return any_of([describe_condition(c, steps, from_above=from_above) for c in field.conditions])


def describe_condition(condition: Condition, steps: Steps, *, from_above: bool) -> dict[str, Any]:
    """The objects in which one condition of a field holds. Raises TooLong."""
    if condition.operator == "exists" and condition.expected is False:
        return describe_absence(steps, from_above=from_above)
    return describe_presence(steps, describe_values(condition, from_above=from_above), from_above=from_above)


def describe_presence(steps: Steps, leaf: dict[str, Any], *, from_above: bool) -> dict[str, Any]:
    """The objects that have a value which fits `leaf` at a path, in one element of each array that it leads through.

    From below it has to be in every element, since other fields of the pattern may choose the element.
    """
    if len(steps) > MAX_STEPS:
        raise TooLong
    if leaf == NOTHING:
        return NOTHING
    inner = leaf
    if len(steps) > 1:
        inner = describe_presence(steps[1:], leaf, from_above=from_above)
    nested: dict[str, Any] = {"type": "array", "contains": inner}
    if from_above:
        nested = {"type": "array", "contains": any_of([inner, {"type": "array"}])}
    elif len(steps) > 1:
        nested = {"type": "array", "minItems": 1, "items": inner}
    return {"type": "object", "required": [steps[0]], "properties": {steps[0]: any_of([inner, nested])}}


def describe_absence(steps: Steps, *, from_above: bool) -> dict[str, Any]:
    """The objects in which a path has no value: in some element of each array from above, in all of them from below."""
    return {"type": "object", "properties": {steps[0]: _describe_without(steps, from_above=from_above)}}


def _describe_without(steps: Steps, *, from_above: bool) -> dict[str, Any]:
    """The values of the first step with which a path has no value."""
    if len(steps) > MAX_STEPS:
        raise TooLong
    if len(steps) == 1:
        # Objects and empty arrays are not values: flattening an event leaves only their scalars.
        elements: dict[str, Any] = {"type": "object"}
        if from_above:
            elements = {"type": ["object", "array"]}
        return {"anyOf": [{"type": "object"}, {"type": "array", "items": elements}]}
    either = any_of([SCALAR, describe_absence(steps[1:], from_above=from_above)])
    if not from_above:
        return any_of([either, {"type": "array", "items": either}])
    has_element = {"contains": any_of([either, {"type": "array"}])}
    return any_of([either, {"type": "array", "anyOf": [{"maxItems": 0}, has_element]}])


def describe_object(steps: Steps) -> dict[str, Any]:
    """The objects that have anything at a path, also an object or an array. Raises TooLong."""
    return describe_presence(steps, {}, from_above=True)


def describe_together(entries: Sequence[Entry]) -> dict[str, Any]:
    """Objects that have values which fit all of some leaves at once, in the same elements of arrays.

    They are not all such objects: the schema is for generating some. Raises TooLong.
    """
    own: dict[str, list[dict[str, Any] | None]] = {}
    deeper: dict[str, list[Entry]] = {}
    for steps, leaf in entries:
        leaves = own.setdefault(steps[0], [])
        inner_entries = deeper.setdefault(steps[0], [])
        if len(steps) == 1:
            leaves.append(leaf)
        else:
            inner_entries.append((steps[1:], leaf))
    properties: dict[str, Any] = {}
    required = []
    for name, leaves in own.items():
        parts = _describe_parts(name, leaves, deeper[name])
        properties[name] = {"allOf": parts}
        if len(parts) == 1:
            properties[name] = parts[0]
        if _has_value(leaves) or _has_value([leaf for _, leaf in deeper[name]]):
            required.append(name)
    schema: dict[str, Any] = {"type": "object"}
    if required:
        schema["required"] = required
    return schema | {"properties": properties}


def _describe_parts(name: str, leaves: Sequence[dict[str, Any] | None], deeper: Sequence[Entry]) -> list[Any]:
    """The schemas that the value of a property has to fit: its own leaves, and those of the paths through it."""
    absences = []
    parts = []
    for leaf in leaves:
        if leaf is None:
            absences.append(_describe_without((name,), from_above=False))
        else:
            parts.append(_allow_elements(leaf))
    if _has_value([leaf for _, leaf in deeper]):
        parts.append(_allow_elements(describe_together(deeper)))
    else:
        # An object is not needed if all paths through it have no value.
        parts += [_describe_without((name,) + steps, from_above=False) for steps, _ in deeper]
    return absences + parts


def _has_value(leaves: Sequence[dict[str, Any] | None]) -> bool:
    return any(leaf is not None for leaf in leaves)


def _allow_elements(schema: dict[str, Any]) -> dict[str, Any]:
    return any_of([schema, {"type": "array", "contains": schema}])


def any_of(schemas: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The values that fit one of some schemas."""
    possible = [schema for schema in schemas if schema != NOTHING]
    if not possible:
        return NOTHING
    if len(possible) == 1:
        return possible[0]
    return {"anyOf": possible}


def to_draft_4(schema: Any) -> Any:
    """The same schema in the words of draft 4, which has no `contains` and no number as an exclusive bound."""
    if isinstance(schema, list):
        return list(map(to_draft_4, schema))
    if not isinstance(schema, dict):
        return schema
    return dict(_iter_draft_4(schema))


def _iter_draft_4(schema: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in schema.items():
        if key == "contains":
            # An array contains an element that fits if not all of its elements do not fit.
            yield "not", {"items": {"not": to_draft_4(value)}}
        elif key in ("exclusiveMinimum", "exclusiveMaximum"):
            yield key, True
            yield key.replace("exclusiveM", "m"), value
        elif key == "properties":
            yield key, {name: to_draft_4(part) for name, part in value.items()}
        elif key in _DATA:
            yield key, value
        else:
            yield key, to_draft_4(value)
