"""Finds the scenario files of a project and reads them, with the locations of their values."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from evtool.errors import ConfigError, UsageError
from evtool.findings.finding import Finding
from evtool.paths import display_path, is_file
from evtool.readers.files import SourceText
from evtool.readers.locations import locate, pointer_of
from evtool.readers.yaml_text import Document, load_yaml
from evtool.routes.project import Project

SUFFIXES = (".yaml", ".yml")


class ScenarioFile(NamedTuple):
    """A scenario file that is well-formed YAML."""

    file: Path
    document: Document
    # With one kind of line ends, for the lines that findings show.
    text: bytes

    @property
    def display_name(self) -> str:
        """The file as messages name it."""
        return display_path(self.file)

    def locate(self, path: Sequence[str | int], *, key: bool = False) -> dict[str, Any]:
        """Returns the location, as fields of a Finding, of the value that some keys lead to, or of its key."""
        width = 1
        if key and path:
            width = len(str(path[-1]))
        text = SourceText(self.display_name, 1, 1, self.text)
        line, column = self.document.position_of(path, key=key)
        return {"pointer": pointer_of(path)} | locate(text, line, column, width)


def select_position(location: Mapping[str, Any]) -> dict[str, Any]:
    """Returns file, line and column of a location, as records for machines have them."""
    return {key: location[key] for key in ("file", "line", "column")}


def list_scenario_files(project: Project, paths: Sequence[str | Path] = ()) -> list[Path]:
    """Lists the files that paths name, or those of the project: each file, and each *.yaml in a folder and below it.

    Raises UsageError for a path that does not exist. A project without a scenario folder has no scenario files.
    """
    if not paths:
        if project.scenarios.is_dir():
            return _list_folder(project.scenarios)
        return []
    # By their real paths: a file may be named in several ways, such as by its folder and by itself.
    files: dict[Path, Path] = {}
    for path in map(Path, paths):
        if path.is_dir():
            named = _list_folder(path)
        elif is_file(path):
            named = [path.absolute()]
        else:
            raise UsageError(f"there is no file or folder {path}")
        for file in named:
            files.setdefault(file.resolve(), file)
    return list(files.values())


def _list_folder(folder: Path) -> list[Path]:
    files = []
    for file in folder.rglob("*"):
        if file.suffix in SUFFIXES and is_file(file) and not _is_hidden(file.relative_to(folder)):
            files.append(file.absolute())
    return sorted(files)


def _is_hidden(path: Path) -> bool:
    """Whether a path has a part that begins with a dot, such as the copy that an editor makes."""
    return any(part.startswith(".") for part in path.parts)


def read_scenario_file(file: Path) -> ScenarioFile | list[Finding]:
    """Reads a scenario file. Returns its problems if it is not valid YAML or not a mapping."""
    name = display_path(file)
    try:
        raw = file.read_bytes()
        document = load_yaml(raw, name)
    except OSError as error:
        return [Finding("EV001", f"cannot be read: {error.strerror}", file=name)]
    except ConfigError as error:
        return list(error.findings)
    if not isinstance(document.value, dict):
        message = "a scenario file is a mapping: version, scenarios"
        return [Finding("EV022", message, file=name, line=1, column=1)]
    return ScenarioFile(file, document, raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n"))


def iter_scenarios(source: ScenarioFile) -> Iterator[tuple[str, Any]]:
    """Yields the scenarios of a file by name, before validation: they may have any shape."""
    scenarios = source.document.value.get("scenarios")
    if isinstance(scenarios, dict):
        yield from scenarios.items()
