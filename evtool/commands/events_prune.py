"""The command `evtool events prune`: deletes old events whose chains are finished."""

from collections import Counter
from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any

from evtool.cli.filters import parse_older_than
from evtool.cli.options import Option
from evtool.cli.session import Session
from evtool.errors import EXIT_OK, UsageError
from evtool.reports.base import Report, Subject
from evtool.store.pruning import PruneFilter, prune, reclaim_space
from evtool.store.store import Store
from evtool.terminal.screen import Screen, format_count

# An event whose delivery is ready, waiting or leased must not be lost.
DELETABLE_STATES = ("done", "dead")


def events_prune(
    session: Session,
    *,
    older_than: Annotated[str, Option("--older-than", "minimum age of the events: 30d, 12h", "TIME")],
    state: Annotated[
        list[str], Option("--state", "delete events whose deliveries have this state: done (default), dead", "STATE")
    ] = [],  # noqa: B006  (never changed)
    dry_run: Annotated[bool, Option("--dry-run", "count what would be deleted, change nothing")] = False,
) -> int:
    """Delete old events with their deliveries and attempts, and return the space to the disk.

    An event is deleted together with all its effects, and only if the whole chain is older and all its deliveries are
    done. Events with ready, waiting or leased deliveries are never deleted; events with dead letters only with
    --state done --state dead. If a deleted event is published again, the store treats it as a new event.

    Example: evtool events prune --older-than 30d --dry-run
    """
    cutoff = parse_older_than(older_than)
    assert cutoff is not None
    for name in state:
        if name not in DELETABLE_STATES:
            states = " or ".join(DELETABLE_STATES)
            raise UsageError(f"--state {name}: evtool deletes only events whose deliveries are {states}")
    selection = PruneFilter(cutoff, tuple(dict.fromkeys(state)) or ("done",))
    events, sizes, deliveries = Counter[str](), Counter[str](), 0
    with Store(session.locate_store(existing=True)) as store:
        for deleted in prune(store, selection, dry_run=dry_run):
            events[deleted.type] += deleted.events
            sizes[deleted.type] += deleted.bytes
            deliveries += deleted.deliveries
        # SQLite keeps the pages of deleted rows in the file until a command asks it to return them.
        freed_bytes = 0
        if not dry_run:
            freed_bytes = reclaim_space(store)
    with session.open_report(Subject("events prune", "types", partial(_PruneReport, quiet=session.quiet))) as report:
        for name in sorted(events):
            report.add_record({"type": name, "events": events[name], "bytes": sizes[name]})
        summary = {
            "events": events.total(),
            "deliveries": deliveries,
            "bytes": sizes.total(),
            "freed_bytes": freed_bytes,
            "dry_run": dry_run,
        }
        report.end({"summary": summary})
    return EXIT_OK


class _PruneReport(Report):
    """The text report: a line per type, and the totals."""

    def __init__(self, screen: Screen, *, quiet: bool):
        self._screen, self._quiet = screen, quiet

    def add_record(self, record: Mapping[str, Any]) -> None:
        if self._quiet:
            return
        self._screen.print_line(
            (record["type"], "bold"), f"  {format_count(record['events'], 'event')}, {record['bytes']:,} bytes"
        )

    def end(self, tail: Mapping[str, Any]) -> None:
        if self._quiet:
            return
        summary = tail["summary"]
        contents = f"{format_count(summary['events'], 'event')} with {format_count(summary['deliveries'], 'delivery')}"
        if summary["dry_run"]:
            self._screen.print_line(f"would delete {contents}, {summary['bytes']:,} bytes")
        else:
            self._screen.print_line(
                f"deleted {contents}, {summary['bytes']:,} bytes; the store is {summary['freed_bytes']:,} bytes shorter"
            )
