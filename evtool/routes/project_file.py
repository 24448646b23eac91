"""The project file as a value: routes.yaml or a rule source, with the paths of its schemas, samples and store."""

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
    """The content of a project file in the shape of routes.yaml, with the location of each part in the file."""

    @property
    def value(self) -> Any:
        """The content. Callers must not change it."""

    def source_path(self, path: Sequence[str | int]) -> tuple[str | int, ...]:
        """Returns the path in the file of the value at a path in the content."""

    def position_of(self, path: Sequence[str | int], *, key: bool = False) -> tuple[int, int]:
        """Returns line and column, from 1, of the value at a path in the content, or of its key."""


class PatternSource(NamedTuple):
    """The JSON text of a pattern as it is in the file, and the path to it from the pattern's own path."""

    text: str
    steps: tuple[str | int, ...] = ()


class Project(NamedTuple):
    """A routes.yaml that is well-formed YAML. problems.py checks its content.

    A rule source, such as a template, is translated into a project whose document has the shape of routes.yaml and the
    locations of the template.
    """

    file: Path
    document: LocatedDocument
    # The text with LF line ends, for the source lines that findings show.
    text: bytes = b""
    # The form of the file: a name in the table of rule sources, or `routes`.
    form: str = "routes"
    # The folders of --schemas, which replace those of the file.
    schema_folders: tuple[Path, ...] = ()
    # The files of the routes that `rules` adds, by route.
    rule_sources: Mapping[str, "Project"] = MappingProxyType({})
    # The files of the handlers that `rules` adds, and their names there, by handler.
    handler_sources: Mapping[str, tuple["Project", str]] = MappingProxyType({})
    # Handlers that are functions of a template.
    template_functions: frozenset[str] = frozenset()
    # The reason why a function of a template is not called here, by handler.
    external_reasons: Mapping[str, str] = MappingProxyType({})
    # Notes on parts of a rule source that are not routes.
    notes: tuple[Finding, ...] = ()
    # The folder, if the rules are those of a folder of Terraform files.
    source_folder: Path | None = None
    # Notes on parts that may hide rules. They are shown also without -v.
    gaps: tuple[Finding, ...] = ()
    # The JSON texts of patterns in a rule source, by route.
    pattern_sources: Mapping[str, PatternSource] = MappingProxyType({})

    @property
    def folder(self) -> Path:
        """The folder that relative paths in the file refer to."""
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
        """Returns the file that contains a route: this one, or one that `rules` names."""
        source = self.rule_sources.get(route)
        # The source may be a folder, which consists of several files.
        if source:
            return source.source_of(route)
        return self

    @property
    def display_name(self) -> str:
        """The name of the file in messages: relative to the current folder if it is inside."""
        return display_path(self.file)

    @property
    def schemas(self) -> list[Path]:
        """The schema folders: those of --schemas, else those of the file in its order."""
        if self.schema_folders:
            return list(self.schema_folders)
        return [self.folder / entry for entry in _to_list(self._value("schemas"))]

    @property
    def named_schemas(self) -> dict[str, NamedSchema]:
        """The schemas that the file names, by TYPE or SOURCE@TYPE."""
        if self.schema_folders:
            return {}
        value = self._value("schemas")
        entries: list[tuple[tuple[str | int, ...], Any]] = [(("schemas",), value)]
        if isinstance(value, list):
            entries = [(("schemas", index), entry) for index, entry in enumerate(value)]
        schemas: dict[str, NamedSchema] = {}
        # The first mapping that names a type is used, so it is added last.
        for path, mapping in reversed(entries):
            if not isinstance(mapping, Mapping):
                continue
            for name, target in mapping.items():
                if isinstance(target, str):
                    file, _, pointer = target.partition("#")
                    schemas[name] = NamedSchema(self.folder / file, pointer, partial(self.locate, path + (name,)))
        return schemas

    @property
    def samples(self) -> list[Path]:
        """The paths that `validate` checks by default. A folder `invalid` is left out, since its files must fail."""
        paths = []
        for entry in self._sample_entries():
            paths += _leave_out_invalid(entry)
        return paths

    @property
    def invalid_samples(self) -> list[Path]:
        """The folders `invalid` beside the samples and in their folders."""
        entries, folders = self._sample_entries(), []
        for entry in entries:
            for folder in (entry.parent / INVALID_SAMPLES, entry / INVALID_SAMPLES):
                if folder not in folders and folder not in entries and is_folder(folder):
                    folders.append(folder)
        return folders

    def _sample_entries(self) -> list[Path]:
        return [self.folder / entry for entry in _to_list(self._value("samples"))]

    @property
    def store(self) -> Path:
        """The file of the store, unless an option or EVTOOL_STORE names another."""
        if self.is_rule_source:
            return Path.cwd() / STORE_FILE
        return self.folder / self._string("store", STORE_FILE)

    @property
    def scenarios(self) -> Path:
        """The folder of the scenarios."""
        return self.folder / self._string("scenarios", SCENARIOS)

    def _string(self, key: str, default: str) -> str:
        value = self._value(key)
        if isinstance(value, str):
            return value
        return default

    def list_samples(self) -> dict[str, Path]:
        """Returns the files of the sample events by name; `order-created.json` is the sample `order-created`."""
        files = []
        for path in self.samples:
            if is_file(path):
                files.append(path)
            else:
                files += sorted(path.rglob("*.json"))
        return {file.stem: file for file in files if file.suffix == ".json"}

    def locate(self, path: Sequence[str | int], *, key: bool = False) -> dict[str, Any]:
        """Returns the location, as fields of a Finding, of the value at a path, or of its key."""
        if len(path) > 1 and path[0] == "routes" and path[1] in self.rule_sources:
            return self.source_of(str(path[1])).locate(path, key=key)
        if len(path) > 1 and path[0] == "handlers" and path[1] in self.handler_sources:
            source, name = self.handler_sources[str(path[1])]
            return source.locate(["handlers", name] + list(path[2:]), key=key)
        source_path = self.document.source_path(path)
        width = 1
        if key and source_path:
            width = len(str(source_path[-1]))
        text = SourceText(self.display_name, 1, 1, self.text)
        return {"pointer": pointer_of(source_path), **locate(text, *self.document.position_of(path, key=key), width)}

    def names_in(self, section: str) -> list[str]:
        """Returns the names in a section, such as `routes` or `handlers`, for completion and hints."""
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
    """Pauses garbage collection inside the context or the decorated function. May be nested.

    While a large configuration is loaded, nearly all new objects stay in use, so collections only take time.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def read_file(file: Path) -> bytes:
    """Reads a file. Raises UsageError if it cannot be read."""
    try:
        return file.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {display_path(file)}: {error.strerror}") from None


def parse_project(file: Path, raw: bytes) -> Project:
    """Parses the content of a routes.yaml. Raises ConfigError if it is not a mapping in strict YAML."""
    document = load_yaml(raw, display_path(file))
    if not isinstance(document.value, dict):
        finding = Finding(
            "EV022", "routes.yaml is a mapping: version, handlers, routes", file=display_path(file), line=1, column=1
        )
        raise ConfigError(f"{display_path(file)} cannot be used", [finding])
    return Project(file, document, unify_line_ends(raw))


def unify_line_ends(raw: bytes) -> bytes:
    """Returns a text with LF line ends, as findings show it."""
    return raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def _leave_out_invalid(path: Path) -> list[Path]:
    """Returns the path itself, or the entries of a folder without its folder `invalid`."""
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
