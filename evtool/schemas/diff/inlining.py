"""Copies a schema without references and annotations, in the keywords of draft 2020-12, so that two can be compared.

A reference is replaced by what it refers to; one that leads back to a schema around it becomes `{"$loop": URI}`. Older
drafts are rewritten: `items` as a list becomes `prefixItems`, a boolean `exclusiveMinimum` a number, and so on. Schemas
of different drafts can be compared then.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import unquote

from evtool.schemas.algebra.strings import FORMATS
from evtool.schemas.references import Library
from evtool.schemas.subschemas import child

LOOP = "$loop"  # refers to a schema that contains the reference
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
)  # keywords whose value is a schema
LISTS = ("allOf", "anyOf", "oneOf", "prefixItems")
MAPS = ("dependentSchemas", "patternProperties", "properties")
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
MAX_SCHEMAS = 20_000  # parts of one schema, after references are replaced


class InlinedSchema(NamedTuple):
    """A schema without references: its value, the targets of its loops, and the URI of each object by identity.

    `merged` has the URI of each keyword and property that was moved out of an `allOf`, by the object that has it now.
    """

    value: Any
    loops: dict[str, Any]
    origins: dict[int, str]
    merged: dict[tuple[int, tuple[str, ...]], str]
    library: Library

    def locate(self, part: Any, *keys: str) -> dict[str, Any]:
        """The location of a part of the schema, or of one of its keywords, as fields of a finding."""
        uri = self.origins.get(id(part))
        if (id(part), keys) in self.merged:
            return self.library.locate(self.merged[id(part), keys])
        return self.library.locate(child(uri, *keys) if uri and keys else uri or "")

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
    """The schema with a URI. Raises ValueError if it is too large without references."""
    loops: dict[str, Any] = {}
    origins: dict[int, str] = {}
    merged: dict[tuple[int, tuple[str, ...]], str] = {}
    values: list[Any] = []  # keeps each object alive, so that its identity stays unique

    def copy(uri: str, stack: Mapping[str, dict[str, Any]]) -> Any:
        value = library.resolve(uri)
        if not isinstance(value, dict):
            if isinstance(value, bool):
                return value
            return True
        if uri in stack:
            loops[uri] = stack[uri]
            return {LOOP: uri}
        if len(values) >= MAX_SCHEMAS:
            raise ValueError(f"the schema has more than {MAX_SCHEMAS:,} parts after its references are resolved")
        result: dict[str, Any] = {}
        values.append(result)
        origins[id(result)] = uri
        inner = {**stack, uri: result}
        _copy_keywords(value, result, lambda *steps: copy(child(uri, *steps), inner), draft)
        reference = value.get("$ref")
        if isinstance(reference, str):
            target = copy(library.join(uri, reference), inner)
            if _is_old(draft) or not result:  # drafts up to 7 ignore what is beside a reference
                return target
            result["allOf"] = [*result.get("allOf", []), target]
        return _merge_parts(result, merge)

    def merge(schema: dict[str, Any], part: dict[str, Any], keys: tuple[str, ...]) -> None:
        origin = ""
        if id(part) in origins:
            origin = child(origins[id(part)], *keys)
        merged[id(schema), keys] = merged.get((id(part), keys), origin)

    return InlinedSchema(copy(uri, {}), loops, origins, merged, library)


def map_parts(schema: Mapping[str, Any], transform: Callable[[tuple[str | int, ...], Any], Any]) -> dict[str, Any]:
    """The keywords of a schema that contain schemas, each with `transform` of its keys and value in its place."""
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


def _copy_keywords(
    value: Mapping[str, Any], result: dict[str, Any], copy: Callable[..., Any], draft: str | None
) -> None:
    result.update({key: value[key] for key in PLAIN if key in value})
    result.update(map_parts(value, lambda steps, _: copy(*steps)))
    _copy_old_keywords(value, result, copy)
    _rewrite_bounds(result)
    if result.get("format") not in FORMATS:  # nothing checks it
        result.pop("format", None)
    if draft and "draft-04" in draft:
        result.pop("const", None)


def _copy_old_keywords(value: Mapping[str, Any], result: dict[str, Any], copy: Callable[..., Any]) -> None:
    """Writes the keywords that draft 2020-12 has replaced as it has them."""
    if isinstance(value.get("items"), list):
        result["prefixItems"] = [copy("items", index) for index in range(len(value["items"]))]
        if "additionalItems" in value:
            result["items"] = copy("additionalItems")
    dependencies = value.get("dependencies")
    for name, entry in dependencies.items() if isinstance(dependencies, dict) else ():
        if isinstance(entry, list):
            result.setdefault("dependentRequired", {})[name] = entry
        else:
            result.setdefault("dependentSchemas", {})[name] = copy("dependencies", name)


def _rewrite_bounds(result: dict[str, Any]) -> None:
    """Writes the boolean `exclusiveMinimum` of draft 4 as a number."""
    for key, plain in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if isinstance(result.get(key), bool):
            is_exclusive = result.pop(key)
            if is_exclusive and plain in result:
                result[key] = result.pop(plain)


def _is_old(draft: str | None) -> bool:
    return draft is not None and "draft-0" in draft


Note = Callable[[dict[str, Any], dict[str, Any], tuple[str, ...]], None]  # that a schema has a keyword of a part


def _merge_parts(schema: dict[str, Any], note: Note) -> dict[str, Any]:
    """Moves the parts of an `allOf` into the schema, if they say different things: the properties of a base type."""
    remaining = [part for part in schema.get("allOf", []) if not _merge_part(schema, part, note)]
    if remaining:
        schema["allOf"] = remaining
    else:
        schema.pop("allOf", None)
    return schema


def _merge_part(schema: dict[str, Any], part: Any, note: Note) -> bool:
    scoped = {"additionalProperties", "patternProperties", "unevaluatedProperties", "items", "prefixItems", LOOP}
    if not isinstance(part, dict) or scoped & (part.keys() | schema.keys()) or "allOf" in part:
        return False
    shared = part.keys() & schema.keys() - {"required", "properties"}
    if any(part[key] != schema[key] for key in shared):
        return False
    properties, own = part.get("properties", {}), schema.get("properties", {})
    if any(properties[name] != own[name] for name in properties.keys() & own.keys()):
        return False
    for key in part.keys() - schema.keys():
        note(schema, part, (key,))
    for name in properties.keys() - own.keys():
        note(schema, part, ("properties", name))
    schema.update({key: part[key] for key in part.keys() - {"required", "properties"}})
    if properties:
        schema["properties"] = {**own, **properties}
    if "required" in part:
        schema["required"] = list(dict.fromkeys([*schema.get("required", []), *part["required"]]))
    return True
