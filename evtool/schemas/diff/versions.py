"""Pairs the schemas of two versions: of two files, or of all files in two folders by their paths.

Example: the folder `before` has order.created.json and money.json, the folder `after` has order.created.json and
refund.created.json. `order.created.json` is in both, so its versions are compared; `refund.created.json` was added.
money.json describes no type if it has only definitions: it is compared where other schemas refer to it.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple
from urllib.parse import quote

from jsonschema_rs import ValidationError, meta

from evtool.errors import ConfigError, UsageError
from evtool.findings.finding import Finding
from evtool.readers.locations import pointer_of
from evtool.schemas.catalog import list_names, walk_schemas
from evtool.schemas.diff.changes import Change, SchemaDiff
from evtool.schemas.diff.diff import diff_schemas
from evtool.schemas.diff.inlining import InlinedSchema, inline
from evtool.schemas.diff.keywords import BACKWARD
from evtool.schemas.documents.declarations import (
    DRAFT_2020,
    Declaration,
    NamedSchema,
    draft_of,
    find_declarations,
    find_envelope,
    is_container,
    resolve_pointer,
)
from evtool.schemas.documents.document import SUFFIXES, SchemaDocument, Target
from evtool.schemas.documents.foreign import find_foreign
from evtool.schemas.documents.references import Library
from evtool.schemas.explain.violations import make_invalid_schema_finding


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
    """A version with one file. Its references lead into the folders that contain it, or into the folder of the file."""
    around = [folder for folder in folders if file.resolve().is_relative_to(folder.resolve())]
    return Version({"": SchemaFile(file, (file.name,), "", tuple(types))}, Library(around, beside=[file]))


def open_folders(folders: Sequence[Path], named: Mapping[str, NamedSchema] = MappingProxyType({})) -> Version:
    """A version with all schemas of some folders, and those that routes.yaml names, by TYPE."""
    named_files = [schema.file for schema in named.values()]
    files = {}
    # The first folder has priority, so it comes last.
    for folder in reversed(folders):
        for file, steps in _list_files(folder):
            if file not in named_files:
                files["/".join(steps)] = SchemaFile(file, steps)
    for name, schema in named.items():
        event_type = name.rpartition("@")[2]
        files[name] = SchemaFile(schema.file, (schema.file.name,), schema.fragment, (event_type,))
    return Version(dict(sorted(files.items())), Library(folders, beside=named_files))


def diff_versions(old: Version, new: Version, *, relaxed: bool = False) -> Iterator[PairDiff]:
    """Yields the differences of all schemas. Raises ConfigError for a file that is not a schema."""
    old_entries, new_entries = dict(_list_entries(old)), dict(_list_entries(new))
    if not old_entries and not new_entries:
        raise UsageError(
            "no file describes an event type: a schema is named TYPE.json, or says which type it describes"
        )
    for name in new_entries | old_entries:
        before, after = old_entries.get(name), new_entries.get(name)
        if before is not None and after is not None:
            diff = diff_schemas(before.schema, after.schema, relaxed=relaxed)
        else:
            diff = _diff_missing(before, after)
        yield PairDiff(name, before, after, diff)


def _diff_missing(before: SchemaEntry | None, after: SchemaEntry | None) -> SchemaDiff:
    """The difference of a schema that one version lacks."""
    entry = before or after
    assert entry is not None
    verb = "added"
    breaks: tuple[str, ...] = ()
    # An event of a type without a schema is refused, so a removed schema breaks the events of its type.
    if before is not None:
        verb = "removed"
        breaks = (BACKWARD,)
    location = entry.schema.locate(entry.schema.value)
    message = f"the schema of {' and '.join(entry.types) or 'this file'} was {verb}"
    change = Change("", f"schema-{verb}", breaks, message)
    change = change._replace(file=location.get("file"), line=location.get("line"), column=location.get("column"))
    return SchemaDiff((change,), backward=before is None, forward=True)


def _list_files(folder: Path) -> Iterator[tuple[Path, tuple[str, ...]]]:
    for parent, steps, names, _ in walk_schemas(folder):
        for name in names:
            if name.endswith(SUFFIXES):
                yield parent / name, steps + (name,)


def _list_entries(version: Version) -> Iterator[tuple[str, SchemaEntry]]:
    """The schemas of a version by name: that of a file, or each one that a document such as OpenAPI contains.

    Files that describe no type are left out: they are compared where other schemas refer to them.
    """
    for name, (file, steps, fragment, given_types) in version.files.items():
        own_types = given_types or _list_named_types(steps)
        try:
            document = version.library.open(file)
        except ConfigError:
            # A file without a type may well be something else.
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


def _list_named_types(steps: tuple[str, ...]) -> tuple[str, ...]:
    """The type that a file is named after, without the source."""
    names = list_names(steps)
    if not names:
        return ()
    return (names[0].rpartition("@")[2],)


def _has_other_purpose(document: SchemaDocument) -> bool:
    """Whether a file of a folder is not the schema of a type, such as one that has only definitions."""
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
    """Raises ConfigError for a part that is not a JSON Schema, and for references that cannot be resolved."""
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
        if is_container(value):
            continue
        if draft and isinstance(value, dict):
            value = {"$schema": draft} | value
        try:
            meta.validate(value)
        except ValidationError as error:
            raise ConfigError(f"the schema {name} cannot be used", [make_invalid_schema_finding(part, error)]) from None
