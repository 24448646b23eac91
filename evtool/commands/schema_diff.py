"""The command `evtool schema diff`: whether a new version of a schema accepts what the old one accepted."""

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from evtool.cli.options import Argument, Option
from evtool.cli.runtime import load_routes
from evtool.cli.session import Session
from evtool.errors import EXIT_FINDINGS, EXIT_OK, ConfigError, UsageError
from evtool.findings.phrases import format_location
from evtool.git_revisions import PREFIX, open_revision
from evtool.reports.base import Record, Subject
from evtool.routes.comparison.base import extract_project, rename_findings
from evtool.routes.comparison.broken_routes import find_broken_routes
from evtool.routes.project import Project
from evtool.schemas.diff.diff import Change
from evtool.schemas.diff.versions import PairDiff, Version, diff_versions, open_file, open_folders
from evtool.schemas.validation import ValidationResult
from evtool.terminal.screen import Screen, Segment, format_count

Compatibility = Literal["backward", "forward", "full"]
VERDICTS = {True: ("compatible", "green"), False: ("not compatible", "bold red"), None: ("undecided", "yellow")}
COMPATIBLE = [("  compatible", "green")]


class _Side(NamedTuple):
    """One version of the schemas, and the names of its files for messages."""

    version: Version
    rename: Callable[[str], str] = str


def schema_diff(
    session: Session,
    versions: Annotated[list[str], Argument("OLD NEW|git:REV", "two files or folders, or a revision of git")],
    *,
    compatibility: Annotated[
        Compatibility, Option("--compatibility", "what must hold: backward, forward or full", "MODE")
    ] = "backward",
    type: Annotated[str | None, Option("--type", "the event type that two files describe", "TYPE")] = None,  # noqa: A002
    relaxed: Annotated[bool, Option("--relaxed", "omit changes that affect only undeclared fields")] = False,
) -> int:
    """Compare two versions of schemas: what changed, and whether it breaks old or new events, and which routes.

    Backward compatible: the new schema accepts everything that the old one accepts. Forward: the reverse. Full: both.
    OLD and NEW are files or folders; git:REV in place of one of them is the other one in that revision. git:REV alone
    compares the schemas of the project with those of the revision. Exit code 1 if the versions are not compatible, or
    if that cannot be decided.

    Example: evtool schema diff git:main
    """
    project = session.find_project()
    with ExitStack() as stack:
        old, new = (stack.enter_context(side) for side in _open_sides(versions, project, [type] if type else []))
        try:
            pairs = list(diff_versions(old.version, new.version, relaxed=relaxed))
        except ConfigError as error:
            raise rename_findings(error, lambda file: old.rename(new.rename(file))) from None
        except ValueError as error:
            raise UsageError(str(error)) from None
        if project:
            routes = find_broken_routes(load_routes(session, project), pairs)
        else:
            routes = []
        verdicts = _combine(pairs)
        with session.open_report(Subject("schema diff", "changes", _DiffReport)) as report:
            for pair in pairs:
                for change in pair.diff.changes:
                    report.add(_build_record(pair, change, lambda file: old.rename(new.rename(file))))
            summary = {"schemas": len(pairs), "changes": sum(len(pair.diff.changes) for pair in pairs)}
            report.end({"compatible": verdicts, "routes": routes, "summary": summary})
    if verdicts[compatibility] is True:
        return EXIT_OK
    return EXIT_FINDINGS


# --- the two versions ------------------------------------------------------------------------------------------------


def _open_sides(versions: Sequence[str], project: Project | None, types: Sequence[str]) -> list[Any]:
    """The context managers of both versions."""
    if len(versions) > 2 or (len(versions) == 1 and not versions[0].startswith(PREFIX)):
        raise UsageError("give two files or folders, or one revision of git: evtool schema diff git:main")
    if len(versions) == 1 or all(version.startswith(PREFIX) for version in versions):
        if project is None:
            raise UsageError("git:REV compares the schemas of a project, and there is no routes.yaml; give OLD and NEW")
        return [_open_project(version, project) for version in (*versions, None)[:2]]
    return [
        _open_revision(version, versions[1 - number], project, types)
        if version.startswith(PREFIX)
        else _open_path(Path(version), project, types)
        for number, version in enumerate(versions)
    ]


