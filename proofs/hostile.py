"""Proof: strings of events can neither control a terminal or a CI runner nor break a report that programs read.

Events contain hostile strings in every field that takes strings; the handler prints them, emits them and fails with
them. Every command then reports those events in each of its formats. The output may contain only characters that are
harmless to a terminal and no commands for GitHub's runner but those of the report itself, and each format must parse.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from xml.etree import ElementTree

from proofs.trial import Figures, Trial, hold
from tests.support.hostile_text import NAUGHTY, Command, harmless_to_a_terminal, obeyed

ROOT = Path(__file__).parent.parent
# Strings in one project.
TOGETHER = 25
# Characters of a string. Other tests cover longer ones.
LONGEST = 300
FORMS = ("text", "json", "jsonl", "junit", "github")
OWN_COMMAND = re.compile(r"^::(error|warning|notice) ")
# Exit code of a command that does not support a format.
UNAVAILABLE = 2

ROUTES = """
version: 1
handlers: {echo: {python: "handlers.py:echo"}, cat: {command: [cat]}}
routes:
  all: {pattern: {source: [{prefix: ""}]}, to: [echo, cat], retry: {max_attempts: 1}}
"""
HANDLERS = """
import sys

def echo(event, context):
    text = event["detail"].get("text", "")
    print(text)
    print(text, file=sys.stderr)
    if event["detail"].get("fails"):
        raise ValueError(text)
    if text:
        context.emit(text, {text: text}, source=text)
"""
COMMANDS = (
    "publish --no-schema ignore hostile.jsonl",
    "validate --no-schema warn hostile.jsonl",
    "publish hostile.jsonl -v",
    "events",
    "events {id}",
    "events --summary",
    "explain {id} -v",
    "replay -v",
    "replay --deliver --no-schema ignore",
    "dlq list",
    "dlq show {id}",
    "dlq redrive",
    "deliver --now --no-schema ignore -v",
    "doctor",
)


def prove(trial: Trial) -> Figures:
    """Combines strings that have done harm in other programs at random, and checks the output of all commands."""
    texts = trial.size(1000, 25)
    commands = COMMANDS[:: trial.size(1, 3)]
    outputs = 0
    for start in range(0, texts, TOGETHER):
        folder = trial.folder / str(start)
        folder.mkdir()
        for command, form, output in _run_commands(folder, _create_texts(trial.random), commands):
            _check_output(command, form, output)
            outputs += 1
    return {"hostile texts": texts, "outputs": outputs}


def _create_texts(random: Random) -> list[str]:
    texts = []
    for _ in range(TOGETHER):
        parts = [random.choice(NAUGHTY)[:LONGEST] for _ in range(random.randint(1, 3))]
        texts.append("".join(parts)[:LONGEST] or "\x1b")
    return texts


def _run_commands(folder: Path, texts: list[str], commands: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """Runs the commands in each of their formats. Yields the command, the format or "errors", and the output."""
    (folder / "routes.yaml").write_text(ROUTES, encoding="utf-8")
    (folder / "handlers.py").write_text(HANDLERS, encoding="utf-8")
    lines: list[str] = []
    names: list[str] = []
    for number, text in enumerate(texts):
        name = f"{number}{text}"
        detail = {"text": text, "fails": number % 3 == 0}
        lines.append(json.dumps({"id": name, "source": text, "detail-type": text, "detail": detail}))
        # An argument of a process cannot contain a NUL.
        if "\0" not in name:
            names.append(name)
    # The last line has the id of the first and another content, so evtool reports a conflict.
    lines += texts + [lines[0].replace("fails", "failed")]
    (folder / "hostile.jsonl").write_text("\n".join(lines), "utf-8")
    for command in commands:
        for form in FORMS:
            words = [word.replace("{id}", names[0]) for word in command.split(" ")]
            done = subprocess.run(
                [sys.executable, "-m", "evtool", *words, "-o", form],
                cwd=folder,
                env=os.environ | {"PYTHONPATH": str(ROOT)},
                capture_output=True,
                check=False,
            )
            hold(b"Traceback" not in done.stderr, f"{command} -o {form}: {done.stderr!r}")
            if done.returncode != UNAVAILABLE:
                yield command, form, done.stdout.decode()
            yield command, "errors", done.stderr.decode()


def _check_output(command: str, form: str, output: str) -> None:
    hold(harmless_to_a_terminal(output), f"{command}: a terminal would obey -o {form}: {output!a}")
    for line in output.split("\n"):
        foreign = _find_foreign_command(line)
        hold(not foreign, f"{command}: a runner would obey -o {form}: {foreign}")
    match form:
        case "json":
            json.loads(output)
        case "jsonl":
            hold(all(json.loads(line) for line in output.splitlines()), f"{command}: an empty record")
        case "junit":
            ElementTree.fromstring(output)


def _find_foreign_command(line: str) -> Command | None:
    """Returns the runner command in a line that is not evtool's own annotation, or a second one within that."""
    if OWN_COMMAND.match(line):
        # The message follows the second "::".
        line = line.partition("::")[2].partition("::")[2]
    return obeyed(line)
