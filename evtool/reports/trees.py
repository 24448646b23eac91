"""Text output for people: trees of events, lists of deliveries, and the history of one event.

order.created  d29e00cf
└── charge-card  done  12 ms  by pay-for-order
    └── payment.authorized  8d3c2a10
        └── email  waiting  by tell-customer: connection refused; waits, and no attempt is used up
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

from evtool.reports.base import Report
from evtool.reports.records import OutputKey, has_failed
from evtool.terminal.screen import Screen, Segment, TreeNode, format_count
from evtool.terminal.styles import STATE_STYLES

# Trees of chains without a failure; further ones are only counted.
MAX_TREES = 20
# Rows of the table that counts deliveries.
MAX_ROWS = 50
# In place of the state of a delivery.
UNROUTED, STORED_BEFORE = "no route takes it", "already stored"
CountKey = tuple[str, str, str, str]


def build_event_tree(records: Iterable[Mapping[str, Any]], outputs: dict[OutputKey, str]) -> TreeNode:
    """Builds the tree of a chain. The first record is its root, the others name their cause.

    Removes the outputs that it shows from `outputs`.
    """
    chain = list(records)
    return _build_node(chain[0], {record["id"]: record for record in chain[1:]}, outputs)


class ChainTrees(Report):
    """The text report of published events: a tree for each chain, and the sums. `show_below` adds lines below a tree.

    If there are many chains, only the first ones and those with a failure have a tree. A table counts all deliveries.
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
        """`outputs` has what the handlers of the deliveries that are added next printed."""
        self._screen, self._quiet, self._show_all, self._show_below = screen, quiet, show_all, show_below
        # An empty dictionary that is given is filled later, so it must not be replaced.
        self._outputs: dict[OutputKey, str] = {}
        if outputs is not None:
            self._outputs = outputs
        # By type, route, handler and state.
        self._counts: Counter[CountKey] = Counter()
        self._shown = self._hidden = 0
        self._chain: list[Mapping[str, Any]] = []
        # Ids of events that handlers of the chain emitted and that were not added yet.
        self._awaited: set[str] = set()

    def add_record(self, record: Mapping[str, Any]) -> None:
        """Adds an event to its chain. Draws the chain as soon as it is complete, since a user may wait for it."""
        if record["id"] not in self._awaited:
            self._draw()
        self._chain.append(record)
        self._counts.update(_list_keys(record))
        for delivery in record["deliveries"]:
            self._awaited.update(delivery["emitted"])
        self._awaited.discard(record["id"])
        if not self._awaited:
            self._draw()

    def end(self, tail: Mapping[str, Any]) -> None:
        """Draws the last chain, a table of the deliveries if not all chains have a tree, and the sums."""
        self._draw()
        if self._quiet:
            return
        if self._hidden:
            _print_counts(self._screen, self._counts)
        self._screen.print_line(*format_summary(tail["summary"]))

    def _draw(self) -> None:
        """Draws the chain if it is to have a tree, and begins the next one."""
        if self._chain and self._has_tree():
            self._shown += 1
            self._screen.print_tree(build_event_tree(self._chain, self._outputs))
            if self._show_below:
                for record in self._chain:
                    self._show_below(record)
            self._screen.file.flush()
        elif self._chain and not self._quiet:
            self._hidden += 1
            if self._hidden == 1:
                self._screen.print_line(("from here on only failures are shown; -v shows every event", "dim"))
                self._screen.file.flush()
        self._chain, self._awaited = [], set()

    def _has_tree(self) -> bool:
        deliveries = list(chain.from_iterable(record["deliveries"] for record in self._chain))
        if self._quiet:
            return any(delivery["error"] for delivery in deliveries)
        return self._show_all or self._shown < MAX_TREES or any(map(has_failed, deliveries))


def _list_keys(record: Mapping[str, Any]) -> list[CountKey]:
    """Lists the keys that count the deliveries of an event, or the event itself if it has no delivery."""
    if record["deliveries"]:
        return [(record["type"], entry["route"], entry["handler"], entry["state"]) for entry in record["deliveries"]]
    if record["status"] == "duplicate":
        return [(record["type"], "", "", STORED_BEFORE)]
    return [(record["type"], "", "", UNROUTED)]


def _rank(entry: tuple[CountKey, int]) -> tuple[bool, int, CountKey]:
    # Deliveries that are not done come first, then the most frequent ones.
    key, count = entry
    return key[3] in ("done", "would fire"), -count, key


def _print_counts(screen: Screen, counts: Counter[CountKey]) -> None:
    """Shows a row for each type, route, handler and state."""
    ranked = sorted(counts.items(), key=_rank)
    rows: list[list[Segment]] = []
    for (event_type, route, handler, state), count in ranked[:MAX_ROWS]:
        style = STATE_STYLES.get(state, "yellow")
        rows.append([(event_type, "bold"), route, handler, (state, style), f"{count:,}"])
    screen.print_table(["type", "route", "handler", "state", "count"], rows, right_aligned=[4])
    if len(ranked) > MAX_ROWS:
        screen.print_line(f"and {format_count(len(ranked) - MAX_ROWS, 'more row')}")


