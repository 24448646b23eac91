"""The command `evtool schema diff`: compares two versions of schemas, and names the routes that the changes break.

The versions are opened as two sides, which may be extracted from git into a temporary folder:

    schema diff old.json new.json        two files
    schema diff git:main new.json        new.json in the revision main, and new.json
    schema diff git:main                 the schemas of the project in the revision main, and now
    schema diff git:v1 git:v2            the schemas of the project in two revisions

In the last two forms the schema folders are those that routes.yaml of the project names.
"""

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from evtool.cli.options import Argument, Option
from evtool.cli.runtime import load_routes
from evtool.cli.session import Session
from evtool.errors import EXIT_FINDINGS, EXIT_OK, ConfigError, UsageError
from evtool.findings.phrases import format_location
from evtool.git_revisions import PREFIX, open_revision
from evtool.reports.base import Report, Subject
from evtool.routes.comparison.base import extract_project, rename_findings
from evtool.routes.comparison.broken_routes import find_broken_routes
from evtool.routes.project import Project
from evtool.schemas.diff.changes import Change
from evtool.schemas.diff.versions import PairDiff, Version, diff_versions, open_file, open_folders
from evtool.terminal.screen import Screen, Segment, format_count

Compatibility = Literal["backward", "forward", "full"]
VERDICTS = {True: ("compatible", "green"), False: ("not compatible", "bold red"), None: ("undecided", "yellow")}


class _Side(NamedTuple):
    """One version of the schemas. `rename` turns the path of an extracted file into a name for messages."""

    version: Version
    rename: Callable[[str], str] = str


def schema_diff(
    session: Session,
    versions: Annotated[list[str], Argument("OLD NEW|git:REV", "two files or folders, or a git revision")],
    *,
    compatibility: Annotated[
        Compatibility, Option("--compatibility", "required compatibility: backward, forward or full", "MODE")
    ] = "backward",
    type: Annotated[str | None, Option("--type", "event type that the two files describe", "TYPE")] = None,  # noqa: A002
    relaxed: Annotated[bool, Option("--relaxed", "omit changes that affect only undeclared fields")] = False,
) -> int:
    """Compare two versions of schemas: what changed, and which events and routes the changes break.

    Backward compatible: the new schema accepts everything that the old one accepts. Forward: the reverse. Full: both.
    OLD and NEW are files or folders. git:REV in place of one of them means the other one in that revision. git:REV
    alone compares the schemas of the project with those of the revision. Exit code 1 if the versions are not
    compatible, or if that cannot be decided.

    Example: evtool schema diff git:main
    """
    project = session.find_project()
    types = []
    if type:
        types.append(type)
    open_old, open_new = _choose_sides(versions, project, types)
    with open_old as old, open_new as new:

        def rename(file: str) -> str:
            return old.rename(new.rename(file))

        pairs = _diff(old, new, rename, relaxed=relaxed)
        routes: list[str] = []
        if project:
            routes = find_broken_routes(load_routes(session, project), pairs)
        verdicts = _combine(pairs)
        with session.open_report(Subject("schema diff", "changes", _DiffReport)) as report:
            count = 0
            for pair in pairs:
                for change in pair.diff.changes:
                    report.add_record(_build_record(pair, change, rename))
                    count += 1
            summary = {"schemas": len(pairs), "changes": count}
            report.end({"compatible": verdicts, "routes": routes, "summary": summary})
    # Undecided is None: a check that cannot be made must not succeed.
    if verdicts[compatibility] is True:
        return EXIT_OK
    return EXIT_FINDINGS


def _diff(old: _Side, new: _Side, rename: Callable[[str], str], *, relaxed: bool) -> list[PairDiff]:
    try:
        return list(diff_versions(old.version, new.version, relaxed=relaxed))
    except ConfigError as error:
        raise rename_findings(error, rename) from None
    except ValueError as error:
        raise UsageError(str(error)) from None


# --- the two versions ------------------------------------------------------------------------------------------------


def _choose_sides(
    versions: Sequence[str], project: Project | None, types: Sequence[str]
) -> tuple[AbstractContextManager[_Side], AbstractContextManager[_Side]]:
    """Returns the context managers of both versions. Raises UsageError."""
    if len(versions) > 2 or (len(versions) == 1 and not _is_revision(versions[0])):
        raise UsageError("give two files or folders, or one git revision: evtool schema diff git:main")
    if all(_is_revision(version) for version in versions):
        if project is None:
            raise UsageError("git:REV compares the schemas of a project, and there is no routes.yaml; give OLD and NEW")
        new_version = None
        if len(versions) == 2:
            new_version = versions[1]
        return _open_project(versions[0], project), _open_project(new_version, project)
    old_version, new_version = versions
    if _is_revision(old_version):
        return _open_revision(old_version, new_version, project, types), _open_path(new_version, project, types)
    if _is_revision(new_version):
        return _open_path(old_version, project, types), _open_revision(new_version, old_version, project, types)
    return _open_path(old_version, project, types), _open_path(new_version, project, types)


def _is_revision(version: str) -> bool:
    return version.startswith(PREFIX)


def _list_schema_folders(project: Project | None) -> list[Path]:
    if project is None:
        return []
    return list(project.schemas)


