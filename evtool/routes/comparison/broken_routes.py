"""Finds the routes that a new version of a schema breaks: conditions that become impossible, and removed fields.

A route is broken only if that is proven: its pattern was possible with the old schema and is not with the new one, or
it names a field that only the old schema declares.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple

from jsonschema_rs import canonicalize

from evtool.patterns.compiler import EQUALS
from evtool.patterns.conditions import Branch, Condition, Field
from evtool.patterns.explain.descriptions import split_terms
from evtool.patterns.json_values import NumberText, to_python
from evtool.routes.routes import Route, Routes
from evtool.schemas.diff.containment import DRAFT, write_loops
from evtool.schemas.diff.inlining import InlinedSchema
from evtool.schemas.diff.versions import PairDiff, SchemaEntry

# The field of the type, and the field of the payload.
TYPE_FIELDS = {"detail-type": "detail", "type": "data"}
NUMERIC_KEYWORDS = {"=": "const", ">": "exclusiveMinimum", ">=": "minimum", "<": "exclusiveMaximum", "<=": "maximum"}
# Levels of a schema that are searched for a field.
MAX_DEPTH = 20
Names = Sequence[str]


class _Place(NamedTuple):
    """A field in a schema: the schemas of its possible values, and whether the schema declares the field."""

    schemas: list[Any]
    is_declared: bool


def find_broken_routes(routes: Routes, diffs: Sequence[PairDiff]) -> list[str]:
    """Returns the names of the enabled routes that the changes break, in file order."""
    pairs = [(pair.old, pair.new) for pair in diffs if pair.old and pair.new and pair.diff.changes]
    names = []
    for route in routes.routes.values():
        if route.enabled and any(_is_broken(route, old, new) for old, new in pairs):
            names.append(route.name)
    return names


def _is_broken(route: Route, old: SchemaEntry, new: SchemaEntry) -> bool:
    types = set(old.types) | set(new.types)
    possible = []
    for branch in route.pattern.branches:
        if _takes_type(branch, types) and _is_possible(branch, old):
            possible.append(branch)
    if not possible:
        return False
    if not any(_is_possible(branch, new) for branch in possible):
        return True
    return any(_names_removed_field(branch, old, new) for branch in possible)


def _takes_type(branch: Branch, types: Collection[str]) -> bool:
    """Whether a branch names one of the types. If it names none, nothing is known about its events."""
    for field in branch:
        if field.path in TYPE_FIELDS and any(field.test(event_type) for event_type in types):
            return True
    return False


def _list_payload_fields(branch: Branch, entry: SchemaEntry) -> Iterator[tuple[Field, Names]]:
    """Yields the fields of a branch that the schema describes, each with its path of names in the schema."""
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


# --- the field in a schema -------------------------------------------------------------------------------------------


def _find_place(schema: InlinedSchema, part: Any, names: Names, depth: int = 0) -> _Place | None:
    """Returns the field with a path of names in a schema; None if the schema is too complex to decide."""
    part = schema.resolve(part)
    if depth > MAX_DEPTH or (isinstance(part, dict) and _has_forms(part)):
        return None
    if part is True:
        return _Place([True], is_declared=False)
    if part is False:
        return _Place([], is_declared=False)
    if not names:
        schemas = [part]
        # A pattern matches the elements of an array as well.
        if "items" in part:
            schemas.append(part["items"])
        return _Place(schemas, is_declared=True)
    schemas, is_declared = [], False
    places = []
    if _may_be(part, "array") and "items" in part:
        places.append(_find_place(schema, part["items"], names, depth + 1))
    if _may_be(part, "object"):
        places.append(_find_in_object(schema, part, names, depth))
    for place in places:
        if place is None:
            return None
        schemas += place.schemas
        is_declared = is_declared or place.is_declared
    return _Place(schemas, is_declared)


def _find_in_object(schema: InlinedSchema, part: dict[str, Any], names: Names, depth: int) -> _Place | None:
    name, rest = names[0], names[1:]
    # With a dot in the name of a property, the path may mean several fields.
    if any(f"{name}." in key for key in part.get("properties", {})):
        return None
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
    return name == types or (isinstance(types, list) and name in types)


# --- whether a condition can hold ------------------------------------------------------------------------------------


def _allows_any(schema: InlinedSchema, place: _Place, field: Field) -> bool:
    for condition in field.conditions:
        if any(_allows(schema, part, condition) for part in place.schemas):
            return True
    return False


def _allows(schema: InlinedSchema, part: Any, condition: Condition) -> bool:
    """Whether a value that is valid against a schema may satisfy a condition. False only if the opposite is proven."""
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
    """Returns a JSON Schema of the values that satisfy a condition; None for operators without such a schema."""
    expected = condition.expected
    match condition.operator:
        case "numeric":
            values: dict[str, Any] = {"type": "number"}
            for name, bound in split_terms(expected):
                values[NUMERIC_KEYWORDS[name]] = float(str(bound))
            return values
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
