"""Mutation testing: `python -m proofs.mutations [MODULE...]` changes one thing after another and runs the tests.

Each change is made in a copy of the project. The machine of tests/support/store_model.py runs first, since it finds
most changes, then the tests that TESTS names for the module. Changes that no test notices are listed.
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
TESTS = {  # module -> the tests that have to notice what the machine does not
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
EXAMPLES = 120  # of the machine
SECONDS = 600  # that the tests may take without any change
TIMES = 10  # what takes so many times as long as without any change hangs, which is noticed, too
WANTED = 0.85
OPTIONS = ("-x", "-p", "no:cacheprovider", "-p", "no:hypothesispytest", "-W", "ignore:Module already imported")
PRELOADED = (hypothesis, pydantic, pytest, yaml)  # in each fork without its time

PAIRS = (
    *((ast.Lt, ast.LtE), (ast.Gt, ast.GtE), (ast.Eq, ast.NotEq), (ast.Is, ast.IsNot), (ast.In, ast.NotIn)),
    *((ast.And, ast.Or), (ast.Add, ast.Sub), (ast.Mult, ast.Div)),
)
SWAPS: dict[type[ast.AST], Callable[[], Any]] = {one: other for pair in PAIRS for one, other in (pair, pair[::-1])}
SQL = re.compile(r"\b(SELECT|UPDATE|INSERT|DELETE|AND|WHERE)\b|(?:=|<|>|<=) \?")
IN_SQL = (  # what stands in a statement -> what is put there
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

Change = Callable[[Any], object]  # of a node, in its place


class Mutant(NamedTuple):
    """A change in a file, and the file's text with it."""

    file: str
    line: int
    change: str
    text: str


# --- what is changed -------------------------------------------------------------------------------------------------


