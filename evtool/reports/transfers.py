"""Text reports of events that are sent to a bus or pulled from one."""

from collections.abc import Mapping
from typing import Any

from evtool.reports.base import Report
from evtool.terminal.screen import Screen, Segment, format_count

SENT, FAILED = "sent", "failed"


class SendingReport(Report):
    """The events that were sent to a bus: those that failed, with `show_all` every one, and the sums."""

    def __init__(self, screen: Screen, bus: str, *, quiet: bool = False, show_all: bool = False):
        self._screen, self._bus, self._quiet, self._show_all = screen, bus, quiet, show_all

    def add_record(self, record: Mapping[str, Any]) -> None:
        """Shows an event."""
        has_failed = record["status"] == FAILED
        if has_failed or self._show_all:
            state = (SENT, "green")
            if has_failed:
                state = (f"{FAILED}: {record['error']}", "bold red")
            self._screen.print_line((record["type"], "bold"), "  ", (record["id"], "dim"), "  ", state)

    def end(self, tail: Mapping[str, Any]) -> None:
        """Shows the sums."""
        if not self._quiet:
            summary = tail["summary"]
            self._screen.print_line(
                f"{format_count(summary['sent'], 'event')} sent to {self._bus}", *_format_problems(summary)
            )


class PullReport(Report):
    """The events that were pulled from a bus: only the sums, since findings are shown as they occur."""

    def __init__(self, screen: Screen, bus: str, target: str, *, quiet: bool = False):
        self._screen, self._bus, self._target, self._quiet = screen, bus, target, quiet

    def end(self, tail: Mapping[str, Any]) -> None:
        """Shows the sums."""
        if self._quiet:
            return
        summary = tail["summary"]
        counts = f"{format_count(summary['stored'], 'event')} stored in {self._target}"
        if summary["duplicates"]:
            counts += f", {summary['duplicates']:,} stored before"
        self._screen.print_line(
            f"read {format_count(summary['read'], 'event')} from {self._bus}: {counts}", *_format_problems(summary)
        )


def _format_problems(summary: Mapping[str, int]) -> list[Segment]:
    """Formats the numbers of failed and of invalid events. Returns nothing for a number of 0."""
    parts: list[Segment] = []
    for key in (FAILED, "invalid"):
        if summary[key]:
            parts += [", ", (f"{summary[key]:,} {key}", "bold red")]
    return parts
