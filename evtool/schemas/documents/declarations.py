"""Recognizes what a schema document is, and which event types it declares to describe.

A document can declare its types in four ways. Each of the following gives the declaration of the type `order.created`:

- the schema registry of EventBridge: `"x-amazon-events-detail-type": "order.created"`, with a source next to it
- Google's CloudEvents schemas: `"cloudeventTypes": ["order.created"]`
- an envelope whose type is fixed: `"properties": {"type": {"const": "order.created"}, "specversion": ...}`
- an AsyncAPI message: `{"name": "order.created", "payload": {...}}`

A document without a declaration describes the type that its file is named after (catalog.py).
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from evtool.readers.field_paths import split_pointer
from evtool.readers.locations import pointer_of

DRAFT_4 = "http://json-schema.org/draft-04/schema#"
DRAFT_7 = "http://json-schema.org/draft-07/schema#"
DRAFT_2020 = "https://json-schema.org/draft/2020-12/schema"
SOURCE_KEY, TYPE_KEY = "x-amazon-events-source", "x-amazon-events-detail-type"

_CLOUDEVENTS = {"specversion", "type", "source", "id"}
_EVENTBRIDGE = {"detail-type", "detail"}
# Formats of AsyncAPI messages that are not JSON Schema.
_OTHER_FORMATS = ("avro", "protobuf", "raml")
# References that are followed one after the other from a message. It ends circles.
MAX_REFERENCES = 10
_CONTAINERS = ("openapi", "asyncapi", "swagger")


class NamedSchema(NamedTuple):
    """A schema that routes.yaml or an option names: a file, and a pointer or an anchor in it, which may be empty.

    `locate` returns the location where it is named, as fields of a finding.
    """

    file: Path
    fragment: str = ""
    locate: Callable[[], Mapping[str, Any]] = dict


class Declaration(NamedTuple):
    """A schema in a document, and the event type that the document declares for it.

    Without a `source` it is for all sources. The `envelope` is "eventbridge" or "cloudevents" if the schema describes
    the whole event, None if it describes the payload. `draft` is the URI of the draft if the document gives one. `uri`
    is that of the document with the schema if it is another document.
    """

    pointer: str
    type: str
    source: str | None
    envelope: str | None
    draft: str | None
    uri: str = ""


class Place(NamedTuple):
    """A part of a document. The `uri` is empty for the document that is being read."""

    root: Any
    pointer: str = ""
    uri: str = ""

    @property
    def value(self) -> Any:
        """The part itself, or None."""
        return resolve_pointer(self.root, self.pointer)

    def child(self, *steps: str) -> "Place":
        """A part of the part."""
        return self._replace(pointer=self.pointer + pointer_of(steps))


# Returns the part that a reference in the document with a URI leads to.
Follow = Callable[[str, str], Place | None]


def is_container(value: Any) -> bool:
    """Whether a document contains schemas, but is not a schema itself."""
    return isinstance(value, Mapping) and any(key in value for key in _CONTAINERS)


def draft_of(value: Any) -> str | None:
    """The draft of the schemas in a document; None if the document does not give one, so that the newest is used."""
    if not isinstance(value, Mapping):
        return None
    if "asyncapi" in value:
        return DRAFT_7
    if "openapi" in value or "swagger" in value:
        # OpenAPI 3.0 and Swagger have a dialect of their own, which is nearest to draft 4.
        if not str(value.get("openapi")).startswith("3.1"):
            return DRAFT_4
        dialect = value.get("jsonSchemaDialect")
        if isinstance(dialect, str) and "json-schema.org" in dialect:
            return dialect
        return DRAFT_2020
    return _string_or_none(value.get("$schema"))


def follow_nothing(uri: str, reference: str) -> Place | None:  # noqa: ARG001
    """Follows no reference to another document."""
    return None


def find_declarations(value: Any, follow: Follow = follow_nothing) -> list[Declaration]:
    """The event types that a document declares to describe, each with its schema.

    `follow` finds the part that a reference to a message in another document leads to.
    """
    if not isinstance(value, Mapping):
        return []
    if "asyncapi" in value:
        return list(_find_messages(Place(value), follow))
    if "openapi" not in value:
        return list(_find_declared(value, ""))
    declarations: list[Declaration] = []
    for name in _mapping(_mapping(value.get("components")).get("schemas")):
        declarations += _find_declared(value, pointer_of(["components", "schemas", name]))
    return declarations


def find_envelope(root: Any, pointer: str) -> str | None:
    """The envelope that a schema describes; None if it describes a payload."""
    names = set(find_properties(root, pointer))
    if names >= _CLOUDEVENTS or ({"type", "data"} <= names and _refers_to_cloudevents(root, pointer)):
        return "cloudevents"
    if names >= _EVENTBRIDGE:
        return "eventbridge"
    return None


def find_properties(root: Any, pointer: str) -> dict[str, list[str]]:
    """The properties that a schema always describes, each with the pointers to its schemas in the document."""
    pointers: dict[str, list[str]] = {}
    for current, schema in _expand(root, pointer):
        for name in _mapping(schema.get("properties")):
            pointers.setdefault(name, []).append(current + pointer_of(["properties", name]))
    return pointers


def resolve_pointer(value: Any, pointer: str) -> Any:
    """The part of a value that a JSON Pointer leads to, or None."""
    for key in split_pointer(pointer):
        if isinstance(value, dict):
            value = value.get(key)
        # int() refuses very long numbers, and no array is that long.
        elif isinstance(value, list) and key.isdecimal() and len(key) < 10 and int(key) < len(value):
            value = value[int(key)]
        else:
            return None
    return value


def list_fixed_values(schema: Mapping[str, Any]) -> list[Any] | None:
    """The values that a schema lists with `const` or `enum`; None if it does not list its values."""
    if "const" in schema:
        return [schema["const"]]
    values = schema.get("enum")
    if isinstance(values, list):
        return values
    return None


def allow_null(value: Any) -> Any:
    """A copy of a document with OpenAPI 3.0's `nullable` in the words of JSON Schema.

    `{"type": "string", "nullable": true}` becomes `{"type": ["string", "null"], "nullable": true}`.
    """
    if isinstance(value, list):
        return [allow_null(item) for item in value]
    if not isinstance(value, dict):
        return value
    changed = {key: allow_null(item) for key, item in value.items()}
    if changed.get("nullable") is True and isinstance(changed.get("type"), str):
        changed["type"] = [changed["type"], "null"]
        if isinstance(changed.get("enum"), list) and None not in changed["enum"]:
            changed["enum"] = changed["enum"] + [None]
    return changed


def _mapping(value: Any) -> Mapping[str, Any]:
    if isinstance(value, Mapping):
        return value
    return {}


def _string_or_none(value: Any) -> str | None:
    if isinstance(value, str):
        return value
    return None


def _expand(root: Any, pointer: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The schema objects of a document that always apply where one does: itself, its references, parts of `allOf`."""
    pending, seen = [pointer], set()
    while pending:
        current = pending.pop()
        schema = resolve_pointer(root, current)
        if current in seen or not isinstance(schema, Mapping):
            continue
        seen.add(current)
        yield current, schema
        reference = schema.get("$ref")
        if isinstance(reference, str) and reference.startswith("#"):
            pending.append(reference[1:])
        parts = schema.get("allOf")
        if isinstance(parts, list):
            pending += [f"{current}/allOf/{index}" for index in range(len(parts))]


