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
from evtool.findings.finding import Finding
from evtool.readers.files import MAX_BYTES, count_bytes
from evtool.reports.base import Subject
from evtool.reports.explanations import Candidate, UnmatchedRoutes, list_candidates
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
from evtool.terminal.screen import Screen, Segment, open_stderr
from evtool.terminal.snippets import show_finding

BATCH_EVENTS = 1000  # events that are stored in one commit


def publish(
    session: Session,
    events: Annotated[list[str], Argument("EVENT...", "files, folders, -, or names of samples", complete_samples)],
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
    dry_run: Annotated[bool, Option("--dry-run", "show what would fire; store nothing and call no handler")] = False,
    workers: Annotated[
        int, Option("--workers", "number of handlers that are called at the same time", "N", least=1)
    ] = MAX_HANDLERS,
    no_deliver: Annotated[bool, Option("--no-deliver", "store events and deliveries, call no handler")] = False,
    bus: Annotated[str | None, Option("--bus", describe_bus(), "URL|NAME")] = None,
    max_bytes: MaxBytes = MAX_BYTES,
    allow_empty: AllowEmpty = False,
) -> int:
    """Publish events: validate, store, route, call handlers, follow the events they emit.

    Shows what fired as a tree. For many events it shows the first 20 trees and all failures, and counts the rest in a
    table. An invalid event is refused. An event that is already stored fires nothing. -v shows every tree and what
    the handlers printed, -vv also why other routes do not match. Exit code 1 if an event was refused, a delivery
    failed, or a handler cannot be loaded. With --bus the valid events are sent to a bus instead: nothing is stored
    and no handler called here, and exit code 0 means that the bus has confirmed every event.

    Example: evtool publish order-created --set detail.orderTotal=99.5
    """
    if bus is not None and (dry_run or no_deliver):
        raise UsageError(
            f"--bus sends events, and {'--dry-run' if dry_run else '--no-deliver'} does not: leave out one"
        )
    project = session.load_project()
    target = None
    if bus is not None:
        target = open_named_bus(bus, project)
    paths = resolve_paths(events, project)
    rules = build_rules(project, validate=not no_validate, no_schema=no_schema)
    defaults = create_event_defaults()
    progress = Progress("publishing", "event", total=partial(count_bytes, paths), quiet=session.quiet)
    inputs = EventInputs(paths, unwrap=unwrap, allow_empty=allow_empty)
    results = inputs.check(
        validate_events(
            inputs.read(max_bytes=max_bytes),
            rules,
            defaults,
            identity=read_identity(session, project, PayloadIdentity(type, source, type_at, id_at), intake),
            change=partial(change_event, project, defaults, event_bus, set, set_new),
            fast_path=None if set or set_new else FastPath(rules.find_check),
        )
    )
    if target is not None:
        return inputs.worst_exit_code(send_events(session, "publish", target, results))
    if dry_run:
        routes = load_routes(session, project)
        candidates = list_candidates(routes, project)
        single_batches = ([result] for result in results)
        handle = partial(_plan_events, _Plan(routes, project))
        return _report_events(session, single_batches, handle, candidates, UndecidedNotes(session, routes), progress)
    with open_runtime(session, project, rules, worst_exit_code=inputs.worst_exit_code) as runtime:
        candidates = list_candidates(runtime.routes, project)
        batches = group_results(results, BATCH_EVENTS, stream="-" in events)
        publisher = Publisher(runtime, project, not no_deliver, workers, session.shows_details)
        undecided = UndecidedNotes(session, runtime.routes)
        return _report_events(session, batches, publisher.publish, candidates, undecided, progress)


def _measure(result: ValidationResult) -> int:
    """About the bytes that an event takes in its file."""
    if result.event:
        return len(result.event.raw) + 1
    return 0


