"""Builds a typer command from a command function, with its own options and those that all commands share."""

import importlib
import inspect
import sys
from collections.abc import Callable, Collection, Mapping
from keyword import iskeyword
from types import ModuleType
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import typer
from typer.core import TyperCommand, TyperGroup

from evtool.cli.error_handler import run_command
from evtool.cli.options import Argument, Option
from evtool.cli.session import Session
from evtool.commands.registry import COMMANDS
from evtool.errors import UsageError
from evtool.findings.spelling import did_you_mean
from evtool.signals import raise_on_signals

CommandFunction = Callable[..., int]
HELP = {"help_option_names": ["-h", "--help"]}

# what every command takes, by its name in Session
COMMON_OPTIONS: dict[str, Any] = {
    "routes": Annotated[
        str | None, Option("--routes", "the project's routes.yaml, or a rule source such as a template", "FILE")
    ],
    "routes_format": Annotated[
        Literal["routes", "cloudformation", "serverless", "terraform", "terraform-plan", "eventbridge"] | None,
        Option("--routes-format", "format of that file, if it cannot be detected", "FORM"),
    ],
    "schemas": Annotated[list[str], Option("--schemas", "folder of schemas to use instead of the project's", "DIR")],
    "store": Annotated[str | None, Option("--store", "file of the store", "FILE")],
    "quiet": Annotated[
        bool, Option("-q --quiet", "print only problems, and the data of events, dlq list, dlq show and explain")
    ],
    "verbose": Annotated[int, Option("-v --verbose", "print more details")],
    "color": Annotated[
        Literal["auto", "always", "never"], Option("--color", "auto, always or never; NO_COLOR is respected", "WHEN")
    ],
    "output": Annotated[
        list[str], Option("-o", "report to print, or to write to FILE: text, json, jsonl, ...", "FORMAT[=FILE]")
    ],
}


def build_command(name: str) -> Any:
    """A command as typer has it, by its name in the table."""
    subcommands = load_subcommands(name)
    app = typer.Typer(
        cls=_SubcommandGroup,
        rich_markup_mode=None,
        add_completion=False,
        context_settings=HELP,
        no_args_is_help=bool(subcommands),
    )
    for word, run in (subcommands or {name: getattr(_load_module(name), _to_identifier(name))}).items():
        app.command(word, cls=_Command, help=_format_help(run), context_settings=HELP)(_build_callback(run))
    if subcommands:
        app.callback(help=COMMANDS[name].summary[:1].upper() + COMMANDS[name].summary[1:] + ".")(lambda: None)
    return typer.main.get_command(app)


class _SubcommandGroup(TyperGroup):
    """A command with subcommands."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        check_command(ctx, args[0], self.list_commands(ctx))
        return super().resolve_command(ctx, args)


class _Command(TyperCommand):
    """Names the arguments as they are declared: what typer adds to them differs between its versions."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        return ["[OPTIONS]", *(name for name, _ in self._arguments(ctx))]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        arguments = self._arguments(ctx)
        if arguments:
            with formatter.section("Arguments"):
                formatter.write_dl(arguments)
        with formatter.section("Options"):
            formatter.write_dl([p.get_help_record(ctx) for p in self.get_params(ctx) if p.param_type_name == "option"])

    def _arguments(self, ctx: Any) -> list[tuple[str, str]]:
        parameters: list[Any] = list(self.get_params(ctx))
        return [(p.metavar, p.help) for p in parameters if p.param_type_name == "argument"]


def load_subcommands(name: str) -> Mapping[str, CommandFunction]:
    """The subcommands of a command that has some, such as `dlq`."""
    table: Mapping[str, CommandFunction] = getattr(_load_module(name), "SUBCOMMANDS", {})
    return table


def _load_module(name: str) -> ModuleType:
    return importlib.import_module(f"evtool.commands.{_to_identifier(name)}")


def _to_identifier(name: str) -> str:
    return name.replace(" ", "_") + "_" * iskeyword(name)


def _format_help(run: CommandFunction) -> str:
    """A docstring as help: its example stands on a line of its own, as written."""
    return inspect.cleandoc(run.__doc__ or "").replace("Example: ", "\b\nExample:\n  ")


