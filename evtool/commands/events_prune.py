"""evtool events prune: deletes old events that came to their end."""

from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any

from evtool.cli.filters import before
from evtool.cli.options import Option
from evtool.cli.session import Session
from evtool.errors import EXIT_OK, UsageError
from evtool.reports.base import Record, Subject
from evtool.schemas.validation import Verdict
from evtool.store.pruning import PruneFilter, prune, reclaim_space
from evtool.store.store import Store
from evtool.terminal.screen import Screen, counted

ENDED = ("done", "dead")


def events_prune(
    session: Session,
    *,
    older_than: Annotated[str, Option("--older-than", "how old they must be: 30d, 12h", "TIME")],
    state: Annotated[
        list[str], Option("--state", "deliveries in this state may go: done (the default), dead", "STATE")
    ] = [],  # noqa: B006  (never changed)
    dry_run: Annotated[bool, Option("--dry-run", "count what would be deleted, change nothing")] = False,
) -> int:
    """Delete old events with their deliveries and attempts, and give the space back to the disk.

    An event goes with all that it led to, and only if the whole chain is older, and all its deliveries are done. What
    waits, is ready or leased stays; so does what is dead, unless --state done --state dead says otherwise. The store no
    longer knows what it deleted: published again, such an event is new.

    Example: evtool events prune --older-than 30d --dry-run
    """
    moment = before(older_than)
    assert moment is not None
    for name in state:
        if name not in ENDED:
            raise UsageError(f"--state {name}: only what is {' or '.join(ENDED)} can be deleted")
    old = PruneFilter(moment, tuple(dict.fromkeys(state)) or ("done",))
    events, sizes, deliveries = Counter[str](), Counter[str](), 0
    with Store(session.store_file(existing=True)) as store:
        for gone in prune(store, old, dry_run=dry_run):
            events[gone.type] += gone.events
            sizes[gone.type] += gone.bytes
            deliveries += gone.deliveries
        freed = 0 if dry_run else reclaim_space(store)
    with session.report(Subject("events prune", "types", _Types)) as report:
        for name in sorted(events):
            report.add({"type": name, "events": events[name], "bytes": sizes[name]})
        summary = {"events": events.total(), "deliveries": deliveries, "bytes": sizes.total(), "freed_bytes": freed}
        report.end({"summary": {**summary, "dry_run": dry_run}})
    return EXIT_OK


class _Types:
    """The text report: a line per type, and the sums."""

    def __init__(self, screen: Screen):
        self._screen = screen

    def add(self, record: Record) -> None:
        assert not isinstance(record, Verdict)
        self._screen.line(
            (record["type"], "bold"), f"  {counted(record['events'], 'event')}, {record['bytes']:,} bytes"
        )

    def end(self, tail: Mapping[str, Any]) -> None:
        summary = tail["summary"]
        what = f"{counted(summary['events'], 'event')} with {counted(summary['deliveries'], 'delivery')}"
        if summary["dry_run"]:
            self._screen.line(f"would delete {what}, {summary['bytes']:,} bytes")
        else:
            self._screen.line(
                f"deleted {what}, {summary['bytes']:,} bytes; the store is {summary['freed_bytes']:,} bytes shorter"
            )
