"""Handlers of kind `command`: a program that is started for each attempt and reads the event on stdin."""

import errno
import os
import subprocess
import time
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

from pydantic import Field

from evtool.handlers.base import Call, Done, Failed, Handler, Kind, Outcome, ProcessOptions, Unavailable
from evtool.handlers.processes.emit_file import describe_excess, read_emitted, size_of
from evtool.handlers.processes.endpoint import Endpoint
from evtool.handlers.processes.error_lines import find_error_line
from evtool.handlers.processes.exits import (
    check_program,
    describe_exit,
    describe_start_error,
    format_exit_code,
    memory_hint,
    start_failure,
)
from evtool.handlers.processes.process import Process
from evtool.handlers.processes.programs import find_program
from evtool.handlers.put_events import Emission, answer, extend_environment

EX_TEMPFAIL = 75  # as in sysexits.h: try again later
EX_NOT_FOUND = 127  # of a shell and of `env`: there is no such program
POLL_INTERVAL = 0.1  # seconds between two looks at how much it has emitted, which must not fill the disk
MESSAGE_LIMIT = 500  # characters of the line of stderr that becomes the error


class CommandOptions(ProcessOptions):
    """What a command may say in routes.yaml."""

    command: Annotated[
        list[Annotated[str, Field(pattern=r"^[^\x00]*$")]],
        Field(min_length=1, description="the program and its arguments; there is no shell"),
    ]


def _encode(value: str) -> bytes:
    return value.replace("\0", "\ufffd").encode(errors="replace")  # the environment cannot hold every text


def _remove_folder(folder: "TemporaryDirectory[str]") -> None:
    """Removes a temporary folder with whatever a program has put there."""
    try:
        folder.cleanup()
    except RecursionError:  # folders in folders, more than Python can follow
        subprocess.run(["/bin/rm", "-rf", folder.name], stderr=subprocess.DEVNULL, check=False)


# --- one attempt ---------------------------------------------------------------------------------------------------


def _outcome_of(code: int, process: Process, emit: Path, options: CommandOptions) -> Outcome:
    """What the exit code of a command means."""
    output, errors = process.output.take(), process.errors.take()
    message = ": ".join(filter(None, [describe_exit(code), find_error_line(errors)]))[:MESSAGE_LIMIT]
    if code == EX_TEMPFAIL:
        return Unavailable(message)
    if code:
        return Failed(
            message + memory_hint(errors, options),
            "failed" if code > 0 else "crashed",
            output,
            code=format_exit_code(code),
        )
    try:
        return Done(read_emitted(emit, options), output)
    except ValueError as error:
        return Failed(str(error), "bad-result", output, final=True)


class _Command:
    """Starts the program for each call."""

    def __init__(self, name: str, options: CommandOptions, folder: Path):
        self._name = name
        self._options = options
        self._folder = folder.absolute()

    def __call__(self, call: Call) -> Outcome:
        try:
            folder = TemporaryDirectory(prefix="evtool-emit-", ignore_cleanup_errors=True)
        except OSError as error:
            return Unavailable(f"no temporary folder can be made: {error}")
        try:
            emit = Path(folder.name, "events.jsonl")
            try:
                emit.touch(mode=0o600)
            except OSError as error:
                return Unavailable(f"no temporary file can be made: {error}")
            return self._run_attempt(call, emit)
        finally:
            _remove_folder(folder)

    def _run_attempt(self, call: Call, emit: Path) -> Outcome:
        emission = Emission(call, self._name, self._options)
        try:
            endpoint = Endpoint(lambda exchange: exchange.respond(answer(exchange.request, emission)))
        except OSError as error:
            return Unavailable(f"no socket can be opened: {error}")
        with closing(endpoint):
            return emission.add_to(self._run_program(call, emit, endpoint))

    def _run_program(self, call: Call, emit: Path, endpoint: Endpoint) -> Outcome:
        options = self._options
        program, *arguments = options.command
        try:
            program = find_program(program, self._folder)
            environment = self._make_environment(call, emit, endpoint)
            process = Process([program, *arguments], self._folder, options, environment)
        except OSError as error:
            if error.errno == errno.E2BIG:  # of this event's id or type, which no waiting makes shorter
                return Failed(describe_start_error(error, program), final=True)
            return start_failure(error, program)

        def is_finished() -> bool:
            return process.has_exited() or size_of(emit) > options.emit_bytes

        try:
            endpoint.attach(process)
            process.send(call.raw, last=True)
            process.wait_until(is_finished, time.monotonic() + options.timeout, interval=POLL_INTERVAL)
            exited = process.has_exited()
        except TimeoutError:
            process.end()
            return Failed(f"took longer than {options.timeout:g}s (timeout)", "timeout", process.output.take())
        finally:
            code = process.end()
        if not exited:
            return Failed(describe_excess(options.emit_bytes), "bad-result", process.output.take(), final=True)
        if code == EX_NOT_FOUND and (failure := self.check()):
            return failure
        return _outcome_of(code, process, emit, options)

    def _make_environment(self, call: Call, emit: Path, endpoint: Endpoint) -> dict[bytes, bytes]:
        return {
            **extend_environment(self._options, endpoint.address),
            b"EVTOOL_EMIT": os.fsencode(emit),
            b"EVTOOL_EVENT_ID": _encode(call.event_id),
            b"EVTOOL_EVENT_TYPE": _encode(call.event_type),
            b"EVTOOL_HANDLER": _encode(self._name),
            b"EVTOOL_ROUTE": _encode(call.route),
            b"EVTOOL_ATTEMPT": str(call.attempt).encode(),
        }

    def check(self) -> Unavailable | None:
        """Whether the program is there and may be run."""
        program = self._options.command[0]
        try:
            program = find_program(program, self._folder)
            check_program(program)
        except OSError as error:
            return start_failure(error, program)
        return None

    def close(self) -> None:
        """Nothing is kept warm."""


def open_handler(name: str, options: CommandOptions, folder: Path) -> Handler:
    """The handler, with nothing looked up or started yet."""
    return _Command(name, options, folder)


KIND = Kind(CommandOptions, open_handler)
