"""Handlers of kind `python`: a function that a worker process calls, in the way AWS Lambda calls it."""

import json
import os
import sys
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
from evtool.handlers.processes.in_process import InProcess, load_failure
from evtool.handlers.processes.lost_emits import LostEmit, LostEmits
from evtool.handlers.processes.process import TERM_GRACE, Process, describe_exit, format_exit_code, memory_hint
from evtool.handlers.processes.programs import UnsetVariableError, expand_variables, find_program
from evtool.handlers.processes.worker_protocol import GarbledError, outcome_of, parse_answer
from evtool.paths import is_file
from evtool.signals import CallsStopped

START_LIMIT = 10.0  # seconds to load the module, besides the handler's own time limit; Lambda's init phase has as many

HEADER_BYTES = 16  # bytes before an answer (see worker.py)
MAX_LATEST = 1e9  # seconds: what is later than that is no limit

ANSWER_LIMIT = 1 << 20  # bytes of an answer besides what is emitted: an error with its traceback, or brackets

TimedMessage = tuple[int, dict[str, Any], float]  # the number of a call, its answer, and how many seconds it took


class PythonOptions(ProcessOptions):
    """What a Python handler may say in routes.yaml."""

    python: Function
    isolation: Annotated[
        Literal["process", "none"],
        Field(description="none runs it inside evtool, for a debugger, without a time limit"),
    ] = "process"
    interpreter: Annotated[
        str | None,
        Field(min_length=1, pattern=r"^[^\x00]*$", description="the Python that runs it, such as .venv/bin/python"),
    ] = None

    @model_validator(mode="after")
    def _check_interpreter(self) -> Self:
        if self.is_in_process and self.interpreter:
            raise ValueError("isolation: none runs the function inside evtool, without an interpreter of its own")
        return self

    @property
    def is_in_process(self) -> bool:
        """Whether it runs inside evtool."""
        return self.isolation == "none"


def _find_interpreter(name: str | None, folder: str) -> str:
    """The Python that runs a handler: by default that of evtool. Raises FileNotFoundError or UnsetVariableError."""
    if name is None:
        return sys.executable
    with suppress(FileNotFoundError):
        file = find_program(expand_variables(name), Path(folder))
        if is_file(file) and os.access(file, os.X_OK):
            return file
    # not what `${NAME}` stands for: that is never printed
    is_environment = is_file(Path(folder, name, "bin/python"))
    hint = (
        f"did you mean {name}/bin/python?"
        if is_environment
        else "create that environment, or change `interpreter` in routes.yaml"
    )
    raise FileNotFoundError(f"there is no interpreter {name}; {hint}")


