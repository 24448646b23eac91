"""Mutation testing: `python -m proofs.mutations [MODULE...]` makes one change at a time and runs the tests.

Each change happens in a copy of the project. The state machine of tests/support/store_model.py runs first, since it
notices most changes, and then the tests that TESTS lists for the module. The program prints the unnoticed changes.

Example: `if attempts >= limit:` has two mutants, `if attempts > limit:` and `if not attempts >= limit:`.
"""

import argparse
import ast
import copy
import os
import re
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from operator import attrgetter
from pathlib import Path
from queue import SimpleQueue
from random import Random
from typing import Any, NamedTuple

import hypothesis
import pydantic
import pytest
import yaml

ROOT = Path(__file__).parent.parent
COPIED = ("evtool", "tests", "samples", "docs", "routes.yaml", "pyproject.toml")
# The tests that must notice the changes of each module that the state machine does not notice.
TESTS = {
    "store/store": ("store/test_store",),
    "delivery/retry": ("delivery/test_retry", "routes/test_routes_file"),
    "store/queue": ("store/test_queue",),
    "delivery/outcomes": ("delivery/test_outcomes",),
    "delivery/loop": ("delivery/test_loop", "delivery/test_recovery"),
    "delivery/pool": ("delivery/test_pool",),
    "delivery/pool_thread": ("delivery/test_pool",),
    "delivery/intake": ("delivery/test_intake",),
    "store/sqlite/database": ("store/sqlite/test_connection",),
    "store/sqlite/wal": ("store/sqlite/test_wal", "store/sqlite/test_connection"),
    "readers/streams": ("readers/test_files",),
}
# Examples of the state machine.
EXAMPLES = 120
# Seconds that the tests of the unchanged module may take.
SECONDS = 600
# Tests that take ten times as long as without a change hang, which counts as noticed.
SLOWDOWN = 10
# The share of changes that the tests must notice.
REQUIRED_SHARE = 0.85
OPTIONS = ("-x", "-p", "no:cacheprovider", "-p", "no:hypothesispytest", "-W", "ignore:Module already imported")
# Each fork has these modules without the time of their import.
PRELOADED = (hypothesis, pydantic, pytest, yaml)

# Operators that replace each other.
PAIRS: tuple[tuple[type[Any], type[Any]], ...] = (
    (ast.Lt, ast.LtE),
    (ast.Gt, ast.GtE),
    (ast.Eq, ast.NotEq),
    (ast.Is, ast.IsNot),
    (ast.In, ast.NotIn),
    (ast.And, ast.Or),
    (ast.Add, ast.Sub),
    (ast.Mult, ast.Div),
)
SWAPS: dict[type[ast.AST], Callable[[], Any]] = {}
for _one, _other in PAIRS:
    SWAPS[_one] = _other
    SWAPS[_other] = _one
OTHER_FUNCTION = {"min": "max", "max": "min"}
SQL = re.compile(r"\b(SELECT|UPDATE|INSERT|DELETE|AND|WHERE)\b|(?:=|<|>|<=) \?")
# Patterns in SQL statements and their replacements.
IN_SQL = (
    (r"<=", "<"),
    (r"(?<![<-])>(?!=)", ">="),
    (r"(?<![<>]) = (?=\?|')", " <> "),
    (r"<>", "="),
    (r"\bAND\b", "OR"),
    (r"\bIS NULL\b", "IS NOT NULL"),
    (r" \+ 1\b", ""),
    (r" DESC\b", ""),
    (r" ORDER BY [a-z, ]+", " "),
    (r" LIMIT 1\b", " LIMIT 2"),
    (r"= NULL\b", "= 1"),
)

# Changes a node in place.
Change = Callable[[Any], object]


class Mutant(NamedTuple):
    """A change in a file, and the text of the changed file."""

    file: str
    line: int
    change: str
    text: str


# --- mutants ---------------------------------------------------------------------------------------------------------