def _refers_to_cloudevents(root: Any, pointer: str) -> bool:
    """Whether a schema refers to the published schema of CloudEvents, which is in another document."""
    for _, schema in _expand(root, pointer):
        if "cloudevent" in (_string_or_none(schema.get("$ref")) or "").lower():
            return True
    return False


def _list_strings(root: Any, pointers: list[str]) -> list[str]:
    """The strings that a property may have, if its schema lists them."""
    for pointer in pointers:
        for _, schema in _expand(root, pointer):
            values = list_fixed_values(schema)
            if values is not None:
                return [value for value in values if isinstance(value, str)]
    return []


def _find_declared(root: Mapping[str, Any], pointer: str) -> Iterator[Declaration]:
    """The declarations that a schema has of the events that it describes."""
    schema = _mapping(resolve_pointer(root, pointer))
    draft, envelope = draft_of(root), find_envelope(root, pointer)
    if isinstance(schema.get(TYPE_KEY), str):
        source = _string_or_none(schema.get(SOURCE_KEY))
        yield Declaration(pointer, schema[TYPE_KEY], source, envelope or "eventbridge", draft)
    elif isinstance(schema.get("cloudeventTypes"), list):
        for name in schema["cloudeventTypes"]:
            if isinstance(name, str):
                yield Declaration(pointer, name, None, envelope, draft)
    elif envelope:
        type_key = "detail-type"
        if envelope == "cloudevents":
            type_key = "type"
        properties = find_properties(root, pointer)
        types = _list_strings(root, properties.get(type_key, []))
        sources: list[str | None] = list(_list_strings(root, properties.get("source", []))) or [None]
        for name, source in product(types, sources):
            yield Declaration(pointer, name, source, envelope, draft)