class _InWorker:
    """Calls the function in a worker process, which is started at the first call and again whenever it is gone."""

    def __init__(self, settings: worker.Settings, options: PythonOptions):
        self._settings = settings
        self._options = options
        self._process: Process | None = None
        self._call_log: CallLog | None = None  # that its workers write, too
        self._received = bytearray()
        self._next_number = 0  # of the next answer
        self._lost_emits = LostEmits()

    def __call__(self, call: Call) -> Outcome:
        [answer] = self.call_many([call], inf)
        assert answer.outcome
        return answer.outcome

    def call_many(self, calls: Sequence[Call], latest: float, call_log: CallLog | None = None) -> Iterator[Answer]:
        """An answer for each call. The worker has them ahead of time; when it dies, the next one has those after it."""
        self._call_log, remaining = call_log, deque(calls)
        try:
            while remaining:
                try:
                    failure = self.check()
                except CallsStopped:
                    yield from [Answer(None)] * len(remaining)
                    raise
                if failure is not None:  # what holds for one holds for all
                    yield from [Answer(failure)] * len(remaining)
                    return
                yield from self._call_worker(remaining, latest)
        except BaseException:  # interrupted: the worker is in the middle of something
            self._end_worker()
            raise

    def check(self) -> Unavailable | None:
        """Have a worker that has loaded the function. Why there can be none, or None."""
        if self._process and not self._process.has_exited() and not self._received:
            return None
        self._end_worker()
        failure = self._start_worker()
        if failure is not None:
            self._end_worker()
        return failure

    def _start_worker(self) -> Unavailable | None:
        """Start a worker and wait until it has loaded the function. Why it cannot, or None."""
        try:
            interpreter = _find_interpreter(self._options.interpreter, self._settings.folder)
        except (FileNotFoundError, UnsetVariableError) as error:
            missing = "EV502" if isinstance(error, FileNotFoundError) else "EV503"
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
            code, output = self._end_worker()
            name = self._options.interpreter
            version = f" (interpreter {name}; Python 3.9 or later is needed)" if name else ""
            description = f"{describe_exit(code)}{version} {output}".strip()
            return load_failure(self._settings, description + memory_hint(output, self._options))
        message = answers[0][1]
        if reason := message.get("unavailable"):
            reason += memory_hint(reason, self._options)
            return load_failure(self._settings, reason, None if message.get("unreachable") else "EV501")
        return None

    def _spawn_worker(self, interpreter: str) -> Process:
        replies, answers = os.pipe()
        try:
            mark = os.urandom(12).hex()
            call_log = self._call_log.stream if self._call_log else -1
            settings = self._settings._replace(lost_file=self._lost_emits.file)
            arguments = [json.dumps(settings), mark, str(answers), str(call_log)]
            process = Process(
                [interpreter, "-u", worker.__file__, *arguments],
                Path(self._settings.folder),
                self._options,
                together=True,
                mark=mark.encode(),
                pass_fds=[answers, *([call_log] if self._call_log else [])],
            )
        except BaseException:
            os.close(replies)
            raise
        finally:
            os.close(answers)
        self._received.clear()
        self._next_number = 0
        process.listen(replies, self._received.extend)
        return process

    def _call_worker(self, remaining: deque[Call], latest: float) -> Iterator[Answer]:
        """Answers for the calls, taken from the rest, until the worker is no more."""
        assert self._process
        self._process.send(
            b"".join(self._encode_request(number, call, latest) for number, call in enumerate(remaining))
        )
        while remaining and self._process:
            started = time.monotonic()
            error: Exception | None = None
            try:
                answers = self._await_answers(self._settings.timeout)
            except (TimeoutError, GarbledError) as problem:
                answers, error = [], problem
            except CallsStopped:
                self._process.end()
                with suppress(GarbledError):  # what it said until then; the first call of the rest may have begun
                    yield from self._take_answers(remaining, self._read_answers())
                raise
            yield from self._take_answers(remaining, answers)
            if not answers:
                remaining.popleft()
                yield Answer(self._end_failed(error), time.monotonic() - started)

    def _take_answers(self, remaining: deque[Call], answers: Iterable[TimedMessage]) -> Iterator[Answer]:
        """Answers for the first calls of the rest, which are taken from it."""
        for number, message, seconds in answers:
            remaining.popleft()
            yield Answer(self._outcome_of(number, message), seconds)

    def _encode_request(self, ahead: int, call: Call, latest: float) -> bytes:
        """A call as the worker reads it."""
        header = len(call.raw) << 32 | (self._next_number + ahead) % (1 << 32)
        times = round(min(latest, MAX_LATEST) * 1e9) << 64 | call.delivery
        return header.to_bytes(8) + times.to_bytes(16) + call.raw

    def _end_failed(self, error: Exception | None) -> Failed:
        """What an attempt came to that the worker will not answer."""
        code, output = self._end_worker()
        if isinstance(error, TimeoutError):
            return Failed(f"took longer than {self._settings.timeout:g}s (timeout)", "timeout", output)
        if isinstance(error, GarbledError):
            return Failed(str(error), "crashed", output)
        description = f"{describe_exit(code)} in the middle of its work{memory_hint(output, self._options)}"
        return Failed(description, "crashed", output, code=format_exit_code(code))

    def _outcome_of(self, number: int, message: dict[str, Any]) -> Outcome | None:
        """What an answer means; None if the call was not begun."""
        assert self._process
        lost = self._lost_emits.of_call(number)
        output = self._process.output.take()
        if "late" in message:
            return None
        if message.get("spent"):
            self._end_worker()
            message["error"] += memory_hint(message["error"], self._options)
        return outcome_of(message, output, self._options.output, lost=lost)

    def _await_answers(self, limit: float) -> list[TimedMessage]:
        """The next answers of the worker; none if it exits instead. Raises TimeoutError or GarbledError."""
        assert self._process
        self._process.wait_until(self._is_answered, time.monotonic() + limit)
        answers = self._read_answers()
        self._process.drain()  # what was printed before these answers
        return answers

    def _read_answers(self) -> list[TimedMessage]:
        """The answers that have come. Raises GarbledError."""
        answers: list[TimedMessage] = []
        try:
            while self._has_message():
                end = HEADER_BYTES + int.from_bytes(self._received[:4])
                seconds = int.from_bytes(self._received[8:HEADER_BYTES]) / 1e9
                answers.append((self._next_number, parse_answer(bytes(self._received[HEADER_BYTES:end])), seconds))
                del self._received[:end]
                self._next_number = (self._next_number + 1) % (1 << 32)
        except GarbledError:
            if not answers:  # else it comes again after these
                raise
        return answers

    def _has_message(self) -> bool:
        """Whether an answer is there. Raises GarbledError."""
        received = self._received
        if len(received) < HEADER_BYTES:
            return False
        length, number = divmod(int.from_bytes(received[:8]), 1 << 32)
        if number != self._next_number or length > self._settings.emit_bytes + ANSWER_LIMIT:
            raise GarbledError
        return len(received) >= HEADER_BYTES + length

    def _is_answered(self) -> bool:
        assert self._process
        return self._has_message() or self._process.has_exited()

    def _end_worker(self) -> tuple[int, str]:
        """End the worker, if there is one; its exit code, and what it had printed."""
        if self._process is None:
            return 0, ""
        process, self._process = self._process, None
        code, output = process.end(), process.output.take()
        self._lost_emits.restart()
        return code, output

    def take_lost(self) -> list[LostEmit]:
        """What was emitted after its call was reported."""
        return self._lost_emits.take()

    def close(self) -> None:
        """Let the worker end by itself, if it does."""
        if self._process:
            self._process.hang_up(TERM_GRACE)
        self._end_worker()


def open_handler(name: str, options: PythonOptions, folder: Path) -> Handler:
    """The handler, with nothing started or imported yet."""
    settings = worker.Settings(
        name, options.python, str(folder.absolute()), options.timeout, options.emit_limit, options.emit_bytes
    )
    return _InWorker(settings, options) if options.isolation == "process" else InProcess(settings, options.output)


KIND = Kind(PythonOptions, open_handler)
