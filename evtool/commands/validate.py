"""The command `evtool validate`: checks events against the JSON Schemas of their types.

Editors and hooks call it for every saved file, so that its imports are few: no typer, no pydantic, no apsw.
"""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Annotated

from evtool.cli.inputs import EventInputs
from evtool.cli.options import (
    AllowEmpty,
    Argument,
    IdAt,
    Intake,
    MaxBytes,
    NoSchema,
    Option,
    Source,
    Type,
    TypeAt,
    Unwrap,
)
from evtool.cli.payload_identity import check_project, read_identity
from evtool.cli.session import Session, create_event_defaults
from evtool.errors import EXIT_FINDINGS, EXIT_OK, EXIT_USAGE, UsageError
from evtool.events.payload_identity import PayloadIdentity
from evtool.paths import display_path, is_file
from evtool.readers.files import MAX_BYTES, count_bytes
from evtool.reports.base import Subject
from evtool.reports.formats.registry import ONLY_FINDINGS
from evtool.reports.formats.text import FindingsReport
from evtool.routes.project import Project
from evtool.schemas.documents.declarations import NamedSchema
from evtool.schemas.fast_path import FastPath
from evtool.schemas.validation import Rules, validate_events
from evtool.schemas.validator import Schemas
from evtool.terminal.progress import Progress


def validate(
    session: Session,
    paths: Annotated[
        list[str],
        Argument("[PATH]...", "JSON files, JSON Lines (.jsonl, .ndjson, .gz), folders, or - for standard input"),
    ] = [],  # noqa: B006  (never changed)
    *,
    schema: Annotated[
        str | None, Option("--schema", "validate all events against this schema: FILE or FILE#/POINTER", "FILE")
    ] = None,
    type: Type = None,  # noqa: A002
    source: Source = None,
    type_at: TypeAt = None,
    id_at: IdAt = None,
    intake: Intake = None,
    no_schema: NoSchema = "error",
    unwrap: Unwrap = False,
    fail_fast: Annotated[bool, Option("--fail-fast", "stop at the first event that is not valid")] = False,
    jobs: Annotated[int, Option("--jobs", "number of processes that validate JSON Lines", "N", least=1)] = 1,
    max_bytes: MaxBytes = MAX_BYTES,
    allow_empty: AllowEmpty = False,
) -> int:
    """Check events against the JSON Schemas of their types.

    Reports every error of every event with its file, line and column. Without a PATH it validates the samples of the
    project. It also checks routes.yaml. With --no-schema ignore it needs no project and checks only the envelopes.
    Exit code 1 if an event is not valid, 2 if routes.yaml is not valid or the input has no event.

    Example: evtool validate samples/events -o text -o junit=report.xml
    """
    project = _load_project(session, needed=not (paths and (schema or no_schema == "ignore")))
    event_paths = _choose_paths(project, paths, allow_empty=allow_empty)
    identity = read_identity(session, project, PayloadIdentity(type, source, type_at, id_at), intake)
    rules = Rules(_load_schemas(project, schema, needed=no_schema != "ignore"), no_schema)
    inputs = EventInputs(event_paths, unwrap=unwrap, allow_empty=allow_empty)
    events = invalid = unread = 0
    progress = Progress("validating", "event", total=partial(count_bytes, event_paths), quiet=session.quiet)
    subject = Subject("validate", "findings", partial(FindingsReport, quiet=session.quiet))
    fast_path = None
    # The first event that is not valid may be in a block that is proven before it is reported.
    if not fail_fast:
        fast_path = _choose_fast_path(session, rules, progress, jobs)
    with session.open_report(subject) as report, ExitStack() as at_exit:
        if fast_path:
            at_exit.callback(fast_path.close)
        texts = inputs.read(max_bytes=max_bytes, on_bytes=progress.advance, prover=fast_path)
        results = validate_events(texts, rules, create_event_defaults(), identity=identity)
        for result in progress.track(inputs.check(results)):
            report.add_result(result)
            # A file that could not be read is not an event.
            if result.is_unreadable:
                unread += 1
                continue
            events += 1
            invalid += not result.is_valid
            if fail_fast and invalid:
                break
        if fast_path:
            events += fast_path.proven
        summary = {"events": events, "valid": events - invalid, "invalid": invalid, "files": len(inputs.files)}
        report.end({"summary": summary})
    if unread:
        return EXIT_USAGE
    if invalid:
        return EXIT_FINDINGS
    return EXIT_OK


def _choose_paths(project: Project | None, paths: list[str], *, allow_empty: bool) -> list[str]:
    """Returns the given paths, or the samples of the project. Raises UsageError if there is neither."""
    if project and not paths:
        paths = [display_path(path) for path in project.samples]
    if not paths and not allow_empty:
        raise UsageError("name events to validate, or set `samples:` in routes.yaml")
    return paths


def _choose_fast_path(session: Session, rules: Rules, progress: Progress, jobs: int) -> FastPath | None:
    """Returns the fast path. None if a report shows each valid event, or if events have no schemas."""
    if rules.schemas is None or not ONLY_FINDINGS.issuperset(session.list_formats()):
        return None
    if jobs == 1:
        return FastPath(rules.schemas.find_check, progress.count)
    # Few calls use several processes.
    from evtool.commands.validate_jobs import ProofPool  # noqa: PLC0415

    return ProofPool(rules.schemas, progress.count, jobs=jobs)


def _load_project(session: Session, *, needed: bool) -> Project | None:
    """Reads the project and checks routes.yaml. Returns None for a folder without a project, unless one is needed.

    Raises ConfigError if routes.yaml is not valid.
    """
    if needed:
        project: Project | None = session.load_project()
    else:
        project = session.find_project()
    if project is not None:
        session.show_warnings(check_project(project))
    return project


def _load_schemas(project: Project | None, schema: str | None, *, needed: bool) -> Schemas | None:
    folders: Sequence[Path] = ()
    named: Mapping[str, NamedSchema] = {}
    if project:
        folders, named = project.schemas, project.named_schemas
    if schema is not None:
        return Schemas(folders, only=_find_schema(schema))
    if folders or named:
        return Schemas(folders, named=named)
    if needed:
        raise UsageError("there are no schemas: set `schemas:` in routes.yaml, or give --schemas DIR or --schema FILE")
    return None


def _find_schema(name: str) -> NamedSchema:
    """Finds the schema of --schema: a file, or a part of a file after `#`. Raises UsageError."""
    file, fragment = name, ""
    # The name of a file may contain `#`.
    if not is_file(Path(name)):
        file, _, fragment = name.partition("#")
    if not is_file(Path(file)):
        raise UsageError(f"--schema: there is no file {file}")
    return NamedSchema(Path(file), fragment, partial(dict, file=file))
