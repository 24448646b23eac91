"""The report of a replay: the records of its events, its sums, and the text form with a row for each handler.

A store may have millions of events, and most of them fire the same deliveries. Their tuples are even the same objects,
since the plan reuses them. So events are first counted by the identities of these tuples:

    event 1  fires (charge-card, email), fired (charge-card)    -> pending (id 7, id 9): 1
    event 2  the same two objects                               -> pending (id 7, id 9): 2
    update   adds 2 to charge-card and email at once
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from evtool.delivery.replays.plan import Fire, ReplayedEvent
from evtool.events.envelopes import mark_replayed
from evtool.events.header import decode_header
from evtool.findings.finding import Finding
from evtool.reports.base import Report
from evtool.reports.explanations import UnmatchedRoutes
from evtool.reports.records import EXTERNAL, OutputKey
from evtool.reports.replay_changes import get_type
from evtool.reports.trees import format_output
from evtool.store.rows import FiredDelivery
from evtool.terminal.screen import Screen, Segment, format_count
from evtool.terminal.styles import ACTION_STYLES

# Kinds of events that are counted before they are summed up.
MAX_PENDING = 1000
SKIP_MARK = "on_replay: skip"


class _Alike:
    """The number of events that fire, and have fired, the same two tuples.

    It holds the tuples, so that no new tuple gets the identity of one that was counted.
    """

    __slots__ = ("events", "fired", "fires")

    def __init__(self, fires: tuple[Fire, ...], fired: tuple[FiredDelivery, ...] | None):
        self.fires, self.fired, self.events = fires, fired, 0


class ReplaySums:
    """Counts the events and calls of a replay."""

    def __init__(self) -> None:
        self.events = self.effects = self.changed = 0
        # By handler.
        self.published: Counter[str] = Counter()
        # By handler and action.
        self.current: defaultdict[str, Counter[str]] = defaultdict(Counter)
        # Handlers with on_replay: skip.
        self.skipping: set[str] = set()
        # Handlers that are never called.
        self.external: set[str] = set()
        # By the identities of the two tuples: of what an event fires, and of what it has fired.
        self._pending: dict[tuple[int, int], _Alike] = {}

    def add(self, event: ReplayedEvent) -> None:
        """Counts an event: as an effect if it has a cause."""
        self.count(event.fires, event.fired, is_effect=event.cause is not None)

    def count(
        self, fires: tuple[Fire, ...], fired: tuple[FiredDelivery, ...] | None, *, is_effect: bool = False
    ) -> None:
        """Counts an event by what it fires, and what it has fired."""
        if is_effect:
            self.effects += 1
        else:
            self.events += 1
        alike = self._pending.get((id(fires), id(fired)))
        if alike is None:
            if len(self._pending) >= MAX_PENDING:
                self.update()
            alike = self._pending[id(fires), id(fired)] = _Alike(fires, fired)
        alike.events += 1

    def add_counts(self, counts: Mapping[tuple[Fire, ...], int]) -> None:
        """Counts events that are not in the store, by the deliveries that they fire."""
        self.update()
        for fires, times in counts.items():
            alike = self._pending[id(fires), id(None)] = _Alike(fires, None)
            alike.events = times
        self.events += sum(counts.values())

    def update(self) -> None:
        """Brings the sums up to date."""
        for alike in self._pending.values():
            fires, fired, times = alike.fires, alike.fired, alike.events
            for fire in fires:
                self.current[fire.handler][fire.action] += times
                if fire.is_external:
                    self.external.add(fire.handler)
                elif fire.on_replay == "skip":
                    self.skipping.add(fire.handler)
            for past_fire in fired or ():
                self.published[past_fire.handler] += times
            if fired is not None and _has_changed(fires, fired):
                self.changed += times
        self._pending.clear()

    def build_tail(self, name: str | None, findings: Sequence[Finding]) -> dict[str, Any]:
        """Builds the values that `-o json` has next to the events; `name` is that of a replay that delivers."""
        self.update()
        handlers: dict[str, int] = {}
        for handler, actions in sorted(self.current.items()):
            count = actions.total() - actions["skipped"]
            if count:
                handlers[handler] = count
        tail: dict[str, Any] = {}
        if name:
            tail["replay"] = name
        tail["handlers"] = handlers
        tail["findings"] = [finding.as_dict() for finding in findings]
        tail["summary"] = {"events": self.events, "effects": self.effects, "fires": sum(handlers.values())}
        return tail


def _has_changed(fires: tuple[Fire, ...], fired: tuple[FiredDelivery, ...]) -> bool:
    """Whether an event fires other handlers than when it was published. External ones were never called."""
    handlers = [fire.handler for fire in fires if not fire.is_external]
    return sorted(handlers) != sorted(past_fire.handler for past_fire in fired)


def mark_selected(
    events: Sequence[ReplayedEvent], sums: ReplaySums, limit: int | None = None
) -> Iterator[ReplayedEvent]:
    """Yields the same events. Those that the user selected have no cause, as long as the limit allows them."""
    for event in events:
        is_selected = event.is_selected and (limit is None or sums.events < limit)
        if is_selected and event.cause:
            yield event._replace(cause=None)
        else:
            yield event


def build_replay_record(event: ReplayedEvent) -> dict[str, Any]:
    """Builds the record of an event of a replay."""
    head = decode_header(event.raw)
    cause = None
    if event.cause is not None:
        cause = {"event": event.cause[0], "handler": event.cause[1]}
    # None for an event that is not in the store, so that nothing is known of its past.
    fired = None
    if event.fired is not None:
        fired = [past_fire._asdict() for past_fire in event.fired]
    return {
        "id": head["id"],
        "type": get_type(head),
        "time": head.get("time"),
        "cause": cause,
        "fires": [_build_fire_record(fire) for fire in event.fires],
        "fired": fired,
    }


def _build_fire_record(fire: Fire) -> dict[str, Any]:
    record: dict[str, Any] = {"route": fire.route, "handler": fire.handler, "action": fire.action}
    if fire.on_replay == "skip":
        record["on_replay"] = "skip"
    if fire.is_external:
        record["external"] = True
    return record


def remember_events(unmatched: UnmatchedRoutes, events: Sequence[ReplayedEvent], name: str) -> None:
    """Remembers the events of a replay that are reported next, in the form in which they are delivered."""
    remembered = {}
    for event in events:
        head = decode_header(event.raw)
        remembered[head["id"]] = (mark_replayed(event.raw, head, name), event.bus)
    unmatched.remember(remembered)


class ReplayReport(Report):
    """The text report: a row for each handler. With -v also each event, and why other routes do not match it."""

    def __init__(
        self,
        screen: Screen,
        sums: ReplaySums,
        name: str | None,
        unmatched: UnmatchedRoutes,
        outputs: dict[OutputKey, str],
        *,
        verbose: bool,
        quiet: bool,
    ):
        """`outputs` has what the handlers of the events that are added next printed."""
        self._screen, self._sums, self._name, self._unmatched = screen, sums, name, unmatched
        self._outputs, self._verbose, self._quiet = outputs, verbose, quiet

    def add_record(self, record: Mapping[str, Any]) -> None:
        """Shows an event with -v."""
        if self._verbose and not self._quiet:
            self._show_event(record)

    def end(self, tail: Mapping[str, Any]) -> None:
        """Shows the table and the sums; if quiet, only the handlers that failed."""
        sums = self._sums
        handlers = sorted(sums.published.keys() | sums.current.keys())
        if self._quiet:
            handlers = [handler for handler in handlers if sums.current[handler]["failed"]]
            if not handlers:
                return
        self._show_table(handlers)
        if not self._quiet:
            self._show_sums(tail["summary"])

    def _show_table(self, handlers: Sequence[str]) -> None:
        current = self._sums.current
        columns = ["would fire"]
        if self._name:
            columns = ["done", "failed", "waiting", "leased", "skipped"]
            # Deliveries are leased only while another process works on them, which is rare.
            if not any(actions["leased"] for actions in current.values()):
                columns.remove("leased")
        rows: list[list[Segment]] = []
        for handler in handlers:
            row: list[Segment] = [(handler, "bold"), str(self._sums.published[handler])]
            for column in columns:
                row.append((str(current[handler][column]), ACTION_STYLES[column]))
            rows.append(row)
        self._screen.print_table(["handler", "fired"] + columns, rows, right_aligned=range(1, len(columns) + 2))

    def _show_sums(self, summary: Mapping[str, int]) -> None:
        sums = self._sums
        if sums.skipping and not self._name:
            self._screen.print_line(
                (f"{SKIP_MARK}, not called by --deliver: {', '.join(sorted(sums.skipping))}", "dim")
            )
        if sums.external:
            self._screen.print_line((f"{EXTERNAL}, never called: {', '.join(sorted(sums.external))}", "dim"))
        title = "a plan: nothing was called"
        if self._name:
            title = f"replayed as {self._name}"
        effects = ""
        if summary["effects"]:
            effects = f", {format_count(summary['effects'], 'effect')}"
        self._screen.print_line(format_count(summary["events"], "event"), effects, ", ", title)
        if sums.changed:
            hint = "; -v shows which"
            if self._verbose:
                hint = ""
            self._screen.print_line((f"{sums.changed:,} would fire other handlers than when published{hint}", "yellow"))

    def _show_event(self, record: Mapping[str, Any]) -> None:
        cause = ""
        if record["cause"]:
            cause = f"  from {record['cause']['handler']}"
        self._screen.print_line(
            (record["type"], "bold"), f"  {record['id']}  ", (record["time"] or "", "dim"), (cause, "dim")
        )
        # Deliveries that the event has fired come first, in their order, then those that are new.
        states = {(fire["route"], fire["handler"]): fire["state"] for fire in record["fired"] or []}
        fires = {(fire["route"], fire["handler"]): fire for fire in record["fires"]}
        for route, handler in states | fires:
            state: str | None = None
            if record["fired"] is not None:
                state = states.get((route, handler), "did not fire")
            self._show_fire(route, handler, fires.get((route, handler)), state)
            for line in format_output(self._outputs, record["id"], {"route": route, "handler": handler}):
                self._screen.print_line("    ", *line)
        if not states and not fires:
            self._screen.print_line("  no route takes it")
        matched_routes = {fire["route"] for fire in record["fires"]}
        self._unmatched.show(self._screen, record["id"], matched_routes, ["  not taken by"], indent="  ")

    def _show_fire(self, route: str, handler: str, fire: Mapping[str, Any] | None, state: str | None) -> None:
        """Shows a delivery: what the replay does, and its state when the event was published, if that is known."""
        action, mark, published = "would not fire", "", ""
        if state is not None:
            published = f"  when published: {state}"
        if fire is not None:
            action = fire["action"]
            if fire.get(EXTERNAL, False):
                mark, published = f"  {EXTERNAL}", ""
            elif action == "would fire" and "on_replay" in fire:
                mark = f"  {SKIP_MARK}"
        style = ACTION_STYLES.get(action, "red")
        self._screen.print_line(
            "  ", (handler, "bold"), (f"  {action}", style), f"  by {route}{published}", (mark, "dim")
        )
