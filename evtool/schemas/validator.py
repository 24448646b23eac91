"""Schemas: find the JSON Schema of an event's type, and list everything about the event that it does not allow.

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
from evtool.readers.locations import Origin, place, pointer_of
from evtool.schemas.messages import short, violations
from evtool.schemas.references import Library, Text

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

    def types(self) -> list[str]:
        """The event types that have a schema."""
        return sorted({name.rpartition("@")[2] for name in self._files})

    def file_for(self, event_type: str, source: str) -> Path | None:
        """The schema file of a type, the one for its source first."""
        return self._only or self._files.get(f"{source}@{event_type}") or self._files.get(event_type)

    def check(self, event: Event, *, no_schema: str = "error") -> list[Finding]:
        """Everything that the schema of the event's type finds wrong with it, in the order of the text.

        `no_schema` is what a type without a schema means: error, warn or ignore. Raises ConfigError when the schema
        itself is wrong.
        """
        about: dict[str, Any] = {"event_id": event.id if event.identified else None, "event_type": event.type}
        file = self.file_for(event.type, event.source)
        if file is None:
            return [] if no_schema == "ignore" else [self._unknown_type(event, no_schema, about)]
        validator = self._validators.get(file) or self._compile(file)
        if validator.is_valid(event.detail):
            return []
        findings = [
            Finding(
                found.code,
                f"{_dotted([event.payload, *found.path])} {found.message}",
                suggestion=found.suggestion,
                **about,
                **place(event.origin, pointer_of([event.payload, *found.path]), key=found.at_key),
            )
            for error in validator.iter_errors(event.detail)
            for found in violations(error, self._siblings(error))
        ]
        return sorted(findings, key=lambda f: (f.line or 0, f.column or 0, f.code))

    def _unknown_type(self, event: Event, no_schema: str, about: dict[str, Any]) -> Finding:
        severity = "warning" if no_schema == "warn" else "error"
        pointer = "/type" if event.payload == "data" else "/detail-type"
        hint = did_you_mean(event.type, self.types())
        message = f'no schema for type "{event.type}"'
        return Finding("EV101", message, severity, suggestion=hint, **about, **place(event.origin, pointer))

    # --- compiling ---------------------------------------------------------------------------------------------------

    def _compile(self, file: Path) -> Any:
        """The validator of a schema, after that of everything it refers to: the engine judges only whole schemas."""
        texts, findings = self._library.follow(self._library.open(file))
        root = texts[0]
        if findings:
            raise ConfigError(f"the schema {root.piece.file} cannot be used", findings)
        draft = root.value.get("$schema") if isinstance(root.value, dict) else None
        for text in reversed(texts):
            inherits = draft is not None and isinstance(text.value, dict)
            try:
                validator = self._validator({"$schema": draft, **text.value} if inherits else text.value, text.uri)
            except ValidationError as error:
                raise ConfigError(
                    f"the schema {root.piece.file} cannot be used", [self._not_valid(text, error)]
                ) from None
        self._validators[file] = validator
        return validator

    def _validator(self, document: Any, uri: str) -> Any:
        return validator_for(
            document,
            validate_formats=True,
            base_uri=uri,
            retriever=self._retrieve,
            pattern_options=FancyRegexOptions(backtrack_limit=BACKTRACK_LIMIT),
        )

    def _retrieve(self, uri: str) -> Any:
        found = self._library.at(uri)
        if found is None:
            raise LookupError(uri)
        return found

    def _siblings(self, error: ValidationError) -> dict[str, Any]:
        """The schema object that the keyword which failed stands in, for hints."""
        found = self._library.at((error.absolute_keyword_location or "").rpartition("/")[0])
        return found if isinstance(found, dict) else {}

    def _not_valid(self, text: Text, error: ValidationError) -> Finding:
        if error.message.startswith("Unknown meta-schema"):
            message = f"$schema names no draft that is understood: {short(text.value['$schema'])}"
            where = place(Origin(text.piece), "/$schema")
            return Finding("EV602", message, suggestion=f"the drafts are {DRAFTS}", **where)
        found = next(violations(error, {}))
        message = f"not a valid JSON Schema: {_dotted(found.path) or 'it'} {found.message}"
        where = place(Origin(text.piece), pointer_of(found.path), key=found.at_key)
        return Finding("EV602", message, suggestion=found.suggestion, **where)


def _dotted(path: Sequence[str | int]) -> str:
    """A path as people write it: `detail.items[0].price`."""
    return "".join(f"[{s}]" if isinstance(s, int) else f".{s}" for s in path).lstrip(".")
