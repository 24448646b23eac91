"""evtool replay: stored events through the current routes, beside what they fired when they were published."""

import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Annotated, Any, NamedTuple

from evtool import replay as replays
from evtool import routes as all_routes
from evtool.delivery import Road
from evtool.errors import EXIT_FINDINGS, EXIT_OK
from evtool.event import Event, identify, replayed, rfc3339
from evtool.finding import Finding
from evtool.frames import show
from evtool.heads import head_of
from evtool.intake import conflict
from evtool.options import Argument, Limit, OfRoute, OfSource, OfType, Option, Since, Until
from evtool.project import Project
from evtool.reading import MAX_BYTES, read
from evtool.reasons import IN_FULL, Others, candidates_of
from evtool.replay import Fire
from evtool.report import Record, Subject
from evtool.road import opened, rules_of
from evtool.routes import Routes
from evtool.samples import paths_of
from evtool.screen import Screen, Segment, counted, errors
from evtool.selection import check_ids, named_pattern, selected
from evtool.session import Session, now_ms, stamp, standard_input
from evtool.store import Store
from evtool.stored import Filter
from evtool.validation import Rules, Verdict, judge

STYLES = {"would fire": "green", "done": "green", "failed": "bold red", "waiting": "yellow", "skipped": "dim"}


class Chosen(NamedTuple):
    """An event that is replayed: its bytes and what its envelope says.

    `fired` are route, handler and state of each delivery when it was published, None when it is not in the store.
    `event` is all of it, for one that comes from a file.
    """

    raw: bytes
    head: Mapping[str, Any]
    fired: Sequence[tuple[str, str, str]] | None
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
) -> int:
    """Put stored events through the routes again and show which handlers fire.

    By default this is a plan: nothing is called. It shows what fired when each event was published beside what would
    fire now; with -v each event, and why other routes do not take it. With --deliver the handlers are called; what that
    causes carries the replay's name. Exit code 1 if a delivery failed.

    Example: evtool replay --type order.created --since 2h -v
    """
    project = session.project()
    routes = all_routes.of_project(project)
    routes = routes.only(route) if route is not None else routes
    asked = named_pattern(pattern) if pattern is not None else None
    wanted = selected(ids, since=since, until=until, type=type, source=source)
    name = name or f"replay-{rfc3339(now_ms())}-{uuid.uuid4().hex[:4]}"

    others = Others(candidates_of(routes, project), in_full=None if session.verbose > 1 else IN_FULL)

    def chosen(store: Store | None) -> Iterator[Chosen]:
        """The events that all options let through."""
        found = _from_files(session, project, from_, wanted, store) if from_ else _from_store(store, wanted)
        matching = (each for each in found if asked is None or asked.matches(each.raw))
        taken = (each for each in matching if route is None or plan(each))
        for each in islice(taken, limit):
            if session.verbose:
                others.note({each.head["id"]: replayed(each.raw, each.head, name)})
            yield each

    def plan(each: Chosen) -> list[Fire]:
        return replays.plan(replayed(each.raw, each.head, name), routes)

    if not deliver:
        with _store(session, project, needed=not from_) as store:
            return _tell(session, chosen(store), plan, others)
    with opened(session, project, rules_of(project)) as road:
        if road.store.knows_replay(name):
            session.note(f"the replay {name} was delivered before: what it has done is not done again")
        return _tell(session, chosen(road.store), lambda each: _run(each, road, routes, name), others, name)


@contextmanager
def _store(session: Session, project: Project, *, needed: bool) -> Iterator[Store | None]:
    """The store, or None when there is none and none is needed."""
    if not needed and not session.store_file(project).exists():
        yield None
        return
    with Store(session.store_file(project, existing=True)) as store:
        yield store


def _run(chosen: Chosen, road: Road, routes: Routes, name: str) -> list[Fire] | Finding:
    """Delivers an event again; one of a file is stored first, unless its key is taken by other content."""
    event = chosen.event or identify(chosen.raw)
    kept = road.store.keep(event, [], now=road.world.now())
    if kept.status == "conflict":
        return conflict(event, kept, road.store.event(kept.seq).raw)
    return replays.run(kept.seq, event, routes, name, road)


