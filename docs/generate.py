"""Writes what is generated from the code: the command reference, the finding codes, the JSON Schema of routes.yaml."""

import io
import json
import os
from contextlib import redirect_stdout, suppress
from pathlib import Path

from evtool import cli, parsing
from evtool.commands import COMMANDS
from evtool.finding import CODES
from evtool.routes import RoutesModel

ROOT = Path(__file__).parent.parent
RANGES = {
    "EV0": "Files and syntax",
    "EV1": "Event against schema",
    "EV2": "Pattern syntax",
    "EV4": "Routing",
    "EV6": "Schemas",
}


def commands() -> str:
    """The command reference: the help of every command, as it is printed."""
    parts = ["# Commands\n\nThe `--help` of every command, as evtool prints it. `make docs` writes this page.\n"]
    every = ("", *COMMANDS, *(f"dlq {part}" for part in parsing.subcommands("dlq")))
    parts += [f"## {f'evtool {words}'.strip()}\n\n```\n{_help(words)}\n```\n" for words in every]
    return "\n".join(parts)


def findings() -> str:
    """The finding codes, by range."""
    parts = ["# Findings\n\nEvery finding has a code that keeps its meaning. `make docs` writes this page.\n"]
    for begin, title in RANGES.items():
        rows = [f"| {code} | {meaning} |" for code, meaning in CODES.items() if code.startswith(begin)]
        parts.append("\n".join([f"## {title}\n", "| code | meaning |", "|---|---|", *rows, ""]))
    return "\n".join(parts)


def routes_schema() -> str:
    """The JSON Schema of routes.yaml, for editors and for a quick check."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **RoutesModel.model_json_schema()}
    return json.dumps(schema, indent=2) + "\n"


GENERATED = {
    "docs/commands.md": commands,
    "docs/findings.md": findings,
    "evtool/routes.schema.json": routes_schema,
}


def _help(words: str) -> str:
    os.environ |= {"COLUMNS": "100", "NO_COLOR": "1"}
    out = io.StringIO()
    with redirect_stdout(out), suppress(SystemExit):
        cli.main([*words.split(), "--help"])
    return "\n".join(line.rstrip() for line in out.getvalue().rstrip().split("\n"))


if __name__ == "__main__":
    for name, write in GENERATED.items():
        (ROOT / name).write_text(write(), encoding="utf-8")
