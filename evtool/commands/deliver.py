"""evtool deliver: attempts what is due."""

import time
from collections import Counter
from contextlib import closing
from typing import Annotated, Any

from evtool.cli.options import NoSchema, NoValidate, Option
from evtool.cli.runtime import opened, rules_of
from evtool.cli.session import Session
from evtool.delivery import loop as deliveries
from evtool.errors import EXIT_FINDINGS, EXIT_OK
from evtool.events.timestamps import rfc3339
from evtool.reports.base import Subject
from evtool.reports.records import count_delivery, settled_record, summed
from evtool.reports.trees import Deliveries
from evtool.signals import caught
from evtool.store.queue import make_due_now, next_due
from evtool.store.store import Store
from evtool.terminal.screen import counted

ENDED = ("done", "dead")


def deliver(
    session: Session,
    *,
    watch: Annotated[bool, Option("--watch", "keep going: attempt whatever becomes due, whoever stores it")] = False,
    workers: Annotated[
        int, Option("--workers", "how many handlers are called at a time", "N", least=1)
    ] = deliveries.MAX_HANDLERS,
    now: Annotated[bool, Option("--now", "also what failed and is to be tried again later")] = False,
    no_validate: NoValidate = False,
    no_schema: NoSchema = "error",
) -> int:
    """Attempt the deliveries that are due, and those that wait for their handler.

    What the handlers emit is followed until nothing is due. Exit code 1 if a delivery failed. With --watch it goes on
    until a signal ends it: then it begins no more, and gives what is under way 5 seconds to end; a second signal ends
    that, too.

    Example: evtool deliver --watch --workers 8
    """
    project = session.project()
    rules = rules_of(project, validate=not no_validate, no_schema=no_schema)
    ended: list[KeyboardInterrupt] = []
    subject = Subject("deliver", "deliveries", lambda screen: Deliveries(screen, quiet=session.quiet, ended=ended))
    sums: Counter[str] = Counter()
    open_ended: dict[int, dict[str, Any]] = {}  # what is not over, as it stands: it may be attempted several times
    with opened(session, project, rules) as road, session.report(subject) as report:
        make_due_now(road.store, now=road.environment.now(), include_failed=now)
        with (
            caught(ended),
            closing(deliveries.deliver(road, workers=workers, idle=_sleep if watch else None)) as settled,
        ):
            for each in settled:
                stands = settled_record(each.delivery, each.emitted)
                record = {"event": each.event.id, "type": each.event.type, **stands}
                open_ended.pop(each.delivery.seq, None)
                if each.delivery.state in ENDED:
                    count_delivery(sums, record)
                else:
                    open_ended[each.delivery.seq] = {key: record[key] for key in ("state", "error")}
                report.add(record)
        for last in open_ended.values():
            count_delivery(sums, last)
        report.end({"summary": {key: value for key, value in summed(sums).items() if key != "events"}})
        if not sums and not ended:
            _tell_later(session, road.store)
    if ended:
        raise ended[0]
    return EXIT_FINDINGS if sums["failed"] else EXIT_OK


def _tell_later(session: Session, store: Store) -> None:
    """Says what is left to deliver although nothing is due."""
    failed, first = next_due(store, "ready")
    if failed:
        tried = f"{counted(failed, 'delivery')}, the first at {rfc3339(first)}"
        session.note(f"to be tried again: {tried}; `evtool deliver --now` does not wait")
    held, first = next_due(store, "leased")
    if held:
        session.note(f"held by another evtool: {counted(held, 'delivery')}; if it was killed, until {rfc3339(first)}")


def _sleep(seconds: float) -> bool:
    time.sleep(seconds)
    return True
