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

# Unknown values that a note lists.
MAX_LISTED = 3


def build_rules(project: Project, *, validate: bool = True, no_schema: str = "error") -> Rules:
    """Returns the rules for the events of a project. Without schemas or `validate` they check only envelopes."""
    folders, named = project.schemas, project.named_schemas
    if not validate or not (folders or named):
        return Rules(None, no_schema)
    return Rules(Schemas(folders, named=named), no_schema)


def list_properties(project: Project | None, event: Event, path: Sequence[str | int]) -> Collection[str]:
    """Returns the property names that the schema of an event has at a path of its payload."""
    if project is None:
        return ()
    try:
        return build_rules(project).list_properties(event, path)
    except ConfigError:
        # The names only improve a message; a broken schema is reported by other commands.
        return ()


def change_event(
    project: Project | None,
    defaults: EventDefaults,
    bus: str | None,
    assignments: Sequence[str],
    new_assignments: Sequence[str],
    event: Event,
) -> Event:
    """Applies --event-bus, --set and --set-new to an event. Raises UsageError for a path that the event cannot have."""
    properties = partial(list_properties, project)
    return apply_overrides(name_bus(event, bus), assignments, defaults, new=new_assignments, list_properties=properties)


def build_known_rules(project: Project | None) -> Rules:
    """Returns rules that ignore events without a schema. If the schemas cannot be read, only envelopes are checked."""
    if project is None:
        return Rules(None)
    try:
        return build_rules(project, no_schema="ignore")
    except ConfigError:
        return Rules(None)


def load_routes(session: Session, project: Project) -> Routes:
    """Loads the routes of a project, and shows the warnings about them on standard error."""
    routes = route_table.load_routes(project)
    # The routes live until the process ends. With thousands of them, a search for garbage in them takes half a second.
    gc.freeze()
    warnings = list(routes.warnings) + list(project.gaps)
    # The notes explain why a rule source has no routes: usually its rules are schedules.
    if session.verbose or not routes.routes:
        warnings += project.notes
    session.show_warnings(warnings)
    return routes


class UndecidedNotes:
    """Notes on standard error, once for each route, that unknown values decide whether events match it.

    A route from a template may contain a value that is not known before deployment, such as `!Ref Bucket`. evtool does
    not deliver by such a route, and must not be silent about it.
    """

    def __init__(self, session: Session, routes: Routes):
        self._session, self._routes = session, routes
        self._noted: set[str] = set()

    def add(self, events: Iterable[tuple[bytes, str]]) -> None:
        """Adds routed events and their buses; prints notes about the routes that are undecided for them."""
        # Most projects have no unknown values, and their events need not be matched a second time.
        if not self._routes.has_unknown_values:
            return
        for raw, bus in events:
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
    """Returns a finding for each handler that could not be loaded since the last call of this function."""
    findings = []
    for claim, failure in handlers.take_load_failures():
        finding = describe_load_failure(
            project,
            claim.delivery.handler,
            failure,
            event_id=claim.event.id,
            event_type=claim.event.type,
            route=claim.delivery.route,
        )
        findings.append(finding)
    return findings


def check_handlers(routes: Routes, project: Project, names: Iterable[str]) -> list[Finding]:
    """Loads these handlers, without calling them, and returns a finding for each that cannot be loaded."""
    findings = []
    for name in names:
        with closing(routes.handlers[name].open()) as handler:
            failure = handler.check()
        if failure and failure.code:
            findings.append(describe_load_failure(project, name, failure))
    return findings


def create_environment(session: Session, rules: Rules, errors: list[str]) -> Environment:
    """Creates what the core gets from outside: clock, randomness, the name of this process, rules, errors.

    Errors that do not end a delivery run are shown on standard error and appended to `errors`.
    """

    def report_error(message: str) -> None:
        errors.append(message)
        session.print_error(message)

    # The operating system reuses process numbers, so that the number alone is not a unique owner of leases.
    owner = f"{os.getpid()}-{uuid.uuid4().hex[:8]}"
    return Environment(now_ms, SystemRandom(), owner, rules, report_error)


def _keep_exit_code(code: int) -> int:
    return code


@contextmanager
def open_runtime(
    session: Session,
    project: Project,
    rules: Rules,
    routes: Routes | None = None,
    worst_exit_code: Callable[[int], int] = _keep_exit_code,
) -> Iterator[Runtime]:
    """Opens the store and the handlers, and closes them at the end. Loads the routes if they are not given.

    Raises LostEventsError at the end if a handler emitted an event after its call had ended. Its exit code is the
    larger one of 1 and what `worst_exit_code` makes of 1.
    """
    routes = routes or load_routes(session, project)
    errors: list[str] = []
    environment = create_environment(session, rules, errors)
    file = session.locate_store(project)
    if session.verbose:
        session.print_note(f"routes: {project.display_name}, store: {display_path(file)}")
    with Store(file) as store, ExitStack() as at_exit:
        claim_store(session, store, project)
        handlers = HandlerPool(routes, partial(call_log.open_call_log, call_log_prefix(store.file), environment.owner))
        # This runs after the handlers are closed: until then a call that is still running may emit.
        at_exit.callback(_report_lost_emits, handlers, store, environment)
        yield Runtime(store, routes, at_exit.enter_context(handlers), environment)
    if errors:
        raise LostEventsError(f"{format_count(len(errors), 'event')} lost: see above", worst_exit_code(EXIT_FINDINGS))


def _report_lost_emits(handlers: HandlerPool, store: Store, environment: Environment) -> None:
    report_lost_emits(handlers.take_lost(), store, environment)
