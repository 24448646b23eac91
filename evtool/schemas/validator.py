"""Finds the JSON Schema of an event's type, and lists all violations of it.

jsonschema-rs judges (drafts 4, 6, 7, 2019-09 and 2020-12, formats asserted). References are followed inside the schema
folders only; nothing is ever fetched. The regular expressions of schemas run under a limit on backtracking.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jsonschema_rs import FancyRegexOptions, ValidationError, validator_for

from evtool.errors import ConfigError
from evtool.events.event import Event
from evtool.findings.finding import Finding
from evtool.findings.spelling import did_you_mean
from evtool.readers.locations import SourceMap, location_of, pointer_of
from evtool.schemas.explainer import Explainer
from evtool.schemas.messages import Violation, find_violations, shorten
from evtool.schemas.references import Library, SchemaDocument
from evtool.schemas.subschemas import Subschemas
from evtool.schemas.unions import UNIONS, describe_all

BACKTRACK_LIMIT = 100_000  # about 2 ms of a hostile regular expression
DRAFTS = "draft-04, draft-06, draft-07, 2019-09 and 2020-12"


class Schemas:
    """The schemas of one or more folders, compiled when first needed.

    `TYPE.json` describes the payload of type TYPE, `SOURCE@TYPE.json` that of TYPE from SOURCE only. Files in
    subfolders are no types, but can be referred to.
    """

    def __init__(self, folders: Sequence[Path], *, only: Path | None = None):
        """Schemas in `folders`; with `only`, that one file is the schema of every type."""
        for folder in folders:
            if not folder.is_dir():
                raise ConfigError(f"schemas: {folder} is not a folder")
        self._only = only
        self._files = {f.name[: -len(".json")]: f for d in reversed(folders) for f in sorted(d.glob("*.json"))}
        self._library = Library(folders, beside=only)
        self._validators: dict[Path, Any] = {}
        self._explainers: dict[Path, Explainer] = {}

    def list_types(self) -> list[str]:
        """The event types that have a schema."""
        return sorted({name.rpartition("@")[2] for name in self._files})

    def find_file(self, event_type: str, source: str) -> Path | None:
        """The schema file of a type, the one for its source first."""
        return self._only or self._files.get(f"{source}@{event_type}") or self._files.get(event_type)

    def check(self, event: Event, *, no_schema: str = "error") -> list[Finding]:
        """Everything that the schema of the event's type finds wrong with it, in the order of the text.

        `no_schema` is what a type without a schema means: error, warn or ignore. Raises ConfigError when the schema
        itself is wrong.
        """
        context: dict[str, Any] = {"event_id": event.id if event.has_own_id else None, "event_type": event.type}
        file = self.find_file(event.type, event.source)
        if file is None:
            return [] if no_schema == "ignore" else [self._make_unknown_type_finding(event, no_schema, context)]
        validator = self._validators.get(file) or self._compile(file)
        if validator.is_valid(event.detail):
            return []
        violations = self._explainers[file].explain(list(validator.iter_errors(event.detail)))
        findings = [
            Finding(
                violation.code,
                f"{_format_path([event.payload_key, *violation.path])} {violation.message}{_format_forms(violation)}",
                suggestion=violation.suggestion,
                **context,
                **location_of(event.source_map, pointer_of([event.payload_key, *violation.path]), key=violation.at_key),
            )
            for violation in violations
        ]
        return sorted(findings, key=lambda f: (f.line or 0, f.column or 0, f.code))

    def _make_unknown_type_finding(self, event: Event, no_schema: str, context: dict[str, Any]) -> Finding:
        severity = "warning" if no_schema == "warn" else "error"
        pointer = "/type" if event.payload_key == "data" else "/detail-type"
        hint = did_you_mean(event.type, self.list_types())
        message = f'no schema for type "{event.type}"'
        return Finding("EV101", message, severity, suggestion=hint, **context, **location_of(event.source_map, pointer))

    # --- compiling ---------------------------------------------------------------------------------------------------

    def _compile(self, file: Path) -> Any:
        """The validator of a schema, after that of everything it refers to: the engine judges only whole schemas."""
        documents, findings = self._library.follow_references(self._library.open(file))
        root = documents[0]
        if findings:
            raise ConfigError(f"the schema {root.text.file} cannot be used", findings)
        draft = root.value.get("$schema") if isinstance(root.value, dict) else None
        for document in reversed(documents):
            inherits = draft is not None and isinstance(document.value, dict)
            try:
                validator = self._build_validator(
                    {"$schema": draft, **document.value} if inherits else document.value, document.uri
                )
            except ValidationError as error:
                raise ConfigError(
                    f"the schema {root.text.file} cannot be used", [self._make_invalid_schema_finding(document, error)]
                ) from None
        self._validators[file] = validator
        self._explainers[file] = Explainer(Subschemas(self._library, f"{root.uri}#", draft, self._build_validator))
        return validator

    def _build_validator(self, document: Any, uri: str = "urn:evtool:part") -> Any:
        return validator_for(
            document,
            validate_formats=True,
            base_uri=uri,
            retriever=self._retrieve,
            pattern_options=FancyRegexOptions(backtrack_limit=BACKTRACK_LIMIT),
        )

    def _retrieve(self, uri: str) -> Any:
        schema = self._library.resolve(uri)
        if schema is None:
            raise LookupError(uri)
        return schema

    def _make_invalid_schema_finding(self, document: SchemaDocument, error: ValidationError) -> Finding:
        if error.message.startswith("Unknown meta-schema"):
            message = f"$schema names no draft that is understood: {shorten(document.value['$schema'])}"
            location = location_of(SourceMap(document.text), "/$schema")
            return Finding("EV602", message, suggestion=f"the drafts are {DRAFTS}", **location)
        violation = describe_all(error) if isinstance(error.kind, UNIONS) else next(find_violations(error, {}))
        message = f"not a valid JSON Schema: {_format_path(violation.path) or 'it'} {violation.message}"
        location = location_of(SourceMap(document.text), pointer_of(violation.path), key=violation.at_key)
        return Finding("EV602", message, suggestion=violation.suggestion, **location)


def _format_path(path: Sequence[str | int]) -> str:
    """A path as people write it: `detail.items[0].price`."""
    return "".join(f"[{s}]" if isinstance(s, int) else f".{s}" for s in path).lstrip(".")


def _format_forms(violation: Violation) -> str:
    """The forms that the value was compared with, if there are several in the schema."""
    return f" ({', '.join(f'form {name}' for name in violation.forms)})" if violation.forms else ""
