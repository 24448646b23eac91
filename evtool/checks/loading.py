"""Reads a project for `evtool check` as far as it can be read, and keeps the problems of the rest as findings.

Other commands refuse a project with a mistake. `check` continues, so that one mistake does not hide others:

    routes:
      pay:   {pattern: {source: [{prefx: shop.}], detail-type: [order.created]}, to: [charge-card]}
      track: {pattern: {detail-type: [order.shiped]}, to: [charge-card]}

EV202 reports the operator `prefx`. The rest of the pattern of `pay` compiles with an unknown condition for the source,
so `order.created` is known to be matched; and EV307 can still report `order.shiped`, which no schema describes.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from io import BytesIO
from itertools import repeat
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from evtool.checks.base import CheckContext, list_strings, read_section
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

# The ids and times of samples without an envelope do not matter to a check, so they are always the same.
SAMPLE_DEFAULTS = EventDefaults(repeat("sample").__next__, repeat("2000-01-01T00:00:00Z").__next__)


def load_context(project: Project, *, shows_details: bool = False) -> CheckContext:
    """Loads what the checks of a project get. Raises ConfigError only if no part of the project can be read."""
    routes, handlers, route_findings = _read_routes(project)
    schemas, schema_findings = _open_schemas(project)
    samples, sample_findings = read_samples(project.samples)
    findings = list(route_findings) + schema_findings + sample_findings
    return CheckContext(project, routes, handlers, schemas, samples, findings, shows_details)


def report_loading(context: CheckContext) -> Iterator[Finding]:
    """EV0, EV2 and EV403: the problems of routes.yaml itself and of the files of samples, and notes on rule sources."""
    yield from context.findings
    yield from context.project.gaps
    if context.shows_details:
        yield from context.project.notes


def read_samples(paths: Iterable[Path]) -> tuple[list[Event], list[Finding]]:
    """Reads the events in files and folders. Returns them, and a finding for each JSON value that is not an event."""
    events: list[Event] = []
    findings: list[Finding] = []
    for text in read_texts([display_path(path) for path in paths], stdin=BytesIO()):
        if isinstance(text, Finding):
            findings.append(text)
            continue
        for item in read_events(text, SAMPLE_DEFAULTS):
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
    """Reads the routes of a file that has mistakes elsewhere. Parts of a pattern that do not compile are unknown."""
    _, patterns, _ = read_model(project)
    routes = {}
    for name, source in read_section(project, "routes").items():
        pattern = patterns.get(name) or compile_valid_parts(source.get("pattern"))
        if pattern is not None:
            routes[name] = _build_route(name, source, pattern)
    return routes


def _build_route(name: str, source: Mapping[str, Any], pattern: Pattern) -> Route:
    handlers = list_strings(source.get("to"))
    bus = source.get("event-bus")
    if not isinstance(bus, str):
        bus = None
    is_enabled = source.get("state", "enabled") == "enabled"
    return Route(name, pattern, tuple(handlers), enabled=is_enabled, event_bus=bus)


def _read_valid_handlers(project: Project) -> dict[str, HandlerEntry]:
    handlers: dict[str, HandlerEntry] = {}
    for name, source in read_section(project, "handlers").items():
        kind = find_kind(source)
        if kind:
            try:
                options = read_options(kind, source)
            except ValidationError:
                # The findings of loading have this error.
                continue
            handlers[name] = HandlerEntry(name, kind, options, project.folder)
    return handlers


def _open_schemas(project: Project) -> tuple[Schemas | None, list[Finding]]:
    folders: list[Path] = []
    findings: list[Finding] = []
    for folder in project.schemas:
        if folder.is_dir():
            folders.append(folder)
        else:
            message = f"schemas: there is no folder {display_path(folder)}"
            findings.append(Finding("EV022", message, **project.locate(("schemas",))))
    if not folders and not project.named_schemas:
        return None, findings
    return Schemas(folders, named=project.named_schemas), findings
