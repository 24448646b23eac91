"""Describes how a process ended, and why a process cannot be started."""

import errno
import os
import re
import shlex
import shutil
import signal
from collections.abc import Sequence
from pathlib import Path

from evtool.handlers.base import ProcessOptions, Unavailable
from evtool.units import format_size

# Stands for an exit code that other code in this process has collected. Real ones are at most 255.
UNKNOWN_EXIT = 256

# Messages for a lack of memory: of Python, C, C++, Node.js, Java and Go.
OUT_OF_MEMORY = re.compile(
    r"MemoryError|out of memory|cannot allocate memory|bad_alloc|OutOfMemory|Not enough space", re.IGNORECASE
)


def memory_hint(output: str, options: ProcessOptions) -> str:
    """Returns what to add to the error of a process whose output mentions a lack of memory; "" for any other output."""
    if OUT_OF_MEMORY.search(output):
        return f" (its memory is limited to {format_size(options.memory)})"
    return ""


def format_exit_code(code: int) -> str | None:
    """Returns an exit code as text, `3`, or the signal that ended the process, `SIGSEGV`; None if it is not known."""
    if code == UNKNOWN_EXIT:
        return None
    return describe_exit(code).split()[-1]


def describe_exit(code: int) -> str:
    """Describes an exit code: `exit 3` or `killed by SIGSEGV`."""
    if code == UNKNOWN_EXIT:
        return "its exit code is not known"
    if code >= 0:
        return f"exit {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    # A real-time signal has no name.
    except ValueError:
        return f"killed by signal {-code}"


def describe_start_error(error: OSError, program: str) -> str:
    """Describes why a program was not started, and what to do."""
    if not error.strerror:
        return str(error)
    if _lacks_interpreter(error, program):
        return f"{program} cannot be started: the interpreter that its first line names is missing"
    file = error.filename or program
    if isinstance(error, PermissionError) and Path(file).is_dir():
        return f"{file} cannot be started: it is a folder"
    if isinstance(error, PermissionError) and Path(file).is_file() and not os.access(file, os.X_OK):
        return f"{file} is not executable; run: chmod +x {shlex.quote(str(file))}"
    if error.errno == errno.ENOEXEC:
        return f"{file} cannot be started: it has no first line such as #!/bin/sh, or is built for another system"
    return f"{file} cannot be started: {error.strerror}"


def _lacks_interpreter(error: OSError, program: str) -> bool:
    return isinstance(error, FileNotFoundError) and Path(program).is_file()


def start_failure(error: OSError, program: str) -> Unavailable:
    """Returns the outcome if a program was not started: the system lacks resources, or the project has a mistake."""
    code = None
    if isinstance(error, FileNotFoundError | PermissionError | NotADirectoryError) or error.errno == errno.ENOEXEC:
        code = "EV501"
        if error.strerror and _lacks_interpreter(error, program):
            code = "EV502"
    return Unavailable(describe_start_error(error, program), code)


def check_program(program: str) -> None:
    """Raises the error that the start of a program would raise, as far as its file shows it."""
    path = Path(program)
    if path.exists() and not (path.is_file() and os.access(path, os.X_OK)):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), program)
    try:
        with path.open("rb") as file:
            first_line = file.readline(256)
    # A program may be executable without being readable.
    except PermissionError:
        return
    if not first_line.startswith(b"#!"):
        return
    words = list(map(os.fsdecode, first_line.removeprefix(b"#!").split()))
    if words and _lacks_program(words):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), program)


def _lacks_program(words: Sequence[str]) -> bool:
    """Whether the interpreter in the first line of a script is missing, or the program that `/usr/bin/env` runs."""
    interpreter = Path(words[0])
    if not interpreter.exists():
        return True
    # Options of env and variables that it sets come before the program; evtool does not look further.
    if interpreter.name != "env" or len(words) == 1 or words[1].startswith("-") or "=" in words[1]:
        return False
    return shutil.which(words[1]) is None
