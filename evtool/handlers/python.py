"""Handlers of kind `python`: a function, called as AWS Lambda calls it, in a worker process that is kept warm."""

import json
import os
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, redirect_stdout, suppress
from math import inf
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from evtool.handlers.base import Answer, Call, Failed, Function, Handler, Kind, Outcome, ProcessOptions, Unavailable
from evtool.handlers.processes import worker
from evtool.handlers.processes.call_log import Diary
from evtool.handlers.processes.process import GRACE, Process, ending, exit_code, out_of_memory
from evtool.handlers.processes.worker_protocol import GarbledError, outcome_of, read
from evtool.signals import Halted

START_LIMIT = 10.0  # seconds to load the module, besides the handler's own time limit; Lambda's init phase has as many

HEAD = 16  # bytes before an answer (see worker.py)
FOREVER = 1e9  # seconds: what is later than that is no limit

ANSWER_LIMIT = 1 << 20  # bytes of an answer besides what is emitted: an error with its traceback, or brackets

Told = tuple[dict[str, Any], float]  # an answer, and how many seconds it took


class PythonOptions(ProcessOptions):
    """What a Python handler may say in routes.yaml."""

    python: Function
    isolation: Annotated[
        Literal["process", "none"],
        Field(description="none runs it inside evtool, for a debugger, without a time limit"),
    ] = "process"

    @property
    def inside(self) -> bool:
        """Whether it runs inside evtool."""
        return self.isolation == "none"


def _unavailable(settings: worker.Settings, why: str) -> Unavailable:
    return Unavailable(f"{settings.target} cannot be loaded from {settings.folder}: {why}")


class _InWorker:
    """Calls the function in a worker process, which is started at the first call and again whenever it is gone."""

    def __init__(self, settings: worker.Settings, options: PythonOptions):
        self._settings = settings
        self._options = options
        self._process: Process | None = None
        self._diary: Diary | None = None  # that its workers write, too
        self._received = bytearray()
        self._number = 0  # of the next answer

    def __call__(self, call: Call) -> Outcome:
        [answer] = self.several([call], inf)
        assert answer.outcome
        return answer.outcome

    def several(self, calls: Sequence[Call], latest: float, diary: Diary | None = None) -> Iterator[Answer]:
        """An answer for each call. The worker has them ahead of time; when it dies, the next one has those after it."""
        self._diary, rest = diary, deque(calls)
        try:
            while rest:
                try:
                    why = self._ready()
                except Halted:
                    yield from [Answer(None)] * len(rest)
                    raise
                if why is not None:  # what holds for one holds for all
                    yield from [Answer(_unavailable(self._settings, why))] * len(rest)
                    return
                yield from self._attempts(rest, latest)
        except BaseException:  # interrupted: the worker is in the middle of something
            self._end()
            raise

    def _ready(self) -> str | None:
        """Have a worker. Why there can be none, or None."""
        if self._process and not self._process.has_exited() and not self._received:
            return None
        self._end()
        why = self._start()
        if why is not None:
            self._end()
        return why

    def _start(self) -> str | None:
        """Start a worker and wait until it has loaded the function. Why it cannot, or None."""
        try:
            self._process = self._spawn()
            answers = self._hear(START_LIMIT)
        except TimeoutError:
            return f"it took longer than {START_LIMIT:g}s"
        except OSError as error:
            return f"no process can be started: {error}"
        except GarbledError as garbled:
            return str(garbled)
        if not answers:
            code, output = self._end()
            return f"{ending(code)} {output}".strip() + out_of_memory(output, self._options)
        why: str | None = answers[0][0].get("unavailable")
        return why and why + out_of_memory(why, self._options)

    def _spawn(self) -> Process:
        replies, answers = os.pipe()
        try:
            mark = os.urandom(12).hex()
            diary = self._diary.stream if self._diary else -1
            arguments = [json.dumps(self._settings), mark, str(answers), str(diary)]
            process = Process(
                [sys.executable, "-P", "-u", worker.__file__, *arguments],
                Path(self._settings.folder),
                self._options,
                together=True,
                mark=mark.encode(),
                pass_fds=[answers, *([diary] if self._diary else [])],
            )
        except BaseException:
            os.close(replies)
            raise
        finally:
            os.close(answers)
        self._received.clear()
        self._number = 0
        process.listen(replies, self._received.extend)
        return process

    def _attempts(self, rest: deque[Call], latest: float) -> Iterator[Answer]:
        """Answers for the calls, taken from the rest, until the worker is no more."""
        assert self._process
        self._process.send(b"".join(self._request(number, call, latest) for number, call in enumerate(rest)))
        while rest and self._process:
            begun = time.monotonic()
            error: Exception | None = None
            try:
                answers = self._hear(self._settings.timeout)
            except (TimeoutError, GarbledError) as problem:
                answers, error = [], problem
            except Halted:
                self._process.end()
                with suppress(GarbledError):  # what it said until then; the first call of the rest may have begun
                    yield from self._taken(rest, self._heard())
                raise
            yield from self._taken(rest, answers)
            if not answers:
                rest.popleft()
                yield Answer(self._broken(error), time.monotonic() - begun)

    def _taken(self, rest: deque[Call], answers: Iterable[Told]) -> Iterator[Answer]:
        """Answers for the first calls of the rest, which are taken from it."""
        for told, seconds in answers:
            rest.popleft()
            yield Answer(self._outcome(told), seconds)

    def _request(self, ahead: int, call: Call, latest: float) -> bytes:
        """A call as the worker reads it."""
        head = len(call.raw) << 32 | (self._number + ahead) % (1 << 32)
        times = round(min(latest, FOREVER) * 1e9) << 64 | call.delivery
        return head.to_bytes(8) + times.to_bytes(16) + call.raw

    def _broken(self, error: Exception | None) -> Failed:
        """What an attempt came to that the worker will not answer."""
        code, output = self._end()
        if isinstance(error, TimeoutError):
            return Failed(f"took longer than {self._settings.timeout:g}s (timeout)", "timeout", output)
        if isinstance(error, GarbledError):
            return Failed(str(error), "crashed", output)
        told = f"{ending(code)} in the middle of its work{out_of_memory(output, self._options)}"
        return Failed(told, "crashed", output, code=exit_code(code))

    def _outcome(self, told: dict[str, Any]) -> Outcome | None:
        """What an answer means; None if the call was not begun."""
        assert self._process
        output = self._process.output.take()
        if "late" in told:
            return None
        if told.get("spent"):
            self._end()
            told["error"] += out_of_memory(told["error"], self._options)
        return outcome_of(told, output, self._options.output)

    def _hear(self, limit: float) -> list[Told]:
        """The next answers of the worker; none if it exits instead. Raises TimeoutError or GarbledError."""
        assert self._process
        self._process.until(self._is_answered, time.monotonic() + limit)
        answers = self._heard()
        self._process.drain()  # what was printed before these answers
        return answers

    def _heard(self) -> list[Told]:
        """The answers that have come. Raises GarbledError."""
        answers: list[Told] = []
        try:
            while self._has_message():
                end = HEAD + int.from_bytes(self._received[:4])
                answers.append((read(bytes(self._received[HEAD:end])), int.from_bytes(self._received[8:HEAD]) / 1e9))
                del self._received[:end]
                self._number = (self._number + 1) % (1 << 32)
        except GarbledError:
            if not answers:  # else it comes again after these
                raise
        return answers

    def _has_message(self) -> bool:
        """Whether an answer is there. Raises GarbledError."""
        received = self._received
        if len(received) < HEAD:
            return False
        length, number = divmod(int.from_bytes(received[:8]), 1 << 32)
        if number != self._number or length > self._settings.emit_bytes + ANSWER_LIMIT:
            raise GarbledError
        return len(received) >= HEAD + length

    def _is_answered(self) -> bool:
        assert self._process
        return self._has_message() or self._process.has_exited()

    def _end(self) -> tuple[int, str]:
        """End the worker, if there is one; its exit code, and what it had printed."""
        if self._process is None:
            return 0, ""
        process, self._process = self._process, None
        return process.end(), process.output.take()

    def close(self) -> None:
        """Let the worker end by itself, if it does."""
        if self._process:
            self._process.hang_up(GRACE)
        self._end()


