"""Writes to the store in one thread, which commits the jobs of several requests together.

A commit waits for the disk, so a commit for each request would be slow. Jobs that come during a commit wait for the
next one, which has all of them:

    time     requests     writer thread
    0 ms     A            begins a transaction with A
    1 ms     B, C, D      A's transaction is being synced; B, C and D wait in the queue
    3 ms                  A is committed: its future gets the result. Begins a transaction with B, C and D
    6 ms                  one sync, one call of the event loop: B, C and D get their results

If C raises, the transaction is rolled back and done again with a savepoint for each job: B and D are stored, C is not.
"""

import asyncio
import queue
import threading
from collections.abc import Callable
from typing import Any, NamedTuple, Self, TypeVar

from evtool.errors import StoreError
from evtool.store.store import Store

# Jobs of one transaction. A longer transaction would delay the first of its requests.
MAX_BATCH = 500

T = TypeVar("T")


class _Job(NamedTuple):
    """The work of a request in a transaction, and the future that gets the result."""

    work: Callable[[Store], Any]
    future: "asyncio.Future[Any]"


_Result = tuple[_Job, Any, Exception | None]  # what the work returned, or what it raised


class Writer:
    """The thread that writes. `open_store` opens its own connection to the store."""

    def __init__(self, open_store: Callable[[], Store]):
        self._open_store = open_store
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="evtool-writer", daemon=True)
        self._opened: queue.SimpleQueue[StoreError | None] = queue.SimpleQueue()
        # The reason why the last transaction failed. `GET /healthz` shows it.
        self.problem: str | None = None

    def __enter__(self) -> Self:
        """Waits until the store is open. Raises StoreError if it cannot be opened."""
        self._thread.start()
        error = self._opened.get()
        if error:
            raise error
        return self

    def __exit__(self, *_: object) -> None:
        """Does what is waiting, and closes the store."""
        self._jobs.put(None)
        self._thread.join()

    async def run(self, work: Callable[[Store], T]) -> T:
        """Returns the result of some work in a transaction that is committed.

        Raises StoreError if it cannot be committed, and what the work raises: then nothing of it is stored, and the
        work of others is.
        """
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._jobs.put(_Job(work, future))
        return await future

    def _run(self) -> None:
        try:
            store = self._open_store()
        except StoreError as error:
            self._opened.put(error)
            return
        self._opened.put(None)
        with store:
            for jobs in iter(self._take_jobs, []):
                self._do_jobs(store, jobs)

    def _take_jobs(self) -> list[_Job]:
        """Returns the jobs that wait, at least one; none at the end."""
        jobs = []
        job = self._jobs.get()
        while job is not None:
            jobs.append(job)
            if len(jobs) == MAX_BATCH:
                break
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                break
        else:
            if jobs:
                # The next call has to see the end, too.
                self._jobs.put(None)
        return jobs

    def _do_jobs(self, store: Store, jobs: list[_Job]) -> None:
        try:
            done = _do_together(store, jobs)
            self.problem = None
        except Exception as error:  # noqa: BLE001  (raised where the results are awaited)
            self.problem = str(error)
            done = [(job, None, error) for job in jobs]
        _finish(done)


def _do_together(store: Store, jobs: list[_Job]) -> list[_Result]:
    """Does jobs in one transaction. Raises StoreError, which concerns all of them."""
    try:
        with store.transaction():
            results: list[_Result] = [(job, job.work(store), None) for job in jobs]
        return results
    except StoreError:
        raise
    except Exception:  # noqa: BLE001  (raised again below, where the results are awaited)
        # A savepoint for each job costs as much as the job. So they are made only if one of the jobs has to be undone.
        with store.transaction():
            return [_do_job(store, job) for job in jobs]


def _do_job(store: Store, job: _Job) -> _Result:
    """Does a job, or undoes it. Raises StoreError, which concerns all jobs of the transaction."""
    try:
        with store.savepoint():
            return job, job.work(store), None
    except StoreError:
        raise
    except Exception as error:  # noqa: BLE001  (raised where the result is awaited)
        return job, None, error


def _finish(results: list[_Result]) -> None:
    """Hands the results to the event loops that wait for them."""
    by_loop: dict[asyncio.AbstractEventLoop, list[_Result]] = {}
    for result in results:
        by_loop.setdefault(result[0].future.get_loop(), []).append(result)
    for loop, its_results in by_loop.items():
        if not loop.is_closed():
            loop.call_soon_threadsafe(_set_results, its_results)


def _set_results(results: list[_Result]) -> None:
    for job, result, error in results:
        # The client has closed the connection.
        if job.future.done():
            continue
        if error is None:
            job.future.set_result(result)
        else:
            job.future.set_exception(error)
