"""Pairs the schemas of two versions: of two files, or of all files in two folders by their paths."""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple
from urllib.parse import quote

from jsonschema_rs import ValidationError, meta

from evtool.errors import ConfigError, UsageError
from evtool.findings.finding import Finding
from evtool.readers.locations import pointer_of
from evtool.schemas.catalog import list_names
from evtool.schemas.diff.diff import Change, SchemaDiff, diff_schemas
from evtool.schemas.diff.inlining import InlinedSchema, inline
from evtool.schemas.diff.keywords import BACKWARD
from evtool.schemas.documents import (
    DRAFT_2020,
    Declaration,
    NamedSchema,
    draft_of,
    find_declarations,
    find_envelope,
    is_container,
    resolve_pointer,
)
from evtool.schemas.explain.violations import make_invalid_schema_finding
from evtool.schemas.foreign import find_foreign
from evtool.schemas.references import SUFFIXES, Library, SchemaDocument, Target


class SchemaFile(NamedTuple):
    """A file with a schema: its path in its folder, and the part and the type that routes.yaml gives for it."""

    file: Path
    steps: tuple[str, ...]
    fragment: str = ""
    types: tuple[str, ...] = ()


class Version(NamedTuple):
    """One version of the schemas: the files by name, and the library in which their references are resolved."""

    files: Mapping[str, SchemaFile]
    library: Library


class SchemaEntry(NamedTuple):
    """A schema of a version: the types that it describes, and the envelope if it describes the whole event."""

    types: tuple[str, ...]
    envelope: str | None
    schema: InlinedSchema


class PairDiff(NamedTuple):
    """The difference between two versions of a schema; one of them is None if it was added or removed."""

    name: str
    old: SchemaEntry | None
    new: SchemaEntry | None
    diff: SchemaDiff


def open_file(file: Path, folders: Sequence[Path], types: Sequence[str] = ()) -> Version:
    """The version that one file is. Its references lead into the folders that contain it, or to files beside it."""
    around = [folder for folder in folders if file.resolve().is_relative_to(folder.resolve())]
    return Version({"": SchemaFile(file, (file.name,), "", tuple(types))}, Library(around, beside=[file]))


def open_folders(folders: Sequence[Path], named: Mapping[str, NamedSchema] = MappingProxyType({})) -> Version:
    """The version that all schemas of some folders are, and those that routes.yaml names, by TYPE."""
    named_files = [schema.file for schema in named.values()]
    files = {
        "/".join(steps): SchemaFile(file, steps)
        for folder in reversed(folders)
        for file, steps in _list_files(folder)
        if file not in named_files
    }
    for name, (file, fragment, _) in named.items():
        files[name] = SchemaFile(file, (file.name,), fragment, (name.rpartition("@")[2],))
    return Version(dict(sorted(files.items())), Library(folders, beside=named_files))


def diff_versions(old: Version, new: Version, *, relaxed: bool = False) -> Iterator[PairDiff]:
    """The differences of all schemas. Raises ConfigError for a file that is not a schema."""
    old_entries, new_entries = (dict(_list_entries(version)) for version in (old, new))
    if not old_entries and not new_entries:
        raise UsageError(
            "no file describes an event type: a schema is named TYPE.json, or says which type it describes"
        )
    for name in [*new_entries, *(name for name in old_entries if name not in new_entries)]:
        before, after = old_entries.get(name), new_entries.get(name)
        if before is not None and after is not None:
            diff = diff_schemas(before.schema, after.schema, relaxed=relaxed)
        else:
            diff = _diff_missing(before, after)
        yield PairDiff(name, before, after, diff)


def _diff_missing(before: SchemaEntry | None, after: SchemaEntry | None) -> SchemaDiff:
    """An event of a type without a schema is refused, so a removed schema breaks the events of its type."""
    entry = before or after
    assert entry is not None
    location = entry.schema.locate(entry.schema.value)
    kind, breaks = ("schema-removed", (BACKWARD,)) if before else ("schema-added", ())
    place = (location.get("file"), location.get("line"), location.get("column"))
    message = f"the schema of {' and '.join(entry.types) or 'this file'} was {'removed' if before else 'added'}"
    change = Change("", kind, breaks, message, (), (), *place)
    return SchemaDiff((change,), backward=before is None, forward=True)


