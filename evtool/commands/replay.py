"""The command `evtool replay`: puts stored events through the current routes and compares which handlers fire."""

import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Annotated

from evtool.cli.filters import build_filter, check_ids, note_unknown, note_unknown_values, read_pattern
from evtool.cli.inputs import EventInputs, resolve_paths
from evtool.cli.options import (
    AllowEmpty,
    Argument,
    EventBus,
    IdAt,
    Intake,
    Limit,
    MaxBytes,
    OfRoute,
    OfSource,
    OfType,
    Option,
    Since,
    TypeAt,
    Until,
    Unwrap,
)
from evtool.cli.payload_identity import read_identity
from evtool.cli.runtime import UndecidedNotes, build_rules, load_routes, open_runtime, take_load_findings
from evtool.cli.session import Session, create_event_defaults, now_ms
from evtool.delivery.intake import describe_conflict, insert_event
from evtool.delivery.replays.plan import ReplayedEvent, ReplayPlan, make_planner
from evtool.delivery.replays.replay import Replay
from evtool.delivery.replays.selection import SelectedEvent, Selection
from evtool.delivery.runtime import Runtime
from evtool.errors import EXIT_FINDINGS, EXIT_OK, UsageError
from evtool.events.buses import DEFAULT_BUS, name_bus
from evtool.events.envelopes import mark_replayed, parse_event
from evtool.events.header import decode_header
from evtool.events.payload_identity import PayloadIdentity
from evtool.events.timestamps import format_timestamp
from evtool.findings.finding import Finding
from evtool.readers.files import MAX_BYTES
from evtool.reports.base import Subject
from evtool.reports.explanations import MAX_DETAILED, UnmatchedRoutes, list_candidates
from evtool.reports.records import OutputKey, load_outputs
from evtool.reports.replays import ReplayReport, ReplaySums, build_replay_record
from evtool.routes.project import Project
from evtool.routes.routes import Routes
from evtool.schemas.validation import Rules, ValidationResult, validate_events
from evtool.signals import catch_signals
from evtool.store.rows import Delivery, Filter, StoredEvent
from evtool.store.sqlite.files import is_missing
from evtool.store.store import Store
from evtool.terminal.progress import Progress
from evtool.terminal.screen import Screen, open_stderr
from evtool.terminal.snippets import show_finding

MAX_SEEN = 1000  # types and sources of files that a note may name
Fires = Callable[[SelectedEvent], list[ReplayedEvent] | Finding]