def mutants(file: Path) -> Iterator[Mutant]:
    """Every change of a file, one at a time; annotations and the words of messages are left alone."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for index, node in enumerate(_code(tree)):
        for name, change in _changes(node):
            changed = copy.deepcopy(tree)
            change(list(_code(changed))[index])
            yield Mutant(str(file.relative_to(ROOT / "evtool")), getattr(node, "lineno", 0), name, ast.unparse(changed))


def _code(tree: ast.AST) -> Iterator[ast.AST]:
    """The parts of a tree that do something, in their order."""
    for field, value in ast.iter_fields(tree):
        if field in ("annotation", "returns", "decorator_list"):
            continue
        for node in value if isinstance(value, list) else [value]:
            if isinstance(node, ast.AST) and not _is_docstring(node):
                yield node
                yield from _code(node)


def _is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _changes(node: ast.AST) -> Iterator[tuple[str, Change]]:
    """The changes that a part of the code can have: what to call each, and how to make it."""
    shown = ast.unparse(node) if isinstance(node, ast.expr | ast.stmt) else ""
    match node:
        case ast.Compare(ops=[op]) | ast.BinOp(op=op) | ast.BoolOp(op=op) if type(op) in SWAPS:
            to = SWAPS[type(op)]
            yield f"{shown}: {type(op).__name__} -> {type(to()).__name__}", lambda node: _swap(node, to())
        case ast.If(test=test) | ast.IfExp(test=test) | ast.While(test=test):
            yield f"if {ast.unparse(test)} -> if not", lambda node: setattr(node, "test", _not(node.test))
        case ast.UnaryOp(op=ast.Not()):
            yield f"{shown} -> without not", lambda node: setattr(node, "operand", _not(node.operand))
        case ast.Constant(value=bool(value)):
            yield f"{value} -> {not value}", lambda node: setattr(node, "value", not value)
        case ast.Constant(value=int() | float() as number):
            more = number + 1 if number < 10 else number * 10
            yield f"{number} -> {more}", lambda node: setattr(node, "value", more)
        case ast.Constant(value=str(text)) if SQL.search(text):
            yield from _sql_changes(text)
        case ast.Return(value=ast.expr() as value) if not isinstance(value, ast.Constant):
            yield f"{shown} -> None", lambda node: setattr(node, "value", ast.Constant(None))
        case ast.Expr(value=ast.Call() | ast.Yield() | ast.YieldFrom()):
            yield f"{shown} -> nothing", lambda node: setattr(node, "value", ast.Constant(None))
        case ast.Name(id="min" | "max" as name):
            yield f"{name} -> the other", lambda node: setattr(node, "id", {"min": "max", "max": "min"}[name])


def _swap(node: Any, to: Any) -> None:
    if isinstance(node, ast.Compare):
        node.ops = [to]
    else:
        node.op = to


def _not(test: ast.expr) -> ast.expr:
    return ast.UnaryOp(ast.Not(), test)


def _sql_changes(text: str) -> Iterator[tuple[str, Change]]:
    for pattern, to in IN_SQL:
        for found in re.finditer(pattern, text):
            shown = text[max(0, found.start() - 25) : found.end() + 15]
            yield f"{shown!r}: {found[0].strip()} -> {to.strip() or 'nothing'}", _become(found.expand(to), found)


def _become(to: str, found: re.Match[str]) -> Change:
    text = found.string[: found.start()] + to + found.string[found.end() :]
    return lambda node: setattr(node, "value", text)


# --- who notices -----------------------------------------------------------------------------------------------------


def noticed(mutant: Mutant, tree: Path, seconds: float) -> bool:
    """Whether a test fails, or has not ended after `seconds`, on a copy of the project with the mutant in it."""
    target = tree / "evtool" / mutant.file
    whole = target.read_bytes()
    target.write_text(mutant.text, encoding="utf-8")
    try:
        child = os.fork()
        if child == 0:
            _test(tree, TESTS[target.stem], seconds)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0
    finally:
        target.write_bytes(whole)


def _test(tree: Path, names: tuple[str, ...], seconds: float) -> None:
    """Runs the tests in this process and ends it: with 0 if all have passed."""
    code = 1
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds)
        os.chdir(tree)
        sys.dont_write_bytecode = True
        sys.path.insert(0, str(tree))
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nowhere, stream)
        _machine(tree)
        code = int(pytest.main([*OPTIONS, *(f"tests/{name}.py" for name in names)]))
    except BaseException:  # noqa: BLE001  (it is noticed)
        pass
    finally:
        os._exit(code)


def _machine(tree: Path) -> None:
    from tests.support.store_model import machine_on, tried  # noqa: PLC0415  (of the copy, with the mutant)

    with tempfile.TemporaryDirectory(dir=tree) as folder, machine_on(Path(folder)) as machine:
        tried(machine, examples=EXAMPLES, seed=1, shrink=False)


def _copied(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", ".data"))
        else:
            shutil.copy(ROOT / name, folder)
    return folder


def survivors(chosen: list[Mutant], folder: Path, seconds: float = SECONDS) -> Iterator[Mutant]:
    """The mutants that nobody notices within so many seconds."""
    trees: SimpleQueue[Path] = SimpleQueue()
    for number in range(os.cpu_count() or 1):
        trees.put(_copied(folder / str(number)))

    def judged(mutant: Mutant) -> bool:
        tree = trees.get()
        try:
            return noticed(mutant, tree, seconds)
        finally:
            trees.put(tree)

    with ThreadPoolExecutor(trees.qsize()) as pool:
        yield from (mutant for mutant, found in zip(chosen, pool.map(judged, chosen), strict=True) if not found)


def main() -> int:
    """Tries the mutants of some modules or of all; the exit code says whether enough were noticed."""
    parser = argparse.ArgumentParser(prog="python -m proofs.mutations", description=__doc__)
    parser.add_argument("modules", nargs="*", metavar="MODULE", choices=[[], *TESTS], help=", ".join(TESTS))
    parser.add_argument("--sample", type=int, help="so many mutants of each module")
    parser.add_argument("--seed", type=int, default=1, help="of the sample (1)")
    wanted = parser.parse_args()
    code = 0
    for module in wanted.modules or TESTS:
        begun = time.monotonic()
        file = ROOT / "evtool" / f"{module}.py"
        everything = list(mutants(file))
        chosen = Random(wanted.seed).sample(everything, min(wanted.sample or len(everything), len(everything)))
        with tempfile.TemporaryDirectory(prefix="mutations-") as folder:
            unchanged = Mutant(f"{module}.py", 0, "nothing", file.read_text(encoding="utf-8"))
            if list(survivors([unchanged], Path(folder) / "unchanged")) != [unchanged]:
                parser.error(f"the tests of {module} fail without any change")
            left, seconds = 0, (time.monotonic() - begun) * TIMES
            for mutant in survivors(sorted(chosen, key=lambda mutant: mutant.line), Path(folder) / "changed", seconds):
                left += 1
                print(f"  evtool/{mutant.file}:{mutant.line}: {mutant.change}", flush=True)
        share = 1 - left / len(chosen)
        code |= share < WANTED
        taken = time.monotonic() - begun
        print(f"{module}: {len(chosen) - left} of {len(chosen)} noticed, {share:.0%} ({taken:.0f} s)", flush=True)
    return int(code)


if __name__ == "__main__":
    sys.exit(main())