def _list_files(folder: Path) -> Iterator[tuple[Path, tuple[str, ...]]]:
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name != "node_modules" and name[:1] != ".")
        steps = Path(parent).relative_to(folder).parts
        for name in sorted(names):
            if name.endswith(SUFFIXES):
                yield Path(parent, name), (*steps, name)


def _list_entries(version: Version) -> Iterator[tuple[str, SchemaEntry]]:
    """The schemas of a version by name: that of a file, or each one that a document such as OpenAPI contains.

    Files that describe no type are parts, which are compared where they are referred to.
    """
    for name, (file, steps, fragment, given_types) in version.files.items():
        own_types = given_types or tuple(entry.rpartition("@")[2] for entry in list_names(steps)[:1])
        try:
            document = version.library.open(file)
        except ConfigError:
            if own_types:
                raise
            continue
        if name and not given_types and _has_other_purpose(document):
            continue
        if fragment:
            yield name, _read_part(version.library, document, file, fragment, own_types)
            continue
        declarations = find_declarations(document.value)
        types = given_types or tuple(dict.fromkeys(declaration.type for declaration in declarations)) or own_types
        if not types:
            continue
        if is_container(document.value):
            yield from _list_contained(version.library, name, document, declarations)
        else:
            _check_part(version.library, Target(document, ""))
            schema = inline(version.library, f"{document.uri}#", draft_of(document.value))
            yield name, SchemaEntry(types, find_envelope(document.value, ""), schema)


def _has_other_purpose(document: SchemaDocument) -> bool:
    """Whether a file of a folder is no schema of a type, such as one that has only definitions."""
    foreign = None
    if isinstance(document.value, dict):
        foreign = find_foreign(document.value)
    return foreign is not None and foreign.has_other_purpose and not find_declarations(document.value)


def _read_part(
    library: Library, document: SchemaDocument, file: Path, fragment: str, types: tuple[str, ...]
) -> SchemaEntry:
    pointer = library.find_part(NamedSchema(file, fragment))
    _check_part(library, Target(document, pointer))
    schema = inline(library, f"{document.uri}#{quote(pointer)}", draft_of(document.value))
    return SchemaEntry(types, find_envelope(document.value, pointer), schema)


def _list_contained(
    library: Library, name: str, document: SchemaDocument, declarations: Sequence[Declaration]
) -> Iterator[tuple[str, SchemaEntry]]:
    for declaration in declarations:
        _check_part(library, Target(document, declaration.pointer))
        uri = f"{document.uri}#{quote(declaration.pointer)}"
        schema = inline(library, uri, declaration.draft or draft_of(document.value))
        source = ""
        if declaration.source:
            source = f"{declaration.source}@"
        yield f"{name}#{source}{declaration.type}", SchemaEntry((declaration.type,), declaration.envelope, schema)


def _check_part(library: Library, root: Target) -> None:
    """Raises ConfigError for what is not a JSON Schema, and for references that lead nowhere."""
    document, name = root.document, root.document.text.file
    foreign = None
    if isinstance(document.value, dict) and not root.pointer:
        foreign = find_foreign(document.value)
    if foreign:
        location = document.locate(pointer_of([foreign.key]), key=True)
        finding = Finding("EV602", f"this is {foreign.name}, not a JSON Schema", suggestion=foreign.hint, **location)
        raise ConfigError(f"the schema {name} cannot be used", [finding])
    parts, findings = library.follow_references(root, draft_of(document.value) or DRAFT_2020)
    if findings:
        raise ConfigError(f"the schema {name} cannot be used", findings)
    for part in parts:
        value = resolve_pointer(part.document.value, part.pointer)
        draft = draft_of(part.document.value)
        try:
            if not is_container(value):
                meta.validate({"$schema": draft, **value} if draft and isinstance(value, dict) else value)
        except ValidationError as error:
            raise ConfigError(f"the schema {name} cannot be used", [make_invalid_schema_finding(part, error)]) from None
