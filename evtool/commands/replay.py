"""The command `evtool replay`: puts stored events through the current routes and compares which handlers fire."""

import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from itertools import islice
from typing import Annotated, Any, NamedTuple

from evtool.cli.filters import build_filter, check_ids, note_unknown_values, read_pattern
from evtool.cli.inputs import EventInputs, resolve_paths
from evtool.cli.options import (
    AllowEmpty,
    Argument,
    IdAt,
    Intake,
    Limit,
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
from evtool.cli.runtime import build_rules, load_routes, open_runtime, take_load_findings
from evtool.cli.session import Session, create_event_defaults, now_ms
from evtool.delivery import replay as delivery_replay
from evtool.delivery.intake import describe_conflict, insert_event
from evtool.delivery.replay import Fire, ReplayResult, ReplaySums
from evtool.delivery.runtime import Runtime
from evtool.errors import EXIT_FINDINGS, EXIT_OK, UsageError
from evtool.events.envelopes import mark_replayed, parse_event
from evtool.events.event import Event
from evtool.events.header import decode_header
from evtool.events.payload_identity import PayloadIdentity
from evtool.events.timestamps import format_timestamp
from evtool.findings.finding import Finding
from evtool.reports.base import Record, Subject
from evtool.reports.explanations import MAX_DETAILED, UnmatchedRoutes, list_candidates
from evtool.routes.project import Project
from evtool.routes.routes import Routes
from evtool.schemas.validation import Rules, ValidationResult, validate_events
from evtool.signals import catch_signals
from evtool.store.rows import Filter, FiredDelivery
from evtool.store.sqlite.files import is_missing
from evtool.store.store import Store
from evtool.terminal.progress import Progress
from evtool.terminal.screen import Screen, Segment, format_count, open_stderr
from evtool.terminal.snippets import show_finding
from evtool.terminal.styles import ACTION_STYLES


class SelectedEvent(NamedTuple):
    """An event that is replayed.

    `fired` is None when it is not in the store. `event` is all of it, for one that comes from a file.
    """

    raw: bytes
    fired: tuple[FiredDelivery, ...] | None
    event: Event | None = None


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
    unwrap: Unwrap = False,
    allow_empty: AllowEmpty = False,
) -> int:
    """Put stored events through the routes again and show which handlers fire.

    By default this is a plan: nothing is called. It shows what fired when each event was published beside what would
    fire now; with -v each event, and why other routes do not take it. With --deliver the handlers are called; what that
    causes carries the replay's name. Exit code 1 if a delivery failed, or if a handler cannot be loaded.

    Example: evtool replay --type order.created --since 2h -v
    """
    project = session.load_project()
    all_routes = load_routes(session, project)
    routes = all_routes.restrict_to(route) if route is not None else all_routes
    event_pattern = read_pattern(pattern) if pattern is not None else None
    selection = build_filter(ids, since=since, until=until, type=type, source=source)
    identity = PayloadIdentity()
    if type_at is not None or id_at is not None or intake is not None:
        if not from_:
            raise UsageError("--type-at, --id-at and --intake describe the payloads of files: give --from PATH")
        options = PayloadIdentity(None if type_at else type, source, type_at, id_at)
        identity = read_identity(session, project, options, intake, keep_type=True)
    inputs = EventInputs(resolve_paths(from_, project), unwrap=unwrap, allow_empty=allow_empty)
    name = name or f"replay-{format_timestamp(now_ms())}-{uuid.uuid4().hex[:4]}"

    unmatched = UnmatchedRoutes(list_candidates(routes, project), limit=None if session.verbose > 1 else MAX_DETAILED)

    def select_events(store: Store | None) -> Iterator[SelectedEvent]:
        """The events that all options let through."""
        events = (
            _read_files(session, inputs, selection, store, identity)
            if from_
            else _read_store(session, store, selection)
        )
        if event_pattern is not None:
            events = (event for event in events if event_pattern.matches(event.raw))
        if route is not None:
            events = (event for event in events if plan(event.raw))
        return map(remember, islice(events, limit)) if session.verbose else islice(events, limit)

    def remember(event: SelectedEvent) -> SelectedEvent:
        head = decode_header(event.raw)
        unmatched.remember({head["id"]: mark_replayed(event.raw, head, name)})
        return event

    plan = delivery_replay.make_planner(routes, name)

    if not deliver:
        with _open_store(session, project, needed=not from_) as store:
            code = _report_replay(session, select_events(store), lambda event: ReplayResult(plan(event.raw)), unmatched)
            return inputs.worst_exit_code(code)
    with open_runtime(session, project, build_rules(project), all_routes) as runtime:
        if runtime.store.has_replay(name):
            session.print_note(f"the replay {name} was delivered before: what it has done is not done again")
        fire = partial(_deliver, runtime=runtime, routes=routes, name=name)
        take_findings = partial(take_load_findings, runtime, project)
        code = _report_replay(session, select_events(runtime.store), fire, unmatched, name, take_findings)
        return inputs.worst_exit_code(code)


