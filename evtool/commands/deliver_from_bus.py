"""Delivers the messages of a bus to the handlers of the project: `evtool deliver --bus`, without a store."""

from contextlib import closing
from functools import partial

from evtool.buses.kafka.connection import open_kafka
from evtool.buses.kafka.group_consumer import KafkaWorkerBus
from evtool.buses.kafka.group_topics import ensure_topics, find_ends
from evtool.buses.worker.base import WorkerResult
from evtool.buses.worker.run import deliver_messages
from evtool.buses.worker.tiers import GroupTopics
from evtool.buses.worker.worker import Worker
from evtool.cli.runtime import build_rules, create_environment, load_routes
from evtool.cli.session import Session
from evtool.commands.run_results import RunResults
from evtool.delivery.pool import HandlerPool
from evtool.delivery.settlement import SettledDelivery
from evtool.errors import EXIT_FINDINGS, EXIT_OK, LostEventsError
from evtool.reports.base import Report, Subject
from evtool.reports.records import build_delivery_record
from evtool.reports.trees import DeliveryList
from evtool.signals import catch_signals
from evtool.terminal.progress import Progress
from evtool.terminal.screen import format_count


def deliver_from_bus(
    session: Session, bus: str, *, watch: bool, workers: int, validate: bool = True, no_schema: str = "error"
) -> int:
    """Consumes messages in a group, and delivers them to the handlers. Returns the exit code.

    The exit code is 1 if a delivery became a dead letter, or if a message was not an event.
    """
    project = session.load_project()
    rules = build_rules(project, validate=validate, no_schema=no_schema)
    connection = open_kafka(bus, project, "`deliver` consumes from Kafka and Event Hubs only")
    routes = load_routes(session, project)
    topics = GroupTopics(connection.topics, connection.group, connection.tiers)
    # A message must stay in a retry topic as long as a delivery may be tried again.
    max_age = max((route.retry.max_age for route in routes.routes.values()), default=0)
    ensure_topics(connection, topics, max_age)
    ends = None
    if not watch:
        ends = find_ends(connection, list(topics.topics) + list(topics.retry_topics))
    errors: list[str] = []
    environment = create_environment(session, rules, errors)
    bus_of_worker = KafkaWorkerBus(connection, ends, session.print_note)
    with HandlerPool(routes) as handlers, closing(bus_of_worker):
        worker = Worker(
            bus_of_worker,
            topics,
            routes,
            handlers,
            environment,
            workers=workers,
            ends=ends,
            key_path=connection.key_path,
            skip_tombstones=connection.skips_tombstones,
        )
        bus_of_worker.subscribe(topics.topics, topics.retry_topics, worker)
        exit_code = _run(session, worker, RunResults(session, project, handlers))
    # After the handlers are closed: until then a call that is still running may emit.
    for lost in handlers.take_lost():
        environment.report_error(lost.error)
    if errors:
        raise LostEventsError(f"{format_count(len(errors), 'event')} lost: see above", max(exit_code, EXIT_FINDINGS))
    return exit_code


def _run(session: Session, worker: Worker, results: RunResults) -> int:
    """Delivers, reports and returns the exit code. Raises the signal that ended it."""
    interrupts: list[KeyboardInterrupt] = []
    text_report = partial(DeliveryList, quiet=session.quiet, interrupts=interrupts)
    progress = Progress("delivering", "delivery", quiet=session.quiet)
    with session.open_report(Subject("deliver", "deliveries", text_report)) as report:
        with catch_signals(interrupts), closing(deliver_messages(worker)) as worker_results:
            for result in progress.track(worker_results):
                _add_result(results, report, result)
        tail = results.build_tail()
        tail["summary"] |= {"unreadable": results.counts["unreadable"], "skipped": worker.skipped}
        report.end(tail)
    if interrupts:
        raise interrupts[0]
    # A failed delivery is in a retry topic, and another member of the group may deliver it: only dead letters count.
    if results.counts["dead"] or results.findings:
        return EXIT_FINDINGS
    return EXIT_OK


def _add_result(results: RunResults, report: Report, result: WorkerResult) -> None:
    """Counts and reports one attempt, or a message that is not an event."""
    if not isinstance(result, SettledDelivery):
        results.counts["unreadable"] += 1
        results.add_findings([result.finding])
        return
    delivery, event = result.delivery, result.event
    record = {"event": event.id, "type": event.type} | build_delivery_record(delivery, result.emitted)
    results.add_delivery((event.id, delivery.route, delivery.handler), record)
    report.add_record(record)
    results.add_load_findings()
