"""Handlers of kind `command`: a program that is started for each attempt and reads the event on stdin."""

import errno
import json
import os
import stat
import subprocess
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

from pydantic import Field

from evtool.events.buses import parse_bus_name
from evtool.findings.spelling import did_you_mean
from evtool.handlers.base import Call, Done, Emitted, Failed, Handler, Kind, Outcome, ProcessOptions, Unavailable
from evtool.handlers.processes.error_lines import find_error_line
from evtool.handlers.processes.process import Process, describe_exit, format_exit_code, memory_hint
from evtool.handlers.processes.programs import find_program
from evtool.readers.json_text import JsonProblem, parse_json

EX_TEMPFAIL = 75  # as in sysexits.h: try again later
POLL_INTERVAL = 0.1  # seconds between two looks at how much it has emitted, which must not fill the disk
MAX_LINE_BYTES = 4 << 20  # bytes of an emitted line: an event is shorter, but many a character may be escaped
MESSAGE_LIMIT = 500  # characters of the line of stderr that becomes the error

# https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEventsRequestEntry.html
ENTRY_KEYS = ("Source", "DetailType", "Detail", "Resources", "Time", "EventBusName", "TraceHeader")


class CommandOptions(ProcessOptions):
    """What a command may say in routes.yaml."""

    command: Annotated[
        list[Annotated[str, Field(pattern=r"^[^\x00]*$")]],
        Field(min_length=1, description="the program and its arguments; there is no shell"),
    ]


def _check_program(program: str) -> None:
    """Raises the error that starting a program would raise, as far as its file shows it."""
    path = Path(program)
    if path.exists() and not (path.is_file() and os.access(path, os.X_OK)):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), program)
    try:
        with path.open("rb") as file:
            start, *words = file.readline(256).replace(b"#!", b"#! ", 1).split() or [b""]
    except PermissionError:  # it can be run, but not read
        return
    if start == b"#!" and words and not Path(os.fsdecode(words[0])).exists():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), program)


def _describe_error(error: OSError, program: str) -> str:
    if not error.strerror:
        return str(error)
    if _lacks_interpreter(error, program):
        return f"{program} cannot be started: the interpreter that its first line names is missing"
    return f"{error.filename or program} cannot be started: {error.strerror}"


def _lacks_interpreter(error: OSError, program: str) -> bool:
    return isinstance(error, FileNotFoundError) and Path(program).is_file()


def _start_failure(error: OSError, program: str) -> Unavailable:
    """Why a program was not started: for a lack of resources, or because the project names it wrongly."""
    code = None
    if isinstance(error, FileNotFoundError | PermissionError | NotADirectoryError) or error.errno == errno.ENOEXEC:
        code = "EV502" if error.strerror and _lacks_interpreter(error, program) else "EV501"
    return Unavailable(_describe_error(error, program), code)


def _encode(value: str) -> bytes:
    return value.replace("\0", "\ufffd").encode(errors="replace")  # the environment cannot hold every text


# --- what a command emits ------------------------------------------------------------------------------------------


def _parse_detail(value: Any) -> bytes:
    """The detail of an entry, which may be JSON text. Raises ValueError."""
    text = (value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)).encode()
    try:
        detail = parse_json(text) if isinstance(value, str) else value
    except JsonProblem as problem:
        raise ValueError(f"Detail, column {problem.column}: {problem}") from None
    if not isinstance(detail, dict):
        raise ValueError("Detail is neither an object nor the JSON text of one")
    return text


