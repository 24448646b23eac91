"""Finds and reads routes.yaml, and locates the schemas, samples and store of the project."""

import gc
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from evtool.errors import ConfigError, UsageError
from evtool.findings.finding import Finding
from evtool.paths import display_path, is_file
from evtool.readers.files import SourceText
from evtool.readers.locations import locate, pointer_of
from evtool.readers.yaml_text import Document, load_yaml
from evtool.schemas.documents import NamedSchema

ROUTES_FILE = "routes.yaml"
STORE_FILE = ".evtool/store.db"
SCENARIOS = "scenarios"


class Project(NamedTuple):
    """A routes.yaml that is well-formed YAML. Whether its content is right is for routes.py to say."""

    file: Path
    document: Document
    text: bytes = b""  # with one kind of line ends, for the lines that findings show

    @property
    def folder(self) -> Path:
        """The folder that relative paths of the file count from."""
        return self.file.parent

    @property
    def display_name(self) -> str:
        """The file as messages name it: relative to the current folder where it is below it."""
        return display_path(self.file)

    @property
    def schemas(self) -> list[Path]:
        """The schema folders, in the order of the file."""
        return [self.folder / entry for entry in _to_list(self._value("schemas"))]

    @property
    def named_schemas(self) -> dict[str, NamedSchema]:
        """The schemas that the file names, by TYPE or SOURCE@TYPE."""
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
        """Where `validate` looks when no path is given."""
        return [self.folder / entry for entry in _to_list(self._value("samples"))]

    @property
    def store(self) -> Path:
        """Where the store is, unless an option or EVTOOL_STORE says otherwise."""
        value = self._value("store")
        return self.folder / (value if isinstance(value, str) else STORE_FILE)

    @property
    def scenarios(self) -> Path:
        """The folder of the scenarios."""
        value = self._value("scenarios")
        return self.folder / (value if isinstance(value, str) else SCENARIOS)

    def list_samples(self) -> dict[str, Path]:
        """The files of the sample events by name; `order-created.json` is the sample `order-created`."""
        return {file.stem: file for folder in self.samples for file in sorted(folder.rglob("*.json"))}

    def locate(self, path: Sequence[str | int], *, key: bool = False) -> dict[str, Any]:
        """The location, as fields of a Finding, of the value that some keys lead to, or of its key."""
        width = len(str(path[-1])) if key and path else 1
        text = SourceText(self.display_name, 1, 1, self.text)
        return {"pointer": pointer_of(path), **locate(text, *self.document.position_of(path, key=key), width)}

    def names_in(self, section: str) -> list[str]:
        """The names in a section, such as `routes` or `handlers`: for completion and hints."""
        entries = self._value(section)
        return list(entries) if isinstance(entries, dict) else []

    def _value(self, key: str) -> Any:
        return self.document.value.get(key) if isinstance(self.document.value, Mapping) else None


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


def find_routes_file(name: str | None) -> Path | None:
    """The routes.yaml to use: the named one, that of EVTOOL_ROUTES, or the nearest going up from here."""
    name = name or os.environ.get("EVTOOL_ROUTES")
    if name:
        file = Path(name).absolute()
        if is_file(file / ROUTES_FILE):
            file = file / ROUTES_FILE
        if not is_file(file):
            raise UsageError(f"there is no file {name} (named by --routes or EVTOOL_ROUTES)")
        return file
    current_folder = Path.cwd()
    return next(
        (folder / ROUTES_FILE for folder in (current_folder, *current_folder.parents) if is_file(folder / ROUTES_FILE)),
        None,
    )


@without_gc()
def read_project(name: str | None = None) -> Project | None:
    """The project of the current folder, or of the named routes.yaml; None when there is none.

    Raises ConfigError with every place where the file is not well-formed YAML, UsageError when it cannot be read.
    """
    file = find_routes_file(name)
    if file is None:
        return None
    try:
        raw = file.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {display_path(file)}: {error.strerror}") from None
    document = load_yaml(raw, display_path(file))
    if not isinstance(document.value, dict):
        finding = Finding(
            "EV022", "routes.yaml is a mapping: version, handlers, routes", file=display_path(file), line=1, column=1
        )
        raise ConfigError(f"{display_path(file)} cannot be used", [finding])
    return Project(file, document, raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n"))


def require_project(name: str | None = None) -> Project:
    """The project; raises UsageError when there is none."""
    project = read_project(name)
    if project is None:
        raise UsageError(f"no {ROUTES_FILE} here or in a folder above; name one with --routes")
    return project


def load_routes_schema() -> dict[str, Any]:
    """The JSON Schema of routes.yaml, as exported from the models of routes.py."""
    text = (Path(__file__).parent.parent / "routes.schema.json").read_text(encoding="utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


def _to_list(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    return [entry for entry in value if isinstance(entry, str)] if isinstance(value, list) else []