def format_summary(summary: Mapping[str, int]) -> list[Segment]:
    """Formats the sums of events and deliveries, without states that do not occur."""
    counts: list[Segment] = []
    for key, noun in (("events", "event"), ("deliveries", "delivery")):
        if key in summary:
            counts.append(format_count(summary[key], noun))
    for state, style in STATE_STYLES.items():
        if summary.get(state):
            counts.append((f"{summary[state]:,} {state}", style))
    return _join(counts)


def _join(parts: Sequence[Segment]) -> list[Segment]:
    """Returns the parts with commas between them."""
    segments: list[Segment] = []
    for part in parts:
        if segments:
            segments.append(", ")
        segments.append(part)
    return segments


class DeliveryList(Report):
    """The text report of deliveries: a line for each, and the sums."""

    def __init__(
        self,
        screen: Screen,
        *,
        quiet: bool = False,
        interrupts: Sequence[object] = (),
        outputs: dict[OutputKey, str] | None = None,
    ):
        """`interrupts` is not empty if a signal ended the command before it knew whether a delivery is due.

        `outputs` has what the handlers of the deliveries that are added next printed.
        """
        self._screen, self._quiet, self._interrupts, self._has_records = screen, quiet, interrupts, False
        self._outputs: dict[OutputKey, str] = {}
        if outputs is not None:
            self._outputs = outputs

    def add_record(self, record: Mapping[str, Any]) -> None:
        """Shows a delivery."""
        self._has_records = True
        if self._quiet and not record["error"]:
            return
        self._screen.print_line(
            (record["type"], "bold"), "  ", (record["event"], "dim"), "  ", *format_delivery(record)
        )
        for line in format_output(self._outputs, record["event"], record):
            self._screen.print_line("  ", *line)
        # A user may watch the deliveries while the command waits for the next one.
        self._screen.file.flush()

    def end(self, tail: Mapping[str, Any]) -> None:
        """Shows the sums."""
        if self._quiet:
            return
        if not self._has_records and not self._interrupts:
            self._screen.print_line("nothing is due")
        elif self._has_records:
            self._screen.print_line(*format_summary(tail["summary"]))


class DeadLetterList(Report):
    """The text report of dead letters: a line for each; with `full`, the event and every attempt."""

    def __init__(self, screen: Screen, *, full: bool = False, quiet: bool = False):
        self._screen, self._full, self._quiet = screen, full, quiet

    def add_record(self, record: Mapping[str, Any]) -> None:
        """Shows a dead letter."""
        self._screen.print_line((record["type"], "bold"), f"  {record['event']}  ", *format_delivery(record))
        if self._full:
            print_history(self._screen, record)
            print_document(self._screen, record["document"])

    def end(self, tail: Mapping[str, Any]) -> None:
        """Shows a line if no dead letter was added."""
        if not tail["summary"]["deliveries"] and not self._quiet:
            self._screen.print_line("no dead letters")


class ChangedDeadLetters(DeadLetterList):
    """The text report of dead letters that were redriven or deleted: with -q nothing."""

    def add_record(self, record: Mapping[str, Any]) -> None:
        """Shows a changed dead letter."""
        if not self._quiet:
            super().add_record(record)


def format_states(states: Mapping[str, int]) -> str:
    """Formats the states of the deliveries of an event."""
    return ", ".join(f"{count} {state}" for state, count in states.items()) or "no deliveries"


def style_states(states: Mapping[str, int]) -> list[Segment]:
    """Formats the states of the deliveries of an event, each in its colour."""
    if not states:
        return [(format_states(states), "yellow")]
    return _join([(f"{count} {state}", STATE_STYLES.get(state, "")) for state, count in states.items()])


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
    """Shows an event as indented JSON."""
    for line in json.dumps(document, indent=2, ensure_ascii=False).split("\n"):
        screen.print_line("  ", line)


def format_output(outputs: dict[OutputKey, str], event_id: str, delivery: Mapping[str, Any]) -> list[list[Segment]]:
    """Formats the lines that the handler of a delivery printed. Removes them from `outputs`."""
    output = outputs.pop((event_id, delivery["route"], delivery["handler"]), "")
    return [[("| ", "dim"), line] for line in output.splitlines()]


def _build_node(
    record: Mapping[str, Any], descendants: Mapping[str, Mapping[str, Any]], outputs: dict[OutputKey, str]
) -> TreeNode:
    children = []
    for delivery in record["deliveries"]:
        # The records may have only a part of the chain.
        emitted = [descendants[event_id] for event_id in delivery["emitted"] if event_id in descendants]
        nodes = [_build_node(event, descendants, outputs) for event in emitted]
        children.append(TreeNode(format_delivery(delivery), nodes, format_output(outputs, record["id"], delivery)))
    segments: list[Segment] = [(record["type"], "bold"), "  ", (record["id"], "dim")]
    if record["status"] == "duplicate":
        segments.append(("  already stored: nothing fires again", "yellow"))
    elif not children:
        segments.append(("  no route takes it", "yellow"))
    return TreeNode(segments, children)


def format_delivery(record: Mapping[str, Any]) -> list[Segment]:
    """Formats a delivery in a line: handler, state, time, route, and its error."""
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
    # An RFC 3339 time in UTC has the time of day at a fixed place.
    return time[11:19] + " UTC"
