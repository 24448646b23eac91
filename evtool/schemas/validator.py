"""Finds the JSON Schema of an event's type, and lists all violations of it.

The engine is jsonschema-rs (drafts 4, 6, 7, 2019-09 and 2020-12, formats asserted). References are followed inside the
schema folders only; nothing is fetched over the network. The regular expressions of schemas run under a limit on
backtracking.

A schema is compiled when the first event needs it. The engine follows references lazily and reports their errors in a
way that does not help, so every document that a schema refers to is found and compiled first, the deepest first.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import quote

from jsonschema_rs import FancyRegexOptions, ValidationError, meta, validator_for

from evtool.errors import ConfigError
from evtool.events.envelopes import ACCOUNT, REGION
from evtool.events.event import Event
from evtool.findings.finding import Finding
from evtool.paths import display_path, is_file
from evtool.readers.locations import pointer_of
from evtool.schemas.catalog import Catalog, Choice
from evtool.schemas.documents.declarations import DRAFT_2020, NamedSchema, find_properties, resolve_pointer
from evtool.schemas.documents.document import SchemaDocument, Target
from evtool.schemas.documents.foreign import find_foreign, find_misspelled
from evtool.schemas.documents.references import META_SCHEMAS, Library
from evtool.schemas.subschemas import Subschemas

# Steps of a regular expression: a hostile one takes about 2 ms.
BACKTRACK_LIMIT = 100_000
# Types whose schema is remembered. A stream may contain any number of different types.
MAX_TYPES = 10_000
# The URI of schemas that only refer to a part of a document.
_PART_URI = "urn:evtool:part"
# The members that EventBridge adds to a new event.
_FILLED_IN = {"version": "0", "account": ACCOUNT, "region": REGION, "resources": []}


class CompiledSchema(NamedTuple):
    """A schema that is ready for use. `warnings` are reported once. `parts` are the schemas that make it up."""

    choice: Choice
    validator: Any
    warnings: list[Finding]
    subschemas: Subschemas
    root: Target
    parts: Sequence[Target]

    def allows_text(self, event: Event) -> bool:
        """Whether an event whose payload is not JSON has text, and the schema describes a string."""
        return isinstance(event.detail, str) and self.subschemas.allows_string(self.path_in(event, ()))

    def path_in(self, event: Event, path: Sequence[str | int]) -> tuple[str | int, ...]:
        """A path of the payload as a path of the value that the schema describes."""
        if self.choice.envelope is None:
            return tuple(path)
        return (event.payload_key,) + tuple(path)


class Schemas:
    """The schemas of a project, compiled when first needed.

    A document may say which types it describes; routes.yaml may name the schema of a type; `TYPE.json` describes the
    payload of type TYPE, `SOURCE@TYPE.json` that of TYPE from SOURCE only.
    """

    def __init__(
        self,
        folders: Sequence[Path],
        *,
        only: NamedSchema | None = None,
        named: Mapping[str, NamedSchema] = MappingProxyType({}),
    ):
        """Takes the schemas in `folders`, and those of `named`, by TYPE or SOURCE@TYPE.

        With `only`, this one is the schema of every type. Raises ConfigError if a folder or a file does not exist.
        """
        for folder in folders:
            if not folder.is_dir():
                raise ConfigError(f"schemas: {folder} is not a folder")
        findings = []
        for name, schema in named.items():
            if not is_file(schema.file):
                message = f"the schema of {name} cannot be read: the file {display_path(schema.file)} does not exist"
                findings.append(Finding("EV601", message, **schema.locate()))
        if findings:
            raise ConfigError("the schemas cannot be used", findings)
        files = [schema.file for schema in named.values()]
        if only:
            files.insert(0, only.file)
        self._only = only
        self._library = Library(folders, beside=files)
        self._catalog = Catalog(folders, named, self._library)
        self._compiled: dict[Choice, CompiledSchema] = {}
        self._of_types: dict[tuple[str, str, str], CompiledSchema | None] = {}

    def list_types(self) -> list[str]:
        """The event types that have a schema."""
        return self._catalog.list_types()

    def list_entries(self) -> list[tuple[str, str | None]]:
        """The event types that have a schema, each with its source if the schema is for this source only."""
        return self._catalog.list_entries()

    def check(self, event: Event, *, no_schema: str = "error") -> list[Finding]:
        """The findings of an event against the schema of its type, in the order of the text.

        `no_schema` is the result for a type without a schema: error, warn or ignore. Warnings about the schema itself
        come with the first event that needs it. Raises ConfigError when the schema itself is wrong.
        """
        schema = self._find_of(event)
        if schema is None:
            if no_schema == "ignore":
                return []
            # Most types have a schema, and most events are valid: the imports below would slow down every start.
            from evtool.schemas.explain.violations import make_unknown_type_finding  # noqa: PLC0415

            severity = "error"
            if no_schema == "warn":
                severity = "warning"
            hint = self._catalog.explain_missing(event.type, event.source)
            return [make_unknown_type_finding(event, hint, severity)]
        warnings = schema.warnings[:]
        schema.warnings.clear()
        if not event.has_json_payload and not schema.allows_text(event):
            from evtool.schemas.explain.violations import make_text_finding  # noqa: PLC0415

            return warnings + [make_text_finding(event)]
        if schema.choice.envelope is None:
            value, prefix = event.detail, [event.payload_key]
        else:
            value, prefix = fill_in(event), []
        if schema.validator.is_valid(value):
            return warnings
        from evtool.schemas.explain.engine_errors import list_errors  # noqa: PLC0415
        from evtool.schemas.explain.violations import list_violations  # noqa: PLC0415

        errors = list_errors(schema.validator, value)
        return warnings + list_violations(event, errors, schema.subschemas, prefix)

    def find_check(self, event_type: str, source: str, payload_key: str) -> Callable[[Any], bool] | None:
        """The function that decides whether a payload fits its schema.

        None until an event of that type and source was checked, and for a schema of the whole event.
        """
        schema = self._of_types.get((event_type, source, payload_key))
        # Warnings have to be reported with an event, which only `check` does.
        if schema is None or schema.warnings or schema.choice.envelope is not None:
            return None
        check: Callable[[Any], bool] = schema.validator.is_valid
        return check

    def list_properties(self, event: Event, path: Sequence[str | int]) -> frozenset[str]:
        """The property names that the schema of an event has for the object at a path of its payload."""
        schema = self._find_of(event)
        if schema is not None:
            return schema.subschemas.known_names(schema.path_in(event, path))
        return frozenset()

    def is_forbidden(self, event: Event, path: Sequence[str | int], value: Any) -> bool:
        """Whether the schema of an event allows a value at a path in no event."""
        if path[0] != event.payload_key:
            return False
        schema = self._find_of(event)
        return schema is not None and schema.subschemas.is_forbidden(schema.path_in(event, path[1:]), value)

    def find(self, event_type: str, source: str, payload_key: str = "detail") -> CompiledSchema | None:
        """The schema of a type from a source, or None. Raises ConfigError when the schema itself is wrong.

        `payload_key` is "detail" for EventBridge events and "data" for CloudEvents.
        """
        key = (event_type, source, payload_key)
        if key not in self._of_types:
            if len(self._of_types) >= MAX_TYPES:
                self._of_types.clear()
            self._of_types[key] = self._compile_for(*key)
        return self._of_types[key]

    def read_document(self, event_type: str, source: str) -> SchemaDocument | None:
        """The document of a type's schema, even if it is not a valid schema; None if it cannot be read."""
        try:
            choice, _ = self._catalog.find(event_type, source)
            if choice:
                return self._library.open(choice.file)
            return None
        except ConfigError:
            return None

    def _find_of(self, event: Event) -> CompiledSchema | None:
        return self.find(event.type, event.source, event.payload_key)

    def _compile_for(self, event_type: str, source: str, payload_key: str) -> CompiledSchema | None:
        """The schema of a type. One that describes another envelope is used for the payload only."""
        warnings: list[Finding] = []
        choice: Choice | None
        if self._only:
            choice = self._catalog.choose(self._only, event_type, source)
        else:
            choice, warnings = self._catalog.find(event_type, source)
        if choice is None:
            return None
        # Events arrive in both envelopes, and the payload is the same in both.
        if choice.envelope and (choice.envelope == "cloudevents") != (payload_key == "data"):
            own_key = "detail"
            if choice.envelope == "cloudevents":
                own_key = "data"
            pointers = find_properties(self._library.open(choice.file).value, choice.pointer).get(own_key)
            if pointers:
                choice = choice._replace(pointer=pointers[0], envelope=None)
        if choice not in self._compiled:
            self._compiled[choice] = self._compile(choice)
        compiled = self._compiled[choice]
        compiled.warnings.extend(warnings)
        return compiled

    # --- compiling ---------------------------------------------------------------------------------------------------

    def _compile(self, choice: Choice) -> CompiledSchema:
        """Compiles a schema, after everything that it refers to: the engine checks only whole documents."""
        root = Target(self._library.open(choice.file), choice.pointer)
        _check_is_schema(root)
        draft = choice.draft or _find_meta_schema(root)
        parts, findings = self._library.follow_references(root, draft or DRAFT_2020)
        name = root.document.text.file
        uri = f"{root.document.uri}#{quote(root.pointer)}"
        if findings:
            raise ConfigError(f"the schema {name} cannot be used", findings)
        validator: Any = None
        part = parts[0]
        try:
            for part in reversed(parts):
                validator = self._compile_part(part, draft)
            if root.pointer:
                validator = self._build_validator(_draft(draft) | {"$ref": uri})
        except ValidationError as error:
            # Most schemas are valid.
            from evtool.schemas.explain.violations import find_invalid_keywords  # noqa: PLC0415

            findings = find_invalid_keywords(part, error, draft or DRAFT_2020) + _find_warnings(parts)
            raise ConfigError(f"the schema {name} cannot be used", findings) from None
        subschemas = Subschemas(self._library, uri, draft, self._build_validator)
        return CompiledSchema(choice, validator, _find_warnings(parts), subschemas, root, parts)

    def _compile_part(self, part: Target, draft: str | None) -> Any:
        """The validator of a document; None for a part of a container, which is only checked to be a schema."""
        value = resolve_pointer(part.document.value, part.pointer)
        with_draft = value
        if isinstance(value, dict):
            with_draft = _draft(draft) | value
        if part.pointer:
            meta.validate(with_draft)
            return None
        return self._build_validator(with_draft, part.document.uri)

    def _build_validator(self, document: Any, uri: str = _PART_URI) -> Any:
        return validator_for(
            document,
            validate_formats=True,
            base_uri=uri,
            retriever=self.retrieve,
            pattern_options=FancyRegexOptions(backtrack_limit=BACKTRACK_LIMIT),
        )

    def retrieve(self, uri: str) -> Any:
        """The schema with a URI, for an engine that follows a reference. Raises LookupError."""
        schema = self._library.resolve(uri)
        if schema is None:
            raise LookupError(uri)
        return schema