@contextmanager
def _open_path(name: str, project: Project | None, types: Sequence[str]) -> Iterator[_Side]:
    path = Path(name)
    if path.is_dir():
        yield _Side(open_folders([path]))
    elif path.exists():
        yield _Side(open_file(path, _list_schema_folders(project), types))
    else:
        raise UsageError(f"there is no file or folder {path}; a git revision is {PREFIX}REV, such as {PREFIX}main")


@contextmanager
def _open_project(version: str | None, project: Project) -> Iterator[_Side]:
    """Opens the schemas of the project: the current ones, or those of a revision."""
    if version is None:
        yield _Side(_open_project_schemas(project))
        return
    with extract_project(open_revision(version, project.folder), project) as (extracted, rename):
        yield _Side(_open_project_schemas(extracted), rename)


def _open_project_schemas(project: Project) -> Version:
    folders = [folder for folder in project.schemas if folder.is_dir()]
    if not project.schemas and not project.named_schemas:
        raise UsageError(f"{project.display_name} names no schemas; give two files or folders")
    # A named schema may not exist yet in an old revision: then it is a new schema.
    named = {name: entry for name, entry in project.named_schemas.items() if entry.file.is_file()}
    return open_folders(folders, named)


@contextmanager
def _open_revision(version: str, other: str, project: Project | None, types: Sequence[str]) -> Iterator[_Side]:
    """Opens a file or folder of a revision, with the schema folders of the project that contain it."""
    path = Path(other)
    start = path.parent
    if path.is_dir():
        start = path
    # The path may exist only in the revision, so that its folder cannot show which repository it is in.
    repository_folder = Path()
    if start.is_dir():
        repository_folder = start
    revision = open_revision(version, repository_folder)
    location = revision.locate(path)
    if not revision.has(location):
        raise UsageError(f"{version}: the revision has no file or folder {location}")
    # A schema may refer to other schemas of its folders, so that these are extracted, too.
    folders = [folder for folder in _list_schema_folders(project) if path.resolve().is_relative_to(folder)]
    parts = dict.fromkeys(revision.locate(part) for part in [start] + folders)
    with tempfile.TemporaryDirectory(prefix="evtool-") as name:
        # On macOS the temporary folder is behind a link; findings have the resolved path.
        root = Path(os.path.realpath(name))
        revision.extract([part for part in parts if revision.has(part)], root)
        extracted = root / location
        if extracted.is_dir():
            schemas = open_folders([extracted])
        else:
            schemas = open_file(extracted, [root / revision.locate(folder) for folder in folders], types)
        yield _Side(schemas, partial(_rename_extracted, f"{root}/", f"{revision.name}:"))


def _rename_extracted(folder: str, revision: str, file: str) -> str:
    return file.replace(folder, revision)


# --- the report ------------------------------------------------------------------------------------------------------


def _combine(pairs: Sequence[PairDiff]) -> dict[str, bool | None]:
    """Returns the compatibility of all schemas together: false overrides undecided, undecided overrides true."""
    backward = _all_of([pair.diff.backward for pair in pairs])
    forward = _all_of([pair.diff.forward for pair in pairs])
    return {"backward": backward, "forward": forward, "full": _all_of([backward, forward])}


def _all_of(answers: Sequence[bool | None]) -> bool | None:
    if False in answers:
        return False
    if None in answers:
        return None
    return True


def _build_record(pair: PairDiff, change: Change, rename: Callable[[str], str]) -> dict[str, Any]:
    file = None
    if change.file:
        file = rename(change.file)
    return {
        "pointer": change.pointer,
        "kind": change.kind,
        "breaks": list(change.breaks),
        "undecided": list(change.undecided),
        "message": change.message,
        "schema": pair.name or None,
        "file": file,
        "line": change.line,
        "column": change.column,
    }


class _DiffReport(Report):
    """The text report: a line per change, then the verdict and the routes."""

    def __init__(self, screen: Screen):
        self._screen = screen

    def add_record(self, record: Mapping[str, Any]) -> None:
        """Shows a change."""
        location = format_location(record["file"], record["line"], record["column"])
        segments: list[Segment] = [(f"  breaks {name}", "bold red") for name in record["breaks"]]
        segments += [(f"  {name} undecided", "yellow") for name in record["undecided"]]
        if not segments:
            segments = [("  compatible", "green")]
        # Several schemas may be in one file, such as an OpenAPI document: then the file alone does not name the schema.
        schema = str(record["schema"] or "").rpartition("#")[2]
        owner = ""
        if not str(record["file"]).endswith(schema):
            owner = f", in {schema}"
        self._screen.print_line((location, "dim"), f"  {record['message']}{owner}", *segments)

    def end(self, tail: Mapping[str, Any]) -> None:
        """Shows whether the versions are compatible, and which routes break."""
        for route in tail["routes"]:
            self._screen.print_line(("breaks the route ", "bold red"), (route, "bold"))
        summary = tail["summary"]
        counts = f"{format_count(summary['schemas'], 'schema')}, {format_count(summary['changes'], 'change')}"
        segments: list[Segment] = [counts]
        for name, answer in tail["compatible"].items():
            segments += [f", {name} ", VERDICTS[answer]]
        self._screen.print_line(*segments)
