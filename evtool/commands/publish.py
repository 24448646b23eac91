"""evtool publish: events go the whole road, and what they fire is shown."""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from typing import Annotated, Any, NamedTuple

from evtool.cli.completion import samples
from evtool.cli.options import Argument, MaxBytes, NoSchema, NoValidate, Option, Source, Type
from evtool.cli.runtime import opened, rules_of
from evtool.cli.sample_names import paths_of
from evtool.cli.session import Session, stamp, standard_input
from evtool.delivery.intake import accept, describe_conflict, match_handlers
from evtool.delivery.loop import Runtime, deliver
from evtool.errors import EXIT_FINDINGS, EXIT_OK, EXIT_USAGE
from evtool.events.event import Event
from evtool.events.overrides import with_changes
from evtool.findings.finding import Finding
from evtool.readers.files import MAX_BYTES, read
from evtool.reports.base import Subject
from evtool.reports.explanations import IN_FULL, Candidate, Others, candidates_of
from evtool.reports.records import count, published_record, summed
from evtool.reports.trees import Trees
from evtool.routes import routes as all_routes
from evtool.routes.routes import Routes
from evtool.schemas.validation import Verdict, judge
from evtool.signals import caught, noted
from evtool.store.queue import Chain
from evtool.store.rows import StoreResult
from evtool.terminal.screen import Screen, Segment, errors
from evtool.terminal.snippets import show

TOGETHER = 100  # events that are stored in one commit
TOGETHER_BYTES = 1 << 20


def publish(
    session: Session,
    events: Annotated[list[str], Argument("EVENT...", "files, folders, -, or names of samples", samples)],
    *,
    set: Annotated[  # noqa: A002
        list[str], Option("--set", "set a field, such as detail.total=5; the event gets a new id", "PATH=VALUE")
    ] = [],  # noqa: B006  (never changed)
    type: Type = None,  # noqa: A002
    source: Source = None,
    no_validate: NoValidate = False,
    no_schema: NoSchema = "error",
    dry_run: Annotated[bool, Option("--dry-run", "show what would fire; store nothing, call nothing")] = False,
    no_deliver: Annotated[bool, Option("--no-deliver", "store events and deliveries, call nothing")] = False,
    max_bytes: MaxBytes = MAX_BYTES,
) -> int:
    """Publish events: validate, store, route, call handlers, follow what they emit.

    Shows what fired as a tree. An event that is not valid is refused. The same event a second time is already stored
    and fires nothing. With -v it is told why other routes do not take it. Exit code 1 if an event was refused or a
    delivery failed.

    Example: evtool publish order-created --set detail.orderTotal=99.5
    """
    project = session.project()
    wanted = paths_of(events, project)
    rules = rules_of(project, validate=not no_validate, no_schema=no_schema)
    now = stamp()
    verdicts = judge(
        read(wanted, max_bytes=max_bytes, stdin=standard_input()),
        rules,
        now,
        type=type,
        source=source,
        change=lambda event: with_changes(event, set, now),
    )
    if dry_run:
        routes = all_routes.load_routes(project)
        others = candidates_of(routes, project)
        single = ([verdict] for verdict in verdicts)
        return _tell(session, single, lambda events: [_plan(routes, each) for each in events], others)
    with opened(session, project, rules) as road:
        others = candidates_of(road.routes, project)
        batches = _batches(verdicts, TOGETHER if no_deliver else 1, stream="-" in events)
        return _tell(session, batches, partial(_publish, road, call=not no_deliver), others)


class Told(NamedTuple):
    """What became of an event: records and bytes of it and of what it led to, and why it was not taken."""

    records: list[dict[str, Any]]
    raws: Sequence[bytes] = ()
    conflict: Finding | None = None


def _batches(verdicts: Iterable[Verdict], most: int, *, stream: bool) -> Iterator[list[Verdict]]:
    """Verdicts in lists of up to so many, and of no more bytes than fit into memory with ease.

    Of a stream only what is here already is taken together: nobody knows when it goes on.
    """
    batch: list[Verdict] = []
    size = 0
    for verdict in verdicts:
        batch.append(verdict)
        size += len(verdict.event.raw) if verdict.event else 0
        if len(batch) >= most or size >= TOGETHER_BYTES or (stream and not verdict.more):
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _publish(road: Runtime, events: Sequence[Event], *, call: bool) -> list[Told]:
    """Stores events in one commit. With `call` it attempts what is due for them, and what comes of that."""
    with road.store.transaction():
        kept = [accept(event, store=road.store, routes=road.routes, now=road.environment.now) for event in events]
    return [_published(road, event, one, call=call) for event, one in zip(events, kept, strict=True)]


