"""Finds and reads the project: routes.yaml with the rule sources that it names, or a rule source alone."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from evtool.errors import ConfigError, UsageError
from evtool.findings.finding import Finding
from evtool.interchange.merge import merge
from evtool.paths import is_file, is_folder
from evtool.readers.yaml_text import Document
from evtool.routes.project_file import ROUTES_FILE, SCENARIOS, STORE_FILE, Project, parse_project, read_file, without_gc

__all__ = [
    "ROUTES_FILE",
    "SCENARIOS",
    "STORE_FILE",
    "Project",
    "find_routes_file",
    "load_routes_schema",
    "read_project",
    "require_project",
    "without_gc",
]

# The top-level keys of routes.yaml. A file with other keys may be a rule source.
ROUTES_KEYS = frozenset(
    (
        "version",
        "schemas",
        "samples",
        "scenarios",
        "store",
        "interpreter",
        "handlers",
        "intake",
        "buses",
        "check",
        "routes",
        "rules",
    )
)
# Usual names of rule sources.
COMMON_NAMES = ("template.yaml", "template.yml", "template.json", "serverless.yml", "serverless.yaml")


def find_routes_file(name: str | None) -> Path | None:
    """Returns the routes.yaml to use: the named one, that of EVTOOL_ROUTES, or the nearest one from here upwards."""
    is_given = bool(name)
    name = name or os.environ.get("EVTOOL_ROUTES")
    if name:
        file = Path(name).absolute()
        if is_file(file / ROUTES_FILE):
            file = file / ROUTES_FILE
        if is_folder(file) and not has_terraform(file):
            raise UsageError(f"the folder {name} has no {ROUTES_FILE} and no Terraform files (*.tf){_name_file(file)}")
        if not is_file(file) and not is_folder(file):
            origin = ", which EVTOOL_ROUTES names"
            if is_given:
                origin = ""
            raise UsageError(f"there is no file {name}{origin}")
        return file
    file = Path.cwd() / ROUTES_FILE
    for folder in file.parents:
        if is_file(folder / ROUTES_FILE):
            return folder / ROUTES_FILE
    return None


@without_gc()
def read_project(name: str | None = None, *, form: str | None = None, schemas: Sequence[str] = ()) -> Project | None:
    """Reads the project of the current folder, or of the named file. Returns None if there is no routes.yaml.

    `form` is the form of the file, for content that does not show it. `schemas` are schema folders that replace those
    of the file. Raises ConfigError with all problems that prevent reading the file, UsageError if it cannot be opened.
    """
    file = find_routes_file(name)
    if file is None and not schemas:
        return None
    if file:
        project = _read_file(file, form)
    else:
        project = Project(Path.cwd() / ROUTES_FILE, Document({"version": 1}), form="schemas")
    if schemas:
        return project._replace(schema_folders=tuple(Path(folder).absolute() for folder in schemas))
    return project


def require_project(name: str | None = None, *, form: str | None = None, schemas: Sequence[str] = ()) -> Project:
    """Reads the project as `read_project` does. Raises UsageError if there is no routes.yaml."""
    project = read_project(name, form=form, schemas=schemas)
    if project is None:
        raise UsageError(f"no {ROUTES_FILE} here or in a folder above; {_suggest_rule_source()}")
    return project


def has_terraform(folder: Path) -> bool:
    """Whether a folder has Terraform files."""
    return any(folder.glob("*.tf")) or any(folder.glob("*.tf.json"))


def _name_file(folder: Path) -> str:
    name = _find_common_name(folder)
    if name:
        return f"; it has {name}: name that file"
    return ""


def _find_common_name(folder: Path) -> str | None:
    """Returns the name of a file in a folder that is probably a rule source."""
    for name in COMMON_NAMES:
        if is_file(folder / name):
            return name
    return None


def _suggest_rule_source() -> str:
    name = _find_common_name(Path.cwd())
    if name is None and has_terraform(Path.cwd()):
        name = "."
    if name:
        return f"`--routes {name}` uses the rules of this folder"
    return "name one, or a rule source, with --routes"


def load_routes_schema() -> dict[str, Any]:
    """Returns the JSON Schema of routes.yaml, which is generated from models.py."""
    text = (Path(__file__).parent.parent / "routes.schema.json").read_text(encoding="utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


def _read_file(file: Path, form: str | None) -> Project:
    if is_folder(file):
        return _read_rule_source(file, b"", form)
    raw = read_file(file)
    # A JSON file is a rule source. It may be longer than strict YAML allows.
    is_json = raw.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"[")
    if form not in (None, "routes") or (form is None and is_json):
        return _read_rule_source(file, raw, form)
    try:
        project = parse_project(file, raw)
    except ConfigError:
        if form == "routes":
            raise
        return _read_rule_source(file, raw, None)
    if form == "routes" or project.document.value.keys() <= ROUTES_KEYS:
        return add_rule_sources(project)
    return _read_rule_source(file, raw, None)


def _read_rule_source(file: Path, raw: bytes, form: str | None) -> Project:
    """Reads a rule source, or a routes.yaml that has unknown keys or is not well-formed."""
    from evtool.interchange.detection import read_rule_source  # noqa: PLC0415  (most projects are a routes.yaml)

    project = read_rule_source(file, raw, form)
    return add_rule_sources(project or parse_project(file, raw))


def add_rule_sources(project: Project) -> Project:
    """Returns the project with the rules of the files that `rules` names. Raises ConfigError with all problems."""
    entries = None
    if not project.is_rule_source:
        entries = project.document.value.get("rules")
    paths: dict[tuple[str | int, ...], Any] = {}
    if isinstance(entries, list):
        paths = {("rules", index): entry for index, entry in enumerate(entries)}
    elif isinstance(entries, str):
        paths = {("rules",): entries}
    # Entries of another type are reported by problems.py.
    if not paths or not all(isinstance(entry, str) for entry in paths.values()):
        return project
    findings: list[Finding] = []
    sources: list[Project] = []
    for path, entry in paths.items():
        location = project.locate(path)
        try:
            sources.append(_read_entry(project, entry))
        except ConfigError as error:
            findings += error.findings or [Finding("EV022", f"rules: {error}", **location)]
        except UsageError as error:
            findings.append(Finding("EV022", f"rules: {error}", **location))
    if findings:
        raise ConfigError(f"{project.display_name} cannot be used", findings)
    return merge(project, sources)


def _read_entry(project: Project, entry: str) -> Project:
    from evtool.interchange.detection import read_rule_source  # noqa: PLC0415  (few projects have rule sources)

    file, raw = project.folder / entry, b""
    if not is_folder(file):
        raw = read_file(file)
    source = read_rule_source(file, raw, None)
    if source is None:
        raise UsageError(f"{entry} is a routes.yaml; `rules` names templates and the like")
    return source
