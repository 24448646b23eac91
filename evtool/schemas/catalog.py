"""Finds which schema describes an event type: by what documents say, by routes.yaml, and by the names of files."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

from evtool.errors import ConfigError
from evtool.findings.finding import Finding
from evtool.findings.spelling import did_you_mean
from evtool.paths import display_path, is_file
from evtool.schemas.documents import (
    Declaration,
    NamedSchema,
    Place,
    draft_of,
    find_declarations,
    find_envelope,
    is_container,
)
from evtool.schemas.references import SUFFIXES, Library

# what a document contains that says which type it describes; only such files are parsed
_MARKERS = rb"x-amazon-events-|cloudeventTypes|asyncapi|specversion|detail-type"  # compiled when it is first used
_REFERENCE_ELSEWHERE = rb"""\$ref["']?\s*:\s*["']?[^#"'\s]"""
_MAX_REASONS = 3  # near files that a finding names
_MAX_MARKED = 16 * 1024 * 1024  # bytes of a file that is searched for markers


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
            if unique:
                return unique[0], [_warn_of_others(event_type, unique)] if len(unique) > 1 else []
        return None, []

    def choose(self, schema: NamedSchema, event_type: str, source: str) -> Choice:
        """The schema that was named for an event. Raises ConfigError if there is none, or only for other types."""
        file = schema.file
        if schema.fragment:
            return self._choose_part(file, self._library.find_part(schema))
        declarations = self._declarations_of(file)
        matching = [d for d in declarations if d.type == event_type and d.source in (source, None)]
        if matching or len(declarations) == 1:
            return _to_choice(file, (matching or declarations)[0])
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
        declared = {(d.type, d.source) for file in self._marked_files for d in self._try_declarations(file)}
        plain = (steps for file, steps in self._files if self._is_plain(file))
        by_name = {name for steps in plain for name in list_names(steps)[:1]}
        named = {_split_name(name) for name in {*by_name, *self._named}}
        return sorted({*declared, *named}, key=lambda entry: (entry[0], entry[1] or ""))

    def explain_missing(self, event_type: str, source: str) -> str | None:
        """Which files are near a type without a schema, and why they are not used; or the nearest type."""
        reasons = list(dict.fromkeys(self._find_reasons(event_type, source)))[:_MAX_REASONS]
        if reasons:
            return "; ".join(reasons)
        return did_you_mean(event_type, self.list_types())

    def _find_ranked(self, event_type: str, source: str) -> Iterator[list[Choice]]:
        """The schemas of a type, the most important rank first."""
        declared = [
            (declaration.source, _to_choice(file, declaration))
            for file in self._find_marked(event_type)
            for declaration in self._try_declarations(file)
            if declaration.type == event_type
        ]
        yield [choice for own_source, choice in declared if own_source == source]
        yield [choice for own_source, choice in declared if own_source is None]
        names = (f"{source}@{event_type}", event_type)
        for name in names:
            if name in self._named:
                yield [self.choose(self._named[name], event_type, source)]
        for name in names:
            files = [file for file in self._files_by_name.get(name, []) if self._is_plain(file)]
            yield [Choice(file) if number else self._choose_part(file, "") for number, file in enumerate(files)]

    def _choose_part(self, file: Path, pointer: str) -> Choice:
        value = self._library.open(file).value
        return Choice(file, pointer, find_envelope(value, pointer), draft_of(value))

    # --- files -------------------------------------------------------------------------------------------------------

    @cached_property
    def _files(self) -> list[tuple[Path, tuple[str, ...]]]:
        """Every schema file, with its path in its folder."""
        files = []
        for folder in self._folders:
            for parent, folders, names in os.walk(folder):
                folders[:] = sorted(name for name in folders if name != "node_modules" and name[:1] != ".")
                steps = Path(parent).relative_to(folder).parts
                if not steps:
                    entries = [*names, *folders]
                else:
                    entries = names
                files += [(Path(parent, n), (*steps, n)) for n in sorted(entries) if n.endswith(SUFFIXES)]
        return files

    @cached_property
    def _files_by_name(self) -> dict[str, list[Path]]:
        """The files of the types that they are named after."""
        found: dict[str, list[Path]] = {}
        for file, steps in self._files:
            for name in list_names(steps):
                found.setdefault(name, []).append(file)
        return found

    @cached_property
    def _marked_files(self) -> dict[Path, bytes]:
        """The files that may say which type they describe, with their text."""
        return {file: raw for file, _ in self._files if re.search(_MARKERS, raw := _read_start(file))}

    def _find_marked(self, event_type: str) -> Iterable[Path]:
        """The files that may name a type."""
        name = event_type.encode(errors="replace")
        return [
            file
            for file, raw in self._marked_files.items()
            if name in raw or b"\\" in raw or (b"asyncapi" in raw and re.search(_REFERENCE_ELSEWHERE, raw))
        ]

    def _declarations_of(self, file: Path) -> list[Declaration]:
        if file not in self._declared:
            uri = self._library.open(file).uri
            self._declared[file] = find_declarations(
                self._library.open(file).value, lambda base, reference: self._follow(base or uri, reference)
            )
        return self._declared[file]

    def _follow(self, uri: str, reference: str) -> Place | None:
        """What a reference in an AsyncAPI document leads to, if that is a well-formed file of the schema folders."""
        try:
            target = self._library.find(self._library.join(uri, reference))
        except ConfigError:
            return None
        if target:
            return Place(target.document.value, target.pointer, target.document.uri)
        return None

    def _try_declarations(self, file: Path) -> list[Declaration]:
        try:
            return self._declarations_of(file)
        except ConfigError:
            return []  # reported if the file is needed

    def _is_plain(self, file: Path) -> bool:
        """Whether a file leaves it to its name which type it describes."""
        return file not in self._marked_files or not self._try_declarations(file)

    # --- what is missing ---------------------------------------------------------------------------------------------

    def _find_reasons(self, event_type: str, source: str) -> Iterator[str]:
        for file in self._find_marked(event_type):
            yield from self._explain_marked(file, event_type, source)
        names = (f"{source}@{event_type}", event_type)
        for file in (file for name in names for file in self._files_by_name.get(name, [])):
            types = sorted({f'"{declaration.type}"' for declaration in self._try_declarations(file)})
            yield f"{display_path(file)} says that it describes {' and '.join(types[:_MAX_REASONS])}"
        yield from self._explain_other_sources(event_type, source)
        for file, steps in self._files:
            if len(steps) > 1 and event_type in list_names(steps[-1:]):
                advice = "move it up, or name it in `schemas:` of routes.yaml"
                yield f"{display_path(file)} is in a subfolder, where a name gives no type: {advice}"
        for file in (file for folder in self._folders for file in sorted(folder.iterdir())):
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
        """Why a file that mentions a type is not its schema."""
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
    """The types that a file is named after: `T.json`, `T.schema.json` and `T/schema.json` are."""
    stem = steps[-1].rpartition(".")[0]
    if len(steps) == 1:
        return list(dict.fromkeys([stem.removesuffix(".schema"), stem]))
    if len(steps) == 2 and stem == "schema":
        return [steps[0]]
    return []


def _split_name(name: str) -> tuple[str, str | None]:
    """The type and the source of `SOURCE@TYPE` or `TYPE`."""
    source, _, event_type = name.rpartition("@")
    return event_type, source or None


def _mentions(raw: bytes, event_type: str) -> bool:
    """Whether a text contains a type as a word of its own."""
    return bool(re.search(rf"(?<![\w.\-]){re.escape(event_type)}(?![\w.\-])", raw.decode(errors="replace")))


def _read_start(file: Path) -> bytes:
    try:
        if not is_file(file):
            return b""
        with file.open("rb") as stream:
            return stream.read(_MAX_MARKED)
    except OSError:
        return b""  # reported if the file is needed


def _to_choice(file: Path, declaration: Declaration) -> Choice:
    if declaration.uri:
        file = Path(unquote(declaration.uri.removeprefix("file://")))
    return Choice(file, declaration.pointer, declaration.envelope, declaration.draft)


def _warn_of_others(event_type: str, choices: Sequence[Choice]) -> Finding:
    used, *others = [display_path(c.file) + (f"#{c.pointer}" if c.pointer else "") for c in choices]
    message = f'several schemas describe "{event_type}": {used} is used, {", ".join(others)} not'
    return Finding("EV608", message, "warning", file=display_path(choices[1].file), line=1, column=1)