def replay(
    session: Session,
    ids: Annotated[
        list[str], Argument("[ID]...", "events to replay; all that the options select when none is named")
    ] = [],  # noqa: B006
    *,
    deliver: Annotated[bool, Option("--deliver", "call the handlers, but for those with on_replay: skip")] = False,
    name: Annotated[str | None, Option("--name", "the name of a delivering replay", "NAME")] = None,
    since: Since = None,
    until: Until = None,
    type: OfType = None,  # noqa: A002
    source: OfSource = None,
    route: OfRoute = None,
    pattern: Annotated[
        str | None, Option("--pattern", "only events that match this event pattern", "JSON|@FILE")
    ] = None,
    limit: Limit = None,
    from_: Annotated[list[str], Option("--from", "events of files instead of the store", "PATH")] = [],  # noqa: B006
    type_at: TypeAt = None,
    id_at: IdAt = None,
    intake: Intake = None,
    event_bus: EventBus = None,
    unwrap: Unwrap = False,
    max_bytes: MaxBytes = MAX_BYTES,
    allow_empty: AllowEmpty = False,
) -> int:
    """Put stored events through the routes again and show which handlers fire.

    By default this is a plan: nothing is called. It shows what fired when each event was published beside what would
    fire now; with -v each event, and why other routes do not take it. With --deliver the handlers are called; what that
    causes carries the replay's name, and -v adds what the handlers printed. Exit code 1 if a delivery failed, or if a
    handler cannot be loaded.

    Example: evtool replay --type order.created --since 2h -v
    """
    if event_bus is not None and not from_:
        raise UsageError("--event-bus is for the events of --from: a stored event keeps its bus")
    project = session.load_project()
    routes = load_routes(session, project)
    selected_routes = routes.restrict_to(route) if route is not None else routes
    event_pattern = read_pattern(pattern) if pattern is not None else None
    event_filter = build_filter(ids, since=since, until=until, type=type, source=source)
    event_filter = event_filter if ids else event_filter._replace(published=True)
    identity = PayloadIdentity()
    if type_at is not None or id_at is not None or intake is not None:
        if not from_:
            raise UsageError("--type-at, --id-at and --intake describe the payloads of files: give --from PATH")
        options = PayloadIdentity(None if type_at else type, source, type_at, id_at)
        identity = read_identity(session, project, options, intake, keep_type=True)
    inputs = EventInputs(resolve_paths(from_, project), unwrap=unwrap, allow_empty=allow_empty)
    name = name or f"replay-{format_timestamp(now_ms())}-{uuid.uuid4().hex[:4]}"
    plan_selected = make_planner(selected_routes, name)
    unmatched = UnmatchedRoutes(
        list_candidates(selected_routes, project), limit=None if session.verbose > 1 else MAX_DETAILED
    )
    outputs: dict[OutputKey, str] = {}
    with _open(session, project, routes, inputs.worst_exit_code, deliver=deliver, store_needed=not from_) as (
        store,
        runtime,
    ):
        if from_:
            results = inputs.check(
                validate_events(
                    inputs.read(max_bytes=max_bytes), Rules(None), create_event_defaults(), identity=identity
                )
            )
            events = _read_files(session, results, event_filter, store, event_bus)
        else:
            events = _read_store(session, store, event_filter)
        selection = Selection(
            None if from_ else event_filter, event_pattern, plan_selected if route is not None else None, store
        )
        plan = ReplayPlan(store, plan_selected, make_planner(routes, name), selection.includes)
        fire: Fires = partial(_plan_event, plan)
        take_findings: Callable[[], list[Finding]] = list
        if runtime:
            take_findings = partial(take_load_findings, runtime, project)
            keep_outputs = partial(_keep_outputs, runtime.store, outputs if session.shows_details else None)
            fire = partial(
                _deliver_event, runtime, Replay(runtime, selected_routes, name, selection.includes, keep_outputs)
            )
            if runtime.store.has_replay(name):
                session.print_note(f"the replay {name} was delivered before: what it has done is not done again")
        code = _report_replay(
            session,
            selection.choose(events, plan),
            fire,
            unmatched,
            name,
            outputs,
            deliver=deliver,
            limit=limit,
            take_findings=take_findings,
            undecided=UndecidedNotes(session, selected_routes),
        )
        return inputs.worst_exit_code(code)


@contextmanager
def _open(
    session: Session,
    project: Project,
    routes: Routes,
    worst_exit_code: Callable[[int], int],
    *,
    deliver: bool,
    store_needed: bool,
) -> Iterator[tuple[Store | None, Runtime | None]]:
    """The store, or None if there is none and none is needed; with `deliver` everything that delivering needs."""
    if deliver:
        with open_runtime(session, project, build_rules(project), routes, worst_exit_code) as runtime:
            yield runtime.store, runtime
    elif not store_needed and is_missing(session.locate_store(project)):
        yield None, None
    else:
        with Store(session.locate_store(project, existing=True)) as store:
            yield store, None


def _plan_event(plan: ReplayPlan, selected: SelectedEvent) -> list[ReplayedEvent]:
    """An event and what its handlers emit, as they would fire."""
    return plan.plan_event(selected.raw, selected.bus, selected.fired, selected.stored)


def _deliver_event(runtime: Runtime, replay: Replay, selected: SelectedEvent) -> list[ReplayedEvent] | Finding:
    """Delivers an event again; one of a file is stored first, unless its key is taken by other content."""
    event = selected.event or parse_event(selected.raw)._replace(bus=selected.bus)
    stored = insert_event(event, [], store=runtime.store, now=runtime.environment.now())
    if stored.status == "conflict":
        return describe_conflict(event, stored, runtime.store.get_event(stored.seq).raw)
    return replay.replay_event(runtime.store.get_event(stored.seq))


def _keep_outputs(
    store: Store, outputs: dict[OutputKey, str] | None, event: StoredEvent, deliveries: Sequence[Delivery]
) -> None:
    """Adds what the handlers of an event printed to what is reported next, if it is wanted."""
    if outputs is not None:
        outputs |= load_outputs(store, event.id, deliveries)


