"""Recognizes what a schema document is, and which event types it says that it describes."""

from collections.abc import Callable, Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from evtool.readers.locations import pointer_of

DRAFT_4 = "http://json-schema.org/draft-04/schema#"
DRAFT_7 = "http://json-schema.org/draft-07/schema#"
DRAFT_2020 = "https://json-schema.org/draft/2020-12/schema"
SOURCE_KEY, TYPE_KEY = "x-amazon-events-source", "x-amazon-events-detail-type"

_CLOUDEVENTS = {"specversion", "type", "source", "id"}
_EVENTBRIDGE = {"detail-type", "detail"}
_OTHER_FORMATS = ("avro", "protobuf", "raml")  # of messages in AsyncAPI
MAX_REFERENCES = 10  # that are followed from one message
_CONTAINERS = ("openapi", "asyncapi", "swagger")


class NamedSchema(NamedTuple):
    """A schema that routes.yaml or an option names: a file, and a pointer or an anchor in it, which may be empty.

    `locate` gives the location of its name, as fields of a finding.
    """

    file: Path
    fragment: str = ""
    locate: Callable[[], Mapping[str, Any]] = dict


class Declaration(NamedTuple):
    """A schema in a document, and the event type that the document gives for it."""

    pointer: str
    type: str
    source: str | None  # None: any source
    envelope: str | None  # "eventbridge" or "cloudevents": the schema is that of the whole event
    draft: str | None  # the draft, if the document does not say it with `$schema`
    uri: str = ""  # of the document that has the schema, if it is another


class Place(NamedTuple):
    """A part of a document, which has a URI unless it is the one that is read."""

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


Follow = Callable[[str, str], Place | None]  # from the URI of a document and a reference in it to what it leads to


def is_container(value: Any) -> bool:
    """Whether a document contains schemas, but is none itself."""
    return isinstance(value, Mapping) and any(key in value for key in _CONTAINERS)


def draft_of(value: Any) -> str | None:
    """The draft of the schemas in a document, None if each of them says it or the newest holds."""
    if not isinstance(value, Mapping):
        return None
    if "asyncapi" in value:
        return DRAFT_7
    if "openapi" in value or "swagger" in value:
        if not str(value.get("openapi")).startswith("3.1"):
            return DRAFT_4
        dialect = value.get("jsonSchemaDialect")
        if isinstance(dialect, str) and "json-schema.org" in dialect:
            return dialect
        return DRAFT_2020
    schema = value.get("$schema")
    if isinstance(schema, str):
        return schema
    return None


def find_declarations(value: Any, follow: Follow = lambda uri, reference: None) -> list[Declaration]:  # noqa: ARG005
    """The event types that a document says it describes, each with its schema.

    `follow` finds what a reference to a message in another document leads to.
    """
    if not isinstance(value, Mapping):
        return []
    if "asyncapi" in value:
        return list(_find_messages(Place(value), follow))
    if "openapi" not in value:
        return list(_find_declared(value, ""))
    return [
        declaration
        for name in _mapping(_mapping(value.get("components")).get("schemas"))
        for declaration in _find_declared(value, pointer_of(["components", "schemas", name]))
    ]


def find_envelope(root: Any, pointer: str) -> str | None:
    """Which envelope a schema describes, None if it describes a payload."""
    names = set(find_properties(root, pointer))
    if names >= _CLOUDEVENTS or (_has_reference_elsewhere(root, pointer) and {"type", "data"} <= names):
        return "cloudevents"
    if names >= _EVENTBRIDGE:
        return "eventbridge"
    return None


def find_properties(root: Any, pointer: str) -> dict[str, list[str]]:
    """The properties that a schema always describes, each with the pointers to its schemas in the document."""
    found: dict[str, list[str]] = {}
    for current, schema in _expand(root, pointer):
        for name in _mapping(schema.get("properties")):
            found.setdefault(name, []).append(current + pointer_of(["properties", name]))
    return found