def _draft(draft: str | None) -> dict[str, Any]:
    if draft:
        return {"$schema": draft}
    return {}


def _check_is_schema(root: Target) -> None:
    """Raises ConfigError for a document that is not a JSON Schema, and for a part that does not exist."""
    document, name = root.document, root.document.text.file
    value = resolve_pointer(document.value, root.pointer)
    if not isinstance(value, dict | bool):
        finding = Finding("EV603", f"the document has no schema at {root.pointer}", **document.locate(root.pointer))
        raise ConfigError(f"the schema {name}#{root.pointer} does not exist", [finding])
    foreign = None
    if isinstance(value, dict) and not root.pointer:
        foreign = find_foreign(value)
    if foreign is not None:
        location = document.locate(pointer_of([foreign.key]), key=True)
        message = f"this is {foreign.name}, not a JSON Schema"
        finding = Finding("EV602", message, suggestion=foreign.hint, **location)
        raise ConfigError(f"the schema {name} cannot be used", [finding])


def _find_meta_schema(root: Target) -> str | None:
    """The draft of a meta-schema that a schema without `$schema` refers to."""
    text = root.document.text.raw.decode(errors="replace")
    for uri in META_SCHEMAS:
        if f'"{uri}' in text:
            return uri
    return None


def _find_warnings(parts: Sequence[Target]) -> list[Finding]:
    """The warnings about keys that are nearly keywords, in file order."""
    findings = []
    for part in parts:
        value = resolve_pointer(part.document.value, part.pointer)
        for pointer, keyword in find_misspelled(value, part.pointer):
            message = f'"{pointer.rpartition("/")[2]}" is not a keyword of JSON Schema and has no effect'
            hint = f'did you mean "{keyword}"?'
            location = part.document.locate(pointer, key=True)
            findings.append(Finding("EV604", message, "warning", suggestion=hint, **location))
    return findings


def fill_in(event: Event) -> Mapping[str, Any]:
    """The whole event, with decoded data, and with the members that EventBridge adds to an event without an id."""
    if "data_base64" in event.document and event.has_json_payload:
        decoded = dict(event.document)
        del decoded["data_base64"]
        decoded["data"] = event.detail
        return decoded
    if event.payload_key == "detail" and not event.has_own_id:
        return {**_FILLED_IN, **event.document}
    return event.document
