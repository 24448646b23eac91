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
        ("events --limit ten", "Invalid value for '--limit': 'ten' is not a whole number"),
        ("events --limit 1.5", "Invalid value for '--limit': '1.5' is not a whole number"),
        ("events --limit 0", "Invalid value for '--limit': 0 is less than 1"),
        ("events --limit -7", "Invalid value for '--limit': -7 is less than 1"),
        (f"events --limit {10**30}", f"Invalid value for '--limit': {10**30} is more than {sys.maxsize}"),
        ("validate --max-bytes many -", "Invalid value for '--max-bytes': 'many' is not a whole number"),
        ("events --color red", "Invalid value for '--color': 'red' is not one of auto, always, never"),
        ("events --state DONE", "Invalid value for '--state': 'DONE' is not one of ready, waiting, leased, done, dead"),
        ("publish", "Missing argument 'EVENT...'."),
        ("backup", "Missing argument 'FILE'."),
        ("doctor store.db", "Got unexpected extra argument(s) (store.db)"),
    ],
)
def test_usage_errors_have_evtools_own_words(evtool: Evtool, tmp_path: Path, arguments: str, error: str) -> None:
    """The option, the value as it was written, and what it should be; nothing is begun."""
    ran = evtool(*arguments.split())

    assert (ran.code, ran.out) == (2, "")
    assert ran.err.endswith(f"Error: {error}\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("command", "usage", "argument"),
    [
        ("publish", "publish [OPTIONS] EVENT...", "  EVENT...  files, folders, -, or names of samples\n"),
        ("events", "events [OPTIONS] [ID]", "  [ID]  one event, with its history\n"),
        ("backup", "backup [OPTIONS] FILE", "  FILE  where the copy goes\n"),
    ],
)
def test_help_names_the_arguments_as_they_are_declared(evtool: Evtool, command: str, usage: str, argument: str) -> None:
    """Brackets for what may be left out, dots for what may be given several times, and no type besides."""
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
    """What an option allows is offered, as far as it begins with what is typed."""
    environment = {"_EVTOOL_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": "3"}

    assert evtool(env=environment).out.split() == completed