def _report_replay(
    session: Session,
    events: Iterator[SelectedEvent],
    fire: Fires,
    unmatched: UnmatchedRoutes,
    name: str,
    outputs: dict[OutputKey, str],
    *,
    deliver: bool,
    limit: int | None,
    take_findings: Callable[[], list[Finding]],
    undecided: UndecidedNotes,
) -> int:
    """Fires each event and reports what came of it."""
    screen = Screen(open_stderr(), color=session.color)
    sums, findings = ReplaySums(), list[Finding]()
    interrupts: list[KeyboardInterrupt] = []
    with_records = session.verbose or session.output  # else only the sums are reported
    replay_name = name if deliver else None

    def build_text_report(out: Screen) -> ReplayReport:
        return ReplayReport(
            out, sums, replay_name, unmatched, outputs, verbose=session.verbose > 0, quiet=session.quiet
        )

    with session.open_report(Subject("replay", "events", build_text_report)) as report:
        with catch_signals(interrupts):
            for event in Progress("replaying", "event", quiet=session.quiet).track(events):
                result = fire(event)
                for finding in [result] if isinstance(result, Finding) else take_findings():
                    findings.append(finding)
                    show_finding(screen, finding)
                if isinstance(result, Finding):
                    continue
                undecided.add((replayed.raw, replayed.bus) for replayed in result)
                if session.verbose:
                    _remember(unmatched, result, name)
                for replayed in _mark_selected(result, sums, limit):
                    sums.add(replayed)
                    if with_records:
                        report.add(build_replay_record(replayed))
                if limit is not None and sums.events >= limit:
                    break
        report.end(sums.build_tail(replay_name, findings))
    if interrupts:
        raise interrupts[0]
    has_failed = any(actions["failed"] for actions in sums.current.values())
    return EXIT_FINDINGS if findings or has_failed else EXIT_OK


def _mark_selected(events: Sequence[ReplayedEvent], sums: ReplaySums, limit: int | None) -> Iterator[ReplayedEvent]:
    """The same events; those that are selected themselves have no cause, as long as the limit allows them."""
    for event in events:
        is_selected = event.is_selected and (limit is None or sums.events < limit)
        yield event._replace(cause=None) if is_selected else event


def _remember(unmatched: UnmatchedRoutes, events: Sequence[ReplayedEvent], name: str) -> None:
    heads = [decode_header(event.raw) for event in events]
    pairs = zip(heads, events, strict=True)
    unmatched.remember({head["id"]: (mark_replayed(event.raw, head, name), event.bus) for head, event in pairs})


def _read_store(session: Session, store: Store | None, selection: Filter) -> Iterator[SelectedEvent]:
    """The stored events that a filter lets through, without those that the replay itself stores."""
    assert store is not None
    check_ids(store, selection.ids)
    note_unknown_values(session, store, type=selection.type, source=selection.source)
    yield from _read_published(store, selection._replace(last=store.last_seq()))


def _read_published(store: Store, selection: Filter) -> Iterator[SelectedEvent]:
    for seq, raw, _, bus, has_chain, fired in store.read_published_events(selection):
        yield SelectedEvent(raw, bus, fired, store.get_event(seq) if has_chain else None)


def _read_files(
    session: Session, results: Iterator[ValidationResult], selection: Filter, store: Store | None, bus: str | None
) -> Iterator[SelectedEvent]:
    """The events of files that a filter lets through; findings are reported for what is not an event."""
    screen = Screen(open_stderr(), color=session.color)
    types, sources = set[str](), set[str]()
    for result in results:
        for finding in result.findings:
            show_finding(screen, finding)
        event = result.event
        if event is not None and len(types | sources) < MAX_SEEN:
            types.add(event.type)
            sources.add(event.source)
        if event is not None and selection.matches(event):
            same = _read_published(store, Filter(source=event.source, ids=(event.id,))) if store else ()
            fired, stored = next(((entry.fired, entry.stored) for entry in same), (None, None))
            event = name_bus(event, bus)
            yield SelectedEvent(event.raw, event.bus or DEFAULT_BUS, fired, stored, event)
    for kind, value, names in (("type", selection.type, types), ("source", selection.source, sources)):
        note_unknown(session, kind, value, sorted(names), place="the files")
