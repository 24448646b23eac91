"""Loads the routes that a comparison begins from: those of another file, or of a git revision."""

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
    """One of the two versions of the routes: compiled, and as the file that locations are found in."""

    routes: Routes
    project: Project
    rename: Callable[[str], str] = str  # the name of a file for messages, from its path

    def list_open_routes(self, other: "RouteTable") -> set[str]:
        """The routes whose bus or state is unknown, unless it is the same unknown value in another version."""
        return {
            name
            for name in self.routes.routes
            for key in ("event-bus", "state")
            if find_unknown(self._get(name, key)) and self._get(name, key) != other._get(name, key)
        }

    def _get(self, route: str, key: str) -> Any:
        return ((self.project.document.value.get("routes") or {}).get(route) or {}).get(key)

    def locate(self, *path: str | int, key: bool = False) -> dict[str, Any]:
        """File, line and column of what some keys lead to, or of its key."""
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
    """The routes of a file or of `git:REV`. Raises UsageError if there are none, ConfigError if they are invalid."""
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
    """The project as it was in a revision, in a temporary folder, and the names of its files for messages.

    Its routes file, rule sources and schemas are there, nothing else. Raises UsageError if the revision has none.
    """
    path = revision.locate(project.folder if project.source_folder else project.file)
    if not revision.has(path):
        kind = "file"
        if project.source_folder:
            kind = "folder"
        raise UsageError(f"{PREFIX}{revision.name}: the revision has no {kind} {path}")
    with tempfile.TemporaryDirectory(prefix="evtool-") as name:
        folder = Path(os.path.realpath(name))

        def rename(file: str) -> str:
            full_path = Path(file).absolute()
            is_extracted = full_path.is_relative_to(folder)
            if is_extracted:
                return f"{revision.name}:{full_path.relative_to(folder).as_posix()}"
            return file

        revision.extract([revision.locate(project.source_folder) if project.source_folder else path], folder)
        try:
            if not project.source_folder:
                revision.extract(_list_parts(folder / path, folder, revision), folder)
            yield require_project(str(folder / path)), rename
        except ConfigError as error:
            raise rename_findings(error, rename) from None


def _list_parts(file: Path, folder: Path, revision: Revision) -> list[str]:
    """The rule sources and schemas that a project names, as far as the revision has them, and its own file."""
    own = file.relative_to(folder).as_posix()
    try:
        project = parse_project(file, read_file(file))
    except ConfigError:  # a rule source has no other parts
        return [own]
    rules = project.document.value.get("rules")
    if isinstance(rules, list):
        names = rules
    else:
        names = [rules]
    sources = [project.folder / name for name in names if isinstance(name, str)]
    named = [schema.file for schema in project.named_schemas.values()]
    paths = [Path(os.path.normpath(part)) for part in (*sources, *project.schemas, *named)]
    inside = [path.relative_to(folder).as_posix() for path in paths if path.is_relative_to(folder)]
    return [own, *(path for path in dict.fromkeys(inside) if revision.has(path))]


def _load_file(text: str) -> RouteTable:
    if not is_file(text) and not is_folder(Path(text)):
        raise UsageError(f"--against: there is no file {text}; a revision of git is {PREFIX}REV, such as {PREFIX}main")
    project = require_project(text)
    return RouteTable(load_routes(project), project)


def rename_findings(error: ConfigError, rename: Callable[[str], str]) -> ConfigError:
    """The same error with other names of files: those of a revision in place of those in a temporary folder."""
    findings = [finding._replace(file=rename(finding.file or "")) for finding in error.findings]
    message = str(error)
    for finding in error.findings:
        name = None
        if finding.file:
            name = display_path(Path(finding.file))
        if name:
            message = message.replace(name, rename(name))
    return ConfigError(message, findings)
