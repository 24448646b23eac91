"""The command `evtool deliver`: attempts the deliveries that are due."""

import time
from contextlib import closing
from functools import partial
from typing import Annotated

from evtool.cli.options import GroupBus, NoSchema, NoValidate, Option
from evtool.cli.runtime import UndecidedNotes, build_rules, open_runtime
from evtool.cli.session import Session
from evtool.commands.run_results import RunResults
from evtool.delivery import loop
from evtool.delivery.runtime import Runtime
from evtool.delivery.settlement import SettledDelivery
from evtool.errors import EXIT_FINDINGS, EXIT_OK, UsageError
from evtool.events.timestamps import format_timestamp
from evtool.reports.base import Report, Subject
from evtool.reports.records import OutputKey, build_delivery_record, load_outputs
from evtool.reports.trees import DeliveryList
from evtool.routes.project import Project
from evtool.signals import catch_signals
from evtool.store.due_times import make_due_now, next_due
from evtool.store.store import Store
from evtool.terminal.progress import Progress
from evtool.terminal.screen import format_count


def deliver(
    session: Session,
    *,
    watch: Annotated[bool, Option("--watch", "keep running, and attempt every delivery when it becomes due")] = False,
    workers: Annotated[
        int, Option("--workers", "maximum number of handlers that run at the same time", "N", least=1)
    ] = loop.MAX_HANDLERS,
    now: Annotated[bool, Option("--now", "also attempt deliveries whose next retry is later")] = False,
    bus: GroupBus = None,
    no_validate: NoValidate = False,
    no_schema: NoSchema = "error",
) -> int:
    """Attempt the deliveries that are due, and those that wait for their handler.

    It also delivers the events that the handlers emit, until nothing is due. Exit code 1 if a delivery failed, or if
    a handler cannot be loaded. With --watch it runs until a signal: then it starts no more calls, and waits 5 seconds
    for the calls in progress; a second signal ends them. -v also shows what the handlers printed.

    With --bus it needs no store: it consumes the messages of a bus as a member of a consumer group. Failed deliveries
    go to retry topics, dead letters to the dead topic. Without --watch it ends at the last offsets that existed when
    it started.

    Example: evtool deliver --watch --workers 8
    """
    validate = not no_validate
    if bus is not None:
        if now:
            raise UsageError("--now is for the store: with --bus, retry topics decide when a delivery is tried again")
        # The client of Kafka is an extra, which may not be installed.
        from evtool.commands.deliver_from_bus import deliver_from_bus  # noqa: PLC0415

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
    """Attempts the due deliveries, reports each attempt, and returns the exit code.

    `serve --deliver` calls it, too. With `idle` it continues until a signal, which it raises after the report.
    """
    interrupts: list[KeyboardInterrupt] = []
    outputs: dict[OutputKey, str] = {}
    text_report = partial(DeliveryList, quiet=session.quiet, interrupts=interrupts, outputs=outputs)
    progress = Progress("delivering", "delivery", quiet=session.quiet)
    results = RunResults(session, project, runtime.handlers)
    with session.open_report(Subject(command, "deliveries", text_report)) as report:
        add_settlement = partial(
            _add_settlement, session, runtime, results, report, outputs, UndecidedNotes(session, runtime.routes)
        )
        # Without --now, retries keep their times; deliveries that wait for their handler are tried in every run.
        make_due_now(runtime.store, now=runtime.environment.now(), include_failed=include_failed)
        with (
            catch_signals(interrupts),
            closing(loop.deliver(runtime, workers=workers, idle=idle)) as settlements,
        ):
            for settlement in progress.track(settlements):
                add_settlement(settlement)
        report.end(results.build_tail())
        if not results.counts and not interrupts:
            _note_remaining(session, runtime.store)
    if interrupts:
        raise interrupts[0]
    if results.counts["failed"] or results.findings:
        return EXIT_FINDINGS
    return EXIT_OK


def _add_settlement(
    session: Session,
    runtime: Runtime,
    results: RunResults,
    report: Report,
    outputs: dict[OutputKey, str],
    undecided: UndecidedNotes,
    settlement: SettledDelivery,
) -> None:
    """Counts and reports one attempt."""
    event, delivery = settlement.event, settlement.delivery
    record = {"event": event.id, "type": event.type} | build_delivery_record(delivery, settlement.emitted)
    results.add_delivery(delivery.seq, record)
    # The text report prints the output below the delivery, so that it must be loaded before.
    if session.shows_details:
        outputs.update(load_outputs(runtime.store, event.id, [delivery]))
    report.add_record(record)
    if settlement.emitted and runtime.routes.has_unknown_values:
        emitted = runtime.store.list_emitted_events(delivery.seq)
        undecided.add((effect.raw, effect.bus) for effect in emitted)
    results.add_load_findings()


def _note_remaining(session: Session, store: Store) -> None:
    """Notes which deliveries are left although nothing is due."""
    retrying, first_due = next_due(store, "ready")
    if retrying:
        retries = f"{format_count(retrying, 'delivery')}, the first at {format_timestamp(first_due)}"
        session.print_note(f"to be tried again: {retries}; `evtool deliver --now` does not wait")
    leased, first_due = next_due(store, "leased")
    # Another process delivers them now. If it was killed, its lease ends at the time that the note names.
    if leased:
        session.print_note(
            f"held by another evtool: {format_count(leased, 'delivery')}; "
            f"if it was killed, until {format_timestamp(first_due)}"
        )


def _sleep(seconds: float) -> bool:
    time.sleep(seconds)
    return True
