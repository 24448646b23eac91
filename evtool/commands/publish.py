"""The command `evtool publish`: validates, stores, routes and delivers events, and shows which handlers fired."""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from types import MappingProxyType
from typing import Annotated, Any, NamedTuple

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
    take_load_findings,
)
from evtool.cli.session import Session, create_event_defaults
from evtool.delivery.intake import accept, describe_conflict, list_external_targets, match_handlers, parse_stored
from evtool.delivery.loop import deliver
from evtool.delivery.runtime import Runtime
from evtool.errors import EXIT_FINDINGS, EXIT_OK, EXIT_USAGE
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
    build_summary,
    count_event,
    load_outputs,
    load_published_record,
)
from evtool.reports.trees import ChainTrees
from evtool.routes.project import Project
from evtool.routes.routes import Routes
from evtool.schemas.validation import ValidationResult, validate_events
from evtool.signals import catch_signals, collect_signals
from evtool.store.queue import Chain
from evtool.store.rows import StoreResult
from evtool.terminal.progress import Progress
from evtool.terminal.screen import Screen, Segment, open_stderr
from evtool.terminal.snippets import show_finding

BATCH_EVENTS = 100  # events that are stored in one commit


def publish(
    session: Session,
    events: Annotated[list[str], Argument("EVENT...", "files, folders, -, or names of samples", complete_samples)],
    *,
    set: Annotated[  # noqa: A002
        list[str], Option("--set", "set a field, such as detail.total=5; the event gets a new id", "PATH=VALUE")
    ] = [],  # noqa: B006  (never changed)
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
    dry_run: Annotated[bool, Option("--dry-run", "show what would fire; store nothing, call nothing")] = False,
    no_deliver: Annotated[bool, Option("--no-deliver", "store events and deliveries, call nothing")] = False,
    max_bytes: MaxBytes = MAX_BYTES,
    allow_empty: AllowEmpty = False,
) -> int:
    """Publish events: validate, store, route, call handlers, follow what they emit.

    Shows what fired as a tree; of many events the first 20 and all failures, and counts the rest in a table. An event
    that is not valid is refused. The same event a second time is already stored and fires nothing. -v shows every tree
    and what the handlers printed, -vv also why other routes do not take an event. Exit code 1 if an event was refused,
    a delivery failed, or a handler cannot be loaded.

    Example: evtool publish order-created --set detail.orderTotal=99.5
    """
    project = session.load_project()
    paths = resolve_paths(events, project)
    rules = build_rules(project, validate=not no_validate, no_schema=no_schema)
    defaults = create_event_defaults()
    progress = Progress("publishing", "event", total=count_bytes(paths), quiet=session.quiet)
    inputs = EventInputs(paths, unwrap=unwrap, allow_empty=allow_empty)
    results = inputs.check(
        validate_events(
            inputs.read(max_bytes=max_bytes),
            rules,
            defaults,
            identity=read_identity(session, project, PayloadIdentity(type, source, type_at, id_at), intake),
            change=partial(change_event, project, defaults, event_bus, set, set_new),
        )
    )
    results = progress.track(results, _measure)  # not while they are read: handlers take longer
    if dry_run:
        routes = load_routes(session, project)
        candidates = list_candidates(routes, project)
        plan = _Plan(routes, project)
        single_batches = ([result] for result in results)
        return _report_events(
            session,
            single_batches,
            lambda events: [_plan_event(plan, event) for event in events],
            candidates,
            UndecidedNotes(session, routes),
        )
    with open_runtime(session, project, rules, worst_exit_code=inputs.worst_exit_code) as runtime:
        candidates = list_candidates(runtime.routes, project)
        batches = group_results(results, BATCH_EVENTS if no_deliver else 1, stream="-" in events)
        handle = partial(_publish_batch, runtime, project, call=not no_deliver, with_outputs=session.shows_details)
        return _report_events(session, batches, handle, candidates, UndecidedNotes(session, runtime.routes))


def _measure(result: ValidationResult) -> int:
    """About the bytes that an event takes in its file."""
    return len(result.event.raw) + 1 if result.event else 0


class PublishResult(NamedTuple):
    """What became of an event: records, bytes and buses of it and of what it led to, findings, outputs.

    A finding says why it was not taken, or which handlers cannot be loaded.
    """

    records: list[dict[str, Any]]
    events: Sequence[tuple[bytes, str]] = ()
    findings: Sequence[Finding] = ()
    outputs: Mapping[OutputKey, str] = MappingProxyType({})
    interrupts: Sequence[KeyboardInterrupt] = ()  # a second signal: no call was waited for


