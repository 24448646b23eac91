"""The command `evtool events`: lists the stored events, or shows one event with its history."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated, Any, Literal

from evtool.cli.filters import build_filter, check_names, find_event, note_unknown_values
from evtool.cli.options import Argument, OfRoute, OfSource, OfType, Option, Since, Until
from evtool.cli.session import Session
from evtool.errors import EXIT_OK, UsageError
from evtool.events.buses import DEFAULT_BUS
from evtool.events.envelopes import parse_event
from evtool.paths import display_path
from evtool.reports.base import Report, Subject
from evtool.reports.records import load_cause_record, load_delivery_record, load_history, load_log_record
from evtool.reports.trees import format_delivery, format_summary, print_document, print_history, style_states
from evtool.store.counts import count_totals
from evtool.store.rows import STATES, Filter, StoredEvent
from evtool.store.store import Store
from evtool.terminal.screen import Cell, Screen, Segment

# Rows of a table on a terminal. A longer log is several tables, so that memory does not grow with it.
MAX_ROWS = 1000
# The columns of --summary after route and handler.
COUNTED = ["deliveries"] + list(STATES)
State = Literal["ready", "waiting", "leased", "done", "dead"]


def events(
    session: Session,
    id: Annotated[str | None, Argument("[ID]", "id of an event, to show it with its history")] = None,  # noqa: A002
    *,
    type: OfType = None,  # noqa: A002
    source: OfSource = None,
    route: OfRoute = None,
    state: Annotated[State | None, Option("--state", "only events with a delivery in this state", "STATE")] = None,
    since: Since = None,
    until: Until = None,
    limit: Annotated[int | None, Option("--limit", "only the newest N events", "N", least=1)] = None,
    summary: Annotated[
        bool, Option("--summary", "only count the events, and the deliveries by route, handler and state")
    ] = False,
) -> int:
    """List the stored events, or show one with its cause, deliveries, attempts and effects.

    --route and --state together select events with a delivery that has both. `evtool events -- prune` shows an event
    whose id is the word prune.

    Example: evtool events --type order.created --state waiting
    """
    event_filter = build_filter(since=since, until=until, type=type, source=source, state=state)._replace(route=route)
    with Store(session.locate_store(existing=True)) as store:
        check_names(session, store, route=route)
        if id is None:
            note_unknown_values(session, store, type=type, source=source)
        if summary:
            if id is not None or limit is not None:
                raise UsageError("--summary counts all selected events: leave out ID and --limit")
            return _show_summary(session, store, event_filter)
        if id is not None:
            return _show_event(session, store, id, source)
        count = 0
        subject = Subject("events", "events", partial(_EventListReport, quiet=session.quiet))
        with session.open_report(subject) as report:
            for record in store.map_events(partial(load_log_record, store), event_filter, newest=limit):
                report.add_record(record)
                count += 1
            report.end({"summary": {"events": count}})
    return EXIT_OK


def _show_event(session: Session, store: Store, event_id: str, source: str | None) -> int:
    # All reads show the same moment: another process may prune the event between two of them.
    with store.transaction("DEFERRED"):
        event = find_event(store, event_id, source)
        if event is None:
            raise UsageError(
                f"there is no event {event_id} in {display_path(store.file)}; `evtool events` lists the stored events"
            )
        deliveries = []
        for delivery in store.list_deliveries(event.seq):
            history = load_history(store, delivery)
            deliveries.append(load_delivery_record(store, delivery) | {"history": history})
        details = _build_details(store, event)
    with session.open_report(Subject("events", "deliveries", _EventReport)) as report:
        for record in deliveries:
            report.add_record(record)
        report.end(details)
    return EXIT_OK


def _show_summary(session: Session, store: Store, event_filter: Filter) -> int:
    totals = count_totals(store, event_filter)
    with session.open_report(Subject("events", "handlers", _SummaryReport)) as report:
        for route, handler, states in totals.handlers:
            counts = {"deliveries": sum(states.values())} | states
            report.add_record({"route": route, "handler": handler, **counts})
        report.end({"summary": {"events": totals.events, "deliveries": totals.deliveries} | totals.states})
    return EXIT_OK


def _build_details(store: Store, event: StoredEvent) -> dict[str, Any]:
    return {
        "event": parse_event(event.raw).document,
        "stored_at": load_log_record(store, event)["stored_at"],
        "sha256": event.sha256,
        "bus": event.bus,
        "cause": load_cause_record(store, event),
        "effects": [effect.id for effect in store.list_effects(event.seq)],
    }


class _EventListReport(Report):
    """The text report of the log: one line per event in a pipe or file, a table on a terminal."""

    def __init__(self, screen: Screen, *, quiet: bool):
        self._screen, self._quiet = screen, quiet
        self._rows: list[Sequence[Cell]] = []

    def add_record(self, record: Mapping[str, Any]) -> None:
        time, event_id, event_type = record["stored_at"], record["id"], (record["type"], "bold")
        cause = ""
        if record["cause"]:
            cause = f"  from {record['cause']['handler']}"
        if not self._screen.is_terminal:
            columns: list[Segment] = [(time, "dim"), f"  {event_id}  ", event_type, "  "]
            self._screen.print_line(*columns + style_states(record["states"]) + [(cause, "dim")])
            return
        # Without the year and the milliseconds the usual row fits in 80 columns.
        if record["states"]:
            states: Cell = style_states(record["states"])
        else:
            states = ("none", "yellow")
        self._rows.append([(time[5:19], "dim"), event_id, [event_type, (cause, "dim")], states])
        if len(self._rows) == MAX_ROWS:
            self._print_rows()

    def end(self, tail: Mapping[str, Any]) -> None:
        self._print_rows()
        if not tail["summary"]["events"] and not self._quiet:
            self._screen.print_line("no events")

    def _print_rows(self) -> None:
        if self._rows:
            self._screen.print_table(["stored (UTC)", "id", "type", "states"], self._rows)
            self._rows.clear()


class _SummaryReport(Report):
    """The text report of the counts: a row for each route and handler, and one row for all of them."""

    def __init__(self, screen: Screen):
        self._screen = screen
        self._rows: list[Sequence[Segment]] = []

    def add_record(self, record: Mapping[str, Any]) -> None:
        self._rows.append(_build_row(record["route"], record["handler"], record))

    def end(self, tail: Mapping[str, Any]) -> None:
        header = ["route", "handler"] + COUNTED
        if self._rows:
            self._rows.append(_build_row("all", "", tail["summary"]))
            self._screen.print_table(header, self._rows, right_aligned=range(2, len(header)))
        self._screen.print_line(*format_summary(tail["summary"]))


def _build_row(route: str, handler: str, counts: Mapping[str, int]) -> list[Segment]:
    row: list[Segment] = [route, handler]
    row += [f"{counts[key]:,}" for key in COUNTED]
    return row


class _EventReport(Report):
    """The text report of one event."""

    def __init__(self, screen: Screen):
        self._screen = screen
        self._deliveries: list[Mapping[str, Any]] = []

    def add_record(self, record: Mapping[str, Any]) -> None:
        self._deliveries.append(record)

    def end(self, tail: Mapping[str, Any]) -> None:
        print_document(self._screen, tail["event"])
        self._screen.print_line("stored  ", tail["stored_at"], ("  sha256 " + tail["sha256"], "dim"))
        if tail["bus"] != DEFAULT_BUS:
            self._screen.print_line("bus  ", tail["bus"])
        if tail["cause"]:
            self._screen.print_line("cause  ", tail["cause"]["event"], f"  by {tail['cause']['handler']}")
        for delivery in self._deliveries:
            self._screen.print_line("delivery  ", *format_delivery(delivery))
            print_history(self._screen, delivery)
        for effect in tail["effects"]:
            self._screen.print_line("effect  ", effect)
