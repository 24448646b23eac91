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

# at the top of routes.yaml; a file with other keys may be a rule source
ROUTES_KEYS = frozenset(("version", "schemas", "samples", "store", "interpreter", "handlers", "intake", "routes")) | {
    *("rules", "scenarios", "buses", "check")
}

COMMON_NAMES = (
    "template.yaml",
    "template.yml",
    "template.json",
    "serverless.yml",
    "serverless.yaml",
)  # of rule sources


def find_routes_file(name: str | None) -> Path | None:
    """The routes.yaml to use: the named one, that of EVTOOL_ROUTES, or the nearest going up from here."""
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
    current_folder = Path.cwd()
    return next(
        (folder / ROUTES_FILE for folder in (current_folder, *current_folder.parents) if is_file(folder / ROUTES_FILE)),
        None,
    )


@without_gc()
def read_project(name: str | None = None, *, form: str | None = None, schemas: Sequence[str] = ()) -> Project | None:
    """The project of the current folder, or of the named file; None when there is none.

    `form` is that of the file, if its content does not show it; `schemas` are schema folders, instead of those of the
    file. Raises ConfigError with everything that prevents reading the file, UsageError when it cannot be opened.
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
    """The project; raises UsageError when there is none."""
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
    """The name of a file in a folder that probably has rules."""
    return next((name for name in COMMON_NAMES if is_file(folder / name)), None)


def _suggest_rule_source() -> str:
    name = _find_common_name(Path.cwd())
    if name is None and has_terraform(Path.cwd()):
        name = "."
    if name:
        return f"`--routes {name}` uses the rules of this folder"
    return "name one, or a rule source, with --routes"


def load_routes_schema() -> dict[str, Any]:
    """The JSON Schema of routes.yaml, as exported from the models of routes.py."""
    text = (Path(__file__).parent.parent / "routes.schema.json").read_text(encoding="utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


def _read_file(file: Path, form: str | None) -> Project:
    if form not in (None, "routes") or is_folder(file):
        return _read_rule_source(file, b"" if is_folder(file) else read_file(file), form)
    raw = read_file(file)
    if form is None and raw.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"["):  # JSON, of any length
        return _read_rule_source(file, raw, None)
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
    """The project of a rule source, or of a routes.yaml that has unknown keys or is not well-formed."""
    from evtool.interchange.detection import read_rule_source  # noqa: PLC0415  (most projects are a routes.yaml)

    project = read_rule_source(file, raw, form)
    return add_rule_sources(project or parse_project(file, raw))


def add_rule_sources(project: Project) -> Project:
    """The project with the rules of the files that `rules` names. Raises ConfigError with all that is wrong."""
    value = project.document.value
    entries = None
    if not project.is_rule_source:
        entries = value.get("rules")
    if isinstance(entries, str):
        names = [entries]
    elif isinstance(entries, list):
        names = entries
    else:
        names = []
    if not names or not all(isinstance(entry, str) for entry in names):
        return project  # what is wrong with the entries is for problems.py to say
    findings: list[Finding] = []
    sources: list[Project] = []
    for index, entry in enumerate(names):
        location = project.locate(("rules", index) if isinstance(entries, list) else ("rules",))
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

    file = project.folder / entry
    source = read_rule_source(file, b"" if is_folder(file) else read_file(file), None)
    if source is None:
        raise UsageError(f"{entry} is a routes.yaml; `rules` names templates and the like")
    return source
