"""Delivers the messages of a bus to the handlers of the project: `evtool deliver --bus`, without a store."""

import os
import uuid
from collections import Counter
from contextlib import closing
from functools import partial
from random import SystemRandom
from typing import Any

from evtool.buses.kafka.connection import open_kafka
from evtool.buses.kafka.group_consumer import KafkaWorkerBus
from evtool.buses.kafka.group_topics import ensure_topics, find_ends
from evtool.buses.worker.base import WorkerResult
from evtool.buses.worker.run import deliver_messages
from evtool.buses.worker.tiers import GroupTopics
from evtool.buses.worker.worker import Worker
from evtool.cli.runtime import build_rules, load_routes, take_load_findings
from evtool.cli.session import Session, now_ms
from evtool.delivery.pool import HandlerPool
from evtool.delivery.runtime import Environment
from evtool.delivery.settlement import SettledDelivery
from evtool.errors import EXIT_FINDINGS, EXIT_OK, LostEventsError
from evtool.findings.finding import Finding
from evtool.reports.base import Report, Subject
from evtool.reports.records import build_delivery_record, build_summary, count_delivery
from evtool.reports.trees import DeliveryList
from evtool.routes.project import Project
from evtool.schemas.validation import Rules
from evtool.signals import catch_signals
from evtool.terminal.progress import Progress
from evtool.terminal.screen import Screen, format_count, open_stderr
from evtool.terminal.snippets import show_finding

FINAL_STATES = ("done", "dead")


def deliver_from_bus(
    session: Session, bus: str, *, watch: bool, workers: int, validate: bool = True, no_schema: str = "error"
) -> int:
    """Consumes messages in a group and delivers them. The exit code is 1 if a delivery died or one was unreadable."""
    project = session.load_project()
    rules = build_rules(project, validate=validate, no_schema=no_schema)
    connection = open_kafka(bus, project, "`deliver` consumes from Kafka and Event Hubs only")
    routes = load_routes(session, project)
    topics = GroupTopics(connection.topics, connection.group, connection.tiers)
    ensure_topics(connection, topics, max((route.retry.max_age for route in routes.routes.values()), default=0))
    ends = None
    if not watch:
        ends = find_ends(connection, [*topics.topics, *topics.retry_topics])
    errors: list[str] = []
    environment = _create_environment(session, rules, errors)
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
        exit_code = _Delivering(session, project, worker, handlers).run()
    for lost in handlers.take_lost():
        environment.report_error(lost.error)
    if errors:
        raise LostEventsError(f"{format_count(len(errors), 'event')} lost: see above", max(exit_code, EXIT_FINDINGS))
    return exit_code


def _create_environment(session: Session, rules: Rules, errors: list[str]) -> Environment:
    def report_error(message: str) -> None:
        errors.append(message)
        session.print_error(message)

    return Environment(now_ms, SystemRandom(), f"{os.getpid()}-{uuid.uuid4().hex[:8]}", rules, report_error)


class _Delivering:
    """Reports what a worker does, until it ends."""

    def __init__(self, session: Session, project: Project, worker: Worker, handlers: HandlerPool):
        self._session, self._project, self._worker, self._handlers = session, project, worker, handlers
        self._counts: Counter[str] = Counter()
        self._findings: list[Finding] = []
        self._screen = Screen(open_stderr(), color=session.color)
        self._unfinished: dict[tuple[str, str, str], dict[str, Any]] = {}  # deliveries that will be tried again

    def run(self) -> int:
        """Delivers, reports and returns the exit code. Raises the signal that ended it."""
        interrupts: list[KeyboardInterrupt] = []
        show = partial(DeliveryList, quiet=self._session.quiet, interrupts=interrupts)
        progress = Progress("delivering", "delivery", quiet=self._session.quiet)
        with self._session.open_report(Subject("deliver", "deliveries", show)) as report:
            with catch_signals(interrupts), closing(deliver_messages(self._worker)) as results:
                for result in progress.track(results):
                    self._add(result, report)
            for delivery in self._unfinished.values():
                count_delivery(self._counts, delivery)
            findings = [finding.as_dict() for finding in self._findings]
            report.end({"findings": findings, "summary": self._build_summary()})
        if interrupts:
            raise interrupts[0]
        if self._counts["dead"] or self._findings:
            return EXIT_FINDINGS
        return EXIT_OK

    def _add(self, result: WorkerResult, report: Report) -> None:
        if not isinstance(result, SettledDelivery):
            self._counts["unreadable"] += 1
            self._add_finding(result.finding)
            return
        delivery, event = result.delivery, result.event
        record = {"event": event.id, "type": event.type, **build_delivery_record(delivery, result.emitted)}
        key = (event.id, delivery.route, delivery.handler)
        self._unfinished.pop(key, None)
        if delivery.state in FINAL_STATES:
            count_delivery(self._counts, record)
        else:
            self._unfinished[key] = {name: record[name] for name in ("state", "error")}
        report.add(record)
        for finding in take_load_findings(self._handlers, self._project):
            self._add_finding(finding)

    def _add_finding(self, finding: Finding) -> None:
        self._findings.append(finding)
        show_finding(self._screen, finding)

    def _build_summary(self) -> dict[str, int]:
        summary = {key: value for key, value in build_summary(self._counts).items() if key != "events"}
        return summary | {"unreadable": self._counts["unreadable"], "skipped": self._worker.skipped}
