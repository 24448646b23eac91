"""evtool replay: stored events through the current routes, beside what they fired when they were published."""

import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from typing import Annotated, Any, NamedTuple

from evtool.cli.filters import check_ids, named_pattern, selected
from evtool.cli.options import Argument, Limit, OfRoute, OfSource, OfType, Option, Since, Until
from evtool.cli.runtime import opened, rules_of
from evtool.cli.sample_names import paths_of
from evtool.cli.session import Session, now_ms, stamp, standard_input
from evtool.delivery import replay as replays
from evtool.delivery.intake import describe_conflict
from evtool.delivery.loop import Runtime
from evtool.delivery.replay import Fire, ReplayResult
from evtool.errors import EXIT_FINDINGS, EXIT_OK
from evtool.events.envelopes import identify, replayed
from evtool.events.event import Event
from evtool.events.header import head_of
from evtool.events.timestamps import rfc3339
from evtool.findings.finding import Finding
from evtool.readers.files import MAX_BYTES, read
from evtool.reports.base import Record, Subject
from evtool.reports.explanations import IN_FULL, Others, candidates_of
from evtool.routes import routes as all_routes
from evtool.routes.project import Project
from evtool.routes.routes import Routes
from evtool.schemas.validation import Rules, Verdict, judge
from evtool.signals import caught
from evtool.store.rows import Filter, FiredDelivery
from evtool.store.sqlite.files import is_missing
from evtool.store.store import Store
from evtool.terminal.screen import Screen, Segment, counted, errors
from evtool.terminal.snippets import show
from evtool.terminal.styles import ACTION_STYLES

ALIKE = 1000  # kinds of events that are counted before they are summed up


class Chosen(NamedTuple):
    """An event that is replayed.

    `fired` is None when it is not in the store. `event` is all of it, for one that comes from a file.
    """

    raw: bytes
    fired: tuple[FiredDelivery, ...] | None
    event: Event | None = None


class _Sums:
    """What all events come to. Most fire what many others fire: they are counted before they are summed up."""

    def __init__(self) -> None:
        self.events = self.changed = 0
        self.then: Counter[str] = Counter()  # by handler
        self.now: defaultdict[str, Counter[str]] = defaultdict(Counter)  # by handler and action
        self._alike: Counter[tuple[tuple[Fire, ...], tuple[FiredDelivery, ...] | None]] = Counter()

    def add(self, fires: tuple[Fire, ...], fired: tuple[FiredDelivery, ...] | None) -> None:
        """Counts an event."""
        self._alike[fires, fired] += 1
        if len(self._alike) > ALIKE:
            self.sum_up()

    def sum_up(self) -> None:
        """Brings the sums up to date."""
        for (fires, fired), times in self._alike.items():
            self.events += times
            for now in fires:
                self.now[now.handler][now.action] += times
            for then in fired or ():
                self.then[then.handler] += times
            handlers = sorted(fire.handler for fire in fires)
            self.changed += times * (fired is not None and handlers != sorted(fire.handler for fire in fired))
        self._alike.clear()


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
) -> int:
    """Put stored events through the routes again and show which handlers fire.

    By default this is a plan: nothing is called. It shows what fired when each event was published beside what would
    fire now; with -v each event, and why other routes do not take it. With --deliver the handlers are called; what that
    causes carries the replay's name. Exit code 1 if a delivery failed.

    Example: evtool replay --type order.created --since 2h -v
    """
    project = session.project()
    routes = all_routes.load_routes(project)
    routes = routes.restrict_to(route) if route is not None else routes
    asked = named_pattern(pattern) if pattern is not None else None
    wanted = selected(ids, since=since, until=until, type=type, source=source)
    name = name or f"replay-{rfc3339(now_ms())}-{uuid.uuid4().hex[:4]}"

    others = Others(candidates_of(routes, project), in_full=None if session.verbose > 1 else IN_FULL)

    def chosen(store: Store | None) -> Iterator[Chosen]:
        """The events that all options let through."""
        found = _from_files(session, project, from_, wanted, store) if from_ else _from_store(store, wanted)
        if asked is not None:
            found = (each for each in found if asked.matches(each.raw))
        if route is not None:
            found = (each for each in found if plan(each.raw))
        return map(noted, islice(found, limit)) if session.verbose else islice(found, limit)

    def noted(each: Chosen) -> Chosen:
        head = head_of(each.raw)
        others.note({head["id"]: replayed(each.raw, head, name)})
        return each

    plan = replays.make_planner(routes, name)

    if not deliver:
        with _store(session, project, needed=not from_) as store:
            return _tell(session, chosen(store), lambda each: ReplayResult(plan(each.raw)), others)
    with opened(session, project, rules_of(project)) as road:
        if road.store.has_replay(name):
            session.note(f"the replay {name} was delivered before: what it has done is not done again")
        return _tell(session, chosen(road.store), lambda each: _run(each, road, routes, name), others, name)


@contextmanager
def _store(session: Session, project: Project, *, needed: bool) -> Iterator[Store | None]:
    """The store, or None when there is none and none is needed."""
    if not needed and is_missing(session.store_file(project)):
        yield None
        return
    with Store(session.store_file(project, existing=True)) as store:
        yield store


def _run(chosen: Chosen, road: Runtime, routes: Routes, name: str) -> ReplayResult | Finding:
    """Delivers an event again; one of a file is stored first, unless its key is taken by other content."""
    event = chosen.event or identify(chosen.raw)
    kept = road.store.insert(event, [], now=road.environment.now())
    if kept.status == "conflict":
        return describe_conflict(event, kept, road.store.get_event(kept.seq).raw)
    return replays.replay_event(kept.seq, event, routes, name, road)