def _tell(
    session: Session,
    chosen: Iterator[Chosen],
    fire: Callable[[Chosen], list[Fire] | Finding],
    others: Others,
    name: str | None = None,
) -> int:
    """Fires each event and tells what came of it; `name` is that of a replay that delivers."""
    screen = Screen(errors(), color=session.color)
    handlers: Counter[str] = Counter()
    events = failed = 0
    with session.report(Subject("replay", "events", lambda out: _Text(out, session, others, name))) as report:
        for each in chosen:
            fires = fire(each)
            if isinstance(fires, Finding):
                show(screen, fires)
                failed += 1
                continue
            events += 1
            for one in fires:
                failed += one.action == "failed"
                if one.action != "skipped":
                    handlers[one.handler] += 1
            report.add(_record(each, fires))
        told = {"replay": name} if name else {}
        summary = {"events": events, "fires": handlers.total()}
        report.end({**told, "handlers": dict(sorted(handlers.items())), "summary": summary})
    return EXIT_FINDINGS if failed else EXIT_OK


def _from_store(store: Store | None, wanted: Filter) -> Iterator[Chosen]:
    """The stored events that are wanted; what the replay itself adds to the log is not among them."""
    assert store is not None
    check_ids(store, wanted.ids)
    for published in store.published(wanted._replace(last=store.last())):
        yield Chosen(published.raw, head_of(published.raw), published.fired)


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
        if event is not None and wanted.takes(event):
            there = store.published(Filter(source=event.source, ids=(event.id,))) if store else ()
            fired = next((each.fired for each in there), None)
            yield Chosen(event.raw, event.document, fired, event)


def _record(chosen: Chosen, fires: list[Fire]) -> dict[str, Any]:
    head, fired = chosen.head, chosen.fired
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

    def __init__(self, screen: Screen, session: Session, others: Others, name: str | None):
        self._screen, self._session, self._others, self._name = screen, session, others, name
        self._then: Counter[str] = Counter()
        self._now: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._changed = 0

    def add(self, record: Record) -> None:
        assert not isinstance(record, Verdict)
        then = [fire["handler"] for fire in record["fired"] or ()]
        now = [fire["handler"] for fire in record["fires"]]
        for handler in then:
            self._then[handler] += 1
        for fire in record["fires"]:
            self._now[fire["handler"]][fire["action"]] += 1
        self._changed += record["fired"] is not None and sorted(then) != sorted(now)
        if self._session.verbose:
            self._event(record)

    def end(self, tail: Mapping[str, Any]) -> None:
        handlers = sorted({*self._then, *self._now})
        columns = ["done", "failed", "waiting", "skipped"] if self._name else ["would fire"]
        rows: list[list[Segment]] = [
            [
                (name, "bold"),
                str(self._then[name]),
                *((str(self._now[name][column]), STYLES[column]) for column in columns),
            ]
            for name in handlers
        ]
        self._screen.table(["handler", "fired", *columns], rows, right=range(1, len(columns) + 2))
        if self._session.quiet:
            return
        events = tail["summary"]["events"]
        said = f"replayed as {self._name}" if self._name else "a plan: nothing was called"
        self._screen.line(counted(events, "event"), ", ", said)
        if self._changed:
            more = "" if self._session.verbose else "; -v shows which"
            self._screen.line((f"{self._changed:,} would fire other handlers than when published{more}", "yellow"))

    def _event(self, record: Mapping[str, Any]) -> None:
        self._screen.line((record["type"], "bold"), f"  {record['id']}  ", (record["time"] or "", "dim"))
        then = {(fire["route"], fire["handler"]): fire["state"] for fire in record["fired"] or []}
        now = {(fire["route"], fire["handler"]): fire["action"] for fire in record["fires"]}
        for key in {**then, **now}:
            route, handler = key
            published = f"  when published: {then.get(key, 'did not fire')}" if record["fired"] is not None else ""
            action = now.get(key, "would not fire")
            self._screen.line(
                "  ", (handler, "bold"), (f"  {action}", STYLES.get(action, "red")), f"  by {route}{published}"
            )
        if not then and not now:
            self._screen.line("  no route takes it")
        self._others.tell(
            self._screen, record["id"], {fire["route"] for fire in record["fires"]}, ["  not taken by"], indent="  "
        )
