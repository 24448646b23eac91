"""Finds the routes that a new version of a schema breaks: conditions that become impossible, and removed fields.

A route is broken only if that is proven: its pattern was possible with the old schema and is not with the new one, or
it names a field that only the old schema declares.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from jsonschema_rs import canonicalize

from evtool.patterns.compiler import EQUALS
from evtool.patterns.conditions import Branch, Condition, Field
from evtool.patterns.explain.mismatches import split_terms
from evtool.patterns.json_values import NumberText, to_python
from evtool.routes.routes import Route, Routes
from evtool.schemas.diff.containment import DRAFT, write_loops
from evtool.schemas.diff.inlining import InlinedSchema
from evtool.schemas.diff.versions import PairDiff, SchemaEntry

TYPE_FIELDS = {"detail-type": "detail", "type": "data"}  # the field of the type, and the field of the payload
NUMERIC_KEYWORDS = {"=": "const", ">": "exclusiveMinimum", ">=": "minimum", "<": "exclusiveMaximum", "<=": "maximum"}
MAX_DEPTH = 20  # of names in a path
Names = Sequence[str]


class _Place(NamedTuple):
    """What a schema says of a field: the schemas that its values may have, and whether it declares the field."""

    schemas: list[Any]
    is_declared: bool


def find_broken_routes(routes: Routes, diffs: Sequence[PairDiff]) -> list[str]:
    """The names of the enabled routes that the changes break, in file order."""
    pairs = [(pair.old, pair.new) for pair in diffs if pair.old and pair.new and pair.diff.changes]
    return [
        route.name
        for route in routes.routes.values()
        if route.enabled and any(_is_broken(route, old, new) for old, new in pairs)
    ]


def _is_broken(route: Route, old: SchemaEntry, new: SchemaEntry) -> bool:
    branches = [
        branch
        for branch in route.pattern.branches
        if any(_takes_type(branch, name) for name in (*new.types, *old.types))
    ]
    possible = [branch for branch in branches if _is_possible(branch, old)]
    if not possible:
        return False
    return not any(_is_possible(branch, new) for branch in possible) or any(
        _names_removed_field(branch, old, new) for branch in possible
    )


def _takes_type(branch: Branch, event_type: str) -> bool:
    """Whether a branch asks for a type by name: without that nothing is known about its events."""
    return any(field.path in TYPE_FIELDS and field.test(event_type) for field in branch)


def _list_payload_fields(branch: Branch, entry: SchemaEntry) -> Iterator[tuple[Field, Names]]:
    """The fields of a branch that the schema describes, each with the names that lead to it in the schema."""
    for field in branch:
        names = field.path.split(".")
        if entry.envelope:
            yield field, names
        elif names[0] in TYPE_FIELDS.values() and len(names) > 1:
            yield field, names[1:]


def _is_possible(branch: Branch, entry: SchemaEntry) -> bool:
    for field, names in _list_payload_fields(branch, entry):
        place = _find_place(entry.schema, entry.schema.value, names)
        if place is not None and not field.can_be_absent and not _allows_any(entry.schema, place, field):
            return False
    return True


def _names_removed_field(branch: Branch, old: SchemaEntry, new: SchemaEntry) -> bool:
    for field, names in _list_payload_fields(branch, new):
        before = _find_place(old.schema, old.schema.value, names)
        after = _find_place(new.schema, new.schema.value, names)
        is_removed = before is not None and before.is_declared and after is not None and not after.is_declared
        if is_removed and not field.can_be_absent:
            return True
    return False


# --- what a schema says of a field -----------------------------------------------------------------------------------


def _find_place(schema: InlinedSchema, part: Any, names: Names, depth: int = 0) -> _Place | None:
    """What a schema says of the field that some names lead to; None if it cannot be said."""
    part = schema.resolve(part)
    if depth > MAX_DEPTH or (isinstance(part, dict) and _has_forms(part)):
        return None
    if isinstance(part, bool):
        return _Place([True] if part else [], is_declared=False)
    if not names:
        if "items" in part:
            items = [part["items"]]
        else:
            items = []
        return _Place([part, *items], is_declared=True)
    places = []
    if _may_be(part, "array") and "items" in part:
        places.append(_find_place(schema, part["items"], names, depth + 1))
    if _may_be(part, "object"):
        places.append(_find_in_object(schema, part, names, depth))
    if any(place is None for place in places):
        return None
    found = [place for place in places if place is not None]
    return _Place([s for place in found for s in place.schemas], any(place.is_declared for place in found))


def _find_in_object(schema: InlinedSchema, part: dict[str, Any], names: Names, depth: int) -> _Place | None:
    name, rest = names[0], names[1:]
    if any(f"{name}." in key for key in part.get("properties", {})):
        return None  # a name with a dot: the path may mean several fields
    if name in part.get("properties", {}):
        return _find_place(schema, part["properties"][name], rest, depth + 1)
    if "patternProperties" in part:
        return None
    additional = part.get("additionalProperties", part.get("unevaluatedProperties", True))
    if additional is False:
        return _Place([], is_declared=False)
    place = _find_place(schema, additional, rest, depth + 1)
    if place is None:
        return None
    return place._replace(is_declared=False)


def _has_forms(part: dict[str, Any]) -> bool:
    return any(key in part for key in ("allOf", "anyOf", "oneOf", "if", "not", "dependentSchemas", "prefixItems"))


def _may_be(part: dict[str, Any], name: str) -> bool:
    types = part.get("type", name)
    return name in ([types] if isinstance(types, str) else types)


# --- whether a condition can hold ------------------------------------------------------------------------------------


def _allows_any(schema: InlinedSchema, place: _Place, field: Field) -> bool:
    return any(_allows(schema, part, condition) for condition in field.conditions for part in place.schemas)


def _allows(schema: InlinedSchema, part: Any, condition: Condition) -> bool:
    """Whether a value that fits a schema may satisfy a condition: only a proof says no."""
    values = _describe(condition)
    if values is None:
        return True
    try:
        first = canonicalize(write_loops(schema.resolve(part), schema.loops), draft=DRAFT, validate_formats=True)
        second = canonicalize(values, draft=DRAFT, validate_formats=True)
        return str(first.intersect(second).satisfiability()) != "no"
    except ValueError:
        return True


def _describe(condition: Condition) -> dict[str, Any] | None:
    """The values that satisfy a condition, as a JSON Schema; None for those that no schema describes here."""
    expected = condition.expected
    match condition.operator:
        case "numeric":
            terms = [(NUMERIC_KEYWORDS[name], float(str(bound))) for name, bound in split_terms(expected)]
            return {"type": "number", **dict(terms)}
        case "prefix" if isinstance(expected, str):
            return {"type": "string", "pattern": f"^{re.escape(expected)}"}
        case "suffix" if isinstance(expected, str):
            return {"type": "string", "pattern": f"{re.escape(expected)}$"}
        case "exists":
            return {"type": ["string", "number", "boolean", "null", "array"]}
        case _ if condition.operator == EQUALS:
            if isinstance(expected, NumberText):
                value = float(expected)
            else:
                value = to_python(expected)
            if not isinstance(value, list | dict):
                return {"const": value}
            return None
    return None