def mutants(file: Path) -> Iterator[Mutant]:
    """Yields every change of a file. Annotations, decorators and strings that are not SQL stay as they are."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for index, node in enumerate(_code(tree)):
        for name, change in _changes(node):
            changed = copy.deepcopy(tree)
            change(list(_code(changed))[index])
            yield Mutant(str(file.relative_to(ROOT / "evtool")), getattr(node, "lineno", 0), name, ast.unparse(changed))


def _code(tree: ast.AST) -> Iterator[ast.AST]:
    """Yields the nodes of a tree that run, in their order."""
    for field, value in ast.iter_fields(tree):
        if field in ("annotation", "returns", "decorator_list"):
            continue
        nodes = [value]
        if isinstance(value, list):
            nodes = value
        for node in nodes:
            if isinstance(node, ast.AST) and not _is_docstring(node):
                yield node
                yield from _code(node)


def _is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _changes(node: ast.AST) -> Iterator[tuple[str, Change]]:
    """Yields the possible changes of a node: a description, and the function that makes the change."""
    shown = ""
    if isinstance(node, ast.expr | ast.stmt):
        shown = ast.unparse(node)
    match node:
        case ast.Compare(ops=[op]) | ast.BinOp(op=op) | ast.BoolOp(op=op) if type(op) in SWAPS:
            operator = SWAPS[type(op)]()
            yield f"{shown}: {type(op).__name__} -> {type(operator).__name__}", partial(_swap, operator=operator)
        case ast.If(test=test) | ast.IfExp(test=test) | ast.While(test=test):
            yield f"if {ast.unparse(test)} -> if not", partial(_negate, field="test")
        case ast.UnaryOp(op=ast.Not()):
            yield f"{shown} -> without not", partial(_negate, field="operand")
        case ast.Constant(value=value):
            yield from _constant_changes(value)
        case ast.Return(value=ast.expr() as value) if not isinstance(value, ast.Constant):
            yield f"{shown} -> None", _set("value", ast.Constant(None))
        case ast.Expr(value=ast.Call() | ast.Yield() | ast.YieldFrom()):
            yield f"{shown} -> nothing", _set("value", ast.Constant(None))
        case ast.Name(id="min" | "max" as name):
            yield f"{name} -> the other", _set("id", OTHER_FUNCTION[name])


def _constant_changes(value: object) -> Iterator[tuple[str, Change]]:
    match value:
        # Before the numbers, since a bool is an int.
        case bool():
            yield f"{value} -> {not value}", _set("value", not value)
        case int() | float():
            more = value * 10
            if value < 10:
                more = value + 1
            yield f"{value} -> {more}", _set("value", more)
        case str() if SQL.search(value):
            yield from _sql_changes(value)


def _set(field: str, value: Any) -> Change:
    """Returns a change that sets a field of the node."""

    def change(node: Any) -> None:
        setattr(node, field, value)

    return change


def _swap(node: Any, operator: Any) -> None:
    if isinstance(node, ast.Compare):
        node.ops = [operator]
    else:
        node.op = operator


def _negate(node: Any, field: str) -> None:
    setattr(node, field, ast.UnaryOp(ast.Not(), getattr(node, field)))


def _sql_changes(text: str) -> Iterator[tuple[str, Change]]:
    for pattern, to in IN_SQL:
        for match in re.finditer(pattern, text):
            shown = text[max(0, match.start() - 25) : match.end() + 15]
            changed = text[: match.start()] + match.expand(to) + text[match.end() :]
            yield f"{shown!r}: {match[0].strip()} -> {to.strip() or 'nothing'}", _set("value", changed)


# --- running tests ---------------------------------------------------------------------------------------------------


def is_noticed(mutant: Mutant, tree: Path, seconds: float) -> bool:
    """Returns whether a test fails, or runs longer than `seconds`, on a copy of the project with the mutant."""
    target = tree / "evtool" / mutant.file
    original = target.read_bytes()
    tests = TESTS[mutant.file.removesuffix(".py")]
    target.write_text(mutant.text, encoding="utf-8")
    try:
        child = os.fork()
        if child == 0:
            _test(tree, tests, seconds)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0
    finally:
        target.write_bytes(original)


def _test(tree: Path, names: tuple[str, ...], seconds: float) -> None:
    """Runs the tests in this process and ends it, with exit code 0 if all pass. Never returns."""
    code = 1
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds)
        os.chdir(tree)
        sys.dont_write_bytecode = True
        sys.path.insert(0, str(tree))
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nowhere, stream)
        _run_machine(tree)
        files = [f"tests/{name}.py" for name in names]
        code = int(pytest.main(list(OPTIONS) + files))
    # Any exception means that the tests notice the change.
    except BaseException:  # noqa: BLE001
        pass
    finally:
        os._exit(code)


def _run_machine(tree: Path) -> None:
    # Only now the path leads to the copy with the mutant.
    from tests.support.store_model import machine_on, tried  # noqa: PLC0415

    with tempfile.TemporaryDirectory(dir=tree) as folder, machine_on(Path(folder)) as machine:
        tried(machine, examples=EXAMPLES, seed=1, shrink=False)


def _copy_project(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", ".data"))
        else:
            shutil.copy(ROOT / name, folder)
    return folder


def survivors(chosen: list[Mutant], folder: Path, seconds: float = SECONDS) -> Iterator[Mutant]:
    """Yields the mutants that no test notices. The tests of a mutant may take `seconds`."""
    trees: SimpleQueue[Path] = SimpleQueue()
    for number in range(os.cpu_count() or 1):
        trees.put(_copy_project(folder / str(number)))

    def run_tests(mutant: Mutant) -> bool:
        tree = trees.get()
        try:
            return is_noticed(mutant, tree, seconds)
        finally:
            trees.put(tree)

    with ThreadPoolExecutor(trees.qsize()) as pool:
        for mutant, noticed in zip(chosen, pool.map(run_tests, chosen), strict=True):
            if not noticed:
                yield mutant


def main() -> int:
    """Tests the mutants of some or all modules. Returns 1 if the tests of one notice too few."""
    parser = argparse.ArgumentParser(prog="python -m proofs.mutations", description=__doc__)
    parser.add_argument("modules", nargs="*", metavar="MODULE", choices=[[]] + list(TESTS), help=", ".join(TESTS))
    parser.add_argument("--sample", type=int, help="the number of mutants of each module (all)")
    parser.add_argument("--seed", type=int, default=1, help="of the sample (1)")
    arguments = parser.parse_args()
    code = 0
    for module in arguments.modules or TESTS:
        started = time.monotonic()
        file = ROOT / "evtool" / f"{module}.py"
        everything = list(mutants(file))
        size = min(arguments.sample or len(everything), len(everything))
        chosen = sorted(Random(arguments.seed).sample(everything, size), key=attrgetter("line"))
        with tempfile.TemporaryDirectory(prefix="mutations-") as folder:
            unchanged = Mutant(f"{module}.py", 0, "nothing", file.read_text(encoding="utf-8"))
            if list(survivors([unchanged], Path(folder) / "unchanged")) != [unchanged]:
                parser.error(f"the tests of {module} fail without any change")
            seconds = (time.monotonic() - started) * SLOWDOWN
            unnoticed = 0
            for mutant in survivors(chosen, Path(folder) / "changed", seconds):
                unnoticed += 1
                print(f"  evtool/{mutant.file}:{mutant.line}: {mutant.change}", flush=True)
        noticed = len(chosen) - unnoticed
        share = noticed / len(chosen)
        if share < REQUIRED_SHARE:
            code = 1
        taken = time.monotonic() - started
        print(f"{module}: {noticed} of {len(chosen)} noticed, {share:.0%} ({taken:.0f} s)", flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
