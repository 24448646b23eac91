"""The command `evtool replay`: puts stored events through the current routes and compares which handlers fire."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Annotated, NamedTuple

from evtool.buses.registry import is_bus, open_named_bus
from evtool.cli.filters import build_filter, read_pattern
from evtool.cli.inputs import EventInputs, resolve_paths
from evtool.cli.options import (
    AllowEmpty,
    Argument,
    EventBus,
    IdAt,
    Intake,
    Limit,
    MaxBytes,
    OfPattern,
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
from evtool.commands.replay_against import Comparison, FailOn, check_options, run_comparison
from evtool.commands.replay_counting import can_count, count_plan
from evtool.commands.replay_events import read_buses, read_given_events, read_stored_events
from evtool.delivery.intake import describe_conflict, insert_event
from evtool.delivery.replays.plan import Planner, ReplayedEvent, ReplayPlan, make_planner
from evtool.delivery.replays.replay import Replay
from evtool.delivery.replays.selection import SelectedEvent, Selection
from evtool.delivery.runtime import Runtime
from evtool.errors import EXIT_FINDINGS, EXIT_OK, UsageError
from evtool.events.envelopes import parse_event
from evtool.events.payload_identity import PayloadIdentity
from evtool.events.timestamps import format_timestamp
from evtool.findings.finding import Finding
from evtool.readers.files import MAX_BYTES
from evtool.reports.base import Subject
from evtool.reports.explanations import MAX_DETAILED, UnmatchedRoutes, list_candidates
from evtool.reports.records import OutputKey, add_outputs
from evtool.reports.replays import ReplayReport, ReplaySums, build_replay_record, mark_selected, remember_events
from evtool.routes.comparison.base import RouteTable, open_base
from evtool.routes.project import Project
from evtool.routes.routes import Routes
from evtool.schemas.validation import Rules, validate_events
from evtool.signals import catch_signals
from evtool.store.sqlite.files import is_missing
from evtool.store.store import Store
from evtool.terminal.progress import Progress
from evtool.terminal.screen import Screen, open_stderr
from evtool.terminal.snippets import show_finding


def replay(
    session: Session,
    ids: Annotated[
        list[str], Argument("[ID]...", "ids of events to replay; default: all that the options select")
    ] = [],  # noqa: B006
    *,
    deliver: Annotated[bool, Option("--deliver", "call the handlers, except those with on_replay: skip")] = False,
    name: Annotated[str | None, Option("--name", "name of a replay that delivers", "NAME")] = None,
    since: Since = None,
    until: Until = None,
    type: OfType = None,  # noqa: A002
    source: OfSource = None,
    route: OfRoute = None,
    pattern: OfPattern = None,
    limit: Limit = None,
    from_: Annotated[
        list[str], Option("--from", "read events from files or buses instead of the store", "PATH|URL")
    ] = [],  # noqa: B006
    type_at: TypeAt = None,
    id_at: IdAt = None,
    intake: Intake = None,
    event_bus: EventBus = None,
    unwrap: Unwrap = False,
    max_bytes: MaxBytes = MAX_BYTES,
    allow_empty: AllowEmpty = False,
    against: Annotated[
        str | None,
        Option(
            "--against",
            "compare with the routes of another file or revision: gained and lost deliveries",
            "FILE|git:REV",
        ),
    ] = None,
    generate: Annotated[
        int | None,
        Option("--generate", "with --against: N events at the boundaries of the patterns, not the store", "N", least=1),
    ] = None,
    fail_on: Annotated[
        FailOn | None, Option("--fail-on", "with --against: exit code 1 for lost, gained or any", "CHANGE")
    ] = None,
) -> int:
    """Route stored events again and show which handlers fire.

    By default it only shows the plan and calls no handler: what fired when each event was published, and what would
    fire now. -v lists each event, and why other routes do not match. With --deliver it calls the handlers; the events
    that they emit carry the name of the replay, and -v also shows what the handlers printed. Exit code 1 if a
    delivery failed, or if a handler cannot be loaded. With --against it calls no handler and shows which deliveries
    the current routes lose and gain, and why.

    Example: evtool replay --type order.created --since 2h -v
    """
    check_options(against, deliver=deliver, name=name, generate=generate, fail_on=fail_on, has_files=bool(from_))
    if event_bus is not None and not from_:
        raise UsageError("--event-bus is for the events of --from: a stored event keeps its bus")
    project = session.load_project()
    routes = load_routes(session, project)
    event_pattern = read_pattern(pattern) if pattern is not None else None
    event_filter = build_filter(ids, since=since, until=until, type=type, source=source)
    event_filter = event_filter if ids else event_filter._replace(published=True)
    identity = PayloadIdentity()
    if type_at is not None or id_at is not None or intake is not None:
        if not from_:
            raise UsageError("--type-at, --id-at and --intake describe the payloads of files: give --from PATH")
        options = PayloadIdentity(None if type_at else type, source, type_at, id_at)
        identity = read_identity(session, project, options, intake, keep_type=True)
    buses = [open_named_bus(entry, project) for entry in from_ if is_bus(entry, project)]
    paths = resolve_paths([entry for entry in from_ if not is_bus(entry, project)], project)
    inputs = EventInputs(paths, unwrap=unwrap, allow_empty=allow_empty or not paths)
    results = inputs.check(
        validate_events(inputs.read(max_bytes=max_bytes), Rules(None), create_event_defaults(), identity=identity)
    )
    bus_results = inputs.follow(read_buses(buses, event_filter))
    files = partial(read_given_events, session, results, bus_results, event_filter, bus=event_bus) if from_ else None
    if against is not None:
        with open_base(against, project) as base:
            comparison = Comparison(RouteTable(routes, project), base, against, route, limit, fail_on)
            if generate is not None:
                return run_comparison(session, comparison, comparison.generate(generate), event_pattern)
            with _open_to_read(session, project, store_needed=not from_) as store:
                events = files(store=None) if files else read_stored_events(session, store, event_filter)
                return inputs.worst_exit_code(run_comparison(session, comparison, events, event_pattern))
    selected_routes = routes.restrict_to(route) if route is not None else routes
    name = name or f"replay-{format_timestamp(now_ms())}-{uuid.uuid4().hex[:4]}"
    plan_selected = make_planner(selected_routes, name)
    is_selective = deliver or route is not None or event_pattern is not None or limit is not None
    if not (is_selective or paths) and can_count(session, project, routes, buses):
        return count_plan(session, project, routes, plan_selected, buses, event_filter, event_bus)
    opened = _open(session, project, routes, inputs.worst_exit_code, deliver=deliver, store_needed=not from_)
    with opened as (store, runtime):
        events = files(store=store) if files else read_stored_events(session, store, event_filter)
        selection = Selection(
            None if from_ else event_filter, event_pattern, plan_selected if route is not None else None, store
        )
        plan = ReplayPlan(store, plan_selected, make_planner(routes, name), selection.includes)
        firing = _Firing(partial(_plan_event, plan), list, {}, plan_selected)
        if runtime:
            firing = _prepare_delivery(session, project, runtime, selected_routes, name, selection)
        selected = selection.choose(events, plan)
        return inputs.worst_exit_code(
            _report_replay(session, project, selected_routes, selected, firing, name, deliver=deliver, limit=limit)
        )


class _Firing(NamedTuple):
    """How an event is planned or delivered: what fires it, new findings about handlers, and what handlers printed.

    `plan` is the planner of an event that nothing came of, None if events are delivered.
    """

    fire: Callable[[SelectedEvent], list[ReplayedEvent] | Finding]
    take_findings: Callable[[], list[Finding]]
    outputs: dict[OutputKey, str]
    plan: Planner | None = None


def _prepare_delivery(
    session: Session, project: Project, runtime: Runtime, routes: Routes, name: str, selection: Selection
) -> _Firing:
    """How events are delivered again. Notes if a replay of that name was delivered before."""
    outputs: dict[OutputKey, str] = {}
    keep_outputs = partial(add_outputs, runtime.store, outputs if session.shows_details else None)
    if runtime.store.has_replay(name):
        session.print_note(f"the replay {name} was delivered before: what it has done is not done again")
    replay = Replay(runtime, routes, name, selection.includes, keep_outputs)
    return _Firing(
        partial(_deliver_event, runtime, replay), partial(take_load_findings, runtime.handlers, project), outputs
    )


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
    else:
        with _open_to_read(session, project, store_needed=store_needed) as store:
            yield store, None


@contextmanager
def _open_to_read(session: Session, project: Project, *, store_needed: bool) -> Iterator[Store | None]:
    """The store, or None if there is none and none is needed."""
    if not store_needed and is_missing(session.locate_store(project)):
        yield None
    else:
        with Store(session.locate_store(project, existing=True)) as store:
            store.keep_few_pages()
            yield store


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


def _report_replay(
    session: Session,
    project: Project,
    routes: Routes,
    events: Iterator[SelectedEvent],
    firing: _Firing,
    name: str,
    *,
    deliver: bool,
    limit: int | None,
) -> int:
    """Fires each event and reports what came of it."""
    screen = Screen(open_stderr(), color=session.color)
    unmatched = UnmatchedRoutes(list_candidates(routes, project), limit=None if session.verbose > 1 else MAX_DETAILED)
    undecided = UndecidedNotes(session, routes)
    sums, findings = ReplaySums(), list[Finding]()
    interrupts: list[KeyboardInterrupt] = []
    with_records = session.verbose or session.output  # else only the sums are reported
    events = Progress("replaying", "event", quiet=session.quiet).track(events)
    is_only_counted = not with_records and limit is None and not routes.has_unknown_values
    events = _count_alone(events, firing.plan if is_only_counted else None, sums)
    replay_name = name if deliver else None

    def build_text_report(out: Screen) -> ReplayReport:
        return ReplayReport(
            out, sums, replay_name, unmatched, firing.outputs, verbose=session.verbose > 0, quiet=session.quiet
        )

    with session.open_report(Subject("replay", "events", build_text_report)) as report:
        with catch_signals(interrupts):
            for event in events:
                result = firing.fire(event)
                for finding in [result] if isinstance(result, Finding) else firing.take_findings():
                    findings.append(finding)
                    show_finding(screen, finding)
                if isinstance(result, Finding):
                    continue
                undecided.add((replayed.raw, replayed.bus) for replayed in result)
                if session.verbose:
                    remember_events(unmatched, result, name)
                for replayed in mark_selected(result, sums, limit):
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


def _count_alone(events: Iterator[SelectedEvent], plan: Planner | None, sums: ReplaySums) -> Iterator[SelectedEvent]:
    """Counts the events that nothing came of, as most are, if there is a plan for them. Yields the others."""
    for event in events:
        if plan and event.stored is None:
            sums.count(plan(event.raw, event.bus, event.event), event.fired)
        else:
            yield event
