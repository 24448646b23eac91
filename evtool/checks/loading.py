"""Reads a project for `evtool check` as far as it can be read, and keeps what is wrong with the rest as findings."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from evtool.checks.base import CheckContext, read_section
from evtool.checks.valid_parts import compile_valid_parts
from evtool.errors import ConfigError
from evtool.events.envelopes import read_events
from evtool.events.event import Event, EventDefaults
from evtool.findings.finding import Finding
from evtool.handlers.plugins.kinds import find_kind, read_options
from evtool.paths import display_path
from evtool.patterns.pattern import Pattern
from evtool.readers.files import read_texts
from evtool.routes.problems import read_model
from evtool.routes.project import Project
from evtool.routes.routes import HandlerEntry, Route, load_routes
from evtool.schemas.validator import Schemas

# The ids and times of samples without an envelope play no part in a check.
SAMPLE_DEFAULTS = EventDefaults(lambda: "sample", lambda: "2000-01-01T00:00:00Z")


def load_context(project: Project, *, shows_details: bool = False) -> CheckContext:
    """What the checks of a project get. Raises ConfigError only if nothing of the project can be read."""
    routes, handlers, findings = _read_routes(project)
    schemas, schema_findings = _open_schemas(project)
    samples, sample_findings = read_samples(project.samples)
    all_findings = (*findings, *schema_findings, *sample_findings)
    return CheckContext(project, routes, handlers, schemas, samples, all_findings, shows_details)


def report_loading(context: CheckContext) -> Iterator[Finding]:
    """Everything that is wrong with routes.yaml itself and with the files of samples, and the notes on rule sources."""
    yield from context.findings
    yield from context.project.gaps
    if context.shows_details:
        yield from context.project.notes


def read_samples(paths: Iterable[Path]) -> tuple[list[Event], list[Finding]]:
    """The events in files and folders, and a finding for each text that is not an event."""
    events: list[Event] = []
    findings: list[Finding] = []
    for text in read_texts([display_path(path) for path in paths], stdin=BytesIO()):
        for item in [text] if isinstance(text, Finding) else read_events(text, SAMPLE_DEFAULTS):
            if isinstance(item, Finding):
                findings.append(item)
            else:
                events.append(item)
    return events, findings


def _read_routes(project: Project) -> tuple[Mapping[str, Route], Mapping[str, HandlerEntry], Sequence[Finding]]:
    try:
        routes = load_routes(project)
    except ConfigError as error:
        if not error.findings:
            raise
        return _read_valid_routes(project), _read_valid_handlers(project), error.findings
    return routes.routes, routes.handlers, routes.warnings


def _read_valid_routes(project: Project) -> dict[str, Route]:
    """The routes of a file that has mistakes elsewhere. What does not compile in a pattern is unknown."""
    _, patterns, _ = read_model(project)
    routes = {}
    for name, source in read_section(project, "routes").items():
        pattern = patterns.get(name) or compile_valid_parts(source.get("pattern"))
        if pattern is not None:
            routes[name] = _build_route(name, source, pattern)
    return routes


def _build_route(name: str, source: Mapping[str, Any], pattern: Pattern) -> Route:
    to, bus = source.get("to"), source.get("event-bus")
    if isinstance(to, list):
        handlers = tuple(handler for handler in to if isinstance(handler, str))
    else:
        handlers = ()
    is_enabled = source.get("state", "enabled") == "enabled"
    return Route(name, pattern, handlers, enabled=is_enabled, event_bus=bus if isinstance(bus, str) else None)


def _read_valid_handlers(project: Project) -> dict[str, HandlerEntry]:
    handlers: dict[str, HandlerEntry] = {}
    for name, source in read_section(project, "handlers").items():
        kind = find_kind(source)
        if kind:
            try:
                options = read_options(kind, source)
            except ValidationError:
                continue  # one of the findings
            handlers[name] = HandlerEntry(name, kind, options, project.folder)
    return handlers


def _open_schemas(project: Project) -> tuple[Schemas | None, list[Finding]]:
    folders, named = project.schemas, project.named_schemas
    missing = [folder for folder in folders if not folder.is_dir()]
    findings = [
        Finding("EV022", f"schemas: there is no folder {display_path(folder)}", **project.locate(("schemas",)))
        for folder in missing
    ]
    folders = [folder for folder in folders if folder not in missing]
    return Schemas(folders, named=named) if folders or named else None, findings
