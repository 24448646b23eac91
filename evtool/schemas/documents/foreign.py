"""Recognizes documents that are not JSON Schemas, and keywords that are misspelled.

Every JSON object is a valid JSON Schema: keywords that a validator does not know have no effect. An Avro schema, or a
schema with `propertes`, would therefore accept every event. These mistakes are found by the keys of the document.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from evtool.readers.locations import pointer_of

_ANNOTATIONS = "$schema $id $anchor $dynamicAnchor $vocabulary $comment $recursiveAnchor $defs definitions title "
_ANNOTATIONS += "description default examples example deprecated readOnly writeOnly"
_ONE = "additionalItems additionalProperties contains contentSchema else if items not propertyNames then "
_ONE += "unevaluatedItems unevaluatedProperties"
_LISTS = "allOf anyOf oneOf prefixItems items"
_MAPS = "$defs definitions dependentSchemas dependencies patternProperties properties"
_OTHERS = "$ref $dynamicRef $recursiveRef const contentEncoding contentMediaType dependencies dependentRequired enum "
_OTHERS += "exclusiveMaximum exclusiveMinimum format maxContains maxItems maxLength maxProperties maximum minContains "
_OTHERS += "minItems minLength minProperties minimum multipleOf pattern required type uniqueItems nullable"

# Keywords whose value is a schema, a list of schemas, or schemas by name.
_SCHEMA = set(_ONE.split())
_SCHEMA_LISTS = set(_LISTS.split())
_SCHEMA_MAPS = set(_MAPS.split())
_DEFINITIONS = {"$defs", "definitions"}
# Keywords that restrict values.
_RULES = (_SCHEMA | _SCHEMA_LISTS | _SCHEMA_MAPS | set(_OTHERS.split())) - _DEFINITIONS
KEYWORDS = _RULES | set(_ANNOTATIONS.split())


class Foreign(NamedTuple):
    """The kind of a document that is not a JSON Schema, the key that shows it, and a hint."""

    name: str
    key: str = ""
    hint: str | None = None

    @property
    def has_other_purpose(self) -> bool:
        """Whether such a document may be in a schema folder for another purpose than to describe a type."""
        return not self.key or self.key not in ("type", "Content", "detail-type", "specversion")


def find_foreign(value: Mapping[str, Any]) -> Foreign | None:
    """Recognizes a document that is used as a schema but is not one; None if it may be a schema."""
    if "asyncapi" in value:
        return Foreign("an AsyncAPI document without a message whose payload is a JSON Schema", "asyncapi")
    if "openapi" in value:
        hint = (
            "export it from the registry as JSONSchemaDraft4, or name one of its schemas in `schemas:` of routes.yaml"
        )
        return Foreign("an OpenAPI document whose schemas name no event type", "openapi", hint)
    if "swagger" in value:
        return Foreign("a Swagger 2 document", "swagger", "name one of its definitions in `schemas:` of routes.yaml")
    for key in ("AWSTemplateFormatVersion", "Resources"):
        if key in value and not _RULES & set(value):
            return Foreign("a CloudFormation template", key)
    return _find_other_schema(value) or _find_empty(value)


def _find_other_schema(value: Mapping[str, Any]) -> Foreign | None:
    if value.get("type") in ("record", "fixed") or (value.get("type") == "enum" and "symbols" in value):
        return Foreign("an Avro schema", "type", "convert it to JSON Schema")
    if "SchemaName" in value and "Content" in value:
        return Foreign("the answer of describe-schema", "Content", "save the text in Content as the schema")
    for key, other in (("detail-type", "detail"), ("specversion", "source")):
        if key in value and other in value:
            return Foreign("an event", key)
    return None


def _find_empty(value: Mapping[str, Any]) -> Foreign | None:
    """Recognizes a document without any rule, which would accept every event."""
    keys = set(value) - {"$schema", "$id", "id", "$comment", "title", "description"}
    if keys and keys <= _DEFINITIONS:
        key = min(keys)
        hint = f"name one of them in `schemas:` of routes.yaml, as FILE#/{key}/NAME"
        return Foreign("a document that has only definitions", key, hint)
    if not value.keys().isdisjoint(_RULES | {"$schema", "$id"}):
        return None
    unknown = [key for key in value if key not in KEYWORDS and not key.startswith("x-") and key != "id"]
    # A document with a misspelled keyword is a schema. The keyword is reported instead.
    if unknown and not any(map(find_near_keyword, unknown)):
        return Foreign(f'a document without a rule of JSON Schema; it has "{unknown[0][:40]}"', unknown[0])
    return None


def find_near_keyword(key: str) -> str | None:
    """The keyword that differs from a key in one letter or in case; None if the key is itself a keyword."""
    if key in KEYWORDS or key.startswith("x-"):
        return None
    lower = key.lower()
    for keyword in sorted(KEYWORDS):
        if keyword.lower() == lower or _is_one_letter_apart(key, keyword):
            return keyword
    return None


def find_misspelled(value: Any, pointer: str = "") -> Iterator[tuple[str, str]]:
    """Yields every key in a schema that is nearly a keyword: its pointer, and the keyword."""
    stack = [(pointer, value)]
    while stack:
        current, schema = stack.pop()
        if not isinstance(schema, Mapping):
            continue
        for key, item in schema.items():
            key_pointer = current + pointer_of([key])
            keyword = find_near_keyword(key)
            if keyword:
                yield key_pointer, keyword
            # Only schemas are searched: the names of properties and the data of `enum` are not keywords.
            if key in _SCHEMA:
                stack.append((key_pointer, item))
            if key in _SCHEMA_LISTS and isinstance(item, list):
                stack += [(f"{key_pointer}/{index}", part) for index, part in enumerate(item)]
            if key in _SCHEMA_MAPS and isinstance(item, Mapping):
                stack += [(key_pointer + pointer_of([name]), part) for name, part in item.items()]


def _is_one_letter_apart(word: str, other: str) -> bool:
    """Whether one letter is added, left out or changed, or two neighbours are swapped."""
    # Short keywords such as `not` and `if` are one letter away from too many words.
    if len(other) < 4 or abs(len(word) - len(other)) > 1 or word == other:
        return False
    start = 0
    while start < min(len(word), len(other)) and word[start] == other[start]:
        start += 1
    rest, other_rest = word[start:], other[start:]
    is_swapped = rest[:2] == other_rest[:2][::-1] and rest[2:] == other_rest[2:]
    return is_swapped or rest[1:] == other_rest[1:] or rest[1:] == other_rest or rest == other_rest[1:]
