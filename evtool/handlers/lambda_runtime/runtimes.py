"""Finds the command that starts a function: the official client of the Runtime API for its language.

Examples, for `lambda: functions/charge` with `handler: app.handler`:

    runtime: python      /usr/bin/python3 -m awslambdaric app.handler
    runtime: node        node functions/charge/node_modules/aws-lambda-ric/index.mjs app.handler
    runtime: go          functions/charge/bootstrap
    start: [dotnet, x]   /usr/bin/dotnet x
"""

import os
import subprocess
from contextlib import suppress
from functools import cache
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from evtool.handlers.base import Unavailable
from evtool.handlers.lambda_runtime.options import LambdaOptions
from evtool.handlers.processes.exits import check_program, start_failure
from evtool.handlers.processes.programs import UnsetVariableError, find_interpreter, find_program
from evtool.paths import display_path

JAVA_CLIENT = "com.amazonaws.services.lambda.runtime.api.client.AWSLambda"
JAVA_CLIENT_JAR = "aws-lambda-java-runtime-interface-client*.jar"
JAVA_INSTALL = (
    "add com.amazonaws:aws-lambda-java-runtime-interface-client to pom.xml, and run "
    "`mvn dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory=lib`"
)

# Runtimes whose `handler` is FILE.FUNCTION. That of Java may be a class alone.
FILE_RUNTIMES = ("python", "node", "ruby")

# The file of the client in its version 4, and in its version 3.
NODE_CLIENTS = ("index.mjs", "bin/index.mjs")
PYTHON_INSTALL = "install it there: pip install awslambdaric"
RUBY_INSTALL = "install it: gem install aws_lambda_ric"

# The variables of evtool's own environment that a function gets: without them, some programs do not start.
PASSED_ON = ("PATH", "HOME", "USER", "TMPDIR", "LD_LIBRARY_PATH", "JAVA_HOME", "DOTNET_ROOT", "SYSTEMROOT")

# Seconds for a program to print its version.
VERSION_TIMEOUT = 5.0

# The value of `AWS_EXECUTION_ENV` if `runtime` has no version. With python3.12 or later,
# awslambdaric writes results as UTF-8.
EXECUTION_ENVIRONMENTS = {
    "python": "python3.13",
    "node": "nodejs22.x",
    "ruby": "ruby3.3",
    "java": "java21",
    "go": "provided.al2023",
    "rust": "provided.al2023",
    "provided": "provided.al2023",
}


# How the program of a compiled function comes into its folder. evtool never compiles.
BOOTSTRAP_HINTS = {
    "go": "build it: go build -o bootstrap .",
    "rust": "build it, and copy the program there: cargo build --release",
}


class StartCommand(NamedTuple):
    """The command of a function, and the arguments with which its program prints its version, if it has a version."""

    arguments: list[str]
    version_arguments: list[str] = []  # noqa: RUF012  (never changed)


class MissingClientError(Exception):
    """The program or the client that runs a function is missing. `code` is the code of the finding."""

    def __init__(self, message: str, code: str = "EV502"):
        super().__init__(message)
        self.code = code


def find_start_command(options: LambdaOptions, project: Path) -> StartCommand:
    """Returns the command that starts the function. Raises MissingClientError, or OSError if its file cannot be run."""
    folder = project / options.folder
    if not folder.is_dir():
        raise MissingClientError(f"the folder {display_path(folder)} does not exist", "EV501")
    if options.start:
        return StartCommand([_find(options.start[0], folder)] + options.start[1:])
    handler = options.handler or ""
    _check_handler(handler, options.runtime_name.family)
    match options.runtime_name.family:
        case "python":
            return _start_python(options, project)
        case "node":
            node = _find("node", folder, "install Node.js")
            return StartCommand([node, str(_find_node_client(folder)), handler], ["--version"])
        case "java":
            return _start_java(folder, handler)
        case "ruby":
            return StartCommand([_find("aws_lambda_ric", folder, RUBY_INSTALL), handler])
    return _start_bootstrap(folder, options.runtime_name.family)