@contextmanager
def _open_path(path: Path, project: Project | None, types: Sequence[str]) -> Iterator[_Side]:
    if path.is_dir():
        yield _Side(open_folders([path]))
    elif path.exists():
        yield _Side(open_file(path, project.schemas if project else [], types))
    else:
        raise UsageError(f"there is no file or folder {path}; a revision of git is {PREFIX}REV, such as {PREFIX}main")


@contextmanager
def _open_project(version: str | None, project: Project) -> Iterator[_Side]:
    """The schemas of the project, as they are or as they were in a revision."""
    if version is None:
        yield _Side(_open_project_schemas(project))
        return
    with extract_project(open_revision(version, project.folder), project) as (extracted, rename):
        yield _Side(_open_project_schemas(extracted), rename)


def _open_project_schemas(project: Project) -> Version:
    folders = [folder for folder in project.schemas if folder.is_dir()]
    if not project.schemas and not project.named_schemas:
        raise UsageError(f"{project.display_name} names no schemas; give two files or folders")
    return open_folders(folders, {name: entry for name, entry in project.named_schemas.items() if entry.file.is_file()})


@contextmanager
def _open_revision(version: str, other: str, project: Project | None, types: Sequence[str]) -> Iterator[_Side]:
    """A file or folder as it was in a revision, with the schema folders of the project that contain it."""
    path = Path(other)
    if path.is_dir():
        start = path
    else:
        start = path.parent
    revision = open_revision(version, start if start.is_dir() else Path())
    place = revision.locate(path)
    if not revision.has(place):
        raise UsageError(f"{version}: the revision has no file or folder {place}")
    folders = [folder for folder in (project.schemas if project else []) if path.resolve().is_relative_to(folder)]
    parts = [revision.locate(part) for part in (start, *folders)]
    with tempfile.TemporaryDirectory(prefix="evtool-") as name:
        root = Path(os.path.realpath(name))
        revision.extract([part for part in dict.fromkeys(parts) if revision.has(part)], root)
        extracted = root / place
        sources = [root / revision.locate(folder) for folder in folders]
        if extracted.is_dir():
            version_ = open_folders([extracted])
        else:
            version_ = open_file(extracted, sources, types)
        yield _Side(version_, lambda file: file.replace(f"{root}/", f"{revision.name}:"))


# --- the report ------------------------------------------------------------------------------------------------------


def _combine(pairs: Sequence[PairDiff]) -> dict[str, bool | None]:
    """The compatibility of all schemas together: false beats undecided, undecided beats true."""
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
    return {
        "pointer": change.pointer,
        "kind": change.kind,
        "breaks": list(change.breaks),
        "undecided": list(change.undecided),
        "message": change.message,
        "schema": pair.name or None,
        "file": rename(change.file) if change.file else None,
        "line": change.line,
        "column": change.column,
    }


class _DiffReport:
    """The text report: a line per change, then the verdict and the routes."""

    def __init__(self, screen: Screen):
        self._screen = screen

    def add(self, record: Record) -> None:
        """Shows a change."""
        assert not isinstance(record, ValidationResult)
        location = format_location(record["file"], record["line"], record["column"])
        effects: list[Segment] = [(f"  breaks {name}", "bold red") for name in record["breaks"]]
        effects += [(f"  {name} undecided", "yellow") for name in record["undecided"]]
        schema = str(record["schema"] or "").rpartition("#")[2]
        # the file is shared by several
        owner = ""
        if not str(record["file"]).endswith(schema):
            owner = f", in {schema}"
        self._screen.print_line((location, "dim"), f"  {record['message']}{owner}", *(effects or COMPATIBLE))

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
