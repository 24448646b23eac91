"""evtool events: the log, or one event with its whole history."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated, Any, Literal

from evtool.cli.filters import selected, stored_event
from evtool.cli.options import Argument, OfRoute, OfSource, OfType, Option, Since, Until
from evtool.cli.session import Session
from evtool.errors import EXIT_OK, UsageError
from evtool.events.envelopes import identify
from evtool.paths import display
from evtool.reports.base import Record, Subject
from evtool.reports.records import cause_record, delivery_record, history, logged_record
from evtool.reports.trees import delivery_line, document_lines, history_lines, states_text, summary_line
from evtool.schemas.validation import Verdict
from evtool.store.counts import count_totals
from evtool.store.rows import STATES, Filter, StoredEvent
from evtool.store.store import Store
from evtool.terminal.screen import Screen, Segment

State = Literal["ready", "waiting", "leased", "done", "dead"]


def events(
    session: Session,
    id: Annotated[str | None, Argument("[ID]", "one event, with its history")] = None,  # noqa: A002
    *,
    type: OfType = None,  # noqa: A002
    source: OfSource = None,
    route: OfRoute = None,
    state: Annotated[State | None, Option("--state", "only with a delivery in this state", "STATE")] = None,
    since: Since = None,
    until: Until = None,
    limit: Annotated[int | None, Option("--limit", "only the newest N", "N", least=1)] = None,
    summary: Annotated[bool, Option("--summary", "only count: events, deliveries by route, handler and state")] = False,
) -> int:
    """List the stored events, or show one with its cause, deliveries, attempts and effects.

    With --summary they are counted, with all their deliveries. --route and --state together mean one delivery. An
    event whose id is the word prune is shown by `evtool events -- prune`.

    Example: evtool events --type order.created --state waiting
    """
    wanted = selected(since=since, until=until, type=type, source=source, state=state)._replace(route=route)
    with Store(session.store_file(existing=True)) as store:
        if summary:
            if id is not None or limit is not None:
                raise UsageError("--summary counts all events that are chosen: leave out ID and --limit")
            return _sum(session, store, wanted)
        if id is not None:
            return _show(session, store, id, source)
        count = 0
        with session.report(Subject("events", "events", _Log)) as report:
            for record in store.map_events(partial(logged_record, store), wanted, newest=limit):
                report.add(record)
                count += 1
            report.end({"summary": {"events": count}})
    return EXIT_OK


def _show(session: Session, store: Store, wanted: str, source: str | None) -> int:
    with store.transaction("DEFERRED"):  # one moment: others may delete it meanwhile
        event = stored_event(store, wanted, source)
        if event is None:
            raise UsageError(
                f"there is no event {wanted} in {display(store.file)}; `evtool events` lists what is there"
            )
        deliveries = [
            {**delivery_record(store, delivery), "history": history(store, delivery)}
            for delivery in store.list_deliveries(event.seq)
        ]
        about = _about(store, event)
    with session.report(Subject("events", "deliveries", _Detail)) as report:
        for delivery in deliveries:
            report.add(delivery)
        report.end(about)
    return EXIT_OK


def _sum(session: Session, store: Store, wanted: Filter) -> int:
    found = count_totals(store, wanted)
    with session.report(Subject("events", "handlers", _Sums)) as report:
        for route, handler, states in found.handlers:
            record = {"route": route, "handler": handler, "deliveries": sum(states.values()), **states}
            report.add(record)
        report.end({"summary": {"events": found.events, "deliveries": found.deliveries, **found.states}})
    return EXIT_OK


def _about(store: Store, event: StoredEvent) -> dict[str, Any]:
    return {
        "event": identify(event.raw).document,
        "stored_at": logged_record(store, event)["stored_at"],
        "sha256": event.sha256,
        "cause": cause_record(store, event),
        "effects": [effect.id for effect in store.list_effects(event.seq)],
    }


class _Log:
    """The text report of the log: a line per event, as it is read."""

    def __init__(self, screen: Screen):
        self._screen = screen

    def add(self, record: Record) -> None:
        assert not isinstance(record, Verdict)
        states = states_text(record["states"])
        cause = f"  from {record['cause']['handler']}" if record["cause"] else ""
        self._screen.line(
            (record["stored_at"], "dim"), f"  {record['id']}  ", (record["type"], "bold"), f"  {states}", (cause, "dim")
        )

    def end(self, tail: Mapping[str, Any]) -> None:
        if not tail["summary"]["events"]:
            self._screen.line("no events")


class _Sums:
    """The text report of the sums: a row for each route and handler, and one for all."""

    def __init__(self, screen: Screen):
        self._screen = screen
        self._rows: list[Sequence[Segment]] = []

    def add(self, record: Record) -> None:
        assert not isinstance(record, Verdict)
        self._rows.append([record["route"], record["handler"], *_counts(record)])

    def end(self, tail: Mapping[str, Any]) -> None:
        header = ["route", "handler", "deliveries", *STATES]
        if self._rows:
            rows = [*self._rows, ["all", "", *_counts(tail["summary"])]]
            self._screen.table(header, rows, right=range(2, len(header)))
        self._screen.line(*summary_line(tail["summary"]))


def _counts(record: Mapping[str, int]) -> list[str]:
    return [f"{record[key]:,}" for key in ("deliveries", *STATES)]


class _Detail:
    """The text report of one event."""

    def __init__(self, screen: Screen):
        self._screen = screen
        self._deliveries: list[Mapping[str, Any]] = []

    def add(self, record: Record) -> None:
        assert not isinstance(record, Verdict)
        self._deliveries.append(record)

    def end(self, tail: Mapping[str, Any]) -> None:
        document_lines(self._screen, tail["event"])
        self._screen.line("stored  ", tail["stored_at"], ("  sha256 " + tail["sha256"], "dim"))
        if tail["cause"]:
            self._screen.line("cause  ", tail["cause"]["event"], f"  by {tail['cause']['handler']}")
        for delivery in self._deliveries:
            self._screen.line("delivery  ", *delivery_line(delivery))
            history_lines(self._screen, delivery)
        for effect in tail["effects"]:
            self._screen.line("effect  ", effect)
