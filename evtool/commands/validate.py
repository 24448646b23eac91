"""The command `evtool validate`: checks events against the JSON Schemas of their types."""

from contextlib import closing, nullcontext
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
from evtool.schemas.documents import NamedSchema
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
        str | None, Option("--schema", "validate every event against this schema: FILE or FILE#/POINTER", "FILE")
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
    project. It also checks the whole of routes.yaml. With --no-schema ignore, it checks envelopes without a project.
    Exit code 1 if an event is not valid, 2 if routes.yaml is not valid or there is no event.

    Example: evtool validate samples/events -o text -o junit=report.xml
    """
    project = _load_project(session, needed=not (paths and (schema or no_schema == "ignore")))
    if project:
        event_paths = paths or [display_path(path) for path in project.samples]
    else:
        event_paths = paths
    if not event_paths and not allow_empty:
        raise UsageError("name events to validate, or set `samples:` in routes.yaml")
    identity = read_identity(session, project, PayloadIdentity(type, source, type_at, id_at), intake)
    rules = Rules(_load_schemas(project, schema, needed=no_schema != "ignore"), no_schema)
    inputs = EventInputs(event_paths, unwrap=unwrap, allow_empty=allow_empty)
    events = invalid = unread = 0
    progress = Progress("validating", "event", total=partial(count_bytes, event_paths), quiet=session.quiet)
    subject = Subject("validate", "findings", lambda screen: FindingsReport(screen, quiet=session.quiet))
    fast_path = None
    if not fail_fast:
        fast_path = _choose_fast_path(session, rules, progress, jobs)
    with session.open_report(subject) as report, closing(fast_path) if fast_path else nullcontext():
        texts = inputs.read(max_bytes=max_bytes, on_bytes=progress.advance, prover=fast_path)
        results = validate_events(texts, rules, create_event_defaults(), identity=identity)
        for result in progress.track(inputs.check(results)):
            report.add(result)
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


def _choose_fast_path(session: Session, rules: Rules, progress: Progress, jobs: int) -> FastPath | None:
    """The fast path, if nothing but the number of valid events is asked for."""
    formats = {output.partition("=")[0] for output in session.output}
    if rules.schemas is None or not formats <= ONLY_FINDINGS:
        return None
    if jobs == 1:
        return FastPath(rules.schemas.find_check, progress.count)
    from evtool.commands.validate_jobs import ProofPool  # noqa: PLC0415  (few calls use it)

    return ProofPool(rules.schemas, progress.count, jobs=jobs)


def _load_project(session: Session, *, needed: bool) -> Project | None:
    """The project, if there is one or one is needed; shows the warnings about its routes.yaml.

    Raises ConfigError if anything in it is wrong.
    """
    project = session.load_project() if needed else session.find_project()
    if project is not None:
        session.show_warnings(check_project(project))
    return project


def _load_schemas(project: Project | None, schema: str | None, *, needed: bool) -> Schemas | None:
    if project:
        folders, named = (project.schemas, project.named_schemas)
    else:
        folders, named = ([], {})
    if schema is not None:
        if is_file(Path(schema)):
            name, _, fragment = (schema, "", "")
        else:
            name, _, fragment = schema.partition("#")
        if not is_file(Path(name)):
            raise UsageError(f"--schema: there is no file {name}")
        return Schemas(folders, only=NamedSchema(Path(name), fragment, partial(dict, file=name)))
    if not folders and not named and not needed:
        return None
    if not folders and not named:
        raise UsageError("there are no schemas: set `schemas:` in routes.yaml, or give --schemas DIR or --schema FILE")
    return Schemas(folders, named=named)
