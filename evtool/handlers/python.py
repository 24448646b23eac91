"""Handlers of kind `python`: a function that a worker process calls, in the way AWS Lambda calls it.

The worker gets a whole batch of calls at once (worker.py describes the protocol), and evtool reads the answers as they
come. If the worker dies, only the running call fails; a new worker gets the calls after it. Example with calls 1 to 4,
where the handler exits in call 2:

    worker A   gets 1, 2, 3, 4; answers 1; exits during 2
    evtool     yields Done for 1, and Failed ("crashed") for 2
    worker B   gets 3, 4; answers both
    evtool     yields Done for 3 and 4
"""

import json
import os
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from math import inf
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from evtool.handlers.base import Answer, Call, Failed, Function, Handler, Kind, Outcome, ProcessOptions, Unavailable
from evtool.handlers.processes import worker
from evtool.handlers.processes.call_log import CallLog
from evtool.handlers.processes.endpoint import Endpoint, Exchange
from evtool.handlers.processes.exits import describe_exit, format_exit_code, memory_hint
from evtool.handlers.processes.in_process import InProcess, load_failure
from evtool.handlers.processes.lost_emits import LostEmit, LostEmits
from evtool.handlers.processes.process import TERM_GRACE, Process
from evtool.handlers.processes.programs import UnsetVariableError, find_interpreter
from evtool.handlers.processes.worker_protocol import (
    AnswerBuffer,
    GarbledError,
    TimedMessage,
    encode_request,
    outcome_of,
)
from evtool.handlers.put_events import Emission, answer, extend_environment
from evtool.signals import CallsStopped

# Seconds to load the module, in addition to the handler's time limit. The init phase of Lambda has the same limit.
START_LIMIT = 10.0
# Seconds in which the answers of quick calls gather: one wake-up for each answer would take longer than the call.
GATHERING = 0.0005


class PythonOptions(ProcessOptions):
    """The options of a Python handler in routes.yaml."""

    python: Function
    isolation: Annotated[
        Literal["process", "none"],
        Field(description="none: inside evtool, without a time limit, so that a debugger can follow it"),
    ] = "process"
    interpreter: Annotated[
        str | None,
        Field(min_length=1, pattern=r"^[^\x00]*$", description="the Python that runs it, such as .venv/bin/python"),
    ] = None

    @model_validator(mode="after")
    def _check_interpreter(self) -> Self:
        if self.is_in_process and self.interpreter:
            raise ValueError("isolation: none runs the function inside evtool: remove `interpreter`")
        return self

    @property
    def is_in_process(self) -> bool:
        """Whether the handler runs in the main thread of evtool."""
        return self.isolation == "none"


