"""The handler pool: the handlers of a project, and the threads that call them."""

import time
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue

from evtool.delivery.pool_thread import PoolThread
from evtool.handlers.base import Handler, Outcome, Unavailable
from evtool.handlers.processes.call_log import CallLog
from evtool.handlers.processes.lost_emits import LostEmit
from evtool.routes.routes import HandlerEntry, Routes
from evtool.signals import stop_calls
from evtool.store.queue import Claim

# Seconds for calls to stop and for handlers to close. Calls that resist are left behind.
STOP_TIMEOUT = 5.0


class HandlerPool:
    """The handlers of a project. Each is opened at its first call, in as many threads as its `concurrency` allows.

    `open_call_log` opens the call log of a thread, if there are call logs. `open_handler` replaces `HandlerEntry.open`.
    """

    def __init__(
        self,
        routes: Routes,
        open_call_log: Callable[[], CallLog | None] | None = None,
        open_handler: Callable[[HandlerEntry], Handler] | None = None,
    ):
        self._entries = routes.handlers
        self._open_call_log = open_call_log
        self._open_handler = open_handler
        self._threads: list[PoolThread] = []
        self._lost: list[LostEmit] = []
        self._finished: SimpleQueue[PoolThread] = SimpleQueue()
        # The first failure for each handler and code.
        self._load_failures: dict[tuple[str, str], tuple[Claim, Unavailable]] = {}
        self._taken_failures = 0
        # Whether the results of all calls are in the store, so that the call logs can be deleted.
        self.is_settled = True

    def __enter__(self) -> "HandlerPool":
        return self

    def __exit__(self, *_: object) -> None:
        for thread in self._threads:
            thread.close()
        deadline = time.monotonic() + STOP_TIMEOUT
        for thread in self._threads:
            if thread.os_thread:
                thread.os_thread.join(max(deadline - time.monotonic(), 0))
            if thread.call_log:
                thread.call_log.close(settled=self.is_settled)
            self._lost += thread.take_lost()
        self._threads.clear()

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    @property
    def busy_threads(self) -> list[PoolThread]:
        """The threads that have a batch."""
        return [thread for thread in self._threads if thread.batches]

    def note_load_failure(self, claim: Claim, failure: Outcome | None) -> None:
        """Remembers that a handler cannot be loaded, with the first delivery for which this happened."""
        if isinstance(failure, Unavailable) and failure.code:
            self._load_failures.setdefault((claim.delivery.handler, failure.code), (claim, failure))

    def take_load_failures(self) -> list[tuple[Claim, Unavailable]]:
        """Returns the failures that are new since the last call."""
        new = list(self._load_failures.values())[self._taken_failures :]
        self._taken_failures += len(new)
        return new

    def timeout_of(self, name: str) -> float:
        """The seconds that a call of a handler may take."""
        if name in self._entries:
            return self._entries[name].options.longest_call
        return 0.0

    def is_free(self, name: str) -> bool:
        """Whether a handler may run one more batch.

        A handler that routes.yaml no longer has is free: its deliveries need no call.
        """
        if name not in self._entries:
            return True
        busy_names = [thread.name for thread in self.busy_threads]
        return busy_names.count(name) < self._entries[name].options.concurrency

    def get_thread(self, name: str) -> PoolThread:
        """Returns a thread without a batch, for a handler that is free. Starts one if necessary."""
        for thread in self._threads:
            if thread.name == name and not thread.batches:
                return thread
        entry, call_log = self._entries[name], None
        if self._open_call_log:
            call_log = self._open_call_log()
        if self._open_handler:
            handler = self._open_handler(entry)
        else:
            handler = entry.open()
        thread = PoolThread(entry, handler, self._finished, call_log)
        self._threads.append(thread)
        return thread

    def find_fast_thread(self, name: str) -> PoolThread | None:
        """Returns a thread of a handler with one batch that it may finish before a round could give it the next one."""
        for thread in self._threads:
            if thread.name == name and thread.is_fast:
                return thread
        return None

    def wait(self, seconds: float) -> None:
        """Waits until a batch is finished, for the given time at most."""
        with suppress(Empty):
            self._finished.get(timeout=max(seconds, 0))
            while True:
                self._finished.get_nowait()

    def take_lost(self) -> list[LostEmit]:
        """Takes the events that handlers emitted after the results of their calls, also after they are closed."""
        lost, self._lost = self._lost, []
        for thread in self._threads:
            lost += thread.take_lost()
        return lost

    def stop(self) -> None:
        """Ends all running calls. Calls that resist for STOP_TIMEOUT are left behind."""
        deadline = time.monotonic() + STOP_TIMEOUT
        if self._is_finished():
            return
        with stop_calls():
            while time.monotonic() < deadline and not self._is_finished():
                self.wait(deadline - time.monotonic())

    def _is_finished(self) -> bool:
        return all(thread.is_finished for thread in self._threads)

    def abandon(self) -> list[tuple[Claim, bool]]:
        """Takes the claims without an answer from all threads, each with whether its call started."""
        abandoned = []
        for thread in self._threads:
            abandoned += thread.abandon()
        return abandoned
