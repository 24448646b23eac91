"""Runs a worker until its partitions have been read to their ends, or a signal has come."""

from collections import deque
from collections.abc import Generator
from contextlib import suppress

from evtool.buses.worker.base import WorkerResult
from evtool.buses.worker.worker import Worker
from evtool.delivery.loop import STOP_GRACE
from evtool.signals import collect_signals


def deliver_messages(worker: Worker, grace: float = STOP_GRACE) -> Generator[WorkerResult]:
    """Delivers the messages of a bus. Yields each delivery in its new state, and each message that is not an event.

    A signal has it open no more messages, wait for what is under way, `grace` seconds at most, commit what is finished,
    and raise what the signal raises; another one ends it at once. A caller that stops early must close it.
    """
    with collect_signals() as stop_signals:
        try:
            yield from worker.run_rounds(stop_signals)
            yield from worker.stop(grace)
        except BaseException:
            # The first error is the one to report.
            with suppress(Exception):
                deque(worker.stop(0), maxlen=0)
            raise
