"""Describes the events in which a field of a pattern holds as a JSON Schema, from above or from below.

EventBridge flattens arrays: a field holds if a value at its path does, or an element of an array there, at any depth;
and arrays of objects may stand anywhere on the path. See `leaves` for what "from above" and "from below" mean.
"""

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from evtool.patterns.conditions import Condition, Field
from evtool.schemas.algebra.leaves import NOTHING, SCALAR, describe_values

MAX_STEPS = 9  # names in a path; the schema doubles with each of them
Steps = tuple[str, ...]


class TooLong(ValueError):  # noqa: N818  (not an error: nothing is said about such a path)
    """A path has too many steps to be described."""


def split_path(path: str, dotted: Collection[str] = ()) -> Steps:
    """The names of a path. Those with a dot have to be given: `a.b` may be one name or two."""
    steps, names = [], path.split(".")
    while names:
        length = next((n for n in range(len(names), 1, -1) if ".".join(names[:n]) in dotted), 1)
        steps.append(".".join(names[:length]))
        names = names[length:]
    return tuple(steps)


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
    if len(steps) == 1:
        inner = leaf
    else:
        inner = describe_presence(steps[1:], leaf, from_above=from_above)
    needs_all = not from_above and len(steps) > 1
    nested = {
        "type": "array",
        **_contain(any_of([inner, {"type": "array"}] if from_above else [inner]), needs_all=needs_all),
    }
    return {"type": "object", "required": [steps[0]], "properties": {steps[0]: any_of([inner, nested])}}


def describe_absence(steps: Steps, *, from_above: bool) -> dict[str, Any]:
    """The objects in which a path has no value: in some element of each array from above, in all of them from below."""
    if len(steps) > MAX_STEPS:
        raise TooLong
    name, rest = steps[0], steps[1:]
    if not rest:
        flat = {"type": "array", "items": {"type": ["object", "array"]}}
        value = {"anyOf": [{"type": "object"}, flat if from_above else {"type": "array", "items": {"type": "object"}}]}
    else:
        inner = describe_absence(rest, from_above=from_above)
        either = any_of([SCALAR, inner])
        if from_above:
            elements: dict[str, Any] = {
                "anyOf": [{"maxItems": 0}, _contain(any_of([either, {"type": "array"}]), needs_all=False)]
            }
        else:
            elements = {"items": either}
        value = any_of([either, {"type": "array", **elements}])
    return {"type": "object", "properties": {name: value}}


def describe_object(steps: Steps) -> dict[str, Any]:
    """The objects that have anything at a path, also an object or an array. Raises TooLong."""
    return describe_presence(steps, {}, from_above=True)


def describe_together(entries: Sequence[tuple[Steps, dict[str, Any] | None]]) -> dict[str, Any]:
    """Objects that have values which fit all of some leaves at once, in the same elements of arrays; not all of them.

    The leaf None means that the path has no value. Raises TooLong.
    """
    properties: dict[str, Any] = {}
    required = []
    for name in dict.fromkeys(steps[0] for steps, _ in entries):
        own = [leaf for steps, leaf in entries if steps == (name,)]
        deeper = [(steps[1:], leaf) for steps, leaf in entries if steps[0] == name and len(steps) > 1]
        parts = [describe_absence((name,), from_above=False)["properties"][name] for leaf in own if leaf is None]
        parts += [_allow_elements(leaf) for leaf in own if leaf is not None]
        if any(leaf is not None for _, leaf in deeper):
            parts.append(_allow_elements(describe_together(deeper)))
        else:
            absences = [describe_absence((name, *steps), from_above=False) for steps, _ in deeper]
            parts += [absence["properties"][name] for absence in absences]
        properties[name] = parts[0] if len(parts) == 1 else {"allOf": parts}
        if any(leaf is not None for leaf in (*own, *(leaf for _, leaf in deeper))):
            required.append(name)
    if required:
        required_names = {"required": required}
    else:
        required_names = {}
    return {"type": "object", **required_names, "properties": properties}


def _allow_elements(schema: dict[str, Any]) -> dict[str, Any]:
    return any_of([schema, {"type": "array", "contains": schema}])


def _contain(schema: dict[str, Any], *, needs_all: bool) -> dict[str, Any]:
    if needs_all:
        return {"minItems": 1, "items": schema}
    return {"contains": schema}


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
        return [to_draft_4(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return dict(_iter_draft_4(schema))


def _iter_draft_4(schema: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in schema.items():
        if key == "contains":
            yield "not", {"items": {"not": to_draft_4(value)}}
        elif key in ("exclusiveMinimum", "exclusiveMaximum"):
            yield key, True
            yield key.replace("exclusiveM", "m"), value
        elif key == "properties":
            yield key, {name: to_draft_4(part) for name, part in value.items()}
        else:
            yield key, value if key in ("enum", "type", "required") else to_draft_4(value)
