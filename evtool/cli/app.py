"""The `evtool` program: builds the help, finds the command in the table, imports only its module, and runs it.

`evtool --help` must not import what a command needs, so that `evtool.cli.parser` is imported inside functions.
"""

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from evtool import __version__
from evtool.commands.registry import COMMANDS
from evtool.errors import EXIT_USAGE, UsageError

HELP = {"help_option_names": ["-h", "--help"]}
EPILOG = "Exit codes: 0 success, 1 findings, 2 usage or configuration, 3 a bug in evtool, 4 the store cannot be used."


def main(arguments: list[str]) -> int:
    """Runs the command that the arguments name, and returns its exit code. Raises UsageError."""
    app = typer.Typer(
        cls=_CommandGroup, rich_markup_mode=None, no_args_is_help=True, context_settings=HELP, epilog=EPILOG
    )
    app.callback()(evtool)
    try:
        return int(typer.main.get_command(app).main(arguments, prog_name="evtool", standalone_mode=False) or 0)
    except typer.TyperException as error:
        # `evtool` alone: the message of this error is the help. typer does not export the class.
        if type(error).__name__ == "NoArgsIsHelpError":
            typer.echo(error, err=True)
            return EXIT_USAGE
        from evtool.cli import parser  # noqa: PLC0415

        raise UsageError(parser.describe_usage_error(error)) from None
    except SystemExit as system_exit:
        # typer exits with 1 when a pipe is closed; `run_command` has another exit code for it.
        if isinstance(system_exit.__context__, OSError):
            raise system_exit.__context__ from None
        return int(system_exit.code or 0)


def evtool(
    version: Annotated[bool, typer.Option("--version", help="Show the version.")] = False,  # noqa: FBT002
) -> None:
    """The workbench for event-driven systems: validate, publish and replay events on your computer and in CI."""
    if version:
        typer.echo(f"evtool {__version__}")
        raise typer.Exit


class _CommandGroup(TyperGroup):
    """The commands of the table. Only the module of the command that is called is imported."""

    # The arguments that are not used belong to typer's signatures.
    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002
        return [name for name in COMMANDS if " " not in name]

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Prefers two words that are a command together, such as `events prune`, to a command with an argument."""
        words = " ".join(args[:2])
        if " " in words and words in COMMANDS:
            return words, self.get_command(ctx, words), args[2:]
        from evtool.cli import parser  # noqa: PLC0415

        parser.check_command(ctx, args[0], self.list_commands(ctx))
        return super().resolve_command(ctx, args)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        from evtool.cli import parser  # noqa: PLC0415

        return parser.build_command(cmd_name)

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002
        for heading in dict.fromkeys(row.heading for row in COMMANDS.values()):
            with formatter.section(heading):
                formatter.write_dl([(name, row.summary) for name, row in COMMANDS.items() if row.heading == heading])
