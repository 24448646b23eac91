"""Describes how a process ended, and why one could not be started."""

import errno
import os
import re
import shlex
import shutil
import signal
from pathlib import Path

from evtool.handlers.base import ProcessOptions, Unavailable
from evtool.units import format_size

UNKNOWN_EXIT = 256  # the exit code is not known: another part of the program collected it
# how runtimes say that they were given no more memory: Python, C, C++, Node.js, Java, Go
OUT_OF_MEMORY = re.compile(
    r"MemoryError|out of memory|cannot allocate memory|bad_alloc|OutOfMemory|Not enough space", re.IGNORECASE
)


def memory_hint(output: str, options: ProcessOptions) -> str:
    """What to add to the error of a process that says that it was given no more memory; empty if it does not."""
    if OUT_OF_MEMORY.search(output):
        return f" (its memory is limited to {format_size(options.memory)})"
    return ""


def format_exit_code(code: int) -> str | None:
    """An exit code as text, `3`, or the signal that ended the process, `SIGSEGV`; None if nobody knows."""
    if code == UNKNOWN_EXIT:
        return None
    return describe_exit(code).split()[-1]


def describe_exit(code: int) -> str:
    """How a process ended, by its exit code: `exit 3` or `killed by SIGSEGV`."""
    if code == UNKNOWN_EXIT:
        return "nobody knows how it ended"
    if code >= 0:
        return f"exit {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:  # a real-time signal
        return f"killed by signal {-code}"


def describe_start_error(error: OSError, program: str) -> str:
    """Why a program was not started."""
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
    """The outcome if a program was not started: for a lack of resources, or because the project names it wrongly."""
    code = None
    if isinstance(error, FileNotFoundError | PermissionError | NotADirectoryError) or error.errno == errno.ENOEXEC:
        code = "EV501"
        if error.strerror and _lacks_interpreter(error, program):
            code = "EV502"
    return Unavailable(describe_start_error(error, program), code)


def check_program(program: str) -> None:
    """Raises the error that starting a program would raise, as far as its file shows it."""
    path = Path(program)
    if path.exists() and not (path.is_file() and os.access(path, os.X_OK)):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), program)
    try:
        with path.open("rb") as file:
            start, *words = file.readline(256).replace(b"#!", b"#! ", 1).split() or [b""]
    except PermissionError:  # it can be run, but not read
        return
    if start == b"#!" and words and _is_missing(*map(os.fsdecode, words)):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), program)


def _is_missing(interpreter: str, *words: str) -> bool:
    """Whether the interpreter of a script is not there, or the one that `/usr/bin/env` looks for."""
    is_searched = Path(interpreter).name == "env" and words and not words[0].startswith("-") and "=" not in words[0]
    return not Path(interpreter).exists() or bool(is_searched and shutil.which(words[0]) is None)
