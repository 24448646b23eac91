"""Text output for people: trees of events, lists of deliveries, and the history of one event."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from evtool.reports.base import Record
from evtool.reports.records import OutputKey, has_failed
from evtool.schemas.validation import ValidationResult
from evtool.terminal.screen import Screen, Segment, TreeNode, format_count
from evtool.terminal.styles import STATE_STYLES

MAX_TREES = 20  # of chains without a failure; the others are only counted
MAX_ROWS = 50  # of the table that counts deliveries
UNROUTED, STORED_BEFORE = "no route takes it", "already stored"  # instead of the state of a delivery


def build_event_tree(records: Iterable[Mapping[str, Any]], outputs: dict[OutputKey, str]) -> TreeNode:
    """The tree of a chain: the first record is its root, the others name their cause. Removes the outputs it shows."""
    chain = list(records)
    return _build_node(chain[0], {record["id"]: record for record in chain[1:]}, outputs)


class ChainTrees:
    """The text report of what was published: a tree per chain, what `show_below` adds for its events, the sums.

    Of many chains the first have a tree, and those with a failure. A table counts the deliveries of all.
    """

    def __init__(
        self,
        screen: Screen,
        *,
        quiet: bool = False,
        show_all: bool = False,
        show_below: Callable[[Mapping[str, Any]], None] | None = None,
        outputs: dict[OutputKey, str] | None = None,
    ):
        """`outputs` has what handlers printed, for deliveries that are added next."""
        self._screen, self._quiet, self._show_all, self._show_below = screen, quiet, show_all, show_below
        if outputs is None:
            self._outputs = {}
        else:
            self._outputs = outputs
        self._counts: Counter[tuple[str, str, str, str]] = Counter()  # by type, route, handler and state
        self._shown = self._hidden = 0
        self._chain: list[Mapping[str, Any]] = []
        self._awaited: set[str] = set()  # ids of what the chain has emitted and has not come yet

    def add(self, record: Record) -> None:
        """Takes an event into its chain. When all of that is known it is drawn: somebody may be waiting for it."""
        assert not isinstance(record, ValidationResult)
        if record["id"] not in self._awaited:
            self._draw()
        self._chain.append(record)
        self._counts.update(_list_keys(record))
        self._awaited |= {emitted for delivery in record["deliveries"] for emitted in delivery["emitted"]}
        self._awaited.discard(record["id"])
        if not self._awaited:
            self._draw()

    def end(self, tail: Mapping[str, Any]) -> None:
        """Draws the last chain, counts deliveries in a table if not all chains were drawn, and tells the sums."""
        self._draw()
        if self._quiet:
            return
        if self._hidden:
            _print_counts(self._screen, self._counts)
        self._screen.print_line(*format_summary(tail["summary"]))

    def _draw(self) -> None:
        """Draws the chain if it is wanted, and begins the next one."""
        if self._chain and self._is_wanted():
            self._shown += 1
            self._screen.print_tree(build_event_tree(self._chain, self._outputs))
            for record in self._chain if self._show_below else ():
                assert self._show_below is not None
                self._show_below(record)
            self._screen.file.flush()
        elif self._chain and not self._quiet:
            self._hidden += 1
            if self._hidden == 1:
                self._screen.print_line(("from here on only failures are shown; -v shows every event", "dim"))
                self._screen.file.flush()
        self._chain, self._awaited = [], set()

    def _is_wanted(self) -> bool:
        deliveries = [delivery for record in self._chain for delivery in record["deliveries"]]
        if self._quiet:
            return any(delivery["error"] for delivery in deliveries)
        return self._show_all or self._shown < MAX_TREES or any(map(has_failed, deliveries))


def _list_keys(record: Mapping[str, Any]) -> list[tuple[str, str, str, str]]:
    """Under what the deliveries of an event are counted, or the event itself if it has none."""
    keys = [(record["type"], entry["route"], entry["handler"], entry["state"]) for entry in record["deliveries"]]
    if record["status"] == "duplicate":
        state = STORED_BEFORE
    else:
        state = UNROUTED
    return keys or [(record["type"], "", "", state)]


def _print_counts(screen: Screen, counts: Counter[tuple[str, str, str, str]]) -> None:
    """Shows a row for each type, route, handler and state: what is not done first, then the most frequent."""
    ranked = sorted(counts.items(), key=lambda entry: (entry[0][3] in ("done", "would fire"), -entry[1], entry[0]))
    rows: list[list[Segment]] = [
        [(event_type, "bold"), route, handler, (state, STATE_STYLES.get(state, "yellow")), f"{count:,}"]
        for (event_type, route, handler, state), count in ranked[:MAX_ROWS]
    ]
    screen.print_table(["type", "route", "handler", "state", "count"], rows, right_aligned=[4])
    if len(ranked) > MAX_ROWS:
        screen.print_line(f"and {format_count(len(ranked) - MAX_ROWS, 'more row')}")


def format_summary(summary: Mapping[str, int]) -> list[Segment]:
    """The sums of events and deliveries; states that do not occur are left out."""
    counts: list[Segment] = [
        format_count(summary[key], noun)
        for key, noun in (("events", "event"), ("deliveries", "delivery"))
        if key in summary
    ]
    counts += [(f"{summary[state]:,} {state}", style) for state, style in STATE_STYLES.items() if summary.get(state)]
    return [part for count in counts for part in (count, ", ")][:-1]


class DeliveryList:
    """The text report of deliveries: a line each, and the sums."""

    def __init__(
        self,
        screen: Screen,
        *,
        quiet: bool = False,
        interrupts: Sequence[object] = (),
        outputs: dict[OutputKey, str] | None = None,
    ):
        """`interrupts` holds something when a signal has ended the work: then nobody knows whether there is more.

        `outputs` has what handlers printed, for deliveries that are added next.
        """
        self._screen, self._quiet, self._interrupts, self._has_records = screen, quiet, interrupts, False
        if outputs is None:
            self._outputs = {}
        else:
            self._outputs = outputs

    def add(self, record: Record) -> None:
        """Shows a delivery."""
        assert not isinstance(record, ValidationResult)
        self._has_records = True
        if self._quiet and not record["error"]:
            return
        self._screen.print_line(
            (record["type"], "bold"), "  ", (record["event"], "dim"), "  ", *format_delivery(record)
        )
        for line in format_output(self._outputs, record["event"], record):
            self._screen.print_line("  ", *line)
        self._screen.file.flush()  # somebody may be watching

    def end(self, tail: Mapping[str, Any]) -> None:
        """Tells the sums."""
        if self._quiet:
            return
        if not self._has_records and not self._interrupts:
            self._screen.print_line("nothing is due")
        elif self._has_records:
            self._screen.print_line(*format_summary(tail["summary"]))


class DeadLetterList:
    """The text report of dead letters: a line each; with `full`, the event and every attempt."""

    def __init__(self, screen: Screen, *, full: bool = False, quiet: bool = False):
        self._screen, self._full, self._quiet = screen, full, quiet

    def add(self, record: Record) -> None:
        """Shows a dead letter."""
        assert not isinstance(record, ValidationResult)
        self._screen.print_line((record["type"], "bold"), f"  {record['event']}  ", *format_delivery(record))
        if self._full:
            print_history(self._screen, record)
            print_document(self._screen, record["document"])

    def end(self, tail: Mapping[str, Any]) -> None:
        """Says if there was none."""
        if not tail["summary"]["deliveries"] and not self._quiet:
            self._screen.print_line("no dead letters")


class ChangedDeadLetters(DeadLetterList):
    """The text report of dead letters that were redriven or deleted: with -q nothing."""

    def add(self, record: Record) -> None:
        """Shows what was changed."""
        if not self._quiet:
            super().add(record)


def format_states(states: Mapping[str, int]) -> str:
    """How the deliveries of an event stand."""
    return ", ".join(f"{count} {state}" for state, count in states.items()) or "no deliveries"


def style_states(states: Mapping[str, int]) -> list[Segment]:
    """The states of the deliveries of an event, each in its colour."""
    segments: list[Segment] = []
    for state, count in states.items():
        segments += [", "] * bool(segments) + [(f"{count} {state}", STATE_STYLES.get(state, ""))]
    return segments or [(format_states(states), "yellow")]


def print_history(screen: Screen, delivery: Mapping[str, Any]) -> None:
    """Shows every attempt of a delivery, with the end of what the handler printed."""
    for attempt in delivery["history"]:
        duration = ""
        if attempt["duration_ms"] is not None:
            duration = f"  {attempt['duration_ms']:,} ms"
        outcome = attempt["outcome"] or "no end is known"
        error = ""
        if attempt["error"]:
            error = f": {attempt['error']}"
        screen.print_line(
            f"    attempt {attempt['attempt']}  ", (attempt["started"], "dim"), f"{duration}  {outcome}{error}"
        )
        for line in (attempt["output"] or "").splitlines():
            screen.print_line(("      | ", "dim"), line)


def print_document(screen: Screen, document: Mapping[str, Any]) -> None:
    """Shows an event as it is, laid out."""
    for line in json.dumps(document, indent=2, ensure_ascii=False).split("\n"):
        screen.print_line("  ", line)


def format_output(outputs: dict[OutputKey, str], event_id: str, delivery: Mapping[str, Any]) -> list[list[Segment]]:
    """The lines that the handler of a delivery printed. Removes them from `outputs`."""
    output = outputs.pop((event_id, delivery["route"], delivery["handler"]), "")
    return [[("| ", "dim"), line] for line in output.splitlines()]


def _build_node(
    record: Mapping[str, Any], descendants: Mapping[str, Mapping[str, Any]], outputs: dict[OutputKey, str]
) -> TreeNode:
    children = [
        TreeNode(
            format_delivery(delivery),
            [_build_node(descendants[i], descendants, outputs) for i in delivery["emitted"] if i in descendants],
            format_output(outputs, record["id"], delivery),
        )
        for delivery in record["deliveries"]
    ]
    segments: list[Segment] = [(record["type"], "bold"), "  ", (record["id"], "dim")]
    if record["status"] == "duplicate":
        segments.append(("  already stored: nothing fires again", "yellow"))
    elif not children:
        segments.append(("  no route takes it", "yellow"))
    return TreeNode(segments, children)


def format_delivery(record: Mapping[str, Any]) -> list[Segment]:
    """A delivery in a line: handler, state, time, route, and what stands in its way."""
    state = record["state"]
    segments: list[Segment] = [(record["handler"], "bold"), (f"  {state}", STATE_STYLES.get(state, ""))]
    if record["duration_ms"] is not None:
        segments.append((f"  {record['duration_ms']:,} ms", "dim"))
    if record["attempts"] > 1:
        segments.append((f"  attempt {record['attempts']}", "dim"))
    segments.append((f"  by {record['route']}", "dim"))
    if record["error"]:
        segments.append(f": {record['error']}")
    if record["due"] and state == "ready" and record["error"]:
        segments.append((f"; tried again at {_format_time_of_day(record['due'])}", "yellow"))
    if state == "waiting":
        segments.append(("; waits, and no attempt is used up", "yellow"))
    if record.get("condition"):
        segments.append((f" [{record['condition']}]", "red"))
    return segments


def _format_time_of_day(time: str) -> str:
    """The time of day of an RFC 3339 time."""
    return time[11:19] + " UTC"
