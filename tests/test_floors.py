"""The structure of the package: no import cycles, small modules, and one sentence at the top of each."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "evtool"
LIMITS = {"handlers.processes.worker": 375}  # lines; it has to be one file


def module_name(file: Path) -> str:
    """A file's dotted name below `evtool`; an `__init__` has its folder's."""
    return ".".join(file.relative_to(PACKAGE).with_suffix("").parts).removesuffix("__init__").removesuffix(".")


MODULES = {module_name(file): file for file in sorted(PACKAGE.rglob("*.py"))}
WITH_CODE = [name for name, file in MODULES.items() if file.stat().st_size]


def imports(name: str) -> set[str]:
    """The modules of evtool that a module imports, at its top or inside a function."""
    imported = set()
    for node in ast.walk(ast.parse(MODULES[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "evtool":
            base = (node.module or "").removeprefix("evtool").lstrip(".")
            for alias in node.names:
                full = f"{base}.{alias.name}".lstrip(".")
                imported.add(full if full in MODULES else base)
    return imported - {name, ""}


def test_no_import_cycles() -> None:
    """The modules can be put in an order in which each imports only earlier ones."""
    order = list(TopologicalSorter({name: imports(name) for name in MODULES}).static_order())

    assert set(order) == set(MODULES)


@pytest.mark.parametrize("name", WITH_CODE)
def test_modules_are_small(name: str) -> None:
    """No module is longer than 300 lines, except the worker, a program that has to be one file."""
    lines = MODULES[name].read_text(encoding="utf-8").count("\n")

    assert lines <= LIMITS.get(name, 300)


@pytest.mark.parametrize("name", WITH_CODE)
def test_modules_state_their_purpose(name: str) -> None:
    """Every module opens with a docstring whose first paragraph fits in a line or two."""
    first = (ast.get_docstring(ast.parse(MODULES[name].read_text(encoding="utf-8"))) or "").split("\n\n")[0]

    assert first.endswith(".")
    assert len(first) <= 250
