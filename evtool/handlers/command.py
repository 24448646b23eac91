"""Handlers of kind `command`: a program that gets the event on stdin, started for each attempt."""

import errno
import os
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from evtool.finding import did_you_mean
from evtool.handler import (
    EMIT_BYTES,
    EMIT_LIMIT,
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
from evtool.jsontext import JsonProblem, parse
from evtool.processes import Process, ending

NOT_AVAILABLE = 75  # EX_TEMPFAIL in sysexits.h: try again later
MESSAGE_LIMIT = 500  # characters of a line of stderr that become the error

# https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEventsRequestEntry.html
ENTRY_KEYS = ("Source", "DetailType", "Detail", "Resources", "Time", "EventBusName", "TraceHeader")


class CommandOptions(HandlerOptions):
    """What a command may say in routes.yaml."""

    command: Annotated[
        list[Annotated[str, Field(pattern=r"^[^\x00]*$")]],
        Field(min_length=1, description="the program and its arguments; there is no shell"),
    ]


def _find(program: str, folder: Path) -> str:
    """Where a program is: with a slash it counts from the folder, without it is on PATH. Raises FileNotFoundError."""
    if "/" in program:
        return str(folder / program)
    for directory in os.get_exec_path():
        path = Path(directory, program)
        # an empty or relative part of PATH would mean the current folder, whatever that is
        if path.is_absolute() and path.is_file() and os.access(path, os.X_OK):
            return str(path)
    hint = f"; did you mean ./{program}?" if program and (folder / program).is_file() else ""
    raise FileNotFoundError(f"there is no program {program!r} on PATH{hint}")


def _describe(error: OSError, program: str) -> str:
    if not error.strerror:
        return str(error)
    if isinstance(error, FileNotFoundError) and Path(program).is_file():
        return f"{program} cannot be started: the interpreter that its first line names is missing"
    return f"{error.filename or program} cannot be started: {error.strerror}"


def _text(value: str) -> bytes:
    return value.replace("\0", "\ufffd").encode(errors="replace")  # the environment cannot hold every text


# --- what a command emits ------------------------------------------------------------------------------------------


def _detail(value: Any) -> Any:
    """The detail of an entry, which may be JSON text. Raises ValueError."""
    if isinstance(value, str):
        try:
            value = parse(value.encode())
        except JsonProblem as problem:
            raise ValueError(f"Detail, column {problem.column}: {problem}") from None
    if not isinstance(value, dict):
        raise ValueError("Detail is neither an object nor the JSON text of one")
    return value


def _emitted(entry: Any) -> Emitted:
    """An event from an entry as PutEvents takes it. Raises ValueError."""
    if not isinstance(entry, dict):
        raise ValueError("an object is expected")
    for key in entry:
        if key not in ENTRY_KEYS:
            raise ValueError("; ".join([f"the key {key} is not known", *filter(None, [did_you_mean(key, ENTRY_KEYS)])]))
    for key in ("DetailType", "Detail"):
        if key not in entry:
            raise ValueError(f"{key} is missing")
    for key in ("DetailType", "Source", "Time"):
        if key in entry and not (isinstance(entry[key], str) and entry[key]):
            raise ValueError(f"{key} is not a text")
    resources = entry.get("Resources", [])
    if not isinstance(resources, list) or not all(isinstance(name, str) for name in resources):
        raise ValueError("Resources is not a list of texts")
    return Emitted(
        entry["DetailType"], _detail(entry["Detail"]), entry.get("Source"), tuple(resources), entry.get("Time")
    )


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines that are not blank, with their numbers. Raises ValueError for a file that is not one or is too long."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise ValueError("the file named by EVTOOL_EMIT is not a file any more")
    with path.open("rb") as file:
        raw = file.read(EMIT_BYTES + 1)
    if len(raw) > EMIT_BYTES:
        raise ValueError(f"emitted more than {EMIT_BYTES} bytes")
    for number, line in enumerate(raw.split(b"\n"), 1):
        if line.strip():
            yield number, line


def _read_emitted(path: Path) -> tuple[Emitted, ...]:
    """The events in the file. Raises ValueError that says which line is wrong, and how."""
    found: list[Emitted] = []
    for number, line in _lines(path):
        try:
            found.append(_emitted(parse(line)))
        except JsonProblem as problem:
            raise ValueError(f"emitted line {number}, column {problem.column}: {problem}") from None
        except ValueError as problem:
            raise ValueError(f"emitted line {number}: {problem}") from None
        if len(found) > EMIT_LIMIT:
            raise ValueError(f"emitted more than {EMIT_LIMIT} events")
    return tuple(found)


# --- one attempt ---------------------------------------------------------------------------------------------------


def _judge(code: int, process: Process, emit: Path) -> Outcome:
    """What the exit code of a command means."""
    output, errors = process.output.take(), process.errors.take()
    said = ": ".join([ending(code), *errors.strip().splitlines()[-1:]])[:MESSAGE_LIMIT]
    if code == NOT_AVAILABLE:
        return Unavailable(said)
    if code:
        return Failed(said, "failed" if code > 0 else "crashed", output)
    try:
        return Done(_read_emitted(emit), output)
    except (ValueError, OSError) as error:
        return Failed(str(error), "bad-result", output, final=True)


class _Command:
    """Starts the program for each call."""

    def __init__(self, name: str, options: CommandOptions, folder: Path):
        self._name = name
        self._options = options
        self._folder = folder.absolute()

    def __call__(self, call: Call) -> Outcome:
        try:
            descriptor, emit = tempfile.mkstemp(prefix="evtool-emit-")
        except OSError as error:
            return Unavailable(f"no temporary file can be made: {error}")
        os.close(descriptor)
        try:
            return self._attempt(call, Path(emit))
        finally:
            Path(emit).unlink(missing_ok=True)

    def _attempt(self, call: Call, emit: Path) -> Outcome:
        program, *arguments = self._options.command
        try:
            program = _find(program, self._folder)
            process = Process([program, *arguments], self._folder, self._environment(call, emit))
        except OSError as error:
            if error.errno == errno.E2BIG:  # of this event's id or type, which no waiting makes shorter
                return Failed(_describe(error, program), final=True)
            return Unavailable(_describe(error, program))
        try:
            process.send(call.raw, last=True)
            process.until(process.has_exited, time.monotonic() + self._options.timeout)
        except TimeoutError:
            process.end()
            return Failed(f"took longer than {self._options.timeout:g}s", "timeout", process.output.take())
        finally:
            code = process.end()
        return _judge(code, process, emit)

    def _environment(self, call: Call, emit: Path) -> dict[bytes, bytes]:
        return {
            b"EVTOOL_EMIT": os.fsencode(emit),
            b"EVTOOL_EVENT_ID": _text(call.event_id),
            b"EVTOOL_EVENT_TYPE": _text(call.event_type),
            b"EVTOOL_HANDLER": _text(self._name),
            b"EVTOOL_ROUTE": _text(call.route),
            b"EVTOOL_ATTEMPT": str(call.attempt).encode(),
        }

    def close(self) -> None:
        """Nothing is kept warm."""


def open_handler(name: str, options: CommandOptions, folder: Path) -> Handler:
    """The handler, with nothing looked up or started yet."""
    return _Command(name, options, folder)


KIND = Kind(CommandOptions, open_handler)
