"""Finds the schema of an event type: by the declarations of documents, by routes.yaml, and by the names of files.

The first rank that has a schema decides. For the type `order.created` from the source `shop.checkout` the ranks are:

1. a document that declares this type and this source (documents/declarations.py)
2. a document that declares this type for all sources
3. `shop.checkout@order.created` in `schemas:` of routes.yaml, then `order.created`
4. files named `shop.checkout@order.created.json`, then `order.created.json`

A folder may contain thousands of files. Only those with a marker such as "x-amazon-events-" or "specversion" can
declare a type, and of these only the ones that mention the type are parsed.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

from evtool.errors import ConfigError
from evtool.findings.finding import Finding
from evtool.findings.spelling import did_you_mean
from evtool.paths import display_path, is_file
from evtool.schemas.documents.declarations import (
    Declaration,
    NamedSchema,
    Place,
    draft_of,
    find_declarations,
    find_envelope,
    is_container,
)
from evtool.schemas.documents.document import SUFFIXES
from evtool.schemas.documents.references import Library

# Every document that declares a type contains one of these words. Compiled when it is first used.
_MARKERS = rb"x-amazon-events-|cloudeventTypes|asyncapi|specversion|detail-type"
# A reference to another document.
_REFERENCE_ELSEWHERE = rb"""\$ref["']?\s*:\s*["']?[^#"'\s]"""
# Near files that a finding names.
_MAX_REASONS = 3
# Bytes of a file that is searched for markers.
_MAX_MARKED = 16 * 1024 * 1024


class Choice(NamedTuple):
    """The schema of an event type: a part of a file, and whether it describes the whole event in one envelope."""

    file: Path
    pointer: str = ""
    envelope: str | None = None
    draft: str | None = None


class Catalog:
    """The schemas of some folders and those that routes.yaml names; nothing is read before it is needed."""

    def __init__(self, folders: Sequence[Path], named: Mapping[str, NamedSchema], library: Library):
        """`named` has a schema for TYPE or SOURCE@TYPE."""
        self._folders = folders
        self._named = named
        self._library = library
        self._declared: dict[Path, list[Declaration]] = {}

    def find(self, event_type: str, source: str) -> tuple[Choice | None, list[Finding]]:
        """The schema of a type, and a warning if several have the same rank. Raises ConfigError for a bad document."""
        for choices in self._find_ranked(event_type, source):
            unique = list(dict.fromkeys(choices))
            if len(unique) > 1:
                return unique[0], [_warn_of_others(event_type, unique)]
            if unique:
                return unique[0], []
        return None, []

    def choose(self, schema: NamedSchema, event_type: str, source: str) -> Choice:
        """The schema that is named for an event. Raises ConfigError if it does not exist or is only for other types."""
        file = schema.file
        if schema.fragment:
            return self._choose_part(file, self._library.find_part(schema))
        declarations = self._declarations_of(file)
        for declaration in declarations:
            if declaration.type == event_type and declaration.source in (source, None):
                return _to_choice(file, declaration)
        # The user named the file for this type, so its only schema is used.
        if len(declarations) == 1:
            return _to_choice(file, declarations[0])
        # A declaration without a pointer is for the whole document, which can be used for any type.
        if declarations and all(declaration.pointer for declaration in declarations):
            types = ", ".join(sorted({declaration.type for declaration in declarations}))
            message = f'this document describes several types, none of them "{event_type}" from "{source}": {types}'
            finding = Finding("EV602", message, file=display_path(file), line=1, column=1)
            raise ConfigError(f"the schema {display_path(file)} cannot be used", [finding])
        return self._choose_part(file, "")

    def list_types(self) -> list[str]:
        """The event types that have a schema."""
        return sorted({event_type for event_type, _ in self.list_entries()})

    def list_entries(self) -> list[tuple[str, str | None]]:
        """The event types that have a schema, each with its source if the schema is for this source only."""
        entries: set[tuple[str, str | None]] = set()
        for file in self._marked_files:
            for declaration in self._try_declarations(file):
                entries.add((declaration.type, declaration.source))
        for file, steps in self._files:
            names = list_names(steps)
            if names and self._is_plain(file):
                entries.add(_split_name(names[0]))
        entries.update(map(_split_name, self._named))
        return sorted(entries, key=_order)

    def explain_missing(self, event_type: str, source: str) -> str | None:
        """A hint for a type without a schema: near files with the reason why they are not used, or the nearest type."""
        reasons = list(dict.fromkeys(self._find_reasons(event_type, source)))[:_MAX_REASONS]
        if reasons:
            return "; ".join(reasons)
        return did_you_mean(event_type, self.list_types())

    def _find_ranked(self, event_type: str, source: str) -> Iterator[list[Choice]]:
        """The schemas of a type, the most important rank first."""
        for_source = []
        for_all = []
        for file in self._find_marked(event_type):
            for declaration in self._try_declarations(file):
                if declaration.type != event_type:
                    continue
                if declaration.source == source:
                    for_source.append(_to_choice(file, declaration))
                elif declaration.source is None:
                    for_all.append(_to_choice(file, declaration))
        yield for_source
        yield for_all
        names = (f"{source}@{event_type}", event_type)
        for name in names:
            if name in self._named:
                yield [self.choose(self._named[name], event_type, source)]
        for name in names:
            files = [file for file in self._files_by_name.get(name, []) if self._is_plain(file)]
            if files:
                # The other files only appear in a warning, so they are not read.
                yield [self._choose_part(files[0], "")] + list(map(Choice, files[1:]))

    def _choose_part(self, file: Path, pointer: str) -> Choice:
        value = self._library.open(file).value
        return Choice(file, pointer, find_envelope(value, pointer), draft_of(value))

    # --- files -------------------------------------------------------------------------------------------------------

    @cached_property
    def _files(self) -> list[tuple[Path, tuple[str, ...]]]:
        """Every schema file, with its path in its folder."""
        files = []
        for folder in self._folders:
            for parent, steps, names, subfolders in walk_schemas(folder):
                # A folder that is named like a schema is reported when the schema is needed.
                if not steps:
                    names.extend(subfolders)
                for name in sorted(names):
                    if name.endswith(SUFFIXES):
                        files.append((parent / name, steps + (name,)))
        return files

    @cached_property
    def _files_by_name(self) -> dict[str, list[Path]]:
        """The files by the types that they are named after."""
        files: dict[str, list[Path]] = {}
        for file, steps in self._files:
            for name in list_names(steps):
                files.setdefault(name, []).append(file)
        return files

    @cached_property
    def _marked_files(self) -> dict[Path, bytes]:
        """The files that may declare a type, with their text."""
        texts = {}
        for file, _ in self._files:
            raw = _read_start(file)
            if re.search(_MARKERS, raw):
                texts[file] = raw
        return texts

    def _find_marked(self, event_type: str) -> Iterator[Path]:
        """The files that may declare a type."""
        name = event_type.encode(errors="replace")
        for file, raw in self._marked_files.items():
            # A backslash may escape a letter of the name. The messages of AsyncAPI may be in other documents.
            if name in raw or b"\\" in raw or (b"asyncapi" in raw and re.search(_REFERENCE_ELSEWHERE, raw)):
                yield file

    def _declarations_of(self, file: Path) -> list[Declaration]:
        if file not in self._declared:
            document = self._library.open(file)
            self._declared[file] = find_declarations(document.value, partial(self._follow, document.uri))
        return self._declared[file]

    def _follow(self, document_uri: str, uri: str, reference: str) -> Place | None:
        """The part that a reference in an AsyncAPI document leads to, if it is a well-formed file of the folders.

        `uri` is that of the document with the reference; empty for the AsyncAPI document itself.
        """
        try:
            target = self._library.find(self._library.join(uri or document_uri, reference))
        except ConfigError:
            return None
        if target:
            return Place(target.document.value, target.pointer, target.document.uri)
        return None

    def _try_declarations(self, file: Path) -> list[Declaration]:
        try:
            return self._declarations_of(file)
        except ConfigError:
            # The error is reported if the file is needed.
            return []

    def _is_plain(self, file: Path) -> bool:
        """Whether a file declares no type, so that its name decides."""
        return file not in self._marked_files or not self._try_declarations(file)

    # --- types without a schema --------------------------------------------------------------------------------------

    def _find_reasons(self, event_type: str, source: str) -> Iterator[str]:
        for file in self._find_marked(event_type):
            yield from self._explain_marked(file, event_type, source)
        for name in (f"{source}@{event_type}", event_type):
            for file in self._files_by_name.get(name, []):
                types = sorted({f'"{declaration.type}"' for declaration in self._try_declarations(file)})
                yield f"{display_path(file)} says that it describes {' and '.join(types[:_MAX_REASONS])}"
        yield from self._explain_other_sources(event_type, source)
        yield from self._explain_names(event_type)

    def _explain_names(self, event_type: str) -> Iterator[str]:
        """The reasons for files that have the name of a type in the wrong place or with the wrong suffix."""
        for file, steps in self._files:
            if len(steps) > 1 and event_type in list_names(steps[-1:]):
                advice = "move it up, or name it in `schemas:` of routes.yaml"
                yield f"{display_path(file)} is in a subfolder, where a name gives no type: {advice}"
        for folder in self._folders:
            for file in sorted(folder.iterdir()):
                if file.name.startswith(f"{event_type}.") and not file.name.endswith(SUFFIXES):
                    yield f"{display_path(file)} is not read: the name of a schema ends with {', '.join(SUFFIXES)}"

    def _explain_other_sources(self, event_type: str, source: str) -> Iterator[str]:
        for name, files in self._files_by_name.items():
            if name.endswith(f"@{event_type}") and name != f"{source}@{event_type}":
                yield f'{display_path(files[0])} is for the source "{name.rpartition("@")[0]}" only, not "{source}"'
        for name in self._named:
            if name.endswith(f"@{event_type}"):
                yield f'routes.yaml names a schema for the source "{name.rpartition("@")[0]}" only, not "{source}"'

    def _explain_marked(self, file: Path, event_type: str, source: str) -> Iterator[str]:
        """The reason why a file that mentions a type is not its schema."""
        name = display_path(file)
        try:
            declarations = self._declarations_of(file)
            is_api = is_container(self._library.open(file).value)
        except ConfigError as error:
            if error.findings:
                yield f"{name} cannot be read: {error.findings[0].message}"
            return
        sources = sorted({f'"{d.source}"' for d in declarations if d.type == event_type and d.source})
        if sources:
            yield f'{name} describes it from the source {" and ".join(sources[:_MAX_REASONS])}, not "{source}"'
        elif is_api and _mentions(self._marked_files[file], event_type):
            yield f"{name} mentions it, but has no JSON Schema for it"


def list_names(steps: tuple[str, ...]) -> list[str]:
    """The types that a file is named after: T for `T.json`, `T.schema.json` and `T/schema.json`."""
    stem = steps[-1].rpartition(".")[0]
    if len(steps) == 1:
        return list(dict.fromkeys([stem.removesuffix(".schema"), stem]))
    if len(steps) == 2 and stem == "schema":
        return [steps[0]]
    return []


def walk_schemas(folder: Path) -> Iterator[tuple[Path, tuple[str, ...], list[str], list[str]]]:
    """Walks a folder of schemas: each folder in it, its steps, and the names of its files and subfolders.

    Hidden folders and those of npm packages are left out: they contain schemas of other projects.
    """
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name != "node_modules" and name[:1] != ".")
        yield Path(parent), Path(parent).relative_to(folder).parts, sorted(names), folders


def _order(entry: tuple[str, str | None]) -> tuple[str, str]:
    event_type, source = entry
    return event_type, source or ""


def _split_name(name: str) -> tuple[str, str | None]:
    """The type and the source of `SOURCE@TYPE` or `TYPE`."""
    source, _, event_type = name.rpartition("@")
    return event_type, source or None


def _mentions(raw: bytes, event_type: str) -> bool:
    """Whether a text contains a type as a whole word."""
    return bool(re.search(rf"(?<![\w.\-]){re.escape(event_type)}(?![\w.\-])", raw.decode(errors="replace")))


def _read_start(file: Path) -> bytes:
    try:
        if not is_file(file):
            return b""
        with file.open("rb") as stream:
            return stream.read(_MAX_MARKED)
    except OSError:
        # The error is reported if the file is needed.
        return b""


def _to_choice(file: Path, declaration: Declaration) -> Choice:
    if declaration.uri:
        file = Path(unquote(declaration.uri.removeprefix("file://")))
    return Choice(file, declaration.pointer, declaration.envelope, declaration.draft)


def _warn_of_others(event_type: str, choices: Sequence[Choice]) -> Finding:
    names = list(map(_format_choice, choices))
    message = f'several schemas describe "{event_type}": {names[0]} is used, {", ".join(names[1:])} not'
    return Finding("EV608", message, "warning", file=display_path(choices[1].file), line=1, column=1)


def _format_choice(choice: Choice) -> str:
    if choice.pointer:
        return f"{display_path(choice.file)}#{choice.pointer}"
    return display_path(choice.file)
