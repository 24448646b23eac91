"""The command line: messages about unusable options, names of arguments in help, and completion of choices.

All in evtool's own words, so that they are the same with every version of typer.
"""

import sys
from pathlib import Path

import pytest

from tests.conftest import Evtool


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ("events --limit ten", "invalid value for '--limit': 'ten' is not a whole number"),
        ("events --limit 1.5", "invalid value for '--limit': '1.5' is not a whole number"),
        ("events --limit 0", "invalid value for '--limit': 0 is less than 1"),
        ("events --limit -7", "invalid value for '--limit': -7 is less than 1"),
        (f"events --limit {10**30}", f"invalid value for '--limit': {10**30} is more than {sys.maxsize}"),
        ("validate --max-bytes many -", "invalid value for '--max-bytes': 'many' is not a whole number"),
        ("events --color red", "invalid value for '--color': 'red' is not one of auto, always, never"),
        ("events --state DONE", "invalid value for '--state': 'DONE' is not one of ready, waiting, leased, done, dead"),
        ("publish", "missing argument 'EVENT...'"),
        ("backup", "missing argument 'FILE'"),
        ("doctor store.db", "got unexpected extra argument(s) (store.db)"),
    ],
)
def test_usage_errors_name_the_option_and_the_expected_value(
    evtool: Evtool, tmp_path: Path, arguments: str, error: str
) -> None:
    """The message repeats the value as it was written, and the command does not begin."""
    ran = evtool(*arguments.split())

    assert (ran.code, ran.out) == (2, "")
    assert ran.err == f"evtool: {error}; `evtool {arguments.split(maxsplit=1)[0]} --help` shows the usage\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ("publsh", 'there is no command "publsh"; did you mean "publish"?'),
        ("Replay", 'there is no command "Replay"; did you mean "replay"?'),
        ("xyz", 'there is no command "xyz"; `evtool --help` lists the commands'),
        ("dlq lst", 'there is no command "lst"; did you mean "list"?'),
        ("dlq xyz", 'there is no command "xyz"; `evtool dlq --help` lists the commands'),
        ("publish order --dryrun", 'there is no option "--dryrun"; did you mean "--dry-run"?'),
        ("dlq list --handlr=x", 'there is no option "--handlr"; did you mean "--handler"?'),
        ("events prune --older 1d", 'there is no option "--older"; did you mean "--older-than"?'),
        ("events --xyz", 'there is no option "--xyz"; `evtool events --help` lists the options'),
        ("events -x", 'there is no option "-x"; `evtool events --help` lists the options'),
        ("--versio", 'there is no option "--versio"; did you mean "--version"?'),
        ("publis\x1b", 'there is no command "publis\\x1b"; did you mean "publish"?'),
    ],
)
def test_unknown_commands_and_options_suggest_the_most_similar_name(evtool: Evtool, arguments: str, error: str) -> None:
    """One line on standard error, as for every other error, and exit code 2."""
    assert evtool(*arguments.split()) == (2, "", f"evtool: {error}\n")


def test_no_arguments_show_the_help(evtool: Evtool) -> None:
    """Also for a command with subcommands."""
    for words in ([], ["dlq"]):
        ran = evtool(*words)
        assert (ran.code, ran.out, ran.err.splitlines()[0]) == (
            2,
            "",
            f"Usage: {' '.join(['evtool', *words])} [OPTIONS] COMMAND [ARGS]...",
        )


@pytest.mark.parametrize(
    ("command", "usage", "argument"),
    [
        ("publish", "publish [OPTIONS] EVENT...", "  EVENT...  files, folders, names of samples, or -\n"),
        ("events", "events [OPTIONS] [ID]", "  [ID]  id of an event, to show it with its history\n"),
        ("backup", "backup [OPTIONS] FILE", "  FILE  file of the copy\n"),
    ],
)
def test_help_names_the_arguments_as_they_are_declared(evtool: Evtool, command: str, usage: str, argument: str) -> None:
    """Brackets for optional arguments, dots for repeated ones, and no type."""
    help_text = evtool(command, "--help").out

    assert help_text.startswith(f"Usage: evtool {usage}\n")
    assert f"\nArguments:\n{argument}\nOptions:\n" in help_text


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        ("evtool events --color a", ["auto", "always"]),
        ("evtool events --state d", ["done", "dead"]),
        ("evtool validate --no-schema ", ["error", "warn", "ignore"]),
    ],
)
def test_shells_complete_choices(evtool: Evtool, words: str, completed: list[str]) -> None:
    """Completion offers the values of an option that begin with the typed text."""
    environment = {"_EVTOOL_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": "3"}

    assert evtool(env=environment).out.split() == completed
