"""The layout of the package: which folder may import which, no cycles, small folders and modules that state a purpose.

Only a new folder needs an edit here: it gets its place in FOLDERS.
"""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "evtool"

# From the bottom to the top. A module may import from its own folder and from lower rows.
FOLDERS = [
    ["findings"],
    ["errors", "paths", "signals", "units", "webhooks"],
    ["git_revisions", "regex"],
    ["terminal", "readers"],
    ["events", "patterns"],
    ["aws"],
    ["handlers", "schemas"],
    ["plugins"],
    ["routes.project_file"],
    ["interchange"],
    ["routes"],
    ["store"],
    ["delivery"],
    ["buses", "scenarios", "graph"],
    ["checks"],
    ["reports"],
    ["server"],
    ["cli"],
    ["commands"],
    ["cli.parser", "cli.app"],
    ["__main__", "pytest_plugin"],
]
MOST_ENTRIES = 12
GROWING = {
    "": 34,
    "checks": 100,
    "commands": 100,
    "patterns/operators": 100,
    "reports/formats": 100,
}  # one file per kind
MOST_LINES = 360
# Expressions with several steps in one: readers have to unfold them. `ast` has no common class for them.
DENSE = (
    ast.ListComp,
    ast.SetComp,
    ast.DictComp,
    ast.GeneratorExp,
    ast.IfExp,
    ast.Lambda,
    ast.Starred,
    ast.NamedExpr,
)
MOST_DENSE = 40
LONGER = {"handlers.processes.worker": 880}  # the program in a worker process has to be one file


def module_name(file: Path) -> str:
    """A file's dotted name below `evtool`; an `__init__` has the name of its folder."""
    return ".".join(file.relative_to(PACKAGE).with_suffix("").parts).removesuffix("__init__").removesuffix(".")


MODULES = {module_name(file): file for file in sorted(PACKAGE.rglob("*.py"))}
WITH_CODE = [name for name, file in MODULES.items() if file.name != "__init__.py"]


def imports(name: str) -> set[str]:
    """The modules of evtool that a module imports, at its top or inside a function, without the root."""
    imported = set()
    for node in ast.walk(ast.parse(MODULES[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "evtool":
            base = (node.module or "").removeprefix("evtool").lstrip(".")
            for alias in node.names:
                full = f"{base}.{alias.name}".lstrip(".")
                imported.add(full if full in MODULES else base)
    return imported - {name, ""}


def row(name: str) -> int:
    """The number of a module's row in FOLDERS: its own, or that of its top folder."""
    rows = {entry: number for number, entries in enumerate(FOLDERS) for entry in entries}
    top = name.partition(".")[0]
    assert name in rows or top in rows, f"FOLDERS has no place for evtool/{top}"
    return rows.get(name, rows.get(top, -1))


@pytest.mark.parametrize("name", WITH_CODE)
def test_imports_follow_the_order_of_the_folders(name: str) -> None:
    """A module imports only from its own folder and from lower ones."""
    top = name.partition(".")[0]
    upward = {
        other
        for other in imports(name)
        if row(other) > row(name) or (row(other) == row(name) and other.partition(".")[0] != top)
    }

    assert not upward


def test_no_import_cycles() -> None:
    """The modules can be put in an order in which each imports only earlier ones."""
    order = list(TopologicalSorter({name: imports(name) for name in MODULES}).static_order())

    assert set(order) == set(MODULES)


@pytest.mark.parametrize("folder", sorted({file.parent for file in MODULES.values()}), ids=str)
def test_folders_are_small(folder: Path) -> None:
    """A folder has few enough entries to be read at a glance; folders with one file per kind may grow."""
    entries = [entry for entry in folder.iterdir() if not entry.name.startswith(("__init__", "__pycache__"))]
    name = str(folder.relative_to(PACKAGE)).removeprefix(".")

    assert len(entries) <= GROWING.get(name, MOST_ENTRIES), sorted(entry.name for entry in entries)


@pytest.mark.parametrize("file", [file for name, file in MODULES.items() if name and name not in WITH_CODE], ids=str)
def test_init_files_are_empty(file: Path) -> None:
    """Importing a module loads none of its siblings: only the root's `__init__` has code."""
    assert file.read_bytes() == b""


@pytest.mark.parametrize("name", WITH_CODE)
def test_modules_are_small(name: str) -> None:
    """A module has at most 360 lines."""
    lines = MODULES[name].read_text(encoding="utf-8").count("\n")

    assert lines <= LONGER.get(name, MOST_LINES)


@pytest.mark.parametrize("name", WITH_CODE)
def test_modules_state_their_purpose(name: str) -> None:
    """Every module opens with a docstring whose first paragraph fits in a line or two."""
    first = (ast.get_docstring(ast.parse(MODULES[name].read_text(encoding="utf-8"))) or "").split("\n\n")[0]

    assert first.endswith(".")
    assert len(first) <= 250


def test_expressions_are_not_dense() -> None:
    """Per 1,000 lines that are not blank, the package has fewer than MOST_DENSE expressions of DENSE."""
    dense: dict[str, int] = {}
    lines: dict[str, int] = {}
    for name in WITH_CODE:
        text = MODULES[name].read_text(encoding="utf-8")
        dense[name] = sum(isinstance(node, DENSE) for node in ast.walk(ast.parse(text)))
        lines[name] = sum(bool(line.strip()) for line in text.splitlines())
    densest = sorted(WITH_CODE, key=lambda name: dense[name] / lines[name], reverse=True)[:10]
    density = 1000 * sum(dense.values()) / sum(lines.values())

    assert density < MOST_DENSE, f"{density:.1f} per 1,000 lines; most in {', '.join(densest)}"
