"""The entry point of `evtool` and `python -m evtool`. It answers the most frequent calls without heavy imports."""

import os
import sys
from signal import SIG_IGN, SIGHUP, SIGINT, SIGTERM, getsignal, signal

from evtool import __version__


def main() -> None:
    """Runs evtool with the arguments of the process, and ends the process with the exit code."""
    for number in (SIGINT, SIGTERM, SIGHUP):
        # nohup ignores SIGHUP for the programs that it starts; this must stay so.
        if getsignal(number) is not SIG_IGN:
            signal(number, _exit_on_signal)
    # The handlers above are installed first, since a signal may arrive during this import.
    from evtool.cli.error_handler import run_command  # noqa: PLC0415

    sys.exit(run_command(_run))


def _exit_on_signal(number: int, _: object) -> None:
    """Ends evtool at once, before its command begins or after it has reported everything.

    It raises nothing: an exception during an import may pass through code that is not Python, which takes it for its
    own failure, or loses it.
    """
    os._exit(128 + number)


def _run() -> int:
    arguments = sys.argv[1:]
    if arguments == ["--version"]:
        sys.stdout.write(f"evtool {__version__}\n")
        return 0
    if arguments[:1] == ["validate"] and not any(argument.startswith("-") for argument in arguments):
        return _validate(arguments[1:])
    # typer takes longer to import than Python takes to start.
    from evtool.cli import app  # noqa: PLC0415

    return app.main(arguments)


def _validate(paths: list[str]) -> int:
    """Runs `evtool validate PATH...` without options, and without typer: editors and hooks call it for each file."""
    from evtool.cli.session import Session  # noqa: PLC0415
    from evtool.commands.validate import validate  # noqa: PLC0415
    from evtool.signals import raise_on_signals  # noqa: PLC0415

    def run() -> int:
        return validate(Session(), paths)

    return raise_on_signals(run)


if __name__ == "__main__":
    main()
