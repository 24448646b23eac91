"""How a function of each runtime is started: through the official client of the Runtime API for its language."""

import os
import subprocess
from contextlib import suppress
from functools import cache
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
NODE_CLIENTS = ("index.mjs", "bin/index.mjs")  # of version 4, and of version 3
PYTHON_INSTALL = "install it there: pip install awslambdaric"
RUBY_INSTALL = "install it: gem install aws_lambda_ric"
# variables of evtool's own environment that a function gets: what programs need to start at all
PASSED_ON = ("PATH", "HOME", "USER", "TMPDIR", "LD_LIBRARY_PATH", "JAVA_HOME", "DOTNET_ROOT", "SYSTEMROOT")
VERSION_TIMEOUT = 5.0  # seconds for a program that prints its version

# what `AWS_EXECUTION_ENV` names where `runtime` has no version; Python writes UTF-8 from 3.12 on
EXECUTION_ENVIRONMENTS = {
    "python": "python3.13",
    "node": "nodejs22.x",
    "ruby": "ruby3.3",
    "java": "java21",
    "go": "provided.al2023",
    "rust": "provided.al2023",
    "provided": "provided.al2023",
}


class StartCommand(NamedTuple):
    """How a function is started, and the arguments with which the program prints its version; none if it has none."""

    arguments: list[str]
    version_arguments: list[str] = []  # noqa: RUF012  (never changed)


class MissingClientError(Exception):
    """The program or the client that runs a function is missing. `code` is that of the finding."""

    def __init__(self, message: str, code: str = "EV502"):
        super().__init__(message)
        self.code = code


def find_start_command(options: LambdaOptions, project: Path) -> StartCommand:
    """The command that starts the function. Raises MissingClientError, or OSError if a program cannot be started."""
    folder = project / options.folder
    if not folder.is_dir():
        raise MissingClientError(f"there is no folder {display_path(folder)}", "EV501")
    if options.start:
        return StartCommand([_find(options.start[0], folder), *options.start[1:]])
    handler = options.handler or ""
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
    program = folder / "bootstrap"
    if not program.is_file():
        hint = {
            "go": "build it: go build -o bootstrap .",
            "rust": "build it, and copy the program there: cargo build --release",
        }.get(options.runtime_name.family, "write one, or name `runtime` and `handler`")
        raise MissingClientError(f"there is no program {display_path(program)}; {hint}", "EV501")
    check_program(str(program))
    return StartCommand([str(program)])


def _find(program: str, folder: Path, install: str = "") -> str:
    try:
        return find_program(program, folder)
    except FileNotFoundError as error:
        raise MissingClientError("; ".join(filter(None, [str(error), install]))) from None


def _start_python(options: LambdaOptions, project: Path) -> StartCommand:
    try:
        interpreter = find_interpreter(options.interpreter, str(project))
    except UnsetVariableError as error:
        raise MissingClientError(str(error), "EV503") from None
    except FileNotFoundError as error:
        raise MissingClientError(str(error)) from None
    return StartCommand([interpreter, "-m", "awslambdaric", options.handler or ""], ["--version"])


def _find_node_client(folder: Path) -> Path:
    """The client in `node_modules` of the folder or of one above it, as Node.js looks for packages."""
    for parent in (folder, *folder.absolute().parents):
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
    options = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", ".:lib/*"]
    return StartCommand([java, *options, JAVA_CLIENT, handler], ["-version"])


def describe_missing(error: MissingClientError | OSError, program: str) -> Unavailable:
    """The outcome if a function cannot be started."""
    if isinstance(error, MissingClientError):
        return Unavailable(str(error), error.code)
    return start_failure(error, program)


def find_missing_client(options: LambdaOptions, interpreter: str, errors: str) -> Unavailable | None:
    """Whether the client was missing, by what a process that has ended wrote to standard error."""
    if options.runtime_name.family == "python" and "No module named awslambdaric" in errors:
        return Unavailable(f"the client awslambdaric is missing in {interpreter}; {PYTHON_INSTALL}", "EV502")
    return None


def describe_other_version(command: StartCommand, version: str) -> str:
    """A note if the program has another version than the runtime; empty if it has the same, or does not say."""
    if not version or not command.version_arguments:
        return ""
    installed = _read_version(command.arguments[0], *command.version_arguments)
    if not installed or installed[: len(version.split("."))] == version.split("."):
        return ""
    return f"evtool: the function runs with version {'.'.join(installed)}, although its runtime is {version}"


@cache
def _read_version(*arguments: str) -> list[str]:
    """The parts of the version that a program prints; none if it does not."""
    environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    with suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run(
            arguments,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=VERSION_TIMEOUT,
            check=False,
        )
        lines = (done.stdout or done.stderr).decode(errors="replace").splitlines()
        return _find_version(lines[0] if lines else "")
    return []


def _find_version(text: str) -> list[str]:
    """The parts of the version in `Python 3.11.7`, `v20.20.2` or `openjdk version "17.0.15" 2025-04-15`."""
    words = (word.strip('v"') for word in text.split())
    return next((word.split(".") for word in words if word[:1].isdigit() and "." in word), [])
