"""Builds a typer command from a command function, with its own options and those that all commands share.

For example, this function of evtool/commands/backup.py

    def backup(session: Session, file: Annotated[str, Argument("FILE", "file of the copy")], *, force: ... = False)

becomes `evtool backup [OPTIONS] FILE`: `session` is left out and the options of COMMON_OPTIONS are added. When the
command is called, they are collected in a Session, and `backup(session, file=..., force=...)` returns the exit code.
"""

import importlib
import inspect
import sys
from collections.abc import Callable, Collection, Mapping
from functools import partial
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

# The options of every command, by their names in Session.
COMMON_OPTIONS: dict[str, Any] = {
    "routes": Annotated[
        str | None, Option("--routes", "routes.yaml of the project, or a rule source such as a template", "FILE")
    ],
    "routes_format": Annotated[
        Literal["routes", "cloudformation", "serverless", "terraform", "terraform-plan", "eventbridge"] | None,
        Option("--routes-format", "format of the --routes file, if it cannot be detected", "FORM"),
    ],
    "schemas": Annotated[list[str], Option("--schemas", "folder of schemas, in place of those of the project", "DIR")],
    "store": Annotated[str | None, Option("--store", "file of the store", "FILE")],
    "quiet": Annotated[
        bool, Option("-q --quiet", "print only problems, and the data of events, dlq list, dlq show and explain")
    ],
    "verbose": Annotated[int, Option("-v --verbose", "print more details")],
    "color": Annotated[
        Literal["auto", "always", "never"], Option("--color", "auto, always or never; NO_COLOR is respected", "WHEN")
    ],
    "output": Annotated[
        list[str], Option("-o", "print a report, or write it to FILE: text, json, jsonl, ...", "FORMAT[=FILE]")
    ],
}


def build_command(name: str) -> Any:
    """Builds the typer command for a name of the table."""
    subcommands = load_subcommands(name)
    functions = subcommands or {name: getattr(_load_module(name), _to_identifier(name))}
    app = typer.Typer(
        cls=_SubcommandGroup,
        rich_markup_mode=None,
        add_completion=False,
        context_settings=HELP,
        no_args_is_help=bool(subcommands),
    )
    for word, run in functions.items():
        app.command(word, cls=_Command, help=_format_help(run), context_settings=HELP)(_build_callback(run))
    if subcommands:
        # Without a callback typer would turn a single subcommand into the command itself.
        summary = COMMANDS[name].summary
        app.callback(help=summary[:1].upper() + summary[1:] + ".")(_do_nothing)
    return typer.main.get_command(app)


def _do_nothing() -> None:
    pass


class _SubcommandGroup(TyperGroup):
    """A command with subcommands."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        check_command(ctx, args[0], self.list_commands(ctx))
        return super().resolve_command(ctx, args)


class _Command(TyperCommand):
    """Prints the declared names of arguments, without the additions of typer, which differ between its versions."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        return ["[OPTIONS]"] + [argument.metavar for argument in self._list_parameters(ctx, "argument")]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        arguments = self._list_parameters(ctx, "argument")
        if arguments:
            with formatter.section("Arguments"):
                formatter.write_dl([(argument.metavar, argument.help) for argument in arguments])
        with formatter.section("Options"):
            options = self._list_parameters(ctx, "option")
            formatter.write_dl([option.get_help_record(ctx) for option in options])

    def _list_parameters(self, ctx: Any, kind: str) -> list[Any]:
        return [parameter for parameter in self.get_params(ctx) if parameter.param_type_name == kind]


def load_subcommands(name: str) -> Mapping[str, CommandFunction]:
    """Returns the subcommands of a command such as `dlq`; an empty table for a command without subcommands."""
    table: Mapping[str, CommandFunction] = getattr(_load_module(name), "SUBCOMMANDS", {})
    return table


def _load_module(name: str) -> ModuleType:
    return importlib.import_module(f"evtool.commands.{_to_identifier(name)}")


def _to_identifier(name: str) -> str:
    identifier = name.replace(" ", "_")
    # `import` is a command, but cannot be the name of a function.
    if iskeyword(identifier):
        return identifier + "_"
    return identifier


def _format_help(run: CommandFunction) -> str:
    """Returns a docstring as help. typer wraps paragraphs, except after `\\b`: the example stays as written."""
    return inspect.cleandoc(run.__doc__ or "").replace("Example: ", "\b\nExample:\n  ")