def _publish_batch(
    runtime: Runtime, project: Project, events: Sequence[Event], *, call: bool, with_outputs: bool
) -> list[PublishResult]:
    """Stores events in one commit. With `call` it attempts what is due for them, and what comes of that."""
    with runtime.store.transaction():
        stored = [
            accept(event, store=runtime.store, routes=runtime.routes, now=runtime.environment.now) for event in events
        ]
    return [
        _deliver_event(runtime, project, event, result, call=call, with_outputs=with_outputs)
        for event, result in zip(events, stored, strict=True)
    ]


def _deliver_event(
    runtime: Runtime, project: Project, event: Event, stored: StoreResult, *, call: bool, with_outputs: bool
) -> PublishResult:
    store = runtime.store
    if stored.status == "conflict":
        return PublishResult([], findings=[describe_conflict(event, stored, store.get_event(stored.seq).raw)])
    if stored.status == "duplicate":
        return PublishResult([load_published_record(store, store.get_event(stored.seq), stored.status, [])])
    interrupts: list[KeyboardInterrupt] = []
    if call:
        with catch_signals(interrupts), closing(deliver(runtime, chain=Chain(stored.seq))) as settlements:
            deque(settlements, maxlen=0)
    chain = store.list_chain(stored.seq) if call else [store.get_event(stored.seq)]
    deliveries = [store.list_deliveries(member.seq) for member in chain]
    records = [
        load_published_record(
            store, member, "stored", of_member, list_external_targets(parse_stored(member), runtime.routes)
        )
        for member, of_member in zip(chain, deliveries, strict=True)
    ]
    outputs: dict[OutputKey, str] = {}
    for member, of_member in zip(chain, deliveries, strict=True) if with_outputs else ():
        outputs |= load_outputs(store, member.id, of_member)
    findings = take_load_findings(runtime, project)
    return PublishResult(records, [(member.raw, member.bus) for member in chain], findings, outputs, interrupts)


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


def _plan_event(plan: _Plan, event: Event) -> PublishResult:
    """What would fire, with nothing stored and nothing called."""
    deliveries = [
        build_planned_record(route.name, handler, EXTERNAL if is_external else "would fire")
        for route, handler, is_external in match_handlers(event, plan.routes)
    ]
    findings = plan.check(delivery["handler"] for delivery in deliveries)
    record = {"id": event.id, "type": event.type, "source": event.source, "status": "dry-run", "cause": None}
    return PublishResult([{**record, "deliveries": deliveries}], [(event.raw, event.bus or DEFAULT_BUS)], findings)


def _report_events(
    session: Session,
    batches: Iterable[list[ValidationResult]],
    handle: Callable[[Sequence[Event]], list[PublishResult]],
    candidates: list[Candidate],
    undecided: UndecidedNotes,
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
        if outcome.events:
            unmatched.remember(
                {record["id"]: event for record, event in zip(outcome.records, outcome.events, strict=True)}
            )
        outputs.update(outcome.outputs)
        for record in outcome.records:
            count_event(counts, record)
            report.add(record)

    interrupts: list[KeyboardInterrupt] = []
    with session.open_report(Subject("publish", "events", build_text_report)) as report:
        with catch_signals(interrupts):
            for batch in batches:
                with collect_signals():  # what is stored is told
                    for result, outcome in _handle_batch(batch, handle):
                        report_event(result, outcome)
                        _raise_first(outcome.interrupts)
        report.end({"findings": [finding.as_dict() for finding in findings], "summary": build_summary(counts)})
    _raise_first(interrupts)
    if any(finding.code == "EV001" for finding in findings):
        return EXIT_USAGE
    return EXIT_FINDINGS if counts["failed"] or any(f.severity == "error" for f in findings) else EXIT_OK


def _raise_first(interrupts: Sequence[KeyboardInterrupt]) -> None:
    for interrupt in interrupts:
        raise interrupt


def _handle_batch(
    batch: Sequence[ValidationResult], handle: Callable[[Sequence[Event]], list[PublishResult]]
) -> Iterator[tuple[ValidationResult, PublishResult]]:
    """What became of each event: nothing, if it is not well."""
    events = [result.event for result in batch if result.event and result.is_valid]
    outcomes = iter(handle(events) if events else [])
    for result in batch:
        yield result, next(outcomes) if result.is_valid else PublishResult([])


def _show_unmatched(unmatched: UnmatchedRoutes, screen: Screen, record: Mapping[str, Any]) -> None:
    """Tells why the other routes do not take an event; one that was stored before fires nothing, whatever takes it."""
    if record["status"] != "duplicate":
        matched_routes = {delivery["route"] for delivery in record["deliveries"]}
        heading: list[Segment] = [(record["type"], "bold"), "  ", (record["id"], "dim"), "  not taken by"]
        unmatched.show(screen, record["id"], matched_routes, heading)
