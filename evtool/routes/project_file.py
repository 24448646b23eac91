"""The project file as a value: routes.yaml or a rule source, where its schemas, samples and store are."""

import gc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

from evtool.errors import ConfigError, UsageError
from evtool.findings.finding import Finding
from evtool.paths import display_path, is_file, is_folder
from evtool.readers.files import EVENT_SUFFIXES, SourceText
from evtool.readers.locations import locate, pointer_of
from evtool.readers.yaml_text import load_yaml
from evtool.schemas.documents.declarations import NamedSchema

ROUTES_FILE = "routes.yaml"
STORE_FILE = ".evtool/store.db"
SCENARIOS = "scenarios"
INVALID_SAMPLES = "invalid"


class LocatedDocument(Protocol):
    """The content of a project file, in the shape of routes.yaml, and where the file has its parts."""

    @property
    def value(self) -> Any:
        """The content, not to be changed."""

    def source_path(self, path: Sequence[str | int]) -> tuple[str | int, ...]:
        """The keys and indices that lead in the file to what a path into the value leads to."""

    def position_of(self, path: Sequence[str | int], *, key: bool = False) -> tuple[int, int]:
        """Line and column, from 1, of what a path into the value leads to, or of its key."""


class PatternSource(NamedTuple):
    """The JSON text of a pattern as the file has it, and the steps to it from where the file has the pattern."""

    text: str
    steps: tuple[str | int, ...] = ()


class Project(NamedTuple):
    """A routes.yaml that is well-formed YAML. Whether its content is right is for routes.py to say.

    A rule source, such as a template, is translated into a project whose document has the shape of routes.yaml and the
    locations of the template.
    """

    file: Path
    document: LocatedDocument
    text: bytes = b""  # with one kind of line ends, for the lines that findings show
    form: str = "routes"  # of the file; a name in the table of rule sources
    schema_folders: tuple[Path, ...] = ()  # named by --schemas, instead of those of the file
    rule_sources: Mapping[str, "Project"] = MappingProxyType({})  # the files of routes that `rules` adds, by route
    handler_sources: Mapping[str, tuple["Project", str]] = MappingProxyType({})  # and their names there
    template_functions: frozenset[str] = frozenset()  # handlers that are functions of a template
    external_reasons: Mapping[str, str] = MappingProxyType({})  # why a function of a template is not called here
    notes: tuple[Finding, ...] = ()  # what a rule source has that is not a route
    source_folder: Path | None = None  # that has all files, if the rules are those of a folder of Terraform files
    gaps: tuple[Finding, ...] = ()  # notes on what may hide rules that count; they are shown without -v, too
    pattern_sources: Mapping[str, PatternSource] = MappingProxyType({})  # of a rule source, by route

    @property
    def folder(self) -> Path:
        """The folder that relative paths of the file count from."""
        return self.file.parent

    @property
    def is_rule_source(self) -> bool:
        """Whether the file is a rule source such as a template: only its rules are known."""
        return self.form != "routes"

    @property
    def has_rule_sources(self) -> bool:
        """Whether rules come from a rule source."""
        return self.is_rule_source or bool(self.rule_sources)

    def source_of(self, route: str) -> "Project":
        """The file that has a route: this one, or one that `rules` names."""
        source = self.rule_sources.get(route)
        # a folder has several files
        if source:
            return source.source_of(route)
        return self

    @property
    def display_name(self) -> str:
        """The file as messages name it: relative to the current folder where it is below it."""
        return display_path(self.file)

    @property
    def schemas(self) -> list[Path]:
        """The schema folders: those of --schemas, or else those of the file, in its order."""
        return [*self.schema_folders] or [self.folder / entry for entry in _to_list(self._value("schemas"))]

    @property
    def named_schemas(self) -> dict[str, NamedSchema]:
        """The schemas that the file names, by TYPE or SOURCE@TYPE."""
        value = None
        if not self.schema_folders:
            value = self._value("schemas")
        entries: list[tuple[tuple[str | int, ...], Any]] = [(("schemas",), value)]
        if isinstance(value, list):
            entries = [(("schemas", index), entry) for index, entry in enumerate(value)]
        return {
            name: NamedSchema(
                self.folder / target.partition("#")[0],
                target.partition("#")[2],
                partial(self.locate, (*path, name)),
            )
            for path, mapping in reversed(entries)
            if isinstance(mapping, Mapping)
            for name, target in mapping.items()
            if isinstance(target, str)
        }

    @property
    def samples(self) -> list[Path]:
        """Where `validate` looks when no path is given: not in a folder `invalid`, whose files have to fail."""
        entries = [self.folder / entry for entry in _to_list(self._value("samples"))]
        return [path for entry in entries for path in _leave_out_invalid(entry)]

    @property
    def invalid_samples(self) -> list[Path]:
        """The folders `invalid` beside the samples and in their folders."""
        entries = [self.folder / entry for entry in _to_list(self._value("samples"))]
        folders = dict.fromkeys(path / INVALID_SAMPLES for entry in entries for path in (entry.parent, entry))
        return [folder for folder in folders if folder not in entries and is_folder(folder)]

    @property
    def store(self) -> Path:
        """Where the store is, unless an option or EVTOOL_STORE says otherwise."""
        if self.is_rule_source:
            return Path.cwd() / STORE_FILE
        value = self._value("store")
        return self.folder / (value if isinstance(value, str) else STORE_FILE)

    @property
    def scenarios(self) -> Path:
        """The folder of the scenarios."""
        value = self._value("scenarios")
        return self.folder / (value if isinstance(value, str) else SCENARIOS)

    def list_samples(self) -> dict[str, Path]:
        """The files of the sample events by name; `order-created.json` is the sample `order-created`."""
        files = [file for path in self.samples for file in ([path] if is_file(path) else sorted(path.rglob("*.json")))]
        return {file.stem: file for file in files if file.suffix == ".json"}

    def locate(self, path: Sequence[str | int], *, key: bool = False) -> dict[str, Any]:
        """The location, as fields of a Finding, of the value that some keys lead to, or of its key."""
        if len(path) > 1 and path[0] == "routes" and path[1] in self.rule_sources:
            return self.source_of(str(path[1])).locate(path, key=key)
        if len(path) > 1 and path[0] == "handlers" and path[1] in self.handler_sources:
            source, name = self.handler_sources[str(path[1])]
            return source.locate(("handlers", name, *path[2:]), key=key)
        source_path = self.document.source_path(path)
        width = 1
        if key and source_path:
            width = len(str(source_path[-1]))
        text = SourceText(self.display_name, 1, 1, self.text)
        return {"pointer": pointer_of(source_path), **locate(text, *self.document.position_of(path, key=key), width)}

    def names_in(self, section: str) -> list[str]:
        """The names in a section, such as `routes` or `handlers`: for completion and hints."""
        entries = self._value(section)
        if isinstance(entries, dict):
            return list(entries)
        return []

    def _value(self, key: str) -> Any:
        if isinstance(self.document.value, Mapping):
            return self.document.value.get(key)
        return None


