"""The documentation is true: what it shows is run, what it names is there, what is there is named.

Marks in the pages, invisible to readers, say how an example is run:
`<!-- file: NAME -->` the next block is a file of the project, `<!-- folder: NAME -->` from here on it is another
project, in a folder of that name, `<!-- varies: ms, time, id -->` what differs from run to run in the next session,
`order` is that of its lines. `<!-- install: FOLDER -->` installs the package in a folder of the project.
In what a session prints, a line `...` stands for any lines.
"""

import difflib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import metadata
from pathlib import Path
from typing import Any, NamedTuple

import apsw
import pydantic
import pytest
import yaml
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from evtool import errors
from evtool.cli import parser
from evtool.commands.registry import COMMANDS
from evtool.errors import ConfigError
from evtool.findings.codes import CODES
from evtool.patterns.compiler import PatternError
from evtool.patterns.operators.registry import OPERATORS
from evtool.patterns.pattern import Pattern
from evtool.readers.yaml_text import load_yaml
from evtool.routes.routes import Routes
from tests.conftest import ROOT, Evtool
from tests.support.plugins import install_package

PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")])
SHAPES = ROOT / "docs/output"
PROJECT = (
    "evtool",
    "samples",
    "scenarios",
    "routes.yaml",
    "tests/conftest.py",
    "tests/__init__.py",
    "tests/test_layout.py",
)
END = "--- end of a command ---"

