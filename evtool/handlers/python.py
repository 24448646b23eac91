"""Handlers of kind `python`: a function, called as AWS Lambda calls it, in a worker process that is kept warm."""

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, redirect_stdout
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from evtool import worker
from evtool.handler import (
    EMIT_BYTES,
    EMIT_LIMIT,
    OUTPUT_TAIL,
    Call,
    Done,
    Emitted,
    Failed,
    Handler,
    HandlerOptions,
    Kind,
    Outcome,
    Unavailable,
)
from evtool.processes import GRACE, Process, ending

START_LIMIT = 10.0  # seconds to load the module, besides the handler's own time limit; Lambda's init phase has as many


class PythonOptions(HandlerOptions):
    """What a Python handler may say in routes.yaml."""

    python: Annotated[
        str,
        Field(pattern=r"^[^:\x00]+:[^:\s\x00]+$", description="module:function, or path/to/file.py:function"),
    ]
    isolation: Annotated[
        Literal["process", "none"],
        Field(description="none runs it inside evtool, for a debugger, without a time limit"),
    ] = "process"


def _outcome(answer: bytes, output: str) -> Outcome:
    """What the answer of an attempt means (see worker.py)."""
    try:
        told = json.loads(answer)
    except RecursionError:
        return Failed("emitted an event that is nested too deeply: it is no event", "bad-result", output, final=True)
    if "unavailable" in told:
        return Unavailable(told["unavailable"])
    if "error" in told:
        log = (output + told["traceback"])[-OUTPUT_TAIL:]
        return Failed(told["error"], told["outcome"], log, final=told["outcome"] == "bad-result")
    return Done(tuple(Emitted(*each) for each in told["emitted"]), output)


def _unavailable(settings: worker.Settings, why: str) -> Unavailable:
    return Unavailable(f"{settings.target} cannot be loaded from {settings.folder}: {why}")


class _InWorker:
    """Calls the function in a worker process, which is started at the first call and again whenever it is gone."""

    def __init__(self, settings: worker.Settings):
        self._settings = settings
        self._process: Process | None = None
        self._received = bytearray()

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
        if answer is None:
            code, output = self._end()
            return f"{ending(code)} {output}".strip()
        why: str | None = json.loads(answer).get("unavailable")
        return why

    def _spawn(self) -> Process:
        replies, answers = os.pipe()
        try:
            arguments = [sys.executable, "-P", "-u", worker.__file__, json.dumps(self._settings), str(answers)]
            process = Process(arguments, Path(self._settings.folder), together=True, pass_fds=[answers])
        except BaseException:
            os.close(replies)
            raise
        finally:
            os.close(answers)
        self._received.clear()
        process.listen(replies, self._received.extend)
        return process

    def _attempt(self, raw: bytes) -> Outcome:
        assert self._process
        self._process.send(len(raw).to_bytes(4) + raw)
        try:
            answer = self._hear(self._settings.timeout)
        except TimeoutError:
            _, output = self._end()
            return Failed(f"took longer than {self._settings.timeout:g}s", "timeout", output)
        if answer is None:
            code, output = self._end()
            return Failed(f"{ending(code)} in the middle of its work", "crashed", output)
        return _outcome(answer, self._process.output.take())

    def _hear(self, limit: float) -> bytes | None:
        """The next message of the worker; None if it exits instead. Raises TimeoutError."""
        assert self._process
        self._process.until(self._is_answered, time.monotonic() + limit)
        self._process.drain()  # what was printed before the answer
        if not self._has_message():
            return None
        message = bytes(self._received[4:])
        self._received.clear()
        return message

    def _has_message(self) -> bool:
        return len(self._received) >= 4 and len(self._received) >= 4 + int.from_bytes(self._received[:4])

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

    def __init__(self, settings: worker.Settings):
        self._settings = settings
        self._function: worker.Function | None = None

    def __call__(self, call: Call) -> Outcome:
        with _stdout_is_stderr():
            if self._function is None:
                try:
                    self._function = worker.load(self._settings.target, self._settings.folder)
                except (Exception, SystemExit) as error:  # noqa: BLE001 - code of the handler
                    return _unavailable(self._settings, worker.describe(error, self._settings.folder))
            answer = worker.attempt(self._function, call.raw, self._settings, (Exception, SystemExit))
        return _outcome(answer, "")

    def close(self) -> None:
        """Nothing is kept warm."""


def open_handler(name: str, options: PythonOptions, folder: Path) -> Handler:
    """The handler, with nothing started or imported yet."""
    settings = worker.Settings(name, options.python, str(folder.absolute()), options.timeout, EMIT_LIMIT, EMIT_BYTES)
    return _InWorker(settings) if options.isolation == "process" else _InProcess(settings)


KIND = Kind(PythonOptions, open_handler)
