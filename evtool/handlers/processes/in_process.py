"""Calls a Python function inside evtool, without a worker process (`isolation: none`)."""

import os
import selectors
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, redirect_stdout, suppress
from threading import Thread
from threading import enumerate as list_threads

from evtool.handlers.base import Call, Outcome, ProcessOptions, Unavailable
from evtool.handlers.processes import worker
from evtool.handlers.processes.endpoint import Endpoint, Exchange
from evtool.handlers.processes.lost_emits import LostEmit, LostEmits
from evtool.handlers.processes.process import TERM_GRACE
from evtool.handlers.processes.worker_protocol import outcome_of, parse_answer
from evtool.handlers.put_events import Emission, answer, build_environment


def load_failure(settings: worker.Settings, reason: str, code: str | None = "EV501") -> Unavailable:
    """Returns the outcome of a call whose function cannot be loaded. The code is None if the project has no mistake."""
    return Unavailable(f"{settings.target} cannot be loaded from {settings.folder}: {reason}", code)


@contextmanager
def _redirect_stdout() -> Iterator[None]:
    """Sends what the handler and its children print to stderr, since evtool writes its data to stdout."""
    # sys.__stdout__ stays where it is: a debugger reads and edits lines only there. Its file descriptor is redirected.
    redirection: AbstractContextManager[object] = nullcontext()
    if sys.stdout is not sys.__stdout__:
        redirection = redirect_stdout(sys.stderr)
    stdout = sys.stdout
    stdout.flush()
    saved_stdout = os.dup(1)
    os.dup2(2, 1)
    try:
        with redirection:
            yield
    finally:
        # The handler may have replaced sys.stdout, or closed it, for which `flush` raises ValueError.
        sys.stdout = stdout
        with suppress(ValueError):
            stdout.flush()
        os.dup2(saved_stdout, 1)
        os.close(saved_stdout)


class _EndpointThread:
    """Serves an endpoint in a thread while a function runs inside evtool."""

    def __init__(self, serve: Callable[[Exchange], None]):
        self._selector = selectors.DefaultSelector()
        self._wake_up, self._end = os.pipe()
        self._is_over = False
        self.endpoint = Endpoint(serve)
        self.endpoint.attach(self)
        self.watch(self._wake_up, selectors.EVENT_READ, self._stop)
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()

    def watch(self, file: int, events: int, act: Callable[[], bool]) -> None:
        """Calls `act` whenever a file is ready for these events. With no events, it stops that."""
        if file in self._selector.get_map():
            self._selector.unregister(file)
        if events:
            self._selector.register(file, events, act)

    def _stop(self) -> bool:
        self._is_over = True
        return False

    def _run(self) -> None:
        while not self._is_over:
            for key, _ in self._selector.select():
                key.data()

    def close(self) -> None:
        """Ends the thread."""
        os.close(self._end)
        self._thread.join()
        self.endpoint.close()
        self._selector.close()
        os.close(self._wake_up)


class InProcess:
    """Calls the function in the thread of evtool, so that a debugger can follow. A Ctrl-C interrupts evtool."""

    def __init__(self, settings: worker.Settings, options: ProcessOptions):
        self._lost_emits = LostEmits()
        self._settings = settings._replace(lost_file=self._lost_emits.file)
        self._options = options
        self._endpoint: _EndpointThread | None = None
        # The events that the running call sends to EventBridge.
        self._emission: Emission | None = None
        self._calls = 0
        # Threads that calls started and that may still run.
        self._threads: set[Thread] = set()
        self._function: worker.Function | None = None

    def __call__(self, call: Call) -> Outcome:
        failure = self.check()
        if failure:
            return failure
        assert self._function
        self._extend_environment()
        with _redirect_stdout():
            self._calls += 1
            earlier_threads = set(list_threads())
            emission = self._emission = Emission(call, self._settings.name, self._options)
            message = worker.call(
                self._function, call.raw, self._settings, self._calls, call.delivery, (KeyboardInterrupt,)
            )
        self._emission = None
        self._threads |= set(list_threads()) - earlier_threads
        self._threads = {thread for thread in self._threads if thread.is_alive()}
        lost = self._lost_emits.of_call(self._calls)
        return emission.add_to(outcome_of(parse_answer(message), "", self._options.output, lost=lost))

    def check(self) -> Unavailable | None:
        """Loads the function, and keeps it. Returns why it cannot be loaded, or None."""
        if self._function is not None:
            return None
        if self._options.aws == "local" and self._endpoint is None:
            self._endpoint = _EndpointThread(self._answer_sdk)
        self._extend_environment()
        with _redirect_stdout():
            try:
                self._function = worker.load(self._settings.target, self._settings.folder)
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # noqa: BLE001 - code of the handler
                failure = worker.describe_load_failure(error, self._settings.folder)
                reason = str(failure["unavailable"])
                if failure["unreachable"]:
                    return load_failure(self._settings, reason, None)
                return load_failure(self._settings, reason)
        return None

    def _answer_sdk(self, exchange: Exchange) -> None:
        exchange.respond(answer(exchange.request, self._emission))

    def _extend_environment(self) -> None:
        """Makes the SDKs of AWS use the endpoint of this handler. Another handler may have changed the variables."""
        if self._endpoint:
            os.environ.update(build_environment(self._endpoint.endpoint.address))

    def take_lost(self) -> list[LostEmit]:
        """Takes the events that were emitted after their call was reported."""
        return self._lost_emits.take()

    def close(self) -> None:
        """Waits shortly for the threads of the handler. They report later events themselves, on standard error."""
        deadline = time.monotonic() + TERM_GRACE
        for thread in self._threads:
            # A thread that Python did not start cannot be joined.
            with suppress(RuntimeError, AssertionError):
                thread.join(max(deadline - time.monotonic(), 0))
        if self._endpoint:
            self._endpoint.close()
            self._endpoint = None
        worker.Emissions.closed_files.add(self._settings.lost_file)
        self._lost_emits.restart()