def _build_callback(run: CommandFunction) -> Callable[..., None]:
    """A command as a function that typer can parse arguments for: with the shared options, and without the session."""

    def callback(**values: Any) -> None:
        shared = {name: values.pop(name) for name in COMMON_OPTIONS}
        session = Session(**{**shared, "output": tuple(shared["output"]), "schemas": tuple(shared["schemas"])})
        raise typer.Exit(run_command(lambda: raise_on_signals(lambda: run(session, **values)), color=session.color))

    hints = get_type_hints(run, include_extras=True)
    own_parameters = [
        inspect.Parameter(
            p.name, inspect.Parameter.KEYWORD_ONLY, default=p.default, annotation=_to_typer(hints[p.name])
        )
        for p in list(inspect.signature(run).parameters.values())[1:]
    ]
    defaults = Session()._asdict() | {"output": [], "schemas": []}
    common_parameters = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=defaults[name], annotation=_to_typer(hint))
        for name, hint in COMMON_OPTIONS.items()
    ]
    parameters = own_parameters + common_parameters
    callback.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    callback.__annotations__ = {p.name: p.annotation for p in parameters}
    return callback


def _to_typer(hint: Any) -> Any:
    """An annotation of options.py as typer's."""
    kind, declared = get_args(hint)
    if isinstance(declared, Argument):
        parameter: Any = typer.Argument(
            metavar=declared.metavar, help=declared.help, autocompletion=declared.complete, show_default=False
        )
    else:
        assert isinstance(declared, Option)
        count = kind is int and declared.metavar is None
        least = ""
        if declared.least is not None:
            least = f" (at least {declared.least})"
        parameter = typer.Option(
            *declared.flags.split(),
            help=declared.help + least,
            metavar=declared.metavar,
            autocompletion=declared.complete or _build_completion(kind),
            parser=None if count else _build_reader(kind, declared.least or 0),
            count=count,
            show_default=False,
        )
    return Annotated[kind, parameter]


def _build_reader(kind: Any, least: int) -> Callable[[str], Any] | None:
    """What makes a number or a choice of a text. Not left to typer: its messages differ between its versions."""

    def read_number(text: str) -> int:
        try:
            found = int(text)
        except ValueError:
            raise typer.BadParameter(f"{text!r} is not a whole number") from None
        if found < least:
            raise typer.BadParameter(f"{found} is less than {least}")
        if found > sys.maxsize:
            raise typer.BadParameter(f"{found} is more than {sys.maxsize}")
        return found

    def read_choice(text: str) -> str:
        if text not in choices:
            raise typer.BadParameter(f"{text!r} is not one of {', '.join(choices)}")
        return text

    choices = _list_choices(kind)
    if choices:
        return read_choice
    if int in (kind, *get_args(kind)):
        return read_number
    return None


def _list_choices(kind: Any) -> tuple[str, ...]:
    """The texts that a kind allows, if not any; the kind may be with None."""
    return next((get_args(each) for each in (kind, *get_args(kind)) if get_origin(each) is Literal), ())


def _build_completion(kind: Any) -> Callable[[str], list[str]] | None:
    choices = _list_choices(kind)

    def complete(begun: str) -> list[str]:
        return [choice for choice in choices if choice.startswith(begun)]

    if choices:
        return complete
    return None


def check_command(context: Any, word: str, commands: Collection[str]) -> None:
    """Raises UsageError if a word is not one of the commands. `context` is typer's."""
    if word not in commands and not word.startswith("-") and not context.resilient_parsing:
        hint = did_you_mean(word, commands) or f"`{context.command_path} --help` lists the commands"
        raise UsageError(f'there is no command "{word}"; {hint}')


def describe_usage_error(error: Any) -> str:
    """What is wrong with the arguments, from typer's exception."""
    context = error.ctx
    path = "evtool"
    if context:
        path = context.command_path
    if context and hasattr(error, "possibilities"):  # an unknown option
        options = [option for parameter in context.command.get_params(context) for option in parameter.opts]
        name = error.option_name
        hint = None
        if name.startswith("--"):
            hint = did_you_mean(name, options)
        return f'there is no option "{name}"; {hint or f"`{path} --help` lists the options"}'
    message = error.format_message().rstrip(".")
    return f"{message[:1].lower()}{message[1:]}; `{path} --help` shows the usage"
