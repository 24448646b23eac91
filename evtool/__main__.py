"""The entry point of `evtool` and `python -m evtool`. The most frequent calls are answered without heavy imports."""

import os
import sys
from signal import SIG_IGN, SIGHUP, SIGINT, SIGTERM, getsignal, signal

from evtool import __version__


def main() -> None:
    """Runs evtool with the arguments of the process, and ends that with the exit code."""
    for number in (SIGINT, SIGTERM, SIGHUP):
        if getsignal(number) is not SIG_IGN:  # as nohup has it
            signal(number, _exit_on_signal)
    from evtool.cli.error_handler import run_command  # noqa: PLC0415  (a signal may come while it is imported)

    sys.exit(run_command(_run))


def _exit_on_signal(number: int, _: object) -> None:
    """Ends evtool at once, before its command begins and when all is told.

    Nothing is raised then: what imports modules may be no Python, and takes that for a fault of theirs, or loses it.
    """
    os._exit(128 + number)


def _run() -> int:
    arguments = sys.argv[1:]
    if arguments == ["--version"]:
        sys.stdout.write(f"evtool {__version__}\n")
        return 0
    if arguments[:1] == ["validate"] and not any(argument.startswith("-") for argument in arguments):
        return _validate(arguments[1:])
    from evtool.cli import app  # noqa: PLC0415  (typer takes longer to import than Python to start)

    return app.main(arguments)


def _validate(paths: list[str]) -> int:
    """`evtool validate PATH...` without options, as editors and hooks call it per file: the same without typer."""
    from evtool.cli.session import Session  # noqa: PLC0415
    from evtool.commands.validate import validate  # noqa: PLC0415
    from evtool.signals import raise_on_signals  # noqa: PLC0415

    return raise_on_signals(lambda: validate(Session(), paths))


if __name__ == "__main__":
    main()