@contextmanager
def _open_store(session: Session, project: Project, *, needed: bool) -> Iterator[Store | None]:
    """The store, or None when there is none and none is needed."""
    if not needed and is_missing(session.locate_store(project)):
        yield None
        return
    with Store(session.locate_store(project, existing=True)) as store:
        yield store


def _deliver(selected: SelectedEvent, runtime: Runtime, routes: Routes, name: str) -> ReplayResult | Finding:
    """Delivers an event again; one of a file is stored first, unless its key is taken by other content."""
    event = selected.event or parse_event(selected.raw)
    stored = insert_event(event, [], store=runtime.store, now=runtime.environment.now())
    if stored.status == "conflict":
        return describe_conflict(event, stored, runtime.store.get_event(stored.seq).raw)
    return delivery_replay.replay_event(stored.seq, event, routes, name, runtime)


def _report_replay(
    session: Session,
    events: Iterator[SelectedEvent],
    fire: Callable[[SelectedEvent], ReplayResult | Finding],
    unmatched: UnmatchedRoutes,
    name: str | None = None,
    take_findings: Callable[[], list[Finding]] = list,
) -> int:
    """Fires each event and tells what came of it; `name` is that of a replay that delivers."""
    screen = Screen(open_stderr(), color=session.color)
    sums, failed, findings = ReplaySums(), 0, list[Finding]()
    interrupts: list[KeyboardInterrupt] = []
    with_records = session.verbose or session.output  # else the sums are all that is told
    with session.open_report(
        Subject("replay", "events", lambda out: _ReplayReport(out, session, unmatched, name, sums))
    ) as report:
        with catch_signals(interrupts):
            for event in Progress("replaying", "event", quiet=session.quiet).track(events):
                result = fire(event)
                for finding in [result] if isinstance(result, Finding) else take_findings():
                    findings.append(finding)
                    show_finding(screen, finding)
                if isinstance(result, Finding):
                    continue
                sums.add(result.fires, event.fired)
                failed += result.later_failures
                if with_records:
                    report.add(_build_record(event, result.fires))
        sums.update()
        handlers = {handler: actions.total() - actions["skipped"] for handler, actions in sorted(sums.current.items())}
        handlers = {handler: times for handler, times in handlers.items() if times}
        replay_entry = {"replay": name} if name else {}
        summary = {"events": sums.events, "fires": sum(handlers.values())}
        report.end(
            {**replay_entry, "handlers": handlers, "findings": [*map(Finding.as_dict, findings)], "summary": summary}
        )
    if failed:
        session.print_note(
            f"{format_count(failed, 'delivery')} of what the handlers emitted failed: `evtool events` shows which"
        )
    if interrupts:
        raise interrupts[0]
    has_failures = failed or findings or any(actions["failed"] for actions in sums.current.values())
    return EXIT_FINDINGS if has_failures else EXIT_OK


def _read_store(session: Session, store: Store | None, selection: Filter) -> Iterator[SelectedEvent]:
    """The stored events that are wanted; what the replay itself adds to the log is not among them."""
    assert store is not None
    check_ids(store, selection.ids)
    note_unknown_values(session, store, type=selection.type, source=selection.source)
    for _, raw, _, fired in store.read_published_events(selection._replace(last=store.last_seq())):
        yield SelectedEvent(raw, fired)