class _InWorker:
    """Calls the function in a worker process. It starts one at the first call, and again if the worker has exited."""

    def __init__(self, settings: worker.Settings, options: PythonOptions):
        self._settings = settings
        self._options = options
        self._process: Process | None = None
        # The workers write to it, too.
        self._call_log: CallLog | None = None
        self._answers = AnswerBuffer(settings.emit_bytes)
        # The calls whose answers are not taken yet, and the number of the first of them.
        self._remaining: deque[Call] = deque()
        self._first_number = 0
        # The events that calls send to EventBridge, by the number of the call.
        self._emissions: dict[int, Emission] = {}
        self._endpoint: Endpoint | None = None
        # The pipe with the answers of the worker.
        self._replies = -1
        self._lost_emits = LostEmits()
        # Whether the last call took less than GATHERING.
        self._is_quick = False

    def __call__(self, call: Call) -> Outcome:
        [answer] = self.call_many([call], inf)
        assert answer.outcome
        return answer.outcome

    def call_many(self, calls: Sequence[Call], latest: float, call_log: CallLog | None = None) -> Iterator[Answer]:
        """Yields an answer for each call. Starts no call after `latest`, a time of `time.monotonic()`."""
        self._call_log, remaining = call_log, deque(calls)
        try:
            while remaining:
                try:
                    failure = self.check()
                except CallsStopped:
                    yield from [Answer(None)] * len(remaining)
                    raise
                # All calls would have the same problem.
                if failure is not None:
                    yield from [Answer(failure)] * len(remaining)
                    return
                yield from self._call_worker(remaining, latest)
        # An interrupted call may still run in the worker.
        except BaseException:
            self._end_worker()
            raise

    def check(self) -> Unavailable | None:
        """Makes sure that a worker has loaded the function. Returns why this is not possible, or None."""
        if self._process and not self._process.has_exited() and self._answers.is_empty:
            return None
        self._end_worker()
        failure = self._start_worker()
        if failure is not None:
            self._end_worker()
        return failure

    def _start_worker(self) -> Unavailable | None:
        """Starts a worker, and waits until it has loaded the function. Returns why this fails, or None."""
        try:
            interpreter = find_interpreter(self._options.interpreter, self._settings.folder)
        except (FileNotFoundError, UnsetVariableError) as error:
            missing = "EV503"
            if isinstance(error, FileNotFoundError):
                missing = "EV502"
            return load_failure(self._settings, str(error), missing)
        try:
            self._process = self._spawn_worker(interpreter)
            answers = self._await_answers(START_LIMIT)
        except TimeoutError:
            return load_failure(self._settings, f"it took longer than {START_LIMIT:g}s")
        except OSError as error:
            return load_failure(self._settings, f"no process can be started: {error.strerror or error}", None)
        except GarbledError as garbled:
            return load_failure(self._settings, str(garbled))
        if not answers:
            return self._describe_failed_start()
        message = answers[0][1]
        reason = message.get("unavailable")
        if not reason:
            return None
        reason += memory_hint(reason, self._options)
        if message.get("unreachable"):
            return load_failure(self._settings, reason, None)
        return load_failure(self._settings, reason)

    def _describe_failed_start(self) -> Unavailable:
        """Ends a worker that exited before it could answer. Returns the outcome."""
        code, output = self._end_worker()
        name = self._options.interpreter
        version = ""
        if name:
            version = f" (interpreter {name}; Python 3.9 or later is needed)"
        description = f"{describe_exit(code)}{version} {output}".strip()
        return load_failure(self._settings, description + memory_hint(output, self._options))

    def _spawn_worker(self, interpreter: str) -> Process:
        replies, answers = os.pipe()
        try:
            # Random, so that a handler cannot print it by chance.
            mark = os.urandom(12).hex()
            inherited_files = [answers]
            call_log = -1
            if self._call_log:
                call_log = self._call_log.stream
                inherited_files.append(call_log)
            settings = self._settings._replace(lost_file=self._lost_emits.file)
            arguments = [json.dumps(settings), mark, str(answers), str(call_log)]
            self._endpoint = Endpoint(self._answer_sdk)
            process = Process(
                [interpreter, "-u", worker.__file__, *arguments],
                Path(self._settings.folder),
                self._options,
                extend_environment(self._options, self._endpoint.address),
                together=True,
                mark=mark.encode(),
                pass_fds=inherited_files,
            )
        except BaseException:
            os.close(replies)
            if self._endpoint:
                self._endpoint.close()
            raise
        finally:
            os.close(answers)
        self._answers.restart()
        process.listen(replies, self._answers.add)
        self._replies = replies
        self._endpoint.attach(process)
        return process

    def _answer_sdk(self, exchange: Exchange) -> None:
        """Responds to an SDK of AWS: the running call emits the events."""
        assert self._process
        # The running call is the first one without an answer. An answer may wait in the pipe.
        self._process.receive(self._replies)
        number, emission = self._answers.unanswered_number, None
        position = number - self._first_number
        if position < len(self._remaining):
            call = self._remaining[position]
            emission = self._emissions.setdefault(number, Emission(call, self._settings.name, self._options))
            # The worker's own answer will lack these events: after a kill, the call has to be repeated.
            if self._call_log:
                self._call_log.log_incomplete(call.delivery)
        exchange.respond(answer(exchange.request, emission))

    def _call_worker(self, remaining: deque[Call], latest: float) -> Iterator[Answer]:
        """Sends the remaining calls to the worker, and yields their answers until the worker is gone."""
        assert self._process
        self._remaining, self._first_number = remaining, self._answers.next_number
        requests = [encode_request(number, call, latest) for number, call in enumerate(remaining, self._first_number)]
        self._process.send(b"".join(requests))
        while remaining and self._process:
            if len(remaining) > 1 and self._is_quick:
                time.sleep(GATHERING)
            started = time.monotonic()
            error: Exception | None = None
            try:
                answers = self._await_answers(self._settings.timeout)
            except (TimeoutError, GarbledError) as problem:
                answers, error = [], problem
            except CallsStopped:
                self._process.end()
                # Answers that the worker sent before it ended. The call after them may have begun.
                with suppress(GarbledError):
                    yield from self._take_answers(remaining, self._answers.read())
                raise
            yield from self._take_answers(remaining, answers)
            if not answers:
                remaining.popleft()
                yield Answer(self._end_failed(error), time.monotonic() - started)

    def _take_answers(self, remaining: deque[Call], answers: Iterable[TimedMessage]) -> Iterator[Answer]:
        """Yields the answers, and removes their calls from the remaining ones."""
        for number, message, seconds in answers:
            remaining.popleft()
            self._first_number += 1
            self._is_quick = seconds < GATHERING
            yield Answer(self._outcome_of(number, message), seconds)

    def _end_failed(self, error: Exception | None) -> Failed:
        """Ends the worker, and returns the outcome of a call that it did not answer."""
        code, output = self._end_worker()
        if isinstance(error, TimeoutError):
            return Failed(f"took longer than {self._settings.timeout:g}s (timeout)", "timeout", output)
        if isinstance(error, GarbledError):
            return Failed(str(error), "crashed", output)
        description = f"{describe_exit(code)} in the middle of its work{memory_hint(output, self._options)}"
        return Failed(description, "crashed", output, code=format_exit_code(code))

    def _outcome_of(self, number: int, message: dict[str, Any]) -> Outcome | None:
        """Returns the outcome that an answer means; None if the call was not started."""
        assert self._process
        lost = self._lost_emits.of_call(number)
        output, emission = self._process.output.take(), self._emissions.pop(number, None)
        if "late" in message:
            return None
        if message.get("spent"):
            self._end_worker()
            message["error"] += memory_hint(message["error"], self._options)
        outcome = outcome_of(message, output, self._options.output, lost=lost)
        if emission:
            return emission.add_to(outcome)
        return outcome

    def _await_answers(self, limit: float) -> list[TimedMessage]:
        """Waits for answers. Returns none if the worker exits. Raises TimeoutError or GarbledError."""
        assert self._process
        self._process.wait_until(self._is_answered, time.monotonic() + limit)
        answers = self._answers.read()
        # Receives the output of these calls, which the worker printed before it answered.
        self._process.drain()
        return answers

    def _is_answered(self) -> bool:
        assert self._process
        return self._answers.has_message() or self._process.has_exited()

    def _end_worker(self) -> tuple[int, str]:
        """Ends the worker, if there is one. Returns its exit code and its output."""
        if self._process is None:
            return 0, ""
        process, self._process = self._process, None
        code, output = process.end(), process.output.take()
        self._emissions.clear()
        if self._endpoint:
            self._endpoint.close()
        self._lost_emits.restart()
        return code, output

    def take_lost(self) -> list[LostEmit]:
        """Takes the events that were emitted after their call was reported."""
        return self._lost_emits.take()

    def close(self) -> None:
        """Gives the worker time to exit by itself, for example to run exit functions; then ends it."""
        if self._process:
            self._process.hang_up(TERM_GRACE)
        self._end_worker()


def open_handler(name: str, options: PythonOptions, folder: Path) -> Handler:
    """Creates the handler, which starts no process and imports nothing yet."""
    settings = worker.Settings(
        name, options.python, str(folder.absolute()), options.timeout, options.emit_limit, options.emit_bytes
    )
    if options.isolation == "process":
        return _InWorker(settings, options)
    return InProcess(settings, options)


KIND = Kind(PythonOptions, open_handler)