# --- AsyncAPI --------------------------------------------------------------------------------------------------------


def _find_messages(start: Place, follow: Follow) -> Iterator[Declaration]:
    """The messages of an AsyncAPI document that have a JSON Schema; each once, under its name."""
    seen: set[tuple[str, str, str]] = set()
    for key, place in _list_messages(start, follow):
        message_place = _resolve(place, follow)
        message = _mapping(message_place.value)
        payload = _resolve(message_place.child("payload"), follow, inside=True)
        content, schema_format = _mapping(payload.value), str(message.get("schemaFormat"))
        # In AsyncAPI 3 the payload may be an object with the format and the schema.
        if "schema" in content and "schemaFormat" in content:
            schema_format, payload = str(content["schemaFormat"]), payload.child("schema")
        if payload.value is None or any(name in schema_format.lower() for name in _OTHER_FORMATS):
            continue
        draft = _find_draft(schema_format)
        declarations = list(_find_declared(payload.root, payload.pointer))
        # A payload that declares no type has that of the message.
        if not declarations:
            name = _string_or_none(message.get("name"))
            if name is None:
                name = key
            envelope = find_envelope(payload.root, payload.pointer)
            declarations = [Declaration(payload.pointer, name, None, envelope, draft)]
        for declaration in declarations:
            # Channels and components often name the same message.
            if (declaration.type, payload.uri, payload.pointer) not in seen:
                seen.add((declaration.type, payload.uri, payload.pointer))
                yield declaration._replace(draft=draft, uri=payload.uri)


def _list_messages(start: Place, follow: Follow) -> Iterator[tuple[str, Place]]:
    """The key and the place of every message: of components and of channels, in versions 2 and 3."""
    root = _mapping(start.root)
    for key in _mapping(_mapping(root.get("components")).get("messages")):
        yield key, start.child("components", "messages", key)
    for name in _mapping(root.get("channels")):
        channel = _resolve(start.child("channels", name), follow)
        for key in _mapping(_mapping(channel.value).get("messages")):
            yield key, channel.child("messages", key)
        for operation in ("publish", "subscribe"):
            place = channel.child(operation, "message")
            message = _mapping(place.value)
            forms = message.get("oneOf")
            if isinstance(forms, list):
                for index in range(len(forms)):
                    yield _name_message(place.child("oneOf", str(index)), name)
            elif message:
                yield _name_message(place, name)


def _name_message(place: Place, channel: str) -> tuple[str, Place]:
    """The name of a message that has no key: that of the component that it refers to, or of its channel."""
    reference = _mapping(place.value).get("$ref")
    if isinstance(reference, str) and "/" in reference.partition("#")[2]:
        return reference.rpartition("/")[2], place
    return channel, place


def _resolve(place: Place, follow: Follow, *, inside: bool = False) -> Place:
    """The part that the references of a part lead to. With `inside` only references in the same document count."""
    for _ in range(MAX_REFERENCES):
        reference = _mapping(place.value).get("$ref")
        if not isinstance(reference, str):
            break
        if reference.startswith("#/"):
            place = place._replace(pointer=reference[1:])
            continue
        target = None
        if not inside:
            target = follow(place.uri, reference)
        if target is None:
            break
        place = target
    return place


def _find_draft(schema_format: str) -> str:
    """The draft that a media type such as `application/schema+json;version=draft-04` names."""
    if "openapi" in schema_format:
        return DRAFT_4
    version = schema_format.partition("version=")[2]
    if "schema+" not in schema_format or not version:
        return DRAFT_7
    if version.startswith("20"):
        return f"https://json-schema.org/draft/{version}/schema"
    return f"http://json-schema.org/{version}/schema#"