@contextmanager
def without_gc() -> Iterator[None]:
    """Nothing is collected inside, or in a function that is decorated with it. May be nested."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def read_file(file: Path) -> bytes:
    """The bytes of a file. Raises UsageError."""
    try:
        return file.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {display_path(file)}: {error.strerror}") from None


def parse_project(file: Path, raw: bytes) -> Project:
    """The project of a routes.yaml with this content. Raises ConfigError if it is not a mapping in strict YAML."""
    document = load_yaml(raw, display_path(file))
    if not isinstance(document.value, dict):
        finding = Finding(
            "EV022", "routes.yaml is a mapping: version, handlers, routes", file=display_path(file), line=1, column=1
        )
        raise ConfigError(f"{display_path(file)} cannot be used", [finding])
    return Project(file, document, unify_line_ends(raw))


def unify_line_ends(raw: bytes) -> bytes:
    """A text whose lines all end with a line feed, as findings show them."""
    return raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def _leave_out_invalid(path: Path) -> list[Path]:
    """The path itself, or what a folder has beside the folder `invalid` in it."""
    if not is_folder(path / INVALID_SAMPLES):
        return [path]
    entries = [entry for entry in sorted(path.iterdir()) if entry.name != INVALID_SAMPLES and entry.name[0] != "."]
    return [entry for entry in entries if entry.name.lower().endswith(EVENT_SUFFIXES) or is_folder(entry)]


def _to_list(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, list):
        return [entry for entry in value if isinstance(entry, str)]
    return []