def resolve_pointer(value: Any, pointer: str) -> Any:
    """The part of a value that a JSON Pointer leads to, or None."""
    for step in pointer.split("/")[1:]:
        key = step.replace("~1", "/").replace("~0", "~")
        if isinstance(value, list):
            if key.isdecimal() and len(key) < 10 and int(key) < len(value):
                value = value[int(key)]
            else:
                value = None
        else:
            if isinstance(value, dict):
                value = value.get(key)
            else:
                value = None
    return value


def allow_null(value: Any) -> Any:
    """A document in which OpenAPI 3.0's `nullable` is written as JSON Schema has it."""
    if isinstance(value, list):
        return [allow_null(item) for item in value]
    if not isinstance(value, dict):
        return value
    changed = {key: allow_null(item) for key, item in value.items()}
    if changed.get("nullable") is True and isinstance(changed.get("type"), str):
        changed["type"] = [changed["type"], "null"]
        if isinstance(changed.get("enum"), list) and None not in changed["enum"]:
            changed["enum"] = [*changed["enum"], None]
    return changed


def _mapping(value: Any) -> Mapping[str, Any]:
    if isinstance(value, Mapping):
        return value
    return {}


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
        pending += [f"{current}/allOf/{index}" for index in range(len(parts) if isinstance(parts, list) else 0)]


def _has_reference_elsewhere(root: Any, pointer: str) -> bool:
    references = [schema.get("$ref") for _, schema in _expand(root, pointer)]
    return any(isinstance(reference, str) and "cloudevent" in reference.lower() for reference in references)


def _list_fixed(root: Any, pointers: list[str]) -> list[str]:
    """The strings that a property may have, if its schema lists them."""
    for pointer in pointers:
        for _, schema in _expand(root, pointer):
            values = [schema["const"]] if "const" in schema else schema.get("enum")
            if isinstance(values, list):
                return [value for value in values if isinstance(value, str)]
    return []


def _find_declared(root: Mapping[str, Any], pointer: str) -> Iterator[Declaration]:
    """What a schema says of the events that it describes."""
    schema = _mapping(resolve_pointer(root, pointer))
    draft, envelope = draft_of(root), find_envelope(root, pointer)
    if isinstance(schema.get(TYPE_KEY), str):
        source = schema.get(SOURCE_KEY)
        yield Declaration(
            pointer, schema[TYPE_KEY], source if isinstance(source, str) else None, envelope or "eventbridge", draft
        )
    elif isinstance(schema.get("cloudeventTypes"), list):
        for name in schema["cloudeventTypes"]:
            if isinstance(name, str):
                yield Declaration(pointer, name, None, envelope, draft)
    elif envelope:
        properties = find_properties(root, pointer)
        types = _list_fixed(root, properties.get("type" if envelope == "cloudevents" else "detail-type", []))
        sources: list[str | None] = [*_list_fixed(root, properties.get("source", []))] or [None]
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
        content, schema_format = _mapping(payload.value), message.get("schemaFormat")
        if "schema" in content and "schemaFormat" in content:  # AsyncAPI 3
            schema_format, payload = content["schemaFormat"], payload.child("schema")
        if payload.value is None or any(f in str(schema_format).lower() for f in _OTHER_FORMATS):
            continue
        if "openapi" in str(schema_format):
            draft = DRAFT_4
        else:
            draft = _find_draft(str(schema_format))
        declared = list(_find_declared(payload.root, payload.pointer))
        envelope = find_envelope(payload.root, payload.pointer)
        name = message.get("name")
        named = Declaration(payload.pointer, name if isinstance(name, str) else key, None, envelope, draft)
        for declaration in declared or [named]:
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
    """The name of a message without a key of its own: that of the component it refers to, or of its channel."""
    reference = _mapping(place.value).get("$ref")
    is_component = isinstance(reference, str) and "/" in reference.partition("#")[2]
    return (str(reference).rpartition("/")[2] if is_component else channel), place


def _resolve(place: Place, follow: Follow, *, inside: bool = False) -> Place:
    """Where the references of a part of a document lead; with `inside` only those in the same document."""
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
    version = schema_format.partition("version=")[2]
    if "schema+" not in schema_format or not version:
        return DRAFT_7
    if version.startswith("20"):
        return f"https://json-schema.org/draft/{version}/schema"
    return f"http://json-schema.org/{version}/schema#"
