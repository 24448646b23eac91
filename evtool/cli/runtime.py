"""Opens the routes, the store and the handlers for a command that delivers events."""

import gc
import os
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from random import SystemRandom

from evtool.cli.session import Session, now_ms
from evtool.cli.store_project import claim_store
from evtool.delivery.pool import HandlerPool
from evtool.delivery.runtime import Environment, Runtime
from evtool.delivery.settlement import report_lost_emits
from evtool.errors import EXIT_FINDINGS, ConfigError, LostEventsError
from evtool.events.buses import name_bus
from evtool.events.event import Event, EventDefaults
from evtool.events.overrides import apply_overrides
from evtool.findings.finding import Finding
from evtool.findings.phrases import list_some
from evtool.handlers.processes import call_log
from evtool.paths import display_path
from evtool.routes import routes as route_table
from evtool.routes.problems import describe_load_failure
from evtool.routes.project import Project
from evtool.routes.routes import Route, Routes
from evtool.schemas.validation import Rules
from evtool.schemas.validator import Schemas
from evtool.store.sqlite.files import call_log_prefix
from evtool.store.store import Store
from evtool.terminal.screen import format_count

MAX_LISTED = 3  # unknown values that a note lists


def build_rules(project: Project, *, validate: bool = True, no_schema: str = "error") -> Rules:
    """What the events of a project are held against; without a schema folder only their envelopes are judged."""
    folders, named = project.schemas, project.named_schemas
    return Rules(Schemas(folders, named=named) if validate and (folders or named) else None, no_schema)


def list_properties(project: Project | None, event: Event, path: Sequence[str | int]) -> Collection[str]:
    """The property names that the schema of an event has at a path of its payload; none if it cannot be read."""
    try:
        if project:
            return build_rules(project).list_properties(event, path)
        return ()
    except ConfigError:
        return ()


def change_event(
    project: Project | None,
    defaults: EventDefaults,
    bus: str | None,
    assignments: Sequence[str],
    new_assignments: Sequence[str],
    event: Event,
) -> Event:
    """An event as --event-bus, --set and --set-new change it. Raises UsageError for a path that is refused."""
    properties = partial(list_properties, project)
    return apply_overrides(name_bus(event, bus), assignments, defaults, new=new_assignments, list_properties=properties)


def build_known_rules(project: Project | None) -> Rules:
    """The rules for events whose type has a schema; none if the schema folder cannot be read."""
    try:
        if project:
            return build_rules(project, no_schema="ignore")
        return Rules(None)
    except ConfigError:
        return Rules(None)


def load_routes(session: Session, project: Project) -> Routes:
    """The routes of a project; what is hardly meant in them is shown as warnings."""
    routes = route_table.load_routes(project)
    gc.freeze()  # they stay to the end: with thousands of routes, looking at them for garbage takes half a second
    if session.verbose or not routes.routes:
        notes = project.notes
    else:
        notes = ()
    session.show_warnings([*routes.warnings, *project.gaps, *notes])
    return routes


class UndecidedNotes:
    """Says on standard error by which routes events are not delivered since unknown values decide: once for a route."""

    def __init__(self, session: Session, routes: Routes):
        self._session, self._routes = session, routes
        self._noted: set[str] = set()

    def add(self, events: Iterable[tuple[bytes, str]]) -> None:
        """Takes events that are routed, and their buses."""
        for raw, bus in events if self._routes.has_unknown_values else ():
            for route in self._routes.find_undecided_checked(raw, bus):
                if route.name not in self._noted:
                    self._noted.add(route.name)
                    self._session.print_note(_describe_undecided(route))


def _describe_undecided(route: Route) -> str:
    sources = list_some([unknown.source for unknown in route.pattern.unknowns], MAX_LISTED)
    verb = "are"
    if len(route.pattern.unknowns) == 1:
        verb = "is"
    return f"route {route.name} is undecided, and delivers nothing: {sources} {verb} not known before deployment"


def take_load_findings(handlers: HandlerPool, project: Project) -> list[Finding]:
    """A finding for each handler that could not be loaded since the last time."""
    return [
        describe_load_failure(
            project,
            claim.delivery.handler,
            failure,
            event_id=claim.event.id,
            event_type=claim.event.type,
            route=claim.delivery.route,
        )
        for claim, failure in handlers.take_load_failures()
    ]


def check_handlers(routes: Routes, project: Project, names: Iterable[str]) -> list[Finding]:
    """A finding for each of these handlers that cannot be loaded. None is called."""
    findings = []
    for name in names:
        with closing(routes.handlers[name].open()) as handler:
            failure = handler.check()
        if failure and failure.code:
            findings.append(describe_load_failure(project, name, failure))
    return findings


@contextmanager
def open_runtime(
    session: Session,
    project: Project,
    rules: Rules,
    routes: Routes | None = None,
    worst_exit_code: Callable[[int], int] = lambda code: code,
) -> Iterator[Runtime]:
    """Opens the store and the handlers, and closes them. Loads the routes if they are not given.

    Raises LostEventsError at the end if a handler emitted an event after its call had ended; `worst_exit_code` raises
    its exit code to that of what else went wrong.
    """
    routes = routes or load_routes(session, project)
    errors: list[str] = []

    def report_error(message: str) -> None:
        errors.append(message)
        session.print_error(message)

    environment = Environment(now_ms, SystemRandom(), f"{os.getpid()}-{uuid.uuid4().hex[:8]}", rules, report_error)
    file = session.locate_store(project)
    if session.verbose:
        session.print_note(f"routes: {project.display_name}, store: {display_path(file)}")
    with Store(file) as store, ExitStack() as at_exit:
        claim_store(session, store, project)
        handlers = HandlerPool(routes, partial(call_log.open_call_log, call_log_prefix(store.file), environment.owner))
        # after the handlers are closed: what they still run may emit until then
        at_exit.callback(lambda: report_lost_emits(handlers.take_lost(), store, environment))
        yield Runtime(store, routes, at_exit.enter_context(handlers), environment)
    if errors:
        raise LostEventsError(f"{format_count(len(errors), 'event')} lost: see above", worst_exit_code(EXIT_FINDINGS))
