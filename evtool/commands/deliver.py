"""The command `evtool deliver`: attempts the deliveries that are due."""

import time
from collections import Counter
from contextlib import closing
from typing import Annotated, Any

from evtool.cli.options import GroupBus, NoSchema, NoValidate, Option
from evtool.cli.runtime import UndecidedNotes, build_rules, open_runtime, take_load_findings
from evtool.cli.session import Session
from evtool.delivery import loop
from evtool.delivery.runtime import Runtime
from evtool.errors import EXIT_FINDINGS, EXIT_OK, UsageError
from evtool.events.timestamps import format_timestamp
from evtool.findings.finding import Finding
from evtool.reports.base import Subject
from evtool.reports.records import OutputKey, build_delivery_record, build_summary, count_delivery, load_outputs
from evtool.reports.trees import DeliveryList
from evtool.routes.project import Project
from evtool.signals import catch_signals
from evtool.store.due_times import make_due_now, next_due
from evtool.store.store import Store
from evtool.terminal.progress import Progress
from evtool.terminal.screen import Screen, format_count, open_stderr
from evtool.terminal.snippets import show_finding

FINAL_STATES = ("done", "dead")


def deliver(
    session: Session,
    *,
    watch: Annotated[bool, Option("--watch", "keep running and attempt every delivery that becomes due")] = False,
    workers: Annotated[
        int, Option("--workers", "number of handlers that are called at the same time", "N", least=1)
    ] = loop.MAX_HANDLERS,
    now: Annotated[bool, Option("--now", "also attempt deliveries whose next retry is later")] = False,
    bus: GroupBus = None,
    no_validate: NoValidate = False,
    no_schema: NoSchema = "error",
) -> int:
    """Attempt the deliveries that are due, and those that wait for their handler.

    It also delivers the events that the handlers emit, until nothing is due. Exit code 1 if a delivery failed, or if
    a handler cannot be loaded. With --watch it runs until a signal: then it starts no more calls and waits 5 seconds
    for the calls in progress; a second signal ends them. -v also shows what the handlers printed.

    With --bus it consumes the messages of a bus in a group and needs no store: failed deliveries go to retry topics,
    dead ones to the dead topic. Without --watch it ends at the offsets that existed when it started.

    Example: evtool deliver --watch --workers 8
    """
    validate = not no_validate
    if bus is not None:
        if now:
            raise UsageError("--now is for the store: with --bus, what failed is tried again when its retry topic says")
        from evtool.commands.deliver_from_bus import deliver_from_bus  # noqa: PLC0415  (needs an extra)

        return deliver_from_bus(session, bus, watch=watch, workers=workers, validate=validate, no_schema=no_schema)
    return _deliver_from_store(session, watch=watch, workers=workers, now=now, validate=validate, no_schema=no_schema)


def _deliver_from_store(
    session: Session, *, watch: bool, workers: int, now: bool, validate: bool, no_schema: str
) -> int:
    project = session.load_project()
    rules = build_rules(project, validate=validate, no_schema=no_schema)
    with open_runtime(session, project, rules) as runtime:
        idle = None
        if watch:
            idle = _sleep
        return deliver_and_report(session, project, runtime, workers=workers, include_failed=now, idle=idle)


def deliver_and_report(
    session: Session,
    project: Project,
    runtime: Runtime,
    *,
    workers: int,
    idle: loop.WaitWhenIdle | None,
    include_failed: bool = False,
    command: str = "deliver",
) -> int:
    """Attempts what is due, reports each attempt, and returns the exit code. With `idle` it goes on until a signal."""
    interrupts: list[KeyboardInterrupt] = []
    outputs: dict[OutputKey, str] = {}
    subject = Subject(
        command,
        "deliveries",
        lambda screen: DeliveryList(screen, quiet=session.quiet, interrupts=interrupts, outputs=outputs),
    )
    progress = Progress("delivering", "delivery", quiet=session.quiet)
    counts: Counter[str] = Counter()
    findings: list[Finding] = []
    screen = Screen(open_stderr(), color=session.color)
    unfinished: dict[int, dict[str, Any]] = {}  # what is not over, as it stands: it may be attempted several times
    with session.open_report(subject) as report:
        undecided = UndecidedNotes(session, runtime.routes)
        make_due_now(runtime.store, now=runtime.environment.now(), include_failed=include_failed)
        with (
            catch_signals(interrupts),
            closing(loop.deliver(runtime, workers=workers, idle=idle)) as settlements,
        ):
            for settlement in progress.track(settlements):
                delivery_fields = build_delivery_record(settlement.delivery, settlement.emitted)
                record = {"event": settlement.event.id, "type": settlement.event.type, **delivery_fields}
                unfinished.pop(settlement.delivery.seq, None)
                if settlement.delivery.state in FINAL_STATES:
                    count_delivery(counts, record)
                else:
                    unfinished[settlement.delivery.seq] = {key: record[key] for key in ("state", "error")}
                if session.shows_details:
                    outputs |= load_outputs(runtime.store, settlement.event.id, [settlement.delivery])
                report.add(record)
                if settlement.emitted and runtime.routes.has_unknown_values:
                    emitted = runtime.store.list_emitted_events(settlement.delivery.seq)
                    undecided.add((event.raw, event.bus) for event in emitted)
                for finding in take_load_findings(runtime.handlers, project):
                    findings.append(finding)
                    show_finding(screen, finding)
        for delivery in unfinished.values():
            count_delivery(counts, delivery)
        summary = {key: value for key, value in build_summary(counts).items() if key != "events"}
        report.end({"findings": [finding.as_dict() for finding in findings], "summary": summary})
        if not counts and not interrupts:
            _note_remaining(session, runtime.store)
    if interrupts:
        raise interrupts[0]
    if counts["failed"] or findings:
        return EXIT_FINDINGS
    return EXIT_OK


def _note_remaining(session: Session, store: Store) -> None:
    """Says what is left to deliver although nothing is due."""
    retrying, first_due = next_due(store, "ready")
    if retrying:
        retries = f"{format_count(retrying, 'delivery')}, the first at {format_timestamp(first_due)}"
        session.print_note(f"to be tried again: {retries}; `evtool deliver --now` does not wait")
    leased, first_due = next_due(store, "leased")
    if leased:
        session.print_note(
            f"held by another evtool: {format_count(leased, 'delivery')}; "
            f"if it was killed, until {format_timestamp(first_due)}"
        )


def _sleep(seconds: float) -> bool:
    time.sleep(seconds)
    return True