def _check_handler(handler: str, family: str) -> None:
    """Raises MissingClientError for a name without a function: the messages of the clients do not explain it."""
    if family in FILE_RUNTIMES and "." not in handler:
        message = f"`handler: {handler}` has no function: write FILE.FUNCTION, such as {handler}.handler"
        raise MissingClientError(message, "EV501")


def _start_bootstrap(folder: Path, family: str) -> StartCommand:
    program = folder / "bootstrap"
    if not program.is_file():
        hint = BOOTSTRAP_HINTS.get(family, "write one, or name `runtime` and `handler`")
        raise MissingClientError(f"the program {display_path(program)} is missing; {hint}", "EV501")
    check_program(str(program))
    return StartCommand([str(program)])


def _find(program: str, folder: Path, install: str = "") -> str:
    try:
        return find_program(program, folder)
    except FileNotFoundError as error:
        message = str(error)
        if install:
            message += f"; {install}"
        raise MissingClientError(message) from None


def _start_python(options: LambdaOptions, project: Path) -> StartCommand:
    try:
        interpreter = find_interpreter(options.interpreter, str(project))
    except UnsetVariableError as error:
        raise MissingClientError(str(error), "EV503") from None
    except FileNotFoundError as error:
        raise MissingClientError(str(error)) from None
    return StartCommand([interpreter, "-m", "awslambdaric", options.handler or ""], ["--version"])


def _find_node_client(folder: Path) -> Path:
    """Returns the client in `node_modules` of the folder or of a folder above it, where Node.js looks for packages."""
    for parent in chain([folder], folder.absolute().parents):
        for file in NODE_CLIENTS:
            client = parent / "node_modules/aws-lambda-ric" / file
            if client.is_file():
                return client.absolute()
    raise MissingClientError(
        f"the client aws-lambda-ric is missing; install it in {display_path(folder)}: npm install aws-lambda-ric"
    )


def _start_java(folder: Path, handler: str) -> StartCommand:
    if not any(folder.glob(f"lib/{JAVA_CLIENT_JAR}")):
        raise MissingClientError(f"{display_path(folder)}/lib has no {JAVA_CLIENT_JAR}; {JAVA_INSTALL}")
    java = _find("java", folder, "install a JDK or JRE")
    # The first two make the start faster.
    arguments = [java, "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", ".:lib/*", JAVA_CLIENT, handler]
    return StartCommand(arguments, ["-version"])


def describe_missing(error: MissingClientError | OSError, program: str) -> Unavailable:
    """Returns the outcome if a function cannot be started."""
    if isinstance(error, MissingClientError):
        return Unavailable(str(error), error.code)
    return start_failure(error, program)


def find_missing_client(options: LambdaOptions, interpreter: str, errors: str) -> Unavailable | None:
    """Returns the outcome of a process that ended because the client is missing, None for any other process."""
    if options.runtime_name.family == "python" and "No module named awslambdaric" in errors:
        return Unavailable(f"the client awslambdaric is missing in {interpreter}; {PYTHON_INSTALL}", "EV502")
    return None


def describe_other_version(command: StartCommand, version: str) -> str:
    """Returns a note if the program has another version than the runtime; "" if not, or if its version is not known."""
    if not version or not command.version_arguments:
        return ""
    installed = _read_version(command.arguments[0], tuple(command.version_arguments))
    parts = version.split(".")
    if not installed or installed[: len(parts)] == parts:
        return ""
    return f"evtool: the function runs with version {'.'.join(installed)}, although its runtime is {version}"


@cache
def _read_version(program: str, arguments: tuple[str, ...]) -> list[str]:
    """Returns the parts of the version that a program prints; an empty list if it prints none."""
    environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    with suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run(
            [program, *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=VERSION_TIMEOUT,
            check=False,
        )
        # Java prints its version to stderr.
        text = (done.stdout or done.stderr).decode(errors="replace")
        return _find_version(text.partition("\n")[0])
    return []


def _find_version(text: str) -> list[str]:
    """Returns the parts of the version in `Python 3.11.7`, `v20.20.2` or `openjdk version "17.0.15" 2025-04-15`."""
    for word in text.split():
        version = word.strip('v"')
        if version[:1].isdigit() and "." in version:
            return version.split(".")
    return []
