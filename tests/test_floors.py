"""The house: a module imports only from floors below its own, and the kinds in a drawer do not know each other."""

import ast
from pathlib import Path

import pytest

HOUSE = Path(__file__).parent.parent / "evtool"

# From the ground up. A name that ends in .* is a drawer: its kinds may use what is below, but not one another.
FLOORS = [
    [
        "finding",
        "garbage",
        "examples",
        "harmless",
        "duration",
        "size",
        "literals",
        "signals",
        "strays",
        "worker",
        "heads",
        "diaries",
        "journal",
        "streams",
        "unpacking",
    ],
    ["errors", "drawing", "handler", "retry", "jsonscan", "wording"],
    ["faults", "migrations"],
    ["opening"],
    ["screen", "database", "processes", "answers", "jsontext", "leaves", "yamltext", "operators.operand"],
    [
        "jsonarray",
        "values",
        "frames",
        "progress",
        "project",
        "operators.strings",
        "operators.wildcard",
        "operators.cidr",
    ],
    ["reading", "samples", "completion", "operators.*", "handlers.*"],
    ["places"],
    ["event", "operators", "handlers"],
    ["branches"],
    ["pattern", "references", "setting", "stored", "transform"],
    ["schemas", "misses", "shelves"],
    ["index", "projection"],
    ["router"],
    ["routes", "store", "validation", "anatomy", "witnesses"],
    ["queue", "intake", "sums", "health", "letters", "retention", "records", "report", "options", "changes"],
    ["backup", "slots", "outcomes", "trees", "explain", "reports.*"],
    ["delivery"],
    ["replay", "reports", "exits", "reasons"],
    ["session"],
    ["road", "selection"],
    ["commands", "commands.*"],
    ["parsing"],
    ["cli", "evtool"],
    ["__main__"],
]


def module(file: Path) -> str:
    """A file's name as the floors have it."""
    parts = file.relative_to(HOUSE).with_suffix("").parts
    return ".".join(parts).removesuffix(".__init__") if parts != ("__init__",) else "evtool"


MODULES = {module(file): file for file in sorted(HOUSE.rglob("*.py"))}


def floor(name: str) -> int:
    """The number of the floor that a module is on."""
    drawer = name.rpartition(".")[0] + ".*"
    for number, names in enumerate(FLOORS):
        if name in names:
            return number
    found = [number for number, names in enumerate(FLOORS) if drawer in names]
    assert found, f"evtool/{name.replace('.', '/')}.py has no floor: give it one in FLOORS"
    return found[0]


def imports(name: str) -> set[str]:
    """Which modules of the house a module imports, wherever in it the import stands."""
    found = set()
    for node in ast.walk(ast.parse(MODULES[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "evtool":
            base = (node.module or "").removeprefix("evtool").lstrip(".")
            for alias in node.names:
                full = f"{base}.{alias.name}".lstrip(".")
                found.add(full if full in MODULES else base or "evtool")
    return found - {name}


@pytest.mark.parametrize("name", MODULES)
def test_imports_go_down(name: str) -> None:
    """A module imports only from lower floors; `evtool` itself gives nothing but the version to the inside."""
    upward = {other for other in imports(name) - {"evtool"} if floor(other) >= floor(name)}

    assert not upward


@pytest.mark.parametrize("name", MODULES)
def test_rooms_are_small(name: str) -> None:
    """No module is longer than 300 lines, but the worker, a program that has to be one file."""
    lines = MODULES[name].read_text(encoding="utf-8").count("\n")

    assert lines <= (375 if name == "worker" else 300)


def test_each_room_says_what_it_is_for() -> None:
    """Every module opens with a docstring whose first sentence fits in a line or two."""
    for name, file in MODULES.items():
        first = (ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or "").split("\n\n")[0]
        assert first.endswith("."), name
        assert len(first) <= 250, name
