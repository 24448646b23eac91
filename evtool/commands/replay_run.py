"""Plans or delivers the events of a replay, and reports what fires.

Planning and delivering give the same values, `ReplayedEvent`s, so that one report shows both:

    an event of the input -> fire -> the event and its effects, each with the handlers that fire -> report and totals

Only events with a past in the store have effects in a plan; in a delivering replay the handlers emit new ones.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

from evtool.cli.runtime import UndecidedNotes, build_rules, open_runtime, take_load_findings
from evtool.cli.session import Session
from evtool.commands.replay_events import ReplayInput
from evtool.delivery.intake import describe_conflict, insert_event
from evtool.delivery.replays.plan import Planner, ReplayedEvent, ReplayPlan, make_planner
from evtool.delivery.replays.replay import Replay
from evtool.delivery.replays.selection import SelectedEvent, Selection
from evtool.delivery.runtime import Runtime
from evtool.errors import EXIT_FINDINGS, EXIT_OK
from evtool.events.envelopes import parse_event
from evtool.findings.finding import Finding
from evtool.patterns.pattern import Pattern
from evtool.reports.base import Report, Subject
from evtool.reports.explanations import MAX_DETAILED, UnmatchedRoutes, list_candidates
from evtool.reports.records import OutputKey, add_outputs
from evtool.reports.replays import ReplayReport, ReplaySums, build_replay_record, mark_selected, remember_events
from evtool.routes.project import Project
from evtool.routes.routes import Routes
from evtool.signals import catch_signals
from evtool.store.rows import Filter
from evtool.store.sqlite.files import is_missing
from evtool.store.store import Store
from evtool.terminal.progress import Progress
from evtool.terminal.screen import Screen


class Request(NamedTuple):
    """What a replay does: its name, and the options that restrict it."""

    name: str
    route: str | None = None
    pattern: Pattern | None = None
    limit: int | None = None
    deliver: bool = False


def run_replay(
    session: Session,
    project: Project,
    routes: Routes,
    replay_input: ReplayInput,
    event_filter: Filter,
    request: Request,
) -> int:
    """Plans or delivers the replay, and returns the exit code."""
    worst_exit_code = replay_input.inputs.worst_exit_code
    selected_routes, selecting_plan = routes, None
    plan_selected = make_planner(routes, request.name)
    if request.route is not None:
        selected_routes = routes.restrict_to(request.route)
        plan_selected = selecting_plan = make_planner(selected_routes, request.name)
    stored_filter = None
    if replay_input.is_store:
        stored_filter = event_filter
    opened = _open(
        session, project, routes, worst_exit_code, deliver=request.deliver, store_needed=replay_input.is_store
    )
    with opened as (store, runtime):
        selection = Selection(stored_filter, request.pattern, selecting_plan, store)
        plan = ReplayPlan(store, plan_selected, make_planner(routes, request.name), selection.includes)
        if runtime:
            firing = _prepare_delivery(session, project, runtime, selected_routes, request.name, selection)
        else:
            firing = _Firing(partial(_plan_event, plan), list, {}, plan_selected)
        events = selection.choose(replay_input.read(store), plan)
        return worst_exit_code(_report_replay(session, project, selected_routes, events, firing, request))


class _Firing(NamedTuple):
    """How an event is planned or delivered.

    `fire` returns what fires, `take_findings` new findings about handlers; `outputs` has what the handlers printed.
    `plan` is the planner for an event without effects; it is None if events are delivered.
    """

    fire: Callable[[SelectedEvent], list[ReplayedEvent] | Finding]
    take_findings: Callable[[], list[Finding]]
    outputs: dict[OutputKey, str]
    plan: Planner | None = None


def _prepare_delivery(
    session: Session, project: Project, runtime: Runtime, routes: Routes, name: str, selection: Selection
) -> _Firing:
    """Returns how events are delivered again. Prints a note if a replay of that name was delivered before."""
    outputs: dict[OutputKey, str] = {}
    kept_outputs = None
    if session.shows_details:
        kept_outputs = outputs
    keep_outputs = partial(add_outputs, runtime.store, kept_outputs)
    if runtime.store.has_replay(name):
        session.print_note(f"the replay {name} was delivered before: its deliveries are not repeated")
    replay = Replay(runtime, routes, name, selection.includes, keep_outputs)
    fire = partial(_deliver_event, runtime, replay)
    return _Firing(fire, partial(take_load_findings, runtime.handlers, project), outputs)


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
    """Opens the store, and with `deliver` also the handlers. The store is None if it is missing and not needed."""
    if deliver:
        with open_runtime(session, project, build_rules(project), routes, worst_exit_code) as runtime:
            yield runtime.store, runtime
    else:
        with open_to_read(session, project, store_needed=store_needed) as store:
            yield store, None


@contextmanager
def open_to_read(session: Session, project: Project, *, store_needed: bool) -> Iterator[Store | None]:
    """Opens the store for reading; None if it is missing and not needed."""
    if not store_needed and is_missing(session.locate_store(project)):
        yield None
    else:
        with Store(session.locate_store(project, existing=True)) as store:
            # A replay reads every event once, so that a large page cache would only take memory.
            store.keep_few_pages()
            yield store


def _plan_event(plan: ReplayPlan, selected: SelectedEvent) -> list[ReplayedEvent]:
    """Returns what would fire for an event, and for the events that its handlers emitted the first time."""
    return plan.plan_event(selected.raw, selected.bus, selected.fired, selected.stored)


def _deliver_event(runtime: Runtime, replay: Replay, selected: SelectedEvent) -> list[ReplayedEvent] | Finding:
    """Delivers an event again. An event of a file is stored first; the result is a finding if that is a conflict."""
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
    request: Request,
) -> int:
    """Plans or delivers each event, reports it, and returns the exit code."""
    limit: int | None = MAX_DETAILED
    if session.verbose > 1:
        limit = None
    unmatched = UnmatchedRoutes(list_candidates(routes, project), limit=limit)
    sums = ReplaySums()
    replay_name = None
    if request.deliver:
        replay_name = request.name
    events = Progress("replaying", "event", quiet=session.quiet).track(events)
    is_only_counted = not _has_records(session) and request.limit is None and not routes.has_unknown_values
    if is_only_counted and firing.plan:
        events = _count_alone(events, firing.plan, sums)

    def build_text_report(out: Screen) -> ReplayReport:
        return ReplayReport(
            out, sums, replay_name, unmatched, firing.outputs, verbose=session.verbose > 0, quiet=session.quiet
        )

    interrupts: list[KeyboardInterrupt] = []
    with session.open_report(Subject("replay", "events", build_text_report)) as report:
        reporter = _EventReporter(session, routes, report, firing, sums, unmatched, request)
        with catch_signals(interrupts):
            for event in events:
                reporter.add(event)
                if request.limit is not None and sums.events >= request.limit:
                    break
        report.end(sums.build_tail(replay_name, reporter.findings))
    if interrupts:
        raise interrupts[0]
    has_failed = any(actions["failed"] for actions in sums.current.values())
    if reporter.findings or has_failed:
        return EXIT_FINDINGS
    return EXIT_OK


def _has_records(session: Session) -> bool:
    """Whether the report shows each event. Otherwise it shows only the totals, and no record is built."""
    return bool(session.verbose or session.output)


def _count_alone(events: Iterator[SelectedEvent], plan: Planner, sums: ReplaySums) -> Iterator[SelectedEvent]:
    """Counts the events without effects, as most are. Yields the other events."""
    for event in events:
        if event.stored is None:
            sums.count(plan(event.raw, event.bus, event.event), event.fired)
        else:
            yield event


class _EventReporter:
    """Plans or delivers events, and reports and counts the results."""

    def __init__(
        self,
        session: Session,
        routes: Routes,
        report: Report,
        firing: _Firing,
        sums: ReplaySums,
        unmatched: UnmatchedRoutes,
        request: Request,
    ):
        self._session, self._report, self._firing, self._sums = session, report, firing, sums
        self._unmatched, self._request = unmatched, request
        self._undecided = UndecidedNotes(session, routes)
        self.findings: list[Finding] = []

    def add(self, event: SelectedEvent) -> None:
        """Plans or delivers an event, and reports it and its effects."""
        result = self._firing.fire(event)
        # A finding in place of a result: the event could not be stored, and nothing fired.
        if isinstance(result, Finding):
            self._add_findings([result])
            return
        self._add_findings(self._firing.take_findings())
        self._undecided.add((replayed.raw, replayed.bus) for replayed in result)
        if self._session.verbose:
            remember_events(self._unmatched, result, self._request.name)
        for replayed in mark_selected(result, self._sums, self._request.limit):
            self._sums.add(replayed)
            if _has_records(self._session):
                self._report.add_record(build_replay_record(replayed))

    def _add_findings(self, findings: list[Finding]) -> None:
        self.findings += findings
        self._session.show_findings(findings)
