"""Schemas: find the JSON Schema of an event's type, and list everything about the event that it does not allow.

jsonschema-rs judges (drafts 4, 6, 7, 2019-09 and 2020-12, formats asserted). References are followed inside the schema
folders only; nothing is ever fetched. The regular expressions of schemas run under a limit on backtracking.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

from jsonschema_rs import FancyRegexOptions, ValidationError, validator_for

from evtool.errors import ConfigError
from evtool.event import Event, Origin, located, place, problem
from evtool.finding import Finding, did_you_mean
from evtool.jsontext import JsonProblem, parse, positions
from evtool.reading import Piece
from evtool.wording import violations

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
        self._folders = [folder.resolve() for folder in folders]
        self._only = only
        self._files = {f.name[: -len(".json")]: f for d in reversed(folders) for f in sorted(d.glob("*.json"))}
        self._validators: dict[Path, Any] = {}
        self._documents: dict[str, Any] = {}  # URI -> schema document
        self._ids: dict[str, Path] | None = None  # `$id` -> file

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
                **place(event, _pointer([event.payload, *found.path]), key=found.at_key),
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
        return Finding("EV101", message, severity, suggestion=hint, **about, **place(event, pointer))

    # --- compiling ---------------------------------------------------------------------------------------------------

    def _compile(self, file: Path) -> Any:
        text = _read(file)
        document = _parse(text)
        uri = file.resolve().as_uri()
        identifier = document.get("$id", document.get("id")) if isinstance(document, dict) else None
        self._documents[urljoin(uri, identifier) if isinstance(identifier, str) else uri] = document
        refused: list[str] = []

        def retrieve(target: str) -> Any:
            found = self._retrieve(target)
            if found is None:
                refused.append(target)
                raise LookupError(target)
            return found

        _refuse_loops(text, document)
        try:
            validator = validator_for(
                document,
                validate_formats=True,
                base_uri=uri,
                retriever=retrieve,
                pattern_options=FancyRegexOptions(backtrack_limit=BACKTRACK_LIMIT),
            )
        except ValidationError as error:
            raise self._not_usable(text, uri, document, error, refused) from None
        self._validators[file] = validator
        return validator

    def _retrieve(self, uri: str) -> Any:
        """The document of a URI if it is a file of the schema folders, by its place or by its `$id`."""
        uri = urldefrag(uri).url
        if uri in self._documents:
            return self._documents[uri]
        parts = urlsplit(uri)
        file = Path(unquote(parts.path)).resolve() if parts.scheme == "file" else self._by_id(uri)
        if file is None or not self._inside(file) or not file.is_file():
            return None
        self._documents[uri] = _parse(_read(file))
        return self._documents[uri]

    def _inside(self, file: Path) -> bool:
        folders = self._folders or [self._only.resolve().parent] if self._only else self._folders
        return any(file.is_relative_to(folder) for folder in folders)

    def _by_id(self, uri: str) -> Path | None:
        if self._ids is None:
            self._ids = {}
            for file in (f for folder in self._folders for f in sorted(folder.rglob("*.json"))):
                document = _parse(_read(file))
                identifier = document.get("$id", document.get("id")) if isinstance(document, dict) else None
                if isinstance(identifier, str):
                    self._ids.setdefault(urljoin(file.resolve().as_uri(), identifier), file)
        return self._ids.get(uri)

    def _siblings(self, error: ValidationError) -> dict[str, Any]:
        """The schema object that the keyword which failed stands in, for hints."""
        uri, _, pointer = (error.absolute_keyword_location or "").partition("#")
        found = self._documents.get(uri, {})
        for step in pointer.split("/")[1:-1]:
            key = unquote(step).replace("~1", "/").replace("~0", "~")
            found = found[int(key)] if isinstance(found, list) else found.get(key, {})
        return found if isinstance(found, dict) else {}

    def _not_usable(
        self, text: Piece, uri: str, document: Any, error: ValidationError, refused: list[str]
    ) -> ConfigError:
        pointer = _pointer(error.instance_path)
        finding = Finding("EV602", f"not a valid JSON Schema: {error.message}", **place(Origin(text), pointer))
        if refused:
            reference = next((r for p, r in _references(document, "") if urldefrag(urljoin(uri, r)).url in refused), "")
            where = next((p for p, r in _references(document, "") if r == reference), "")
            message = f'reference "{reference or refused[0]}" leads to no file of the schema folders'
            hint = "nothing is fetched: put the file there, or give it the $id that is referred to"
            finding = Finding("EV603", message, suggestion=hint, **place(Origin(text), where))
        elif error.message.startswith("Unknown meta-schema"):
            message = f"$schema names no draft that is understood: {document.get('$schema')}"
            hint = f"the drafts are {DRAFTS}"
            finding = Finding("EV602", message, suggestion=hint, **place(Origin(text), "/$schema"))
        elif "does not exist" in error.message:
            where = next((p for p, r in _references(document, "") if unquote(r).endswith(_named(error.message))), "")
            finding = Finding("EV603", error.message, **place(Origin(text), where))
        return ConfigError(f"the schema {text.file} cannot be used", [finding])


def _read(file: Path) -> Piece:
    shown = os.path.relpath(file) if file.is_relative_to(Path.cwd()) else str(file)
    try:
        return Piece(shown, 1, 1, file.read_bytes())
    except OSError as error:
        finding = Finding("EV601", f"cannot read the schema: {error.strerror}", file=shown)
        raise ConfigError(f"the schema {shown} cannot be read", [finding]) from None


def _parse(text: Piece) -> Any:
    try:
        document = parse(text.raw)
    except JsonProblem as error:
        finding = problem(text, error)._replace(code="EV601")
        raise ConfigError(f"the schema {text.file} is not well-formed JSON", [finding]) from None
    if not isinstance(document, dict | bool):
        finding = Finding("EV602", "a schema is a JSON object, true or false", **place(Origin(text), ""))
        raise ConfigError(f"the schema {text.file} cannot be used", [finding])
    if isinstance(document, dict) and "openapi" in document:
        hint = "export it from the registry as JSONSchemaDraft4"
        message = "this is an OpenAPI document, not a JSON Schema"
        raise ConfigError(
            f"the schema {text.file} cannot be used",
            [Finding("EV602", message, suggestion=hint, **place(Origin(text), "/openapi", key=True))],
        )
    return document


def _references(schema: Any, pointer: str) -> Iterator[tuple[str, str]]:
    """Every `$ref` of a schema document: its pointer and what it refers to."""
    if isinstance(schema, dict):
        if isinstance(schema.get("$ref"), str):
            yield f"{pointer}/$ref", schema["$ref"]
        for key, value in schema.items():
            yield from _references(value, f"{pointer}/{_escaped(key)}")
    elif isinstance(schema, list):
        for index, value in enumerate(schema):
            yield from _references(value, f"{pointer}/{index}")


def _refuse_loops(text: Piece, document: Any) -> None:
    """References that lead back to themselves without reading on in the event never end; the engine takes them."""
    local = {p[: -len("/$ref")]: r[1:] for p, r in _references(document, "") if r == "#" or r.startswith("#/")}
    for start, reference in local.items():
        seen, at = {start}, unquote(reference)
        while at in local and at not in seen:
            seen.add(at)
            at = unquote(local[at])
        if at == start:
            spans = positions(text.raw)
            message = f'reference "#{reference}" leads back to itself'
            where = located(text, spans[f"{start}/$ref"])
            finding = Finding("EV603", message, pointer=f"{start}/$ref", **where)
            raise ConfigError(f"the schema {text.file} cannot be used", [finding])


def _named(message: str) -> str:
    """The pointer between the quotes of `Pointer '/x' does not exist`."""
    return message.partition("'")[2].rpartition("'")[0]


def _escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")


def _pointer(path: Sequence[str | int]) -> str:
    return "".join(f"/{_escaped(str(step))}" for step in path)


def _dotted(path: Sequence[str | int]) -> str:
    """A path as people write it: `detail.items[0].price`."""
    return "".join(f"[{s}]" if isinstance(s, int) else f".{s}" for s in path).lstrip(".")
