"""Handlers of kind `python`: a function, called as AWS Lambda calls it, in a worker process that is kept warm."""

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, redirect_stdout
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from evtool import worker
from evtool.handler import Call, Done, Emitted, Failed, Handler, Kind, Outcome, ProcessOptions, Unavailable
from evtool.processes import GRACE, Process, ending, exit_code, out_of_memory

START_LIMIT = 10.0  # seconds to load the module, besides the handler's own time limit; Lambda's init phase has as many

# bytes of an answer besides what is emitted: an error with its traceback, or brackets and commas
ANSWER_LIMIT = 1 << 20


class PythonOptions(ProcessOptions):
    """What a Python handler may say in routes.yaml."""

    python: Annotated[
        str,
        Field(pattern=r"^[^:\x00]+:[^:\s\x00]+$", description="module:function, or path/to/file.py:function"),
    ]
    isolation: Annotated[
        Literal["process", "none"],
        Field(description="none runs it inside evtool, for a debugger, without a time limit"),
    ] = "process"


class GarbledError(Exception):
    """What came out of the pipe of a worker's answers is none: something else has written to it."""

    def __init__(self) -> None:
        super().__init__("something wrote to the pipe that belongs to evtool, so what came of the call is not known")


def _read(answer: bytes) -> dict[str, Any]:
    """An answer of a worker (see worker.py). Raises GarbledError."""
    try:
        told = json.loads(answer)
    except RecursionError:
        error = "emitted an event that is nested too deeply: it is no event"
        return {"error": error, "outcome": "bad-result", "code": None, "traceback": "", "spent": False}
    except ValueError:
        raise GarbledError from None
    if not isinstance(told, dict):
        raise GarbledError
    return told


def _outcome(told: dict[str, Any], output: str, keep: int) -> Outcome:
    """What an answer means. Of the output and a traceback so much is kept."""
    if "unavailable" in told:
        return Unavailable(told["unavailable"])
    if "error" in told:
        log = output + told["traceback"]
        log = log[max(len(log) - keep, 0) :]
        return Failed(told["error"], told["outcome"], log, final=told["outcome"] == "bad-result", code=told["code"])
    return Done(tuple(Emitted(*each) for each in told["emitted"]), output)


def _unavailable(settings: worker.Settings, why: str) -> Unavailable:
    return Unavailable(f"{settings.target} cannot be loaded from {settings.folder}: {why}")


class _InWorker:
    """Calls the function in a worker process, which is started at the first call and again whenever it is gone."""

    def __init__(self, settings: worker.Settings, options: PythonOptions):
        self._settings = settings
        self._options = options
        self._process: Process | None = None
        self._received = bytearray()
        self._number = 0  # of the call that is under way

    def __call__(self, call: Call) -> Outcome:
        try:
            if self._process is None or self._process.has_exited():
                self._end()
                why = self._start()
                if why is not None:
                    self._end()
                    return _unavailable(self._settings, why)
            return self._attempt(call.raw)
        except BaseException:  # interrupted: the worker is in the middle of something
            self._end()
            raise

    def _start(self) -> str | None:
        """Start a worker and wait until it has loaded the function. Why it cannot, or None."""
        try:
            self._process = self._spawn()
            answer = self._hear(START_LIMIT)
        except TimeoutError:
            return f"it took longer than {START_LIMIT:g}s"
        except OSError as error:
            return f"no process can be started: {error}"
        except GarbledError as garbled:
            return str(garbled)
        if answer is None:
            code, output = self._end()
            return f"{ending(code)} {output}".strip() + out_of_memory(output, self._options)
        why: str | None = answer.get("unavailable")
        return why and why + out_of_memory(why, self._options)

    def _spawn(self) -> Process:
        replies, answers = os.pipe()
        try:
            arguments = [sys.executable, "-P", "-u", worker.__file__, json.dumps(self._settings), str(answers)]
            folder = Path(self._settings.folder)
            process = Process(arguments, folder, self._options, together=True, pass_fds=[answers])
        except BaseException:
            os.close(replies)
            raise
        finally:
            os.close(answers)
        self._received.clear()
        self._number = 0
        process.listen(replies, self._received.extend)
        return process

    def _attempt(self, raw: bytes) -> Outcome:
        assert self._process
        self._number = (self._number + 1) % (1 << 32)
        self._process.send((len(raw) << 32 | self._number).to_bytes(8) + raw)
        try:
            answer = self._hear(self._settings.timeout)
        except TimeoutError:
            _, output = self._end()
            return Failed(f"took longer than {self._settings.timeout:g}s", "timeout", output)
        except GarbledError as garbled:
            _, output = self._end()
            return Failed(str(garbled), "crashed", output)
        if answer is None:
            code, output = self._end()
            hint = out_of_memory(output, self._options)
            return Failed(f"{ending(code)} in the middle of its work{hint}", "crashed", output, code=exit_code(code))
        output = self._process.output.take()
        if answer.get("spent"):
            self._end()
            answer["error"] += out_of_memory(answer["error"], self._options)
        return _outcome(answer, output, self._options.output)

    def _hear(self, limit: float) -> dict[str, Any] | None:
        """The next answer of the worker; None if it exits instead. Raises TimeoutError or GarbledError."""
        assert self._process
        self._process.until(self._is_answered, time.monotonic() + limit)
        self._process.drain()  # what was printed before the answer
        if not self._has_message():
            return None
        message = bytes(self._received[8:])
        self._received.clear()
        return _read(message)

    def _has_message(self) -> bool:
        """Whether an answer is there, and it alone. Raises GarbledError."""
        received = self._received
        if len(received) < 8:
            return False
        length, number = divmod(int.from_bytes(received[:8]), 1 << 32)
        if number != self._number or max(length, len(received) - 8) > self._settings.emit_bytes + ANSWER_LIMIT:
            raise GarbledError
        if len(received) > 8 + length:
            raise GarbledError
        return len(received) == 8 + length

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
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        with redirect_stdout(sys.stderr) if replaced else nullcontext():
            yield
    finally:
        sys.stdout.flush()
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
                except (Exception, SystemExit) as error:  # noqa: BLE001 - code of the handler
                    return _unavailable(self._settings, worker.describe(error, self._settings.folder))
            answer = worker.attempt(self._function, call.raw, self._settings, (Exception, SystemExit))
        return _outcome(_read(answer), "", self._keep)

    def close(self) -> None:
        """Nothing is kept warm."""


def open_handler(name: str, options: PythonOptions, folder: Path) -> Handler:
    """The handler, with nothing started or imported yet."""
    settings = worker.Settings(
        name, options.python, str(folder.absolute()), options.timeout, options.emit_limit, options.emit_bytes
    )
    return _InWorker(settings, options) if options.isolation == "process" else _InProcess(settings, options)


KIND = Kind(PythonOptions, open_handler)
