"""The command `evtool schema infer`: infers the schema of an event type from examples."""

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from evtool.cli.inputs import EventInputs, resolve_paths
from evtool.cli.options import Argument, Option, Source, Type, Unwrap
from evtool.cli.session import Session, create_event_defaults
from evtool.errors import EXIT_OK, UsageError
from evtool.events.payload_identity import PayloadIdentity
from evtool.paths import display_path
from evtool.reports.base import Report, Subject
from evtool.schemas.infer import Shape, build_schema
from evtool.schemas.validation import Rules, validate_events
from evtool.terminal.screen import Screen, format_count

# Types or files that a message lists.
MAX_LISTED = 10


def schema_infer(
    session: Session,
    events: Annotated[list[str], Argument("EVENT...", "files, folders, names of samples, or -")],
    *,
    type: Type = None,  # noqa: A002
    source: Source = None,
    unwrap: Unwrap = False,
    to: Annotated[str | None, Option("--to", "write a file TYPE.json for each type into this folder", "DIR")] = None,
    force: Annotated[bool, Option("--force", "replace existing files")] = False,
) -> int:
    """Infer a JSON Schema from events of one type; with --to, one file for each type.

    The schema accepts all of these events. A field is required if every event has it. Bounds and lengths are not
    inferred, so that a schema from few events is not too narrow. Review the schema before you use it.

    Example: evtool schema infer samples/events --to schemas
    """
    project = session.find_project()
    paths = events
    # Without a project there are no samples, but files can still be read.
    if project:
        paths = resolve_paths(events, project)
    inputs = EventInputs(paths, unwrap=unwrap)
    # One shape for each type, not all its events, so that memory does not grow with the input.
    shapes: dict[str, Shape] = {}
    count = 0
    identity = PayloadIdentity(type, source)
    results = validate_events(inputs.read(), Rules(None), create_event_defaults(), identity=identity)
    for result in inputs.check(results):
        session.show_findings(result.findings)
        if result.event is not None:
            shapes.setdefault(result.event.type, Shape()).add(result.event.detail)
            count += 1
    if len(shapes) > 1 and to is None:
        names = ", ".join(sorted(shapes)[:MAX_LISTED])
        if len(shapes) > MAX_LISTED:
            names += " ..."
        raise UsageError(f"these are events of {len(shapes)} types: {names}; --to DIR writes a file for each")
    schemas = {name: build_schema(name, shapes[name]) for name in sorted(shapes)}
    files: dict[str, Path] = {}
    if to is not None:
        files = _write_files(schemas, Path(to), force=force)
    subject = Subject("schema infer", "schemas", partial(_InferReport, folder=to, quiet=session.quiet))
    with session.open_report(subject) as report:
        for name, schema in schemas.items():
            file = None
            if name in files:
                file = display_path(files[name])
            report.add_record({"type": name, "file": file, "schema": schema})
        report.end({"summary": {"events": count, "schemas": len(schemas)}})
    return inputs.worst_exit_code(EXIT_OK)


def _write_files(schemas: Mapping[str, dict[str, Any]], folder: Path, *, force: bool) -> dict[str, Path]:
    """Writes the schema of each type to its file, and returns the files. Raises UsageError before the first write."""
    # A type comes from an event, and must not choose a file outside of the folder.
    for name in schemas:
        if "/" in name or "\0" in name or name.startswith("."):
            raise UsageError(f'the type "{name}" cannot be the name of a file: infer it alone, without --to')
    files = {name: folder / f"{name}.json" for name in schemas}
    existing = [display_path(file) for file in files.values() if file.exists()]
    if existing and not force:
        raise UsageError(f"--to: {', '.join(existing[:MAX_LISTED])} exists already; --force replaces it")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, file in files.items():
            file.write_text(json.dumps(schemas[name], indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise UsageError(f"--to: cannot write {error.filename or folder}: {error.strerror}") from None
    return files


class _InferReport(Report):
    """The text report: the schema itself, or the files that were written."""

    def __init__(self, screen: Screen, folder: str | None, *, quiet: bool):
        self._screen, self._folder, self._quiet = screen, folder, quiet

    def add_record(self, record: Mapping[str, Any]) -> None:
        """Prints a schema, or the name of its file."""
        if self._folder is None:
            for line in json.dumps(record["schema"], indent=2).split("\n"):
                self._screen.print_line(line, wrap=False)
        elif not self._quiet:
            self._screen.print_line((record["type"], "bold"), f"  {record['file']}")

    def end(self, tail: Mapping[str, Any]) -> None:
        """Shows the number of schemas that were written."""
        if self._folder is not None and not self._quiet:
            summary = tail["summary"]
            self._screen.print_line(
                f"{format_count(summary['schemas'], 'schema')} from {format_count(summary['events'], 'event')}"
            )
