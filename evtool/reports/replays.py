"""The report of a replay: the records of its events, its sums, and the text form with a row per handler."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from evtool.delivery.replays.plan import Fire, ReplayedEvent
from evtool.events.envelopes import mark_replayed
from evtool.events.header import decode_header
from evtool.findings.finding import Finding
from evtool.reports.base import Record
from evtool.reports.explanations import UnmatchedRoutes
from evtool.reports.records import EXTERNAL, OutputKey
from evtool.reports.trees import format_output
from evtool.schemas.validation import ValidationResult
from evtool.store.rows import FiredDelivery
from evtool.terminal.screen import Screen, Segment, format_count
from evtool.terminal.styles import ACTION_STYLES

MAX_PENDING = 1000  # kinds of events that are counted before they are summed up
SKIP_MARK = "on_replay: skip"


class _Alike:
    """How many events fire, and have fired, the same two tuples. It holds them: their ids stay theirs."""

    __slots__ = ("events", "fired", "fires")

    def __init__(self, fires: tuple[Fire, ...], fired: tuple[FiredDelivery, ...] | None):
        self.fires, self.fired, self.events = fires, fired, 0


class ReplaySums:
    """Counts the events and calls of a replay. Most events fire the same, and equal ones are added together."""

    def __init__(self) -> None:
        self.events = self.effects = self.changed = 0
        self.published: Counter[str] = Counter()  # by handler
        self.current: defaultdict[str, Counter[str]] = defaultdict(Counter)  # by handler and action
        self.skipping: set[str] = set()  # handlers with on_replay: skip
        self.external: set[str] = set()  # handlers that are never called
        # by the ids of what an event fires and has fired, which most events have in common
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
            handlers = sorted(fire.handler for fire in fires if not fire.is_external)
            self.changed += times * (fired is not None and handlers != sorted(fire.handler for fire in fired))
        self._pending.clear()

    def build_tail(self, name: str | None, findings: Sequence[Finding]) -> dict[str, Any]:
        """What `-o json` has beside the events; `name` is that of a replay that delivers."""
        self.update()
        handlers = {handler: actions.total() - actions["skipped"] for handler, actions in sorted(self.current.items())}
        handlers = {handler: count for handler, count in handlers.items() if count}
        summary = {"events": self.events, "effects": self.effects, "fires": sum(handlers.values())}
        finding_records = [finding.as_dict() for finding in findings]
        return {
            **({"replay": name} if name else {}),
            "handlers": handlers,
            "findings": finding_records,
            "summary": summary,
        }


def mark_selected(
    events: Sequence[ReplayedEvent], sums: ReplaySums, limit: int | None = None
) -> Iterator[ReplayedEvent]:
    """The same events; those that are selected themselves have no cause, as long as the limit allows them."""
    for event in events:
        is_selected = event.is_selected and (limit is None or sums.events < limit)
        if is_selected and event.cause:
            yield event._replace(cause=None)
        else:
            yield event


def build_replay_record(event: ReplayedEvent) -> dict[str, Any]:
    """An event of a replay, as `-o json` has it."""
    head, fired = decode_header(event.raw), event.fired
    return {
        "id": head["id"],
        "type": head["type" if "specversion" in head else "detail-type"],
        "time": head.get("time"),
        "cause": None if event.cause is None else {"event": event.cause[0], "handler": event.cause[1]},
        "fires": [_build_fire_record(fire) for fire in event.fires],
        "fired": None if fired is None else [past_fire._asdict() for past_fire in fired],
    }


def _build_fire_record(fire: Fire) -> dict[str, Any]:
    if fire.on_replay == "skip":
        marks: dict[str, Any] = {"on_replay": "skip"}
    else:
        marks = {}
    if fire.is_external:
        marks |= {"external": True}
    else:
        marks |= {}
    return {"route": fire.route, "handler": fire.handler, "action": fire.action, **marks}


def remember_events(unmatched: UnmatchedRoutes, events: Sequence[ReplayedEvent], name: str) -> None:
    """Takes events of a replay that are reported next, as they are delivered."""
    heads = [decode_header(event.raw) for event in events]
    pairs = zip(heads, events, strict=True)
    unmatched.remember({head["id"]: (mark_replayed(event.raw, head, name), event.bus) for head, event in pairs})


class ReplayReport:
    """The text report: a row per handler, and with -v each event: who fires, and why other routes do not."""

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
        """`outputs` has what handlers printed, for events that are added next."""
        self._screen, self._sums, self._name, self._unmatched = screen, sums, name, unmatched
        self._outputs, self._verbose, self._quiet = outputs, verbose, quiet

    def add(self, record: Record) -> None:
        """Shows an event with -v."""
        assert not isinstance(record, ValidationResult)
        if self._verbose and not self._quiet:
            self._show_event(record)

    def end(self, tail: Mapping[str, Any]) -> None:
        """Shows the table and the sums; if quiet, only the handlers that failed."""
        sums, summary = self._sums, tail["summary"]
        handlers = sorted({*sums.published, *sums.current})
        if self._quiet:
            handlers = [handler for handler in handlers if sums.current[handler]["failed"]]
            if not handlers:
                return
        leased = ["leased"] if any(actions["leased"] for actions in sums.current.values()) else []
        columns = ["done", "failed", "waiting", *leased, "skipped"] if self._name else ["would fire"]
        rows: list[list[Segment]] = [
            [
                (handler, "bold"),
                str(sums.published[handler]),
                *((str(sums.current[handler][column]), ACTION_STYLES[column]) for column in columns),
            ]
            for handler in handlers
        ]
        self._screen.print_table(["handler", "fired", *columns], rows, right_aligned=range(1, len(columns) + 2))
        if self._quiet:
            return
        if sums.skipping and not self._name:
            self._screen.print_line(
                (f"{SKIP_MARK}, not called by --deliver: {', '.join(sorted(sums.skipping))}", "dim")
            )
        if sums.external:
            self._screen.print_line((f"{EXTERNAL}, never called: {', '.join(sorted(sums.external))}", "dim"))
        title = f"replayed as {self._name}" if self._name else "a plan: nothing was called"
        effects = f", {format_count(summary['effects'], 'effect')}" if summary["effects"] else ""
        self._screen.print_line(format_count(summary["events"], "event"), effects, ", ", title)
        if sums.changed:
            hint = "" if self._verbose else "; -v shows which"
            self._screen.print_line((f"{sums.changed:,} would fire other handlers than when published{hint}", "yellow"))

    def _show_event(self, record: Mapping[str, Any]) -> None:
        cause = ""
        if record["cause"]:
            cause = f"  from {record['cause']['handler']}"
        self._screen.print_line(
            (record["type"], "bold"), f"  {record['id']}  ", (record["time"] or "", "dim"), (cause, "dim")
        )
        states = {(fire["route"], fire["handler"]): fire["state"] for fire in record["fired"] or []}
        fires = {(fire["route"], fire["handler"]): fire for fire in record["fires"]}
        for key in {**states, **fires}:
            route, handler = key
            is_external = fires.get(key, {}).get(EXTERNAL, False)
            published = ""
            if record["fired"] is not None:
                published = f"  when published: {states.get(key, 'did not fire')}"
            action = "would not fire"
            if key in fires:
                action = fires[key]["action"]
            is_marked = action == "would fire" and "on_replay" in fires[key]
            if is_external:
                mark = f"  {EXTERNAL}"
            elif is_marked:
                mark = f"  {SKIP_MARK}"
            else:
                mark = ""
            self._screen.print_line(
                "  ",
                (handler, "bold"),
                (f"  {action}", ACTION_STYLES.get(action, "red")),
                f"  by {route}{'' if is_external else published}",
                (mark, "dim"),
            )
            for line in format_output(self._outputs, record["id"], {"route": route, "handler": handler}):
                self._screen.print_line("    ", *line)
        if not states and not fires:
            self._screen.print_line("  no route takes it")
        self._unmatched.show(
            self._screen, record["id"], {fire["route"] for fire in record["fires"]}, ["  not taken by"], indent="  "
        )