def _tell(
    session: Session,
    chosen: Iterator[Chosen],
    fire: Callable[[Chosen], ReplayResult | Finding],
    others: Others,
    name: str | None = None,
) -> int:
    """Fires each event and tells what came of it; `name` is that of a replay that delivers."""
    screen = Screen(errors(), color=session.color)
    sums, conflicts, later = _Sums(), 0, 0
    ended: list[KeyboardInterrupt] = []
    in_full = session.verbose or session.output  # else the sums are all that is told
    with session.report(Subject("replay", "events", lambda out: _Text(out, session, others, name, sums))) as report:
        with caught(ended):
            for each in chosen:
                fired = fire(each)
                if isinstance(fired, Finding):
                    show(screen, fired)
                    conflicts += 1
                    continue
                sums.add(fired.fires, each.fired)
                later += fired.later_failures
                if in_full:
                    report.add(_record(each, fired.fires))
        sums.sum_up()
        handlers = {handler: of.total() - of["skipped"] for handler, of in sorted(sums.now.items())}
        handlers = {handler: times for handler, times in handlers.items() if times}
        told = {"replay": name} if name else {}
        summary = {"events": sums.events, "fires": sum(handlers.values())}
        report.end({**told, "handlers": handlers, "summary": summary})
    if later:
        session.note(f"{counted(later, 'delivery')} of what the handlers emitted failed: `evtool events` shows which")
    if ended:
        raise ended[0]
    return EXIT_FINDINGS if later or conflicts or any(of["failed"] for of in sums.now.values()) else EXIT_OK


def _from_store(store: Store | None, wanted: Filter) -> Iterator[Chosen]:
    """The stored events that are wanted; what the replay itself adds to the log is not among them."""
    assert store is not None
    check_ids(store, wanted.ids)
    for _, raw, _, fired in store.read_published_events(wanted._replace(last=store.last_seq())):
        yield Chosen(raw, fired)


def _from_files(
    session: Session, project: Project, paths: list[str], wanted: Filter, store: Store | None
) -> Iterator[Chosen]:
    """The events of files that are wanted; what is no event is told and left out."""
    screen = Screen(errors(), color=session.color)
    pieces = read(paths_of(paths, project), max_bytes=MAX_BYTES, stdin=standard_input())
    for verdict in judge(pieces, Rules(None), stamp()):
        for finding in verdict.findings:
            show(screen, finding)
        event = verdict.event
        if event is not None and wanted.matches(event):
            there = store.read_published_events(Filter(source=event.source, ids=(event.id,))) if store else ()
            fired = next((each.deliveries for each in there), None)
            yield Chosen(event.raw, fired, event)


def _record(chosen: Chosen, fires: tuple[Fire, ...]) -> dict[str, Any]:
    head, fired = head_of(chosen.raw), chosen.fired
    return {
        "id": head["id"],
        "type": head["type" if "specversion" in head else "detail-type"],
        "time": head.get("time"),
        "fires": [{"route": route, "handler": handler, "action": action} for route, handler, action in fires],
        "fired": None
        if fired is None
        else [{"route": route, "handler": handler, "state": state} for route, handler, state in fired],
    }


class _Text:
    """The text report: a row per handler, and with -v each event: who fires, and why other routes do not."""

    def __init__(self, screen: Screen, session: Session, others: Others, name: str | None, sums: _Sums):
        self._screen, self._session, self._others, self._name, self._sums = screen, session, others, name, sums

    def add(self, record: Record) -> None:
        assert not isinstance(record, Verdict)
        if self._session.verbose:
            self._event(record)

    def end(self, tail: Mapping[str, Any]) -> None:
        sums, events = self._sums, tail["summary"]["events"]
        handlers = sorted({*sums.then, *sums.now})
        held = ["leased"] if any(of["leased"] for of in sums.now.values()) else []
        columns = ["done", "failed", "waiting", *held, "skipped"] if self._name else ["would fire"]
        rows: list[list[Segment]] = [
            [
                (name, "bold"),
                str(sums.then[name]),
                *((str(sums.now[name][column]), ACTION_STYLES[column]) for column in columns),
            ]
            for name in handlers
        ]
        self._screen.table(["handler", "fired", *columns], rows, right=range(1, len(columns) + 2))
        if self._session.quiet:
            return
        said = f"replayed as {self._name}" if self._name else "a plan: nothing was called"
        self._screen.line(counted(events, "event"), ", ", said)
        if sums.changed:
            more = "" if self._session.verbose else "; -v shows which"
            self._screen.line((f"{sums.changed:,} would fire other handlers than when published{more}", "yellow"))

    def _event(self, record: Mapping[str, Any]) -> None:
        self._screen.line((record["type"], "bold"), f"  {record['id']}  ", (record["time"] or "", "dim"))
        then = {(fire["route"], fire["handler"]): fire["state"] for fire in record["fired"] or []}
        now = {(fire["route"], fire["handler"]): fire["action"] for fire in record["fires"]}
        for key in {**then, **now}:
            route, handler = key
            published = f"  when published: {then.get(key, 'did not fire')}" if record["fired"] is not None else ""
            action = now.get(key, "would not fire")
            self._screen.line(
                "  ", (handler, "bold"), (f"  {action}", ACTION_STYLES.get(action, "red")), f"  by {route}{published}"
            )
        if not then and not now:
            self._screen.line("  no route takes it")
        self._others.tell(
            self._screen, record["id"], {fire["route"] for fire in record["fires"]}, ["  not taken by"], indent="  "
        )
