"""Recognizes documents that are not JSON Schemas, and keywords that are misspelled."""

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

_SCHEMA, _SCHEMA_LISTS, _SCHEMA_MAPS = (set(words.split()) for words in (_ONE, _LISTS, _MAPS))
_DEFINITIONS = {"$defs", "definitions"}
_RULES = (_SCHEMA | _SCHEMA_LISTS | _SCHEMA_MAPS | set(_OTHERS.split())) - _DEFINITIONS
KEYWORDS = _RULES | set(_ANNOTATIONS.split())


class Foreign(NamedTuple):
    """What a document is instead of a JSON Schema, the key that shows it, and what to do."""

    name: str
    key: str = ""
    hint: str | None = None

    @property
    def has_other_purpose(self) -> bool:
        """Whether such a document may be in a schema folder for another purpose than to describe a type."""
        return not self.key or self.key not in ("type", "Content", "detail-type", "specversion")


def find_foreign(value: Mapping[str, Any]) -> Foreign | None:
    """What a document is that is used as a schema and is none; None if it may be a schema."""
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
    if ("detail-type" in value and "detail" in value) or ("specversion" in value and "source" in value):
        return Foreign("an event", "detail-type" if "detail-type" in value else "specversion")
    return None


def _find_empty(value: Mapping[str, Any]) -> Foreign | None:
    """A document without any rule, which would accept every event."""
    keys = set(value) - {"$schema", "$id", "id", "$comment", "title", "description"}
    if keys and keys <= _DEFINITIONS:
        key = min(keys)
        hint = f"name one of them in `schemas:` of routes.yaml, as FILE#/{key}/NAME"
        return Foreign("a document that has only definitions", key, hint)
    unknown = [key for key in value if key not in KEYWORDS and not key.startswith("x-") and key != "id"]
    if unknown and not {"$schema", "$id", *_RULES} & set(value) and not any(map(find_near_keyword, unknown)):
        return Foreign(f'a document without a rule of JSON Schema; it has "{unknown[0][:40]}"', unknown[0])
    return None


def find_near_keyword(key: str) -> str | None:
    """The keyword that a key is one letter or the case away from, if it is none itself."""
    if key in KEYWORDS or key.startswith("x-"):
        return None
    lower = key.lower()
    return next((word for word in sorted(KEYWORDS) if word.lower() == lower or _is_one_off(key, word)), None)


def find_misspelled(value: Any, pointer: str = "") -> Iterator[tuple[str, str]]:
    """Every key in a schema that is nearly a keyword: its pointer, and the keyword."""
    stack = [(pointer, value)]
    while stack:
        current, schema = stack.pop()
        if not isinstance(schema, Mapping):
            continue
        for key, item in schema.items():
            place = current + pointer_of([key])
            keyword = find_near_keyword(key)
            if keyword:
                yield place, keyword
            if key in _SCHEMA:
                stack.append((place, item))
            if key in _SCHEMA_LISTS and isinstance(item, list):
                stack += [(f"{place}/{index}", part) for index, part in enumerate(item)]
            if key in _SCHEMA_MAPS and isinstance(item, Mapping):
                stack += [(place + pointer_of([name]), part) for name, part in item.items()]


def _is_one_off(word: str, other: str) -> bool:
    """Whether one letter is added, left out or changed, or two neighbours are swapped. Short words do not count."""
    if len(other) < 4 or abs(len(word) - len(other)) > 1 or word == other:
        return False
    start = 0
    while start < min(len(word), len(other)) and word[start] == other[start]:
        start += 1
    rest, other_rest = word[start:], other[start:]
    is_swapped = rest[:2] == other_rest[:2][::-1] and rest[2:] == other_rest[2:]
    return is_swapped or rest[1:] == other_rest[1:] or rest[1:] == other_rest or rest == other_rest[1:]