class _Plan:
    """The routes and handlers of a dry run, and which of the handlers were checked."""

    def __init__(self, routes: Routes, project: Project):
        self.routes = routes
        self._project = project
        self._checked: set[str] = set()

    def check(self, handlers: Iterable[str]) -> list[Finding]:
        """A finding for each of these handlers that cannot be loaded, if it was not checked before."""
        unchecked = [handler for handler in dict.fromkeys(handlers) if handler not in self._checked]
        self._checked |= {*unchecked}
        return check_handlers(self.routes, self._project, unchecked)


def _plan_events(plan: _Plan, results: Sequence[ValidationResult]) -> Iterator[Published]:
    """What would fire for each event, with nothing stored and nothing called."""
    for result in results:
        yield result, _plan_event(plan, result.event) if result.event and result.is_valid else PublishResult([])


def _plan_event(plan: _Plan, event: Event) -> PublishResult:
    deliveries = [
        build_planned_record(route.name, handler, EXTERNAL if is_external else "would fire")
        for route, handler, is_external in match_handlers(event, plan.routes)
    ]
    findings = plan.check(delivery["handler"] for delivery in deliveries)
    record = build_published_record(event, "dry-run", deliveries)
    return PublishResult([record], [(event.raw, event.bus or DEFAULT_BUS)], findings)


def _report_events(
    session: Session,
    batches: Iterable[list[ValidationResult]],
    handle: Callable[[Sequence[ValidationResult]], Iterator[Published]],
    candidates: list[Candidate],
    undecided: UndecidedNotes,
    progress: Progress,
) -> int:
    """Handles the events that are well, and tells what became of them and what is wrong with the others."""
    screen = Screen(open_stderr(), color=session.color)
    findings: list[Finding] = []
    counts: Counter[str] = Counter()
    unmatched = UnmatchedRoutes(candidates, limit=None)
    outputs: dict[OutputKey, str] = {}

    def build_text_report(out: Screen) -> ChainTrees:
        show_below = partial(_show_unmatched, unmatched, out) if session.verbose > 1 else None
        return ChainTrees(
            out, quiet=session.quiet, show_all=session.verbose > 0, show_below=show_below, outputs=outputs
        )

    def report_event(result: ValidationResult, outcome: PublishResult) -> None:
        event_findings = [*result.findings, *outcome.findings]
        findings.extend(event_findings)
        for finding in event_findings:
            show_finding(screen, finding)
        undecided.add(outcome.events)
        if session.verbose > 1 and outcome.events:
            unmatched.remember(
                {record["id"]: event for record, event in zip(outcome.records, outcome.events, strict=True)}
            )
        outputs.update(outcome.outputs)
        for record in outcome.records:
            count_event(counts, record)
            report.add(record)

    interrupts: list[KeyboardInterrupt] = []
    with session.open_report(Subject("publish", "events", build_text_report)) as report:
        with catch_signals(interrupts), closing(progress):
            for batch in batches:
                with collect_signals():  # what is stored is told
                    for result, outcome in handle(batch):
                        report_event(result, outcome)
                        progress.advance(_measure(result))  # not while it is read: handlers take longer
                        progress.count()
        report.end({"findings": [finding.as_dict() for finding in findings], "summary": build_summary(counts)})
    for interrupt in interrupts:
        raise interrupt
    if any(finding.code == "EV001" for finding in findings):
        return EXIT_USAGE
    return EXIT_FINDINGS if counts["failed"] or any(f.severity == "error" for f in findings) else EXIT_OK


def _show_unmatched(unmatched: UnmatchedRoutes, screen: Screen, record: Mapping[str, Any]) -> None:
    """Tells why the other routes do not take an event; one that was stored before fires nothing, whatever takes it."""
    if record["status"] != "duplicate":
        matched_routes = {delivery["route"] for delivery in record["deliveries"]}
        heading: list[Segment] = [(record["type"], "bold"), "  ", (record["id"], "dim"), "  not taken by"]
        unmatched.show(screen, record["id"], matched_routes, heading)