@contextmanager
def _stdout_is_stderr() -> Iterator[None]:
    """Keep what a handler inside this process prints, and what its children print, out of evtool's own data."""
    replaced = (
        sys.stdout is not sys.__stdout__
    )  # else it may stay as it is: a debugger edits lines on the real one only
    stdout = sys.stdout
    stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        with redirect_stdout(sys.stderr) if replaced else nullcontext():
            yield
    finally:
        sys.stdout = stdout  # a handler may have put another one there
        with suppress(ValueError):  # or closed it
            stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)


class _InProcess:
    """Calls the function right here, where a debugger can follow. A Ctrl-C is meant for evtool."""

    def __init__(self, settings: worker.Settings, options: PythonOptions):
        self._settings = settings
        self._keep = options.output
        self._function: worker.Function | None = None

    def __call__(self, call: Call) -> Outcome:
        with _stdout_is_stderr():
            if self._function is None:
                try:
                    self._function = worker.load(self._settings.target, self._settings.folder)
                except KeyboardInterrupt:
                    raise
                except BaseException as error:  # noqa: BLE001 - code of the handler
                    return _unavailable(self._settings, worker.describe(error, self._settings.folder))
            answer = worker.attempt(self._function, call.raw, self._settings, (KeyboardInterrupt,))
        return outcome_of(read(answer), "", self._keep)

    def close(self) -> None:
        """Nothing is kept warm."""


def open_handler(name: str, options: PythonOptions, folder: Path) -> Handler:
    """The handler, with nothing started or imported yet."""
    settings = worker.Settings(
        name, options.python, str(folder.absolute()), options.timeout, options.emit_limit, options.emit_bytes
    )
    return _InWorker(settings, options) if options.isolation == "process" else _InProcess(settings, options)


KIND = Kind(PythonOptions, open_handler)
