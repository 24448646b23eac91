"""evtool deliver: attempts what is due."""

from collections import Counter
from typing import Annotated, Any

from evtool import delivery as deliveries
from evtool.errors import EXIT_FINDINGS, EXIT_OK
from evtool.options import NoSchema, NoValidate, Option
from evtool.records import count_delivery, delivery_record, summed
from evtool.report import Subject
from evtool.road import opened, rules_of
from evtool.session import Session
from evtool.trees import Deliveries


def deliver(
    session: Session,
    *,
    now: Annotated[bool, Option("--now", "also what failed and is to be tried again later")] = False,
    no_validate: NoValidate = False,
    no_schema: NoSchema = "error",
) -> int:
    """Attempt the deliveries that are due, and those that wait for their handler.

    What the handlers emit is followed until nothing is due. Exit code 1 if a delivery failed.

    Example: evtool deliver -o json
    """
    project = session.project()
    rules = rules_of(project, validate=not no_validate, no_schema=no_schema)
    settled: dict[int, dict[str, Any]] = {}  # as each stands in the end: it may be attempted several times
    subject = Subject("deliver", "deliveries", lambda screen: Deliveries(screen, quiet=session.quiet))
    with opened(session, project, rules) as road, session.report(subject) as report:
        road.store.hurry(now=road.world.now(), failed=now)
        for done in deliveries.deliver(road):
            event = road.store.event(done.event)
            record: dict[str, Any] = {"event": event.id, "type": event.type, **delivery_record(road.store, done)}
            settled[done.seq] = {key: record[key] for key in ("state", "error")}
            report.add(record)
        sums: Counter[str] = Counter()
        for last in settled.values():
            count_delivery(sums, last)
        report.end({"summary": {key: value for key, value in summed(sums).items() if key != "events"}})
    return EXIT_FINDINGS if sums["failed"] else EXIT_OK
