"""The way in: `evtool` and `python -m evtool`. What is asked for most is answered before anything heavy is imported."""

import sys

from evtool import __version__


def main() -> None:
    """Runs evtool with the arguments of the process."""
    try:
        _run()
    except KeyboardInterrupt as ended:  # while modules are imported, or at the very end
        sys.exit(getattr(ended, "exit_code", 130))


def _run() -> None:
    arguments = sys.argv[1:]
    if arguments == ["--version"]:
        sys.stdout.write(f"evtool {__version__}\n")
    elif arguments[:1] == ["validate"] and not any(argument.startswith("-") for argument in arguments):
        _validate(arguments[1:])
    else:
        from evtool import cli  # noqa: PLC0415  (typer takes longer to import than Python to start)

        cli.main(arguments)


def _validate(paths: list[str]) -> None:
    """`evtool validate PATH...` without options, as editors and hooks call it per file: the same without typer."""
    from evtool.exits import ending  # noqa: PLC0415  (not needed for --version)

    def run() -> int:
        from evtool.commands.validate import validate  # noqa: PLC0415
        from evtool.session import Session  # noqa: PLC0415

        return validate(Session(), paths)

    sys.exit(ending(run))


if __name__ == "__main__":
    main()