def _published(road: Runtime, event: Event, kept: StoreResult, *, call: bool) -> Told:
    store = road.store
    if kept.status == "conflict":
        return Told([], conflict=describe_conflict(event, kept, store.get_event(kept.seq).raw))
    if kept.status == "duplicate":
        return Told([published_record(store, store.get_event(kept.seq), kept.status, [])])
    if call:
        with closing(deliver(road, chain=Chain(kept.seq))) as settled:
            deque(settled, maxlen=0)
    chain = store.list_chain(kept.seq) if call else [store.get_event(kept.seq)]
    records = [published_record(store, each, "stored", store.list_deliveries(each.seq)) for each in chain]
    return Told(records, [each.raw for each in chain])


def _plan(routes: Routes, event: Event) -> Told:
    """What would fire, with nothing stored and nothing called."""
    deliveries: list[dict[str, Any]] = [
        {
            "route": route.name,
            "handler": handler,
            "state": "would fire",
            "attempts": 0,
            "duration_ms": None,
            "error": None,
            "condition": None,
            "due": None,
            "replay": None,
            "emitted": [],
        }
        for route, handler, _ in match_handlers(event, routes)
    ]
    record = {"id": event.id, "type": event.type, "source": event.source, "status": "dry-run", "cause": None}
    return Told([{**record, "deliveries": deliveries}], [event.raw])


def _tell(
    session: Session,
    batches: Iterable[list[Verdict]],
    handle: Callable[[Sequence[Event]], list[Told]],
    candidates: list[Candidate],
) -> int:
    """Handles the events that are well, and tells what became of them and what is wrong with the others."""
    screen = Screen(errors(), color=session.color)
    findings: list[Finding] = []
    sums: Counter[str] = Counter()
    others = Others(candidates, in_full=None if session.verbose > 1 else IN_FULL)

    def text(out: Screen) -> Trees:
        return Trees(out, quiet=session.quiet, below=partial(_below, others, out) if session.verbose else None)

    def tell(verdict: Verdict, told: Told) -> None:
        wrong = [*verdict.findings, *([told.conflict] if told.conflict else [])]
        findings.extend(wrong)
        for finding in wrong:
            show(screen, finding)
        if told.raws:
            others.note({record["id"]: raw for record, raw in zip(told.records, told.raws, strict=True)})
        for record in told.records:
            count(sums, record)
            report.add(record)

    ended: list[KeyboardInterrupt] = []
    with session.report(Subject("publish", "events", text)) as report:
        with caught(ended):
            for batch in batches:
                with noted():  # what is stored is told
                    for verdict, told in _handled(batch, handle):
                        tell(verdict, told)
        report.end({"findings": [finding.as_dict() for finding in findings], "summary": summed(sums)})
    if ended:
        raise ended[0]
    if any(finding.code == "EV001" for finding in findings):
        return EXIT_USAGE
    return EXIT_FINDINGS if sums["failed"] or any(f.severity == "error" for f in findings) else EXIT_OK


def _handled(
    batch: Sequence[Verdict], handle: Callable[[Sequence[Event]], list[Told]]
) -> Iterator[tuple[Verdict, Told]]:
    """What became of each event: nothing, if it is not well."""
    events = [verdict.event for verdict in batch if verdict.event and verdict.ok]
    tolds = iter(handle(events) if events else [])
    for verdict in batch:
        yield verdict, next(tolds) if verdict.ok else Told([])


def _below(others: Others, screen: Screen, record: Mapping[str, Any]) -> None:
    """Tells why the other routes do not take an event; one that was stored before fires nothing, whatever takes it."""
    if record["status"] != "duplicate":
        taken = {delivery["route"] for delivery in record["deliveries"]}
        above: list[Segment] = [(record["type"], "bold"), "  ", (record["id"], "dim"), "  not taken by"]
        others.tell(screen, record["id"], taken, above)
