"""Proof: event text cannot drive a terminal or a CI runner, nor spoil what machines read, whatever a command tells.

Events have hostile texts wherever they can have any; the handler prints them, emits them and fails with them. Every
command tells of all that in every form it has. A terminal has to find nothing but plain characters, GitHub's runner no
command but those of our own report, and each form has to parse.
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
TOGETHER = 25  # texts in one project
LONGEST = 300  # characters of a text; longer ones have tests of their own
FORMS = ("text", "json", "jsonl", "junit", "github")
OURS = re.compile(r"^::(error|warning|notice) ")
UNAVAILABLE = 2  # exit code of a command that does not have a form

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
    """Texts put together at random from those that have done harm before."""
    texts, outputs, commands = trial.size(1000, 25), 0, COMMANDS[:: trial.size(1, 3)]
    for start in range(0, texts, TOGETHER):
        folder = trial.folder / str(start)
        folder.mkdir()
        for command, form, said in _told(folder, list(_hostile(trial.random)), commands):
            _is_harmless(command, form, said)
            outputs += 1
    return {"hostile texts": texts, "outputs": outputs}


def _hostile(random: Random) -> Iterator[str]:
    for _ in range(TOGETHER):
        yield "".join(random.choice(NAUGHTY)[:LONGEST] for _ in range(random.randint(1, 3)))[:LONGEST] or "\x1b"


def _told(folder: Path, texts: list[str], commands: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """What the commands say in every form they have: the command, the form, and its output and errors."""
    (folder / "routes.yaml").write_text(ROUTES, encoding="utf-8")
    (folder / "handlers.py").write_text(HANDLERS, encoding="utf-8")
    events = [
        {
            "id": f"{number}{text}",
            "source": text,
            "detail-type": text,
            "detail": {"text": text, "fails": number % 3 == 0},
        }
        for number, text in enumerate(texts)
    ]
    rows = [json.dumps(event) for event in events]
    (folder / "hostile.jsonl").write_text("\n".join([*rows, *texts, rows[0].replace("fails", "failed")]), "utf-8")
    name = next(str(event["id"]) for event in events if "\0" not in str(event["id"]))  # no argument can have one
    for command in commands:
        for form in FORMS:
            words = [word.replace("{id}", name) for word in command.split(" ")]
            done = subprocess.run(
                [sys.executable, "-m", "evtool", *words, "-o", form],
                cwd=folder,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                capture_output=True,
                check=False,
            )
            hold(b"Traceback" not in done.stderr, f"{command} -o {form}: {done.stderr!r}")
            if done.returncode != UNAVAILABLE:
                yield command, form, done.stdout.decode()
            yield command, "errors", done.stderr.decode()


def _is_harmless(command: str, form: str, said: str) -> None:
    hold(harmless_to_a_terminal(said), f"{command}: a terminal would obey -o {form}: {said!a}")
    commands = [each for each in map(_foreign, said.split("\n")) if each]
    hold(not commands, f"{command}: a runner would obey -o {form}: {commands}")
    match form:
        case "json":
            json.loads(said)
        case "jsonl":
            hold(all(json.loads(line) for line in said.splitlines()), f"{command}: an empty record")
        case "junit":
            ElementTree.fromstring(said)


def _foreign(line: str) -> Command | None:
    """The command in a line that is none of our own report's; ours has no second one in it."""
    ours = OURS.match(line)
    return obeyed(line.partition("::")[2].partition("::")[2]) if ours else obeyed(line)