def _parse_entry(entry: Any) -> Emitted:
    """An event from an entry as PutEvents takes it. Raises ValueError."""
    if not isinstance(entry, dict):
        raise ValueError("an object is expected")
    entry = {key: value for key, value in entry.items() if value is not None}
    for key in entry:
        if key not in ENTRY_KEYS:
            raise ValueError("; ".join([f"the key {key} is not known", *filter(None, [did_you_mean(key, ENTRY_KEYS)])]))
    for key in ("DetailType", "Detail"):
        if key not in entry:
            raise ValueError(f"{key} is missing")
    for key in ("DetailType", "Source"):
        if key in entry and not (isinstance(entry[key], str) and entry[key]):
            raise ValueError(f"{key} is not a string")
    resources = entry.get("Resources", [])
    if not isinstance(resources, list) or not all(isinstance(name, str) for name in resources):
        raise ValueError("Resources is not a list of strings")
    return Emitted(
        entry["DetailType"],
        _parse_detail(entry["Detail"]),
        entry.get("Source"),
        tuple(resources),
        entry.get("Time"),
        parse_bus_name(entry.get("EventBusName")),
    )


def _read_lines(path: Path, limit: int) -> Iterator[tuple[int, bytes]]:
    """The lines that are not blank, with their numbers. Raises ValueError for a file that is not one or is too long."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise ValueError("the file named by EVTOOL_EMIT is not a file any more")
        if _size_of(path) > limit:
            raise ValueError(_describe_excess(limit))
        with path.open("rb") as file:
            for number, line in enumerate(iter(partial(file.readline, MAX_LINE_BYTES), b""), 1):
                if len(line) == MAX_LINE_BYTES:
                    raise ValueError(f"emitted line {number}, which is too long: {MAX_LINE_BYTES} bytes or more")
                if line.strip():
                    yield number, line
    except OSError as error:
        raise ValueError(f"the file named by EVTOOL_EMIT cannot be read: {error.strerror}") from None


def _read_emitted(path: Path, options: CommandOptions) -> tuple[Emitted, ...]:
    """The events in the file. Raises ValueError that says which line is wrong, and how."""
    events: list[Emitted] = []
    for number, line in _read_lines(path, options.emit_bytes):
        try:
            events.append(_parse_entry(parse_json(line)))
        except JsonProblem as problem:
            raise ValueError(f"emitted line {number}, column {problem.column}: {problem}") from None
        except ValueError as problem:
            raise ValueError(f"emitted line {number}: {problem}") from None
        if len(events) > options.emit_limit:
            raise ValueError(f"emitted more than {options.emit_limit} events (emit_limit)")
    return tuple(events)


def _describe_excess(limit: int) -> str:
    return f"emitted more than {limit} bytes (emit_bytes)"


def _size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # removed, which is judged at the end
        return 0


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
        return Done(_read_emitted(emit, options), output)
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
        options = self._options
        program, *arguments = options.command
        try:
            program = find_program(program, self._folder)
            process = Process([program, *arguments], self._folder, options, self._make_environment(call, emit))
        except OSError as error:
            if error.errno == errno.E2BIG:  # of this event's id or type, which no waiting makes shorter
                return Failed(_describe_error(error, program), final=True)
            return _start_failure(error, program)

        def is_finished() -> bool:
            return process.has_exited() or _size_of(emit) > options.emit_bytes

        try:
            process.send(call.raw, last=True)
            process.wait_until(is_finished, time.monotonic() + options.timeout, interval=POLL_INTERVAL)
            exited = process.has_exited()
        except TimeoutError:
            process.end()
            return Failed(f"took longer than {options.timeout:g}s (timeout)", "timeout", process.output.take())
        finally:
            code = process.end()
        if not exited:
            return Failed(_describe_excess(options.emit_bytes), "bad-result", process.output.take(), final=True)
        return _outcome_of(code, process, emit, options)

    def _make_environment(self, call: Call, emit: Path) -> dict[bytes, bytes]:
        return {
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
            _check_program(program)
        except OSError as error:
            return _start_failure(error, program)
        return None

    def close(self) -> None:
        """Nothing is kept warm."""


def open_handler(name: str, options: CommandOptions, folder: Path) -> Handler:
    """The handler, with nothing looked up or started yet."""
    return _Command(name, options, folder)


KIND = Kind(CommandOptions, open_handler)
