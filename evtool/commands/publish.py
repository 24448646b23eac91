"""The command `evtool publish`: validates, stores, routes and delivers events, and shows which handlers fired."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from typing import Annotated, Any

from evtool.buses.registry import describe_bus, open_named_bus
from evtool.cli.completion import complete_samples
from evtool.cli.inputs import EventInputs, group_results, resolve_paths
from evtool.cli.options import (
    AllowEmpty,
    Argument,
    EventBus,
    IdAt,
    Intake,
    MaxBytes,
    NoSchema,
    NoValidate,
    Option,
    Set,
    SetNew,
    Source,
    Type,
    TypeAt,
    Unwrap,
)
from evtool.cli.payload_identity import read_identity
from evtool.cli.runtime import (
    UndecidedNotes,
    build_rules,
    change_event,
    check_handlers,
    load_routes,
    open_runtime,
)
from evtool.cli.session import Session, create_event_defaults
from evtool.commands.bus_sending import send_events
from evtool.commands.publish_batch import Published, Publisher, PublishResult
from evtool.delivery.intake import match_handlers
from evtool.delivery.loop import MAX_HANDLERS
from evtool.errors import EXIT_FINDINGS, EXIT_OK, EXIT_USAGE, UsageError
from evtool.events.buses import DEFAULT_BUS
from evtool.events.event import Event
from evtool.events.payload_identity import PayloadIdentity
from evtool.findings.finding import Finding, has_errors, list_finding_records
from evtool.readers.files import MAX_BYTES, count_bytes
from evtool.reports.base import Report, Subject
from evtool.reports.explanations import UnmatchedRoutes, list_candidates
from evtool.reports.records import (
    EXTERNAL,
    OutputKey,
    build_planned_record,
    build_published_record,
    build_summary,
    count_event,
)
from evtool.reports.trees import ChainTrees
from evtool.routes.project import Project
from evtool.routes.routes import Routes
from evtool.schemas.fast_path import FastPath
from evtool.schemas.validation import ValidationResult, validate_events
from evtool.signals import catch_signals, collect_signals
from evtool.terminal.progress import Progress
from evtool.terminal.screen import Screen, Segment

# Events that are stored in one commit. One commit for each event would wait for the disk 1,000 times.
BATCH_EVENTS = 1000


def publish(
    session: Session,
    events: Annotated[list[str], Argument("EVENT...", "files, folders, names of samples, or -", complete_samples)],
    *,
    set: Set = [],  # noqa: A002, B006  (never changed)
    set_new: SetNew = [],  # noqa: B006
    type: Type = None,  # noqa: A002
    source: Source = None,
    type_at: TypeAt = None,
    id_at: IdAt = None,
    intake: Intake = None,
    event_bus: EventBus = None,
    no_validate: NoValidate = False,
    no_schema: NoSchema = "error",
    unwrap: Unwrap = False,
    dry_run: Annotated[bool, Option("--dry-run", "show what would fire; store nothing, call no handler")] = False,
    workers: Annotated[
        int, Option("--workers", "maximum number of handlers that run at the same time", "N", least=1)
    ] = MAX_HANDLERS,
    no_deliver: Annotated[bool, Option("--no-deliver", "store events and deliveries; call no handler")] = False,
    bus: Annotated[str | None, Option("--bus", describe_bus(), "URL|NAME")] = None,
    max_bytes: MaxBytes = MAX_BYTES,
    allow_empty: AllowEmpty = False,
) -> int:
    """Publish events: validate, store, route, call handlers, follow the events they emit.

    Shows what fired as a tree. For many events it shows the first 20 trees and all failures, and counts the rest in a
    table. An invalid event is refused. An event that is already stored fires nothing. -v shows every tree and what
    the handlers printed, -vv also why other routes do not match. Exit code 1 if an event was refused, a delivery
    failed, or a handler cannot be loaded. With --bus evtool sends the valid events to a bus, stores nothing and calls
    no handler; exit code 0 then means that the bus has confirmed every event.

    Example: evtool publish order-created --set detail.orderTotal=99.5
    """
    if bus is not None:
        _check_bus_options(dry_run=dry_run, no_deliver=no_deliver)
    project = session.load_project()
    target = None
    if bus is not None:
        target = open_named_bus(bus, project)
    paths = resolve_paths(events, project)
    rules = build_rules(project, validate=not no_validate, no_schema=no_schema)
    defaults = create_event_defaults()
    progress = Progress("publishing", "event", total=partial(count_bytes, paths), quiet=session.quiet)
    inputs = EventInputs(paths, unwrap=unwrap, allow_empty=allow_empty)
    # The fast path proves events valid as they are read, so that it cannot be used for events that are changed then.
    fast_path = None
    if not set and not set_new:
        fast_path = FastPath(rules.find_check)
    results = inputs.check(
        validate_events(
            inputs.read(max_bytes=max_bytes),
            rules,
            defaults,
            identity=read_identity(session, project, PayloadIdentity(type, source, type_at, id_at), intake),
            change=partial(change_event, project, defaults, event_bus, set, set_new),
            fast_path=fast_path,
        )
    )
    if target is not None:
        return inputs.worst_exit_code(send_events(session, "publish", target, results))
    if dry_run:
        routes = load_routes(session, project)
        # Nothing is stored, so that each event can be shown at once.
        single_batches = ([result] for result in results)
        handle = partial(_plan_events, _Plan(routes, project))
        return _report_events(session, single_batches, handle, routes, project, progress)
    with open_runtime(session, project, rules, worst_exit_code=inputs.worst_exit_code) as runtime:
        batches = group_results(results, BATCH_EVENTS, stream="-" in events)
        publisher = Publisher(runtime, project, not no_deliver, workers, session.shows_details)
        return _report_events(session, batches, publisher.publish, runtime.routes, project, progress)


def _check_bus_options(*, dry_run: bool, no_deliver: bool) -> None:
    option = ""
    if no_deliver:
        option = "--no-deliver"
    if dry_run:
        option = "--dry-run"
    if option:
        raise UsageError(f"--bus sends events, and {option} does not: leave out one")


# --- dry run ---------------------------------------------------------------------------------------------------------


class _Plan:
    """The routes and handlers of a dry run, and which of the handlers were checked."""

    def __init__(self, routes: Routes, project: Project):
        self.routes = routes
        self._project = project
        self._checked: set[str] = set()

    def check(self, handlers: Iterable[str]) -> list[Finding]:
        """Returns a finding for each of these handlers that cannot be loaded. Each handler is checked once."""
        unchecked = [handler for handler in dict.fromkeys(handlers) if handler not in self._checked]
        self._checked.update(unchecked)
        return check_handlers(self.routes, self._project, unchecked)


def _plan_events(plan: _Plan, results: Sequence[ValidationResult]) -> Iterator[Published]:
    """Yields what would fire for each event, without storing or calling anything."""
    for result in results:
        outcome = PublishResult([])
        if result.event and result.is_valid:
            outcome = _plan_event(plan, result.event)
        yield result, outcome


def _plan_event(plan: _Plan, event: Event) -> PublishResult:
    deliveries = []
    for route, handler, is_external in match_handlers(event, plan.routes):
        state = "would fire"
        if is_external:
            state = EXTERNAL
        deliveries.append(build_planned_record(route.name, handler, state))
    findings = plan.check(delivery["handler"] for delivery in deliveries)
    record = build_published_record(event, "dry-run", deliveries)
    return PublishResult([record], [(event.raw, event.bus or DEFAULT_BUS)], findings)


# --- report ----------------------------------------------------------------------------------------------------------


def _report_events(
    session: Session,
    batches: Iterable[list[ValidationResult]],
    handle: Callable[[Sequence[ValidationResult]], Iterator[Published]],
    routes: Routes,
    project: Project,
    progress: Progress,
) -> int:
    """Passes each batch to `handle`, reports what became of its events, and returns the exit code."""
    unmatched = UnmatchedRoutes(list_candidates(routes, project), limit=None)
    outputs: dict[OutputKey, str] = {}

    def build_text_report(screen: Screen) -> ChainTrees:
        show_below = None
        if session.verbose > 1:
            show_below = partial(_show_unmatched, unmatched, screen)
        return ChainTrees(
            screen, quiet=session.quiet, show_all=session.verbose > 0, show_below=show_below, outputs=outputs
        )

    interrupts: list[KeyboardInterrupt] = []
    with session.open_report(Subject("publish", "events", build_text_report)) as report:
        reporter = _EventReporter(session, report, UndecidedNotes(session, routes), unmatched, outputs)
        with catch_signals(interrupts), closing(progress):
            for batch in batches:
                # A batch is stored in one commit, so that a signal must not keep its other events from being reported.
                with collect_signals():
                    for result, outcome in handle(batch):
                        reporter.add(result, outcome)
                        # An event counts when its handlers have finished, not when it is read: they take longer.
                        progress.advance(_measure(result))
                        progress.count()
        report.end({"findings": list_finding_records(reporter.findings), "summary": build_summary(reporter.counts)})
    if interrupts:
        raise interrupts[0]
    return reporter.rate()


class _EventReporter:
    """Reports what became of each event, and collects the counts and findings."""

    def __init__(
        self,
        session: Session,
        report: Report,
        undecided: UndecidedNotes,
        unmatched: UnmatchedRoutes,
        outputs: dict[OutputKey, str],
    ):
        self._session, self._report, self._undecided = session, report, undecided
        self._unmatched, self._outputs = unmatched, outputs
        self.findings: list[Finding] = []
        self.counts: Counter[str] = Counter()

    def add(self, result: ValidationResult, outcome: PublishResult) -> None:
        """Reports an event, the events that it led to, and the findings about both."""
        findings = list(result.findings) + list(outcome.findings)
        self.findings += findings
        self._session.show_findings(findings)
        self._undecided.add(outcome.events)
        # The text report explains the other routes below the tree of an event, and needs its bytes for that.
        if self._session.verbose > 1 and outcome.events:
            ids = [record["id"] for record in outcome.records]
            self._unmatched.remember(dict(zip(ids, outcome.events, strict=True)))
        self._outputs.update(outcome.outputs)
        for record in outcome.records:
            count_event(self.counts, record)
            self._report.add_record(record)

    def rate(self) -> int:
        """Returns the exit code."""
        if any(finding.code == "EV001" for finding in self.findings):
            return EXIT_USAGE
        if self.counts["failed"] or has_errors(self.findings):
            return EXIT_FINDINGS
        return EXIT_OK


def _measure(result: ValidationResult) -> int:
    """Returns about the number of bytes that an event takes in its file."""
    if result.event:
        return len(result.event.raw) + 1
    return 0


def _show_unmatched(unmatched: UnmatchedRoutes, screen: Screen, record: Mapping[str, Any]) -> None:
    """Shows why the other routes do not match an event."""
    # An event that is already stored fires nothing, even if routes match it.
    if record["status"] == "duplicate":
        return
    matched_routes = {delivery["route"] for delivery in record["deliveries"]}
    heading: list[Segment] = [(record["type"], "bold"), "  ", (record["id"], "dim"), "  not taken by"]
    unmatched.show(screen, record["id"], matched_routes, heading)
