"""Copies a schema without references and annotations, in the keywords of draft 2020-12, so that two can be compared.

A reference is replaced by what it refers to; one that leads back to a schema around it becomes `{"$loop": URI}`. Older
drafts are rewritten, so that schemas of different drafts can be compared: `items` as a list becomes `prefixItems`, a
boolean `exclusiveMinimum` a number, and so on. Example: the schema

    {"title": "Tree", "allOf": [{"$ref": "#/$defs/named"}], "properties": {"child": {"$ref": "#"}},
     "$defs": {"named": {"required": ["name"], "properties": {"name": {"type": "string"}}}}}

becomes {"required": ["name"], "properties": {"name": {"type": "string"}, "child": {"$loop": "...#"}}}. The part of
`allOf` is merged, because a property that moves to a base type is not a change. Messages still give the location where
each part is written.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import unquote

from evtool.schemas.algebra.strings import FORMATS
from evtool.schemas.documents.references import Library
from evtool.schemas.subschemas import child

# The key of a reference to a schema that contains the reference.
LOOP = "$loop"
# Keywords whose value is a schema, a list of schemas, or schemas by name.
SINGLE = (
    "additionalProperties",
    "contains",
    "else",
    "if",
    "items",
    "not",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
)
LISTS = ("allOf", "anyOf", "oneOf", "prefixItems")
MAPS = ("dependentSchemas", "patternProperties", "properties")
# Keywords without schemas in them. All others are annotations, which have no effect.
PLAIN = (
    "const",
    "dependentRequired",
    "enum",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "format",
    "maxContains",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minContains",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "multipleOf",
    "pattern",
    "required",
    "type",
    "uniqueItems",
)
DEFINITIONS = ("$defs", "definitions", "schemas")
# Parts of one schema after its references are replaced. References can double it with each level.
MAX_SCHEMAS = 20_000
# The meaning of these keywords depends on the other keywords of their schema object, so they cannot move.
SCOPED = {"additionalProperties", "patternProperties", "unevaluatedProperties", "items", "prefixItems", LOOP}

# The object that has a keyword or property now, and the steps to it.
Moved = tuple[int, tuple[str, ...]]


class InlinedSchema(NamedTuple):
    """A schema without references.

    `value` is the schema, `loops` are the targets of its loops by URI. `origins` has the URI of each schema object, by
    the object's identity. `merged` has the URI of each keyword and property that was moved out of an `allOf`.
    """

    value: Any
    loops: dict[str, Any]
    origins: dict[int, str]
    merged: dict[Moved, str]
    library: Library

    def locate(self, part: Any, *keys: str) -> dict[str, Any]:
        """The location of a part of the schema, or of one of its keywords, as fields of a finding."""
        if (id(part), keys) in self.merged:
            return self.library.locate(self.merged[id(part), keys])
        uri = self.origins.get(id(part), "")
        if uri and keys:
            uri = child(uri, *keys)
        return self.library.locate(uri)

    def name(self, part: Any) -> str | None:
        """The name that the definitions of a document have for a part."""
        names = unquote(self.origins.get(id(part), "").partition("#")[2]).split("/")
        if len(names) > 2 and names[-2] in DEFINITIONS:
            return names[-1]
        return None

    def resolve(self, part: Any) -> Any:
        """A part of the schema, or the target of a loop."""
        if isinstance(part, dict) and LOOP in part:
            return self.loops[part[LOOP]]
        return part


def inline(library: Library, uri: str, draft: str | None) -> InlinedSchema:
    """The schema with a URI, without references. Raises ValueError if it is too large then."""
    copier = _Copier(library, draft)
    value = copier.copy(uri, {})
    return InlinedSchema(value, copier.loops, copier.origins, copier.merged, library)


class _Copier:
    """Copies a schema, and notes where its parts come from."""

    def __init__(self, library: Library, draft: str | None):
        self.loops: dict[str, Any] = {}
        self.origins: dict[int, str] = {}
        self.merged: dict[Moved, str] = {}
        self._library = library
        self._draft = draft
        # Up to draft 7, the keywords beside a reference have no effect.
        self._is_old = draft is not None and "draft-0" in draft
        # Keeps each object alive, so that its identity stays unique.
        self._objects: list[Any] = []

    def copy(self, uri: str, above: Mapping[str, dict[str, Any]]) -> Any:
        """A copy of the schema with a URI. `above` are the copies that contain it, by URI."""
        value = self._library.resolve(uri)
        if isinstance(value, bool):
            return value
        if not isinstance(value, dict):
            return True
        if uri in above:
            self.loops[uri] = above[uri]
            return {LOOP: uri}
        if len(self._objects) >= MAX_SCHEMAS:
            raise ValueError(f"the schema has more than {MAX_SCHEMAS:,} parts after its references are resolved")
        result: dict[str, Any] = {}
        self._objects.append(result)
        self.origins[id(result)] = uri
        inner = {**above, uri: result}
        self._copy_keywords(uri, value, result, inner)
        reference = value.get("$ref")
        if isinstance(reference, str):
            target = self.copy(self._library.join(uri, reference), inner)
            if self._is_old or not result:
                return target
            result["allOf"] = result.get("allOf", []) + [target]
        self._merge_parts(result)
        return result

    def _copy_keywords(
        self, uri: str, value: Mapping[str, Any], result: dict[str, Any], above: Mapping[str, dict[str, Any]]
    ) -> None:
        def copy_part(steps: tuple[str | int, ...], _: Any = None) -> Any:
            return self.copy(child(uri, *steps), above)

        for key in PLAIN:
            if key in value:
                result[key] = value[key]
        result.update(map_parts(value, copy_part))
        _copy_old_keywords(value, result, copy_part)
        _rewrite_bounds(result)
        # Nothing checks the other formats.
        if result.get("format") not in FORMATS:
            result.pop("format", None)
        # Draft 4 does not have this keyword.
        if self._draft and "draft-04" in self._draft:
            result.pop("const", None)

    def _merge_parts(self, schema: dict[str, Any]) -> None:
        """Moves the parts of an `allOf` into the schema if they say different things: the properties of a base type."""
        remaining = []
        for part in schema.get("allOf", []):
            if _can_merge(schema, part):
                self._merge_part(schema, part)
            else:
                remaining.append(part)
        if remaining:
            schema["allOf"] = remaining
        else:
            schema.pop("allOf", None)

    def _merge_part(self, schema: dict[str, Any], part: dict[str, Any]) -> None:
        properties, own = part.get("properties", {}), schema.get("properties", {})
        for key in part.keys() - schema.keys():
            self._note_origin(schema, part, (key,))
        for name in properties.keys() - own.keys():
            self._note_origin(schema, part, ("properties", name))
        schema.update({key: part[key] for key in part if key not in ("required", "properties")})
        if properties:
            schema["properties"] = own | properties
        if "required" in part:
            schema["required"] = list(dict.fromkeys(schema.get("required", []) + part["required"]))

    def _note_origin(self, schema: dict[str, Any], part: dict[str, Any], keys: tuple[str, ...]) -> None:
        """Notes where a keyword or property of a merged part is written. The part may itself have got it by merging."""
        origin = ""
        if id(part) in self.origins:
            origin = child(self.origins[id(part)], *keys)
        self.merged[id(schema), keys] = self.merged.get((id(part), keys), origin)


def _can_merge(schema: dict[str, Any], part: Any) -> bool:
    """Whether a part of `allOf` can move into the schema without a change of meaning."""
    if not isinstance(part, dict) or "allOf" in part or not SCOPED.isdisjoint(part.keys() | schema.keys()):
        return False
    for key in part.keys() & schema.keys() - {"required", "properties"}:
        if part[key] != schema[key]:
            return False
    properties, own = part.get("properties", {}), schema.get("properties", {})
    return all(properties[name] == own[name] for name in properties.keys() & own.keys())


def map_parts(schema: Mapping[str, Any], transform: Callable[[tuple[str | int, ...], Any], Any]) -> dict[str, Any]:
    """The keywords of a schema that contain schemas, with `transform(steps, schema)` in place of each schema."""
    result: dict[str, Any] = {}
    for key in SINGLE:
        if isinstance(schema.get(key), dict | bool):
            result[key] = transform((key,), schema[key])
    for key in LISTS:
        if isinstance(schema.get(key), list):
            result[key] = [transform((key, index), part) for index, part in enumerate(schema[key])]
    for key in MAPS:
        if isinstance(schema.get(key), dict):
            result[key] = {name: transform((key, name), part) for name, part in schema[key].items()}
    return result


def _copy_old_keywords(
    value: Mapping[str, Any], result: dict[str, Any], copy_part: Callable[[tuple[str | int, ...]], Any]
) -> None:
    """Copies the keywords that draft 2020-12 has replaced, in its words."""
    if isinstance(value.get("items"), list):
        result["prefixItems"] = [copy_part(("items", index)) for index in range(len(value["items"]))]
        if "additionalItems" in value:
            result["items"] = copy_part(("additionalItems",))
    dependencies = value.get("dependencies")
    if not isinstance(dependencies, dict):
        return
    for name, entry in dependencies.items():
        if isinstance(entry, list):
            result.setdefault("dependentRequired", {})[name] = entry
        else:
            result.setdefault("dependentSchemas", {})[name] = copy_part(("dependencies", name))


def _rewrite_bounds(result: dict[str, Any]) -> None:
    """Writes the boolean `exclusiveMinimum` of draft 4 as a number."""
    for key, plain in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if isinstance(result.get(key), bool):
            is_exclusive = result.pop(key)
            if is_exclusive and plain in result:
                result[key] = result.pop(plain)