BLOCK = re.compile(r"((?:^<!-- [^\n]* -->\n)*)^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MARK = re.compile(r"<!-- (\w+): (.*) -->")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
VARYING = {
    "ms": (re.compile(r"[\d,]+ ms|(?<=\"duration_ms\": )\d+"), "N ms"),
    "time": (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z|\d\d:\d\d:\d\d UTC"), "TIME"),
    "id": (re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"), "ID"),
    "disk": (re.compile(r"disk \w+|[\d,]+ bytes"), "DISK"),
    "sqlite": (re.compile(r"SQLite 3[.\d]+"), "SQLite"),
    "sha256": (re.compile(r"\b[0-9a-f]{64}\b"), "SHA256"),
}


class Block(NamedTuple):
    """A fenced block of a page: its language, its text, and the marks above it."""

    language: str
    text: str
    marks: dict[str, str]


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page."""
    found = BLOCK.findall(page.read_text(encoding="utf-8"))
    return [Block(language, text, dict(MARK.findall(marks))) for marks, language, text in found]


def named(page: Path) -> str:
    """A page as the tests name it."""
    return str(page.relative_to(ROOT))


# --- sessions --------------------------------------------------------------------------------------------------------


def commands(session: str) -> list[tuple[str, str]]:
    """Returns the commands of a session, each with its output."""
    parts = re.split(r"^\$ ", session, flags=re.MULTILINE)[1:]
    return [(command, printed) for command, _, printed in (part.partition("\n") for part in parts)]


def apply_diff(text: str, diff: str) -> str:
    """Applies a diff without line numbers. Its context lines must be in the file, in the same order."""
    lines = text.split("\n")
    at = 0
    for line in diff.rstrip("\n").split("\n"):
        if line.startswith("+"):
            lines.insert(at, line[1:])
        else:
            at = lines.index(line[1:], at)
        if line.startswith("-"):
            del lines[at]
        else:
            at += 1
    return "\n".join(lines)


def write(block: Block, file: Path) -> None:
    """Writes an example file, or changes an existing one."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(apply_diff(file.read_text(), block.text) if block.language == "diff" else block.text)


def run(session: str, folder: Path, env: dict[str, str]) -> list[str]:
    """Runs a session in one shell. Returns the output of each command on both streams."""
    script = "".join(f"{command}\ncode=$?; echo '{END}'; (exit $code)\n" for command, _ in commands(session))
    done = subprocess.run(["sh", "-c", f"exec 2>&1\n{script}"], cwd=folder, env=env, capture_output=True, timeout=120)
    return done.stdout.decode().split(f"{END}\n")[:-1]


def replace_varying(text: str, varies: str) -> str:
    """Replaces all varying parts of a text by their kind."""
    for kind in filter(None, re.split(r"[, ]+", varies)):
        if kind == "order":
            text = "\n".join(sorted(text.split("\n")))
        else:
            pattern, name = VARYING[kind]
            text = pattern.sub(name, text)
    return text


def agrees(printed: str, expected: str) -> bool:
    """Returns whether a text is the expected one, in which a line `...` matches any lines."""
    pattern = re.escape(expected).replace(r"\.\.\." + "\\\n", r"(?:.*\n)*?")
    return re.fullmatch(pattern, printed) is not None


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the project, in which `evtool` on PATH is the copy's own."""
    for name in PROJECT:
        source, target = ROOT / name, tmp_path / "project" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns(".data", "__pycache__"))
        else:
            shutil.copy(source, target)
    command = tmp_path / "bin/evtool"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m evtool "$@"\n')
    command.chmod(0o755)
    return tmp_path / "project"


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=named)
def test_sessions_print_the_output_on_the_page(page: Path, copy: Path) -> None:
    """Every session that begins with evtool runs in a copy of the project."""
    env = {
        **os.environ,
        "PATH": f"{copy.parent / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": f"{copy}{os.pathsep}{copy.parent / 'site'}",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    folder = copy
    for block in blocks(page):
        if "folder" in block.marks:
            folder = copy / block.marks["folder"]
        if "install" in block.marks:
            install_package(copy / block.marks["install"], copy.parent / "site")
        if "file" in block.marks:
            write(block, folder / block.marks["file"])
        if block.language == "console" and block.text.startswith("$ evtool"):
            varies = block.marks.get("varies", "")
            for (command, expected), printed in zip(commands(block.text), run(block.text, folder, env), strict=True):
                wanted, got = (
                    replace_varying(expected.rstrip("\n"), varies),
                    replace_varying(printed.rstrip("\n"), varies),
                )
                difference = "\n".join(difflib.ndiff(wanted.split("\n"), got.split("\n")))
                assert agrees(got + "\n", wanted + "\n"), f"$ {command}\n{difference}"


def test_the_session_of_the_readme_can_be_pasted() -> None:
    """The block without prompts has the same commands as the session."""
    found = blocks(ROOT / "README.md")
    pasted = next(block.text for block in found if block.language == "sh")
    session = next(block.text for block in found if block.text.startswith("$ evtool"))

    assert [line for line in pasted.splitlines() if not line.startswith("export ")] == [c for c, _ in commands(session)]


# --- examples --------------------------------------------------------------------------------------------------------


def yaml_blocks() -> Iterator[tuple[Path, Block]]:
    """Every YAML example with its page."""
    for page in PAGES:
        yield from ((page, block) for block in blocks(page) if block.language == "yaml")


ADDS_KINDS = ("CONTRIBUTING.md", "plugins.md")  # their examples need what they add
SECTIONS = {"version", "schemas", "samples", "store", "handlers", "routes", "check"}


def test_yaml_examples_of_routes_load(tmp_path: Path) -> None:
    """Each routes.yaml, or part of one, loads and fits the schema. The mark `refused` names the expected codes."""
    shape = Draft202012Validator(json.loads((ROOT / "evtool/routes.schema.json").read_text()))
    seen = 0
    for page, block in yaml_blocks():
        document = yaml.safe_load(block.text) if "refused" not in block.marks else {"version": 1}
        if not set(document) <= SECTIONS or page.name in ADDS_KINDS:
            continue
        seen += 1
        file = tmp_path / "routes.yaml"
        file.write_text(block.text if "version" in document else f"version: 1\n{block.text}")
        if "refused" in block.marks:
            with pytest.raises(ConfigError) as caught:
                Routes.load(file)
            assert [f.code for f in caught.value.findings] == block.marks["refused"].split(", "), page
            continue
        if "handlers" in document or "routes" not in document:
            Routes.load(file)
        shape.validate(load_yaml(file.read_bytes(), "routes.yaml").value)
    assert seen > 5


def test_other_yaml_examples_are_well_formed() -> None:
    """Workflows and the like are YAML."""
    for page, block in yaml_blocks():
        if "refused" not in block.marks:
            assert isinstance(yaml.safe_load(block.text), dict), page


def test_json_examples_are_well_formed() -> None:
    for page in PAGES:
        for block in blocks(page):
            if block.language == "json":
                assert json.loads(block.text), page


VERDICT = re.compile(r"^  (matches|not|refused) +(.*)$", re.MULTILINE)


@pytest.mark.parametrize("text", [b.text for b in blocks(ROOT / "docs/patterns.md") if b.language == "pattern"])
def test_patterns_match_as_the_page_says(text: str) -> None:
    """The result below a pattern says whether it matches, does not match or is refused."""
    source = text[: next(VERDICT.finditer(text)).start()]
    for verdict, rest in VERDICT.findall(text):
        if verdict == "refused":
            with pytest.raises(PatternError) as caught:
                Pattern(source)
            assert rest in [f"{p.code} {p.message}" for p in caught.value.problems]
        else:
            assert Pattern(source).matches(rest) == (verdict == "matches"), rest


def test_every_operator_has_an_example() -> None:
    """docs/patterns.md shows each operator."""
    examples = "".join(b.text for b in blocks(ROOT / "docs/patterns.md") if b.language == "pattern")
    assert all(f'"{name}"' in examples for name in [*OPERATORS, "$or"])


def test_python_examples_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """They run in the folder of the project, with an order of the shop."""
    monkeypatch.chdir(ROOT)
    [example] = [b.text for b in blocks(ROOT / "docs/patterns.md") if b.language == "python"]
    names: dict[str, Any] = {}
    exec(example, names)

    assert names["taken"] == ["pay-for-order"]


def test_queries_of_the_store_page_run_and_find_rows(evtool: Evtool, shop: Path) -> None:
    """Every query that the page of the store shows runs on a store, and finds something."""
    evtool("publish", "order-created", "--set", "id=first", cwd=shop)
    (shop / "broken.yaml").write_text(BROKEN)
    evtool("publish", "samples/events/order-created.json", "--set", "id=second", "--routes", "broken.yaml", cwd=shop)
    connection = apsw.Connection(str(shop / ".evtool/store.db"), flags=apsw.SQLITE_OPEN_READONLY)
    queries = [b.text for b in blocks(ROOT / "docs/store.md") if b.language == "sql"]

    assert queries
    for query in queries:
        assert connection.execute(query).fetchall(), query
    connection.close()


# --- machine-readable output -----------------------------------------------------------------------------------------


REFUSED = "samples/invalid/order-three-faults.json"
OUTPUTS = [  # schema, then the command
    ("validate", "validate"),
    ("validate", f"validate {REFUSED}"),
    ("validate", "validate samples/invalid nowhere.json"),
    ("check", "check"),
    ("check", "check --routes broken.yaml --ignore EV407"),
    ("publish", "publish order-created"),
    ("publish", "publish order-created"),
    ("publish", f"publish {REFUSED} nowhere.json"),
    ("publish", "publish samples/events --dry-run"),
    ("publish", "publish order-created --set id=late --no-deliver"),
    ("deliver", "deliver"),
    ("deliver", "deliver"),
    ("publish", "publish samples/events/order-created.json --set id=fails --routes broken.yaml"),
    ("publish", "publish samples/events/order-created.json --set id=waits --routes broken.yaml"),
    ("dlq-list", "dlq list"),
    ("dlq-show", "dlq show"),
    ("dlq-purge", "dlq purge --handler missing --dry-run"),
    ("dlq-redrive", "dlq redrive --dry-run"),
    ("dlq-redrive", "dlq redrive"),
    ("events", "events"),
    ("events", "events --type nothing"),
    ("events-summary", "events --summary"),
    ("events-summary", "events --summary --type nothing"),
    ("event", "events fails"),
    ("event", "events late"),
    ("replay", "replay"),
    ("replay", "replay --deliver --name again"),
    ("replay", "replay --from samples/events"),
    ("replay-against", "replay --against broken.yaml --from samples/events"),
    ("publish-bus", "publish samples/events samples/invalid --bus file:bus.jsonl"),
    ("push", "push file:bus.jsonl"),
    ("pull", "pull file:bus.jsonl"),
    ("replay-against", "replay --against routes.yaml --generate 50"),
    ("schema-diff", "schema diff samples/schemas/payment.declined.json samples/schemas/payment.authorized.json"),
    ("schema-diff", "schema diff samples/schemas samples/schemas"),
    ("schema-infer", "schema infer order-created"),
    ("schema-infer", "schema infer samples/events --to inferred --force"),
    ("doctor", "doctor"),
    ("backup", "backup --force copy.db"),
    ("events-prune", "events prune --older-than 0s --dry-run"),
    ("events-prune", "events prune --older-than 0s"),
    ("events-prune", "events prune --older-than 1d"),
    ("test", "test"),
    ("test", "test failing.yaml --coverage"),
    ("generate", "generate order.created -n 2"),
    ("generate", "generate --for-route fulfil-order --near-miss"),
    ("explain", "explain order-created"),
    ("explain", "explain order-created --route fulfil-order"),
    ("explain", "explain nowhere.json"),
    ("explain", "explain samples/events/orders.jsonl"),
    ("explain", "explain EV104"),
    ("handlers", "handlers"),
    ("handlers", "handlers --routes broken.yaml"),
    ("handlers-run", "handlers run charge-card order-created"),
    ("init", "init new-project"),
    ("export", "export"),
    ("import", "import rules.json --to imported.yaml --merge"),
    ("graph", "graph"),
    ("graph", "graph --counts"),
    ("graph", "graph --routes broken.yaml"),
]
BROKEN = """
version: 1
handlers:
  fails: {command: [sh, -c, "echo no >&2; exit 3"]}
  waits: {command: [sh, -c, "exit 75"]}
  missing: {python: "nowhere:nothing"}
routes:
  all:
    pattern: {detail-type: [order.created]}
    to: [fails, waits, missing]
    retry: {max_attempts: 1}
"""


RULES = '{"Rules": [{"Name": "paid", "EventPattern": "{\\"source\\": [\\"shop\\"]}"}]}'
FAILING = """
version: 1
scenarios:
  fails:
    given: [{sample: cart-abandoned, set: {detail.cartTotal: 1}}]
    mock: all
    expect: {routes: [win-back-cart], emits: [{source: [shop]}], states: {email-platform: done}}
  emits:
    given: [{sample: cart-abandoned}]
    mock: {email-platform: {emit: [{detail-type: payment.declined, detail: {}}]}}
    expect: {emits: [{source: [shop]}]}
"""


def shapes(name: str) -> tuple[Draft202012Validator, Draft202012Validator]:
    """The validators of a command's document and of its lines."""
    documents = {file.name: json.loads(file.read_text()) for file in SHAPES.glob("*.schema.json")}
    registry = Registry().with_resources((n, Resource.from_contents(d)) for n, d in documents.items())
    file = f"{name}.schema.json"
    Draft202012Validator.check_schema(documents[file])
    return (
        Draft202012Validator({"$ref": file}, registry=registry),
        Draft202012Validator({"$ref": f"{file}#/$defs/line"}, registry=registry),
    )


def test_json_output_fits_its_schema(evtool: Evtool, shop: Path) -> None:
    """Each command is run with -o json and -o jsonl."""
    (shop / "broken.yaml").write_text(BROKEN)
    (shop / "failing.yaml").write_text(FAILING)
    (shop / "rules.json").write_text(RULES)
    for form in ("json", "jsonl"):
        for name, command in OUTPUTS:
            document, line = shapes(name)
            ran = evtool(*command.split(), "-o", form, "--store", f"{form}.db", cwd=shop)
            assert ran.code in (0, 1, 2), ran.err
            if form == "json":
                document.validate(ran.json)
            for text in ran.out.splitlines() if form == "jsonl" else ():
                line.validate(json.loads(text))


def test_every_schema_is_used_and_named() -> None:
    """Each schema of the output describes some command, and the page links to it."""
    page = (ROOT / "docs/output.md").read_text(encoding="utf-8")
    files = {file.name.removesuffix(".schema.json") for file in SHAPES.glob("*.schema.json")}

    assert files == {name for name, _ in OUTPUTS} | {"records"}
    assert all(f"output/{name}.schema.json" in page for name in files)


# --- completeness ----------------------------------------------------------------------------------------------------


def generator() -> Any:
    """docs/generate.py as a module."""
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs/generate.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", generator().GENERATED)
def test_generated_pages_are_up_to_date(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """`make docs` would not change them."""
    if name.endswith(".schema.json") and tuple(map(int, pydantic.VERSION.split(".")[:2])) < (2, 11):
        pytest.skip("before pydantic 2.11 the same schema is written in other words; tests/routes compares the meaning")
    monkeypatch.setenv("COLUMNS", "100")
    assert (ROOT / name).read_text(encoding="utf-8") == generator().GENERATED[name]()


def test_every_finding_code_is_documented() -> None:
    """No code is missing because its range has no heading."""
    page = (ROOT / "docs/findings.md").read_text(encoding="utf-8")
    assert all(f"| {code} | {meaning} |" in page for code, meaning in CODES.items())


def test_every_command_and_option_is_documented() -> None:
    """Each command has a section in docs/commands.md that names all its options, each with a help text."""
    page = (ROOT / "docs/commands.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL))
    for name in COMMANDS:
        command = parser.build_command(name)
        below = getattr(command, "commands", None) or {"": command}
        for word, each in below.items():
            section = sections[f"evtool {name} {word}".strip()]
            for parameter in each.params:
                assert parameter.help, f"{name} {word} {parameter.name}"
                assert all(flag in section for flag in parameter.opts if flag.startswith("-")), parameter.name


def test_every_exit_code_is_documented() -> None:
    """docs/exit-codes.md has a row for each exit code of evtool/errors.py."""
    page = (ROOT / "docs/exit-codes.md").read_text(encoding="utf-8")
    codes = [value for name, value in vars(errors).items() if name.startswith("EXIT_")]
    assert all(re.search(rf"^\| {code} \|", page, re.MULTILINE) for code in codes)


def test_every_key_of_routes_is_documented() -> None:
    """docs/routes.md names every key that routes.yaml may have."""
    page = (ROOT / "docs/routes.md").read_text(encoding="utf-8")
    schema = json.loads((ROOT / "evtool/routes.schema.json").read_text())
    keys = {key for part in [schema, *schema["$defs"].values()] for key in part.get("properties", {})}
    assert not {key for key in keys if f"`{key}`" not in page}


def test_every_dependency_is_explained() -> None:
    """docs/dependencies.md has a row for each dependency, with the version that is asked for and its licence."""
    page = (ROOT / "docs/dependencies.md").read_text(encoding="utf-8")
    project = (ROOT / "pyproject.toml").read_text()
    wanted = re.search(r"^dependencies = \[(.*?)\]", project, re.MULTILINE | re.DOTALL)
    assert wanted
    required = [*re.findall(r'"(.*?)"', wanted[1]), *(ROOT / "requirements-dev.txt").read_text().split()]
    for requirement in [*required, re.findall(r'requires = \["(.*?)"\]', project)[0]]:
        name, version = re.fullmatch(r"([\w-]+)(.*)", requirement).groups()  # type: ignore[union-attr]
        row = re.search(rf"^\| \[{name}\]\(.*$", page, re.MULTILINE | re.IGNORECASE)
        assert row, name
        assert f"`{version}`" in row[0], requirement
        # not installed; "any-OSI"; classifiers only
        unnamed = ("hatchling", "apsw", "rstr", "awslambdaric", "klaviyo-api", "stripe", "jinja2", "confluent-kafka")
        if name not in unnamed:
            told = metadata(name)
            licence = told.json.get("license_expression") or told.json["license"]
            assert licence.partition(" ")[0] in row[0], f"{name}: {licence}"


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = HEADING.findall(re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_relative_links_point_to_existing_files_and_headings(page: Path) -> None:
    """A relative link points to a file that is there, and its anchor to a heading of it."""
    for link in LINK.findall(page.read_text(encoding="utf-8")):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link
