"""The report of `replay --against`: a record for each gained or lost delivery, and as text a row for each cause."""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from evtool.events.header import decode_header
from evtool.findings.phrases import format_location
from evtool.reports.base import Report
from evtool.routes.comparison.causes import Cause, Direction
from evtool.routes.comparison.comparison import Delivery, Difference
from evtool.terminal.screen import Screen, Segment, format_count

# Kinds of events that are counted before they are summed up.
MAX_PENDING = 1000
CHANGE_STYLES = {"lost": "bold red", "gained": "bold green"}


class Change(NamedTuple):
    """A delivery that only one version of the routes makes."""

    direction: Direction
    delivery: Delivery
    event: str
    type: str
    cause: Cause

    def as_record(self, severity: str) -> dict[str, Any]:
        """Returns the change as a record. It is an `error` if it makes the exit code 1, else a `warning`."""
        return {
            "change": self.direction,
            "severity": severity,
            "route": self.delivery.route.name,
            "handler": self.delivery.handler,
            "event": self.event,
            "type": self.type,
            "reason": self.cause.reason,
            "file": self.cause.file,
            "line": self.cause.line,
            "column": self.cause.column,
        }


class _Group:
    """The changes of one route and handler with one cause: their number, and the first of them."""

    def __init__(self, example: Change):
        self.example = example
        self.count = 0


class ChangeSums:
    """Counts the result of a comparison: deliveries in total, and changes by cause."""

    def __init__(self, includes: Callable[[Delivery], bool]):
        self.events = self.gained = self.lost = self.same = 0
        # Deliveries of the current routes, by handler.
        self.fires: Counter[str] = Counter()
        self.groups: dict[tuple[object, ...], _Group] = {}
        self._includes = includes
        # By identity: most events have one of few differences, and comparing these would take longer than counting.
        # The dictionary holds the objects, so that no new one gets the identity of one that was counted.
        self._pending: dict[int, tuple[Difference, int]] = {}

    def count(self, difference: Difference) -> None:
        """Counts an event, and the deliveries that both versions make."""
        self.events += 1
        _, number = self._pending.get(id(difference), (difference, 0))
        self._pending[id(difference)] = difference, number + 1
        if len(self._pending) > MAX_PENDING:
            self._add_pending()

    def _add_pending(self) -> None:
        for difference, number in self._pending.values():
            for delivery in filter(self._includes, difference.same):
                self.same += number
                self.fires[delivery.handler] += number
        self._pending.clear()

    def add(self, change: Change) -> None:
        """Counts a change."""
        if change.direction == "lost":
            self.lost += 1
        else:
            self.gained += 1
            self.fires[change.delivery.handler] += 1
        key = (change.direction, change.delivery.route.name, change.delivery.handler, change.cause.key)
        if key not in self.groups:
            self.groups[key] = _Group(change)
        self.groups[key].count += 1

    def build_tail(self) -> dict[str, Any]:
        """Builds the values that `-o json` has next to the changes."""
        self._add_pending()
        summary = {
            "events": self.events,
            "fires": self.gained + self.same,
            "gained": self.gained,
            "lost": self.lost,
            "same": self.same,
        }
        return {"handlers": dict(sorted(self.fires.items())), "findings": [], "summary": summary}


def build_change(direction: Direction, delivery: Delivery, raw: bytes, cause: Cause) -> Change:
    """Builds the change of one event."""
    head = decode_header(raw)
    return Change(direction, delivery, head["id"], get_type(head), cause)


def get_type(head: Mapping[str, Any]) -> Any:
    """Returns the type of an event by the head of its document: a CloudEvent has it in another field."""
    if "specversion" in head:
        return head["type"]
    return head["detail-type"]


class ChangesReport(Report):
    """The text report: for each route and handler the causes, with counts, locations and an example."""

    def __init__(self, screen: Screen, sums: ChangeSums, base: str, *, verbose: bool, quiet: bool):
        self._screen, self._sums, self._base = screen, sums, base
        self._verbose, self._quiet = verbose, quiet

    def add_record(self, record: Mapping[str, Any]) -> None:
        """Shows a change with -v."""
        if not self._verbose or self._quiet:
            return
        change = record["change"]
        self._screen.print_line(
            (change, CHANGE_STYLES[change]),
            f"  {record['route']} to {record['handler']}  ",
            (f"{record['type']} {record['event']}", "dim"),
        )
        self._screen.print_line(f"  {record['reason']}")

    def end(self, tail: Mapping[str, Any]) -> None:
        """Shows the changes by cause, and the sums."""
        groups = sorted(self._sums.groups.values(), key=_sort_key)
        table = [_build_row(group) for group in groups]
        if table:
            self._screen.print_table(["route", "handler", "change", "deliveries", "location"], table, right_aligned=[3])
        if self._quiet:
            return
        for group in groups:
            self._show_group(group)
        summary = tail["summary"]
        changes = "no delivery lost or gained"
        if groups:
            changes = f"{summary['lost']:,} lost, {summary['gained']:,} gained"
        self._screen.print_line(
            f"{format_count(summary['events'], 'event')} against {self._base}: {changes}, {summary['same']:,} the same"
        )

    def _show_group(self, group: _Group) -> None:
        example = group.example
        reason = ""
        if example.cause.reason != example.cause.text:
            reason = f": {example.cause.reason}"
        self._screen.print_line((_format_location(example.cause), "dim"), f"  {example.cause.text}")
        self._screen.print_line(f"  for example {example.type} {example.event}{reason}")


def _build_row(group: _Group) -> list[Segment]:
    example = group.example
    return [
        (example.delivery.route.name, "bold"),
        (example.delivery.handler, "bold"),
        (example.direction, CHANGE_STYLES[example.direction]),
        f"{group.count:,}",
        _format_location(example.cause),
    ]


def _format_location(cause: Cause) -> str:
    return format_location(cause.file, cause.line, cause.column)


def _sort_key(group: _Group) -> tuple[str, str, str, int]:
    example = group.example
    return example.delivery.route.name, example.delivery.handler, example.direction, -group.count
