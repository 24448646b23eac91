"""Writes the generated pages (commands, finding codes, conformance, modules) and the JSON Schemas of project files."""

import ast
import io
import json
import os
from collections import Counter
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from evtool.cli import app, parser
from evtool.commands.registry import COMMANDS
from evtool.findings.codes import CODES
from evtool.findings.example import SCHEMA
from evtool.findings.examples import EXAMPLES
from evtool.patterns.compiler import PatternError
from evtool.patterns.pattern import Pattern
from evtool.routes.models import RoutesModel
from evtool.scenarios.model import ScenariosModel

ROOT = Path(__file__).parent.parent
# what AWS has answered, by file: the name of its one family, if it has not several
VECTORS = {"aws": "recorded from the service", "curated": None, "multirule": "several rules together"}
FINDINGS = """# Findings

Every finding has a code that keeps its meaning; `evtool explain EV104` explains it, with the examples of this page.
`make docs` writes this page, and a test runs the examples.

The events are of type `order.created`, whose detail has this schema:

```json
{schema}
```
"""
CONFORMANCE = """# Conformance

This page compares the matcher with AWS: with recordings of the service, and with AWS event-ruler 2.1.0
for each rule alone (`tests/vectors`). `make docs` writes this page, and a test checks that it is up to date.

`make conformance` asked the other engines on {dates}, each rule alone. Event-ruler is AWS's own library;
LocalStack and moto emulate AWS. A pattern that an engine has to refuse is a case like any other. In one case
event-ruler differs from the service, because the service limits the complexity of wildcards.
[Where evtool differs](patterns.md#where-evtool-differs) lists the differences that evtool has on purpose.
"""
MODULES = """# Modules

Every module of the package and its purpose, which is the first sentence of the module. `make docs` writes this page.
[Architecture](architecture.md) describes how the folders depend on each other.
"""
RANGES = {
    "EV0": "Files and syntax",
    "EV1": "Event against schema",
    "EV2": "Pattern syntax",
    "EV3": "Patterns against schemas",
    "EV4": "Routing",
    "EV5": "Handlers",
    "EV6": "Schemas",
    "EV7": "Scenarios",
    "EV9": "Ignore comments",
}


def commands() -> str:
    """The command reference: the help of every command, as it is printed."""
    parts = ["# Commands\n\nThe `--help` of every command, as evtool prints it. `make docs` writes this page.\n"]
    every = ("", *COMMANDS, *(f"{name} {part}" for name in COMMANDS for part in parser.load_subcommands(name)))
    parts += [f"## {f'evtool {words}'.strip()}\n\n```\n{_help(words)}\n```\n" for words in every]
    return "\n".join(parts)


def findings() -> str:
    """The finding codes, by range, with an example of each."""
    parts = [FINDINGS.format(schema=SCHEMA)]
    for begin, title in RANGES.items():
        codes = [code for code in CODES if code.startswith(begin)]
        rows = [f"| {code} | {CODES[code]} |" for code in codes]
        parts.append("\n".join([f"## {title}\n", "| code | meaning |", "|---|---|", *rows, ""]))
        parts += [_example(code) for code in codes]
    return "\n".join(parts)


def _example(code: str) -> str:
    of, bad, good = EXAMPLES[code]
    if of == "words":
        return f"**{code}**, {CODES[code]}. Cause: {bad}. Correct: {good}.\n"
    return (
        f"**{code}**, {CODES[code]}. This input ({of}) causes it:\n\n```text\n{bad.strip()}\n```\n\n"
        f"This input is correct:\n\n```text\n{good.strip()}\n```\n"
    )


def conformance() -> str:
    """How many of AWS's recorded answers the matcher gives, by family, and how many other engines gave."""
    peers = json.loads((ROOT / "docs/conformance.json").read_text(encoding="utf-8"))["engines"]
    cases: Counter[str] = Counter()
    right: dict[str, Counter[str]] = {engine: Counter() for engine in ("evtool", *peers)}
    for file, family in VECTORS.items():
        text = (ROOT / f"tests/vectors/patterns-{file}.jsonl").read_text(encoding="utf-8")
        for row in map(json.loads, text.splitlines()):
            name = family or row["op"]
            cases[name] += 1
            right["evtool"][name] += _answer(row) == row["expected"]
            for engine, found in peers.items():
                right[engine][name] += row["id"] not in found["wrong"]
    titles = ["evtool", *(f"{engine} {found['version']}" for engine, found in peers.items())]
    rows = [f"| {name} | {cases[name]} | {' | '.join(str(one[name]) for one in right.values())} |" for name in cases]
    totals = " | ".join(f"**{one.total()}**" for one in right.values())
    table = [f"| family | cases | {' | '.join(titles)} |", f"|---|--:|{'--:|' * len(titles)}", *rows]
    dates = sorted({found["date"] for found in peers.values()})
    return "\n".join(
        [CONFORMANCE.format(dates=" and ".join(dates)), *table, f"| **all** | **{cases.total()}** | {totals} |", ""]
    )


def _answer(row: dict[str, Any]) -> object:
    if "rules" in row:
        return sorted(r["name"] for r in row["rules"] if Pattern(json.dumps(r["pattern"])).matches(row["event_text"]))
    try:
        return Pattern(row["pattern_text"]).matches(row["event_text"])
    except PatternError:
        return "invalid"


def routes_schema() -> str:
    """The JSON Schema of routes.yaml, for editors and for a quick check."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **RoutesModel.model_json_schema()}
    return json.dumps(schema, indent=2) + "\n"


def scenarios_schema() -> str:
    """The JSON Schema of scenario files, for editors."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **ScenariosModel.model_json_schema()}
    return json.dumps(schema, indent=2) + "\n"


def modules() -> str:
    """Every module with its purpose, by folder."""
    package = ROOT / "evtool"
    folders = sorted({file.parent for file in package.rglob("*.py")})
    return "\n".join([MODULES, *(_folder(folder, package) for folder in folders)])


def _folder(folder: Path, package: Path) -> str:
    files = [file for file in sorted(folder.glob("*.py")) if file.read_text(encoding="utf-8")]
    rows = [f"| `{file.name}` | {_purpose(file)} |" for file in files]
    return "\n".join([f"## {folder.relative_to(package.parent)}/\n", "| module | purpose |", "|---|---|", *rows, ""])


def _purpose(file: Path) -> str:
    """The first paragraph of a module's docstring, on one line of a table."""
    docstring = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    return " ".join(docstring.partition("\n\n")[0].split()).replace("|", "\\|")


GENERATED = {
    "docs/commands.md": commands,
    "docs/findings.md": findings,
    "docs/conformance.md": conformance,
    "docs/modules.md": modules,
    "evtool/routes.schema.json": routes_schema,
    "evtool/scenarios.schema.json": scenarios_schema,
}


def _help(words: str) -> str:
    os.environ |= {"COLUMNS": "100", "NO_COLOR": "1"}
    out = io.StringIO()
    with redirect_stdout(out):
        app.main([*words.split(), "--help"])
    return "\n".join(line.rstrip() for line in out.getvalue().rstrip().split("\n"))


if __name__ == "__main__":
    for name, write in GENERATED.items():
        (ROOT / name).write_text(write(), encoding="utf-8")
