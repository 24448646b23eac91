"""Finds the program that a handler names, and expands `${NAME}` in its settings."""

import os
import re
import sys
from contextlib import suppress
from pathlib import Path

from evtool.paths import is_file

VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


class UnsetVariableError(ValueError):
    """The environment has no variable for a `${NAME}`."""


def expand_variables(text: str) -> str:
    """Replaces each `${NAME}` with the value from the environment. Raises UnsetVariableError."""

    def read(match: re.Match[str]) -> str:
        if match[1] not in os.environ:
            raise UnsetVariableError(f"{match[0]} is not set in the environment")
        return os.environ[match[1]]

    return VARIABLE.sub(read, text)


def list_values(text: str) -> list[str]:
    """Returns the values that `expand_variables` puts into a text."""
    return [os.environ[name] for name in VARIABLE.findall(text) if name in os.environ]


def find_program(program: str, folder: Path) -> str:
    """Returns the path of a program: a name with a slash is relative to the folder, any other one is on PATH.

    Raises FileNotFoundError.
    """
    if "/" in program:
        return str(folder / program)
    for directory in os.get_exec_path():
        path = Path(directory, program)
        # An empty or relative part of PATH depends on the current folder, and is a security risk.
        if path.is_absolute() and os.access(path, os.X_OK) and path.is_file():
            return str(path)
    hint = ""
    if program and (folder / program).is_file():
        hint = f"; did you mean ./{program}?"
    raise FileNotFoundError(f"there is no program {program!r} on PATH{hint}")


def find_interpreter(name: str | None, folder: str) -> str:
    """Returns the Python that runs a handler, by default that of evtool.

    Raises FileNotFoundError or UnsetVariableError.
    """
    if name is None:
        return sys.executable
    with suppress(FileNotFoundError):
        file = find_program(expand_variables(name), Path(folder))
        if is_file(file) and os.access(file, os.X_OK):
            return file
    # `name` without the values of its variables, which evtool never prints.
    is_environment = is_file(Path(folder, name, "bin/python"))
    hint = "create that environment, or change `interpreter` in routes.yaml"
    if is_environment:
        hint = f"did you mean {name}/bin/python?"
    raise FileNotFoundError(f"there is no interpreter {name}; {hint}")
