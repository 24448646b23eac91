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
from evtool.handlers.processes.endpoint import Endpoint, Exchange
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

# sysexits.h: a temporary failure.
EX_TEMPFAIL = 75

# A shell and `env` exit with this if they do not find the program.
EX_NOT_FOUND = 127

# Seconds between two checks of the emitted bytes: a command that emits in a loop must not fill the disk.
POLL_INTERVAL = 0.1

# Characters of the error, which contains a line of stderr.
MESSAGE_LIMIT = 500


class CommandOptions(ProcessOptions):
    """The options of a command in routes.yaml."""

    command: Annotated[
        list[Annotated[str, Field(pattern=r"^[^\x00]*$")]],
        Field(min_length=1, description="the program and its arguments, without a shell"),
    ]


def _encode(value: str) -> bytes:
    # A variable of the environment cannot contain a NUL or a lone surrogate.
    return value.replace("\0", "\ufffd").encode(errors="replace")


def _remove_folder(folder: "TemporaryDirectory[str]") -> None:
    """Removes a temporary folder with all files that a program has put there."""
    try:
        folder.cleanup()
    # Python cannot remove folders that are nested too deeply.
    except RecursionError:
        subprocess.run(["/bin/rm", "-rf", folder.name], stderr=subprocess.DEVNULL, check=False)


# --- one attempt ---------------------------------------------------------------------------------------------------


def _outcome_of(code: int, process: Process, emit: Path, options: CommandOptions) -> Outcome:
    """Returns the outcome that an exit code means."""
    output, errors = process.output.take(), process.errors.take()
    message = describe_exit(code)
    error_line = find_error_line(errors)
    if error_line:
        message += f": {error_line}"
    message = message[:MESSAGE_LIMIT]
    if code == EX_TEMPFAIL:
        return Unavailable(message)
    error = message + memory_hint(errors, options)
    if code > 0:
        return Failed(error, "failed", output, code=format_exit_code(code))
    # A signal ended it.
    if code < 0:
        return Failed(error, "crashed", output, code=format_exit_code(code))
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

        def serve(exchange: Exchange) -> None:
            exchange.respond(answer(exchange.request, emission))

        try:
            endpoint = Endpoint(serve)
        except OSError as error:
            return Unavailable(f"no socket can be opened: {error}")
        with closing(endpoint):
            return emission.add_to(self._run_program(call, emit, endpoint))

    def _run_program(self, call: Call, emit: Path, endpoint: Endpoint) -> Outcome:
        options = self._options
        program, arguments = options.command[0], options.command[1:]
        try:
            program = find_program(program, self._folder)
            environment = self._build_environment(call, emit, endpoint)
            process = Process([program, *arguments], self._folder, options, environment)
        except OSError as error:
            # The id or the type of this event is too long for the environment, so that no later attempt can succeed.
            if error.errno == errno.E2BIG:
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
        if code == EX_NOT_FOUND:
            failure = self.check()
            if failure:
                return failure
        return _outcome_of(code, process, emit, options)

    def _build_environment(self, call: Call, emit: Path, endpoint: Endpoint) -> dict[bytes, bytes]:
        return extend_environment(self._options, endpoint.address) | {
            b"EVTOOL_EMIT": os.fsencode(emit),
            b"EVTOOL_EVENT_ID": _encode(call.event_id),
            b"EVTOOL_EVENT_TYPE": _encode(call.event_type),
            b"EVTOOL_HANDLER": _encode(self._name),
            b"EVTOOL_ROUTE": _encode(call.route),
            b"EVTOOL_ATTEMPT": str(call.attempt).encode(),
        }

    def check(self) -> Unavailable | None:
        """Checks whether the program exists and can be run. Returns why not, or None."""
        program = self._options.command[0]
        try:
            program = find_program(program, self._folder)
            check_program(program)
        except OSError as error:
            return start_failure(error, program)
        return None

    def close(self) -> None:
        """Does nothing, since each call has its own process."""


def open_handler(name: str, options: CommandOptions, folder: Path) -> Handler:
    """Creates the handler, which starts no process yet."""
    return _Command(name, options, folder)


KIND = Kind(CommandOptions, open_handler)
