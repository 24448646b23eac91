"""Loads the base of a comparison: the routes of another file, or of a git revision."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from evtool.errors import ConfigError, UsageError
from evtool.git_revisions import PREFIX, Revision, open_revision
from evtool.paths import display_path, is_file, is_folder
from evtool.patterns.unknown import find_unknown
from evtool.routes.pattern_text import locate_in_pattern
from evtool.routes.project import Project, require_project
from evtool.routes.project_file import parse_project, read_file
from evtool.routes.routes import Routes, load_routes


class RouteTable(NamedTuple):
    """One of the two versions of the routes: the compiled routes, and the project file, which has their locations.

    `rename` turns the path of a file into its name for messages.
    """

    routes: Routes
    project: Project
    rename: Callable[[str], str] = str

    def list_open_routes(self, other: "RouteTable") -> set[str]:
        """Returns the routes whose bus or state is unknown, unless the other version has the same unknown value."""
        names = set()
        for name in self.routes.routes:
            for key in ("event-bus", "state"):
                value = self._get(name, key)
                if find_unknown(value) and value != other._get(name, key):
                    names.add(name)
        return names

    def _get(self, route: str, key: str) -> Any:
        return ((self.project.document.value.get("routes") or {}).get(route) or {}).get(key)

    def locate(self, *path: str | int, key: bool = False) -> dict[str, Any]:
        """Returns file, line and column of the value at a path of keys, or of its key."""
        if path[:1] == ("routes",) and path[2:3] == ("pattern",):
            location = locate_in_pattern(self.project, str(path[1]), path[3:], key=key)
        else:
            location = self.project.locate(path, key=key)
        return {
            "file": self.rename(str(location.get("file"))),
            "line": location.get("line"),
            "column": location.get("column"),
        }


@contextmanager
def open_base(text: str, project: Project) -> Iterator[RouteTable]:
    """Opens the routes of a file or of `git:REV`. Raises UsageError if they do not exist, ConfigError if invalid."""
    if not text.startswith(PREFIX):
        yield _load_file(text)
        return
    revision = open_revision(text, project.folder)
    with extract_project(revision, project) as (extracted, rename):
        try:
            yield RouteTable(load_routes(extracted), extracted, rename)
        except ConfigError as error:
            raise rename_findings(error, rename) from None


@contextmanager
def extract_project(revision: Revision, project: Project) -> Iterator[tuple[Project, Callable[[str], str]]]:
    """Extracts the project of a revision into a temporary folder. Yields it with a function that renames its files.

    Only its routes file, rule sources and schemas are extracted. Raises UsageError if the revision does not have it.
    """
    kind, path = "file", revision.locate(project.file)
    if project.source_folder:
        kind, path = "folder", revision.locate(project.folder)
    if not revision.has(path):
        raise UsageError(f"{PREFIX}{revision.name}: the revision has no {kind} {path}")
    with tempfile.TemporaryDirectory(prefix="evtool-") as name:
        folder = Path(os.path.realpath(name))

        def rename(file: str) -> str:
            full_path = Path(file).absolute()
            is_extracted = full_path.is_relative_to(folder)
            if is_extracted:
                return f"{revision.name}:{full_path.relative_to(folder).as_posix()}"
            return file

        try:
            if project.source_folder:
                revision.extract([revision.locate(project.source_folder)], folder)
            else:
                # The routes file names its other parts, so it is extracted first.
                revision.extract([path], folder)
                revision.extract(_list_parts(folder / path, folder, revision), folder)
            yield require_project(str(folder / path)), rename
        except ConfigError as error:
            raise rename_findings(error, rename) from None


def _list_parts(file: Path, folder: Path, revision: Revision) -> list[str]:
    """Returns the project file, and the rule sources and schemas that it names and the revision has."""
    parts = [file.relative_to(folder).as_posix()]
    try:
        project = parse_project(file, read_file(file))
    except ConfigError:
        # A rule source has no other parts.
        return parts
    rules = project.document.value.get("rules")
    if not isinstance(rules, list):
        rules = [rules]
    files = [project.folder / name for name in rules if isinstance(name, str)]
    files += project.schemas
    files += [schema.file for schema in project.named_schemas.values()]
    for named_file in files:
        path = Path(os.path.normpath(named_file))
        if not path.is_relative_to(folder):
            continue
        name = path.relative_to(folder).as_posix()
        if name not in parts and revision.has(name):
            parts.append(name)
    return parts


def _load_file(text: str) -> RouteTable:
    if not is_file(text) and not is_folder(Path(text)):
        hint = f"a git revision is written {PREFIX}REV, such as {PREFIX}main"
        raise UsageError(f"--against: the file {text} does not exist; {hint}")
    project = require_project(text)
    return RouteTable(load_routes(project), project)


def rename_findings(error: ConfigError, rename: Callable[[str], str]) -> ConfigError:
    """Returns the error with other file names: those of a revision instead of those in a temporary folder."""
    findings = [finding._replace(file=rename(finding.file or "")) for finding in error.findings]
    message = str(error)
    for finding in error.findings:
        if finding.file:
            name = display_path(Path(finding.file))
            message = message.replace(name, rename(name))
    return ConfigError(message, findings)