def _read_files(
    session: Session, inputs: EventInputs, selection: Filter, store: Store | None, identity: PayloadIdentity
) -> Iterator[SelectedEvent]:
    """The events of files that are wanted; what is no event is told and left out."""
    screen = Screen(open_stderr(), color=session.color)
    results = validate_events(inputs.read(), Rules(None), create_event_defaults(), identity=identity)
    for result in inputs.check(results):
        for finding in result.findings:
            show_finding(screen, finding)
        event = result.event
        if event is not None and selection.matches(event):
            stored_events = store.read_published_events(Filter(source=event.source, ids=(event.id,))) if store else ()
            fired = next((stored.deliveries for stored in stored_events), None)
            yield SelectedEvent(event.raw, fired, event)


def _build_record(event: SelectedEvent, fires: tuple[Fire, ...]) -> dict[str, Any]:
    head, fired = decode_header(event.raw), event.fired
    return {
        "id": head["id"],
        "type": head["type" if "specversion" in head else "detail-type"],
        "time": head.get("time"),
        "fires": [{"route": route, "handler": handler, "action": action} for route, handler, action in fires],
        "fired": None
        if fired is None
        else [{"route": route, "handler": handler, "state": state} for route, handler, state in fired],
    }


class _ReplayReport:
    """The text report: a row per handler, and with -v each event: who fires, and why other routes do not."""

    def __init__(
        self, screen: Screen, session: Session, unmatched: UnmatchedRoutes, name: str | None, sums: ReplaySums
    ):
        self._screen, self._session, self._unmatched, self._name, self._sums = screen, session, unmatched, name, sums

    def add(self, record: Record) -> None:
        assert not isinstance(record, ValidationResult)
        if self._session.verbose and not self._session.quiet:
            self._show_event(record)

    def end(self, tail: Mapping[str, Any]) -> None:
        sums, events = self._sums, tail["summary"]["events"]
        handlers = sorted({*sums.published, *sums.current})
        if self._session.quiet:
            handlers = [handler for handler in handlers if sums.current[handler]["failed"]]
            if not handlers:
                return
        leased = ["leased"] if any(actions["leased"] for actions in sums.current.values()) else []
        columns = ["done", "failed", "waiting", *leased, "skipped"] if self._name else ["would fire"]
        rows: list[list[Segment]] = [
            [
                (name, "bold"),
                str(sums.published[name]),
                *((str(sums.current[name][column]), ACTION_STYLES[column]) for column in columns),
            ]
            for name in handlers
        ]
        self._screen.print_table(["handler", "fired", *columns], rows, right_aligned=range(1, len(columns) + 2))
        if self._session.quiet:
            return
        title = f"replayed as {self._name}" if self._name else "a plan: nothing was called"
        self._screen.print_line(format_count(events, "event"), ", ", title)
        if sums.changed:
            hint = "" if self._session.verbose else "; -v shows which"
            self._screen.print_line((f"{sums.changed:,} would fire other handlers than when published{hint}", "yellow"))

    def _show_event(self, record: Mapping[str, Any]) -> None:
        self._screen.print_line((record["type"], "bold"), f"  {record['id']}  ", (record["time"] or "", "dim"))
        states = {(fire["route"], fire["handler"]): fire["state"] for fire in record["fired"] or []}
        actions = {(fire["route"], fire["handler"]): fire["action"] for fire in record["fires"]}
        for key in {**states, **actions}:
            route, handler = key
            published = f"  when published: {states.get(key, 'did not fire')}" if record["fired"] is not None else ""
            action = actions.get(key, "would not fire")
            self._screen.print_line(
                "  ", (handler, "bold"), (f"  {action}", ACTION_STYLES.get(action, "red")), f"  by {route}{published}"
            )
        if not states and not actions:
            self._screen.print_line("  no route takes it")
        self._unmatched.show(
            self._screen, record["id"], {fire["route"] for fire in record["fires"]}, ["  not taken by"], indent="  "
        )
