"""The calls of a worker that are ready: gives them to the threads of the handler pool, in batches."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from itertools import chain

from evtool.buses.worker.opening import Work
from evtool.delivery.lease import START_WITHIN
from evtool.delivery.outcomes import prepare_call
from evtool.delivery.pool import HandlerPool
from evtool.delivery.pool_thread import Batch, PoolThread
from evtool.handlers.base import Answer, Call
from evtool.routes.routes import Routes

# Calls. Two batches of a fast handler fit into the window.
MAX_BATCH = 40


class ReadyCalls:
    """The deliveries whose handler can be called, by handler; handlers take turns."""

    def __init__(self, handlers: HandlerPool, routes: Routes, workers: int):
        self._handlers, self._routes, self._workers = handlers, routes, workers
        # Handlers take turns: the next one comes first.
        self._queues: dict[str, deque[Work]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._queues.values()))

    def __iter__(self) -> Iterator[Work]:
        return chain.from_iterable(self._queues.values())

    def add(self, work: Work) -> None:
        """Takes a delivery."""
        self._queues.setdefault(work.claim.delivery.handler, deque()).append(work)

    def put_back(self, work: Work) -> None:
        """Takes a delivery again whose handler was not called."""
        self._queues.setdefault(work.claim.delivery.handler, deque()).appendleft(work)

    def keep_only(self, is_wanted: Callable[[Work], bool]) -> list[Work]:
        """Drops the deliveries that are not wanted; returns them."""
        dropped = []
        for handler, queue in list(self._queues.items()):
            kept: deque[Work] = deque()
            for work in queue:
                if is_wanted(work):
                    kept.append(work)
                else:
                    dropped.append(work)
            self._queues[handler] = kept
            if not kept:
                del self._queues[handler]
        return dropped

    def start_batches(self) -> Iterator[tuple[Work, Answer]]:
        """Has the handlers called for which a thread is free; yields the deliveries that need no call."""
        while (name := self._choose_handler()) is not None:
            queue = self._queues.pop(name)
            thread = self._choose_thread(name)
            if thread:
                size = min(thread.size, MAX_BATCH)
            else:
                size = MAX_BATCH
            works = [queue.popleft() for _ in range(min(size, len(queue)))]
            if queue:
                # The handler has had its turn, so it goes to the end.
                self._queues[name] = queue
            steps = [(work, prepare_call(work.claim, self._routes)) for work in works]
            calls = [(work.claim, step) for work, step in steps if isinstance(step, Call)]
            if thread and calls:
                latest = time.monotonic() + START_WITHIN
                thread.add_batch(Batch([claim for claim, _ in calls], [call for _, call in calls], latest))
                thread.start_batches()
            yield from [(work, step) for work, step in steps if isinstance(step, Answer)]

    def _choose_handler(self) -> str | None:
        """Returns the next handler that is free. If none waits, a fast one gets its next calls early."""
        handlers, busy = self._handlers, self._handlers.busy_threads
        if len(busy) < self._workers:
            for name in self._queues:
                if handlers.is_free(name):
                    return name
        busy_names = {thread.name for thread in busy}
        if any(name not in busy_names for name in self._queues):
            return None
        for name in self._queues:
            if handlers.find_fast_thread(name):
                return name
        return None

    def _choose_thread(self, name: str) -> PoolThread | None:
        handlers = self._handlers
        if name not in handlers:
            return None
        is_free = handlers.is_free(name) and len(handlers.busy_threads) < self._workers
        if is_free:
            return handlers.get_thread(name)
        return handlers.find_fast_thread(name)
