"""Pairs the schemas of two versions: of two files, or of all files in two folders by their paths."""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from evtool.errors import ConfigError
from evtool.schemas.catalog import list_names
from evtool.schemas.diff.diff import Change, SchemaDiff, diff_schemas
from evtool.schemas.diff.inlining import InlinedSchema, inline
from evtool.schemas.diff.keywords import BACKWARD
from evtool.schemas.documents import draft_of, find_declarations, find_envelope, is_container
from evtool.schemas.references import SUFFIXES, Library, Target


class Version(NamedTuple):
    """One version of the schemas: a file, or the files of some folders. References lead into `library_folders`."""

    files: Mapping[str, tuple[Path, tuple[str, ...]]]  # by name: the file, and its path in its folder
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


def open_file(file: Path, folders: Sequence[Path]) -> Version:
    """The version that one file is. Its references lead into the folders that contain it, or to files beside it."""
    around = [folder for folder in folders if file.resolve().is_relative_to(folder.resolve())]
    return Version({"": (file, (file.name,))}, Library(around, beside=[file]))


def open_folders(folders: Sequence[Path], files: Sequence[Path] = ()) -> Version:
    """The version that all schemas of some folders are, and single files elsewhere."""
    found = {"/".join(steps): (file, steps) for folder in reversed(folders) for file, steps in _list_files(folder)}
    found |= {file.name: (file, (file.name,)) for file in files if file not in {path for path, _ in found.values()}}
    return Version(dict(sorted(found.items())), Library(folders, beside=files))


def diff_versions(old: Version, new: Version, *, relaxed: bool = False) -> Iterator[PairDiff]:
    """The differences of all schemas. Raises ConfigError for a file that is not a schema."""
    old_entries, new_entries = (_select_types(dict(_list_entries(version))) for version in (old, new))
    for name in [*new_entries, *(name for name in old_entries if name not in new_entries)]:
        before, after = old_entries.get(name), new_entries.get(name)
        if before is not None and after is not None:
            diff = diff_schemas(before.schema, after.schema, relaxed=relaxed)
        else:
            diff = _diff_missing(before, after)
        yield PairDiff(name, before, after, diff)


def _select_types(entries: dict[str, SchemaEntry]) -> dict[str, SchemaEntry]:
    """The schemas that describe a type; the others are parts, and compared where they are referred to."""
    return {name: entry for name, entry in entries.items() if entry.types} or entries


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
    """The schemas of a version by name: that of a file, or each one that a document such as OpenAPI contains."""
    for name, (file, steps) in version.files.items():
        document = version.library.open(file)
        _check_references(version.library, Target(document, ""))
        declarations = find_declarations(document.value)
        if is_container(document.value):
            for declaration in declarations:
                uri = f"{document.uri}#{quote(declaration.pointer)}"
                schema = inline(version.library, uri, declaration.draft or draft_of(document.value))
                entry = SchemaEntry((declaration.type,), declaration.envelope, schema)
                yield f"{name}#{declaration.type}@{declaration.source or ''}", entry
            continue
        types = tuple(dict.fromkeys(declaration.type for declaration in declarations)) or tuple(
            entry.rpartition("@")[2] for entry in list_names(steps)[:1]
        )
        schema = inline(version.library, f"{document.uri}#", draft_of(document.value))
        yield name, SchemaEntry(types, find_envelope(document.value, ""), schema)


def _check_references(library: Library, root: Target) -> None:
    """Raises ConfigError for references that lead nowhere: the comparison would take them as `true`."""
    _, findings = library.follow_references(root)
    if findings:
        raise ConfigError(f"the schema {root.document.text.file} cannot be used", findings)