def _build_callback(run: CommandFunction) -> Callable[..., None]:
    """Wraps a command in a function with the parameters that typer parses: without `session`, with COMMON_OPTIONS."""

    def callback(**values: Any) -> None:
        shared = {name: values.pop(name) for name in COMMON_OPTIONS}
        # typer gives lists, and a Session is immutable.
        shared["output"] = tuple(shared["output"])
        shared["schemas"] = tuple(shared["schemas"])
        session = Session(**shared)

        def call() -> int:
            return run(session, **values)

        raise typer.Exit(run_command(partial(raise_on_signals, call), color=session.color))

    hints = get_type_hints(run, include_extras=True)
    parameters = []
    # The first parameter is the session.
    for own in list(inspect.signature(run).parameters.values())[1:]:
        parameters.append(_build_parameter(own.name, own.default, hints[own.name]))
    # typer needs lists as defaults of options that can be repeated.
    defaults = Session()._asdict() | {"output": [], "schemas": []}
    for name, hint in COMMON_OPTIONS.items():
        parameters.append(_build_parameter(name, defaults[name], hint))
    callback.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    callback.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return callback


def _build_parameter(name: str, default: Any, hint: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=_to_typer(hint))


def _to_typer(hint: Any) -> Any:
    """Translates an annotation of options.py into an annotation of typer."""
    kind, declared = get_args(hint)
    if isinstance(declared, Argument):
        return Annotated[kind, _build_argument(declared)]
    assert isinstance(declared, Option)
    return Annotated[kind, _build_option(kind, declared)]


def _build_argument(declared: Argument) -> Any:
    return typer.Argument(
        metavar=declared.metavar, help=declared.help, autocompletion=declared.complete, show_default=False
    )


def _build_option(kind: Any, declared: Option) -> Any:
    help_text = declared.help
    if declared.least is not None:
        help_text += f" (at least {declared.least})"
    # A number without a name for its value is counted: -vv is 2.
    count = kind is int and declared.metavar is None
    reader = None
    if not count:
        reader = _build_reader(kind, declared.least or 0)
    return typer.Option(
        *declared.flags.split(),
        help=help_text,
        metavar=declared.metavar,
        autocompletion=declared.complete or _build_completion(kind),
        parser=reader,
        count=count,
        show_default=False,
    )


def _build_reader(kind: Any, least: int) -> Callable[[str], Any] | None:
    """Returns the function that parses a number or a choice. The messages of typer differ between its versions."""

    def read_number(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            raise typer.BadParameter(f"{text!r} is not a whole number") from None
        if number < least:
            raise typer.BadParameter(f"{number} is less than {least}")
        # SQLite stores no larger number.
        if number > sys.maxsize:
            raise typer.BadParameter(f"{number} is more than {sys.maxsize}")
        return number

    def read_choice(text: str) -> str:
        if text not in choices:
            raise typer.BadParameter(f"{text!r} is not one of {', '.join(choices)}")
        return text

    choices = _list_choices(kind)
    if choices:
        return read_choice
    if int in _list_alternatives(kind):
        return read_number
    return None


def _list_alternatives(kind: Any) -> tuple[Any, ...]:
    """Returns a type and, for a union such as `int | None`, its members."""
    return (kind,) + get_args(kind)


def _list_choices(kind: Any) -> tuple[str, ...]:
    """Returns the strings of a Literal, also of `Literal[...] | None`; for other types an empty tuple."""
    for alternative in _list_alternatives(kind):
        if get_origin(alternative) is Literal:
            return get_args(alternative)
    return ()


def _build_completion(kind: Any) -> Callable[[str], list[str]] | None:
    choices = _list_choices(kind)

    def complete(prefix: str) -> list[str]:
        return [choice for choice in choices if choice.startswith(prefix)]

    if choices:
        return complete
    return None


def check_command(context: Any, word: str, commands: Collection[str]) -> None:
    """Raises UsageError if a word is not one of the commands. `context` is typer's."""
    if word not in commands and not word.startswith("-") and not context.resilient_parsing:
        hint = did_you_mean(word, commands) or f"`{context.command_path} --help` lists the commands"
        raise UsageError(f'there is no command "{word}"; {hint}')


def describe_usage_error(error: Any) -> str:
    """Describes the problem of the arguments, from typer's exception."""
    context = error.ctx
    if context and hasattr(error, "possibilities"):
        return _describe_unknown_option(error.option_name, context)
    path = "evtool"
    if context:
        path = context.command_path
    message = error.format_message().rstrip(".")
    return f"{message[:1].lower()}{message[1:]}; `{path} --help` shows the usage"


def _describe_unknown_option(name: str, context: Any) -> str:
    options: list[str] = []
    for parameter in context.command.get_params(context):
        options += parameter.opts
    hint = f"`{context.command_path} --help` lists the options"
    # A single letter resembles every other one.
    if name.startswith("--"):
        hint = did_you_mean(name, options) or hint
    return f'there is no option "{name}"; {hint}'
