"""A Python handler can run in another environment, in which evtool is not installed."""

import ast
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from evtool.handlers.base import Call, Done, Handler, Unavailable
from evtool.handlers.processes import worker
from evtool.routes.routes import Routes
from tests.conftest import Evtool

CALL = Call(b"{}", "e-1", "order.created", "pay", 1)
OTHERS = [path for minor in range(9, 16) if (path := shutil.which(f"python3.{minor}"))]

HANDLER = """
import sys

def play(event, context):
    import only_here
    context.emit("played", {"prefix": sys.prefix})

def show(event, context):
    assert not any("evtool" in name for name in sys.modules), sys.modules
    assert not any("processes" in folder for folder in sys.path), sys.path
    context.emit("shown", {"version": sys.version_info[:2]})
"""

Open = Callable[[str], Handler]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with handlers, and an environment `.venv` with a module of its own."""
    venv.create(tmp_path / ".venv", symlinks=True)
    packages = sysconfig.get_path("purelib", "venv", {"base": str(tmp_path / ".venv")})
    Path(packages, "only_here.py").touch()
    (tmp_path / "shop.py").write_text(HANDLER, encoding="utf-8")
    return tmp_path


@pytest.fixture
def open_handler(project: Path) -> Iterator[Open]:
    """Opens the handler of a routes.yaml."""
    handlers = []

    def open_one(routes: str) -> Handler:
        (project / "routes.yaml").write_text(f"version: 1\n{routes}", encoding="utf-8")
        handlers.append(Routes.load(project / "routes.yaml").handlers["shop"].open())
        return handlers[-1]

    yield open_one
    for handler in handlers:
        handler.close()


@pytest.mark.parametrize(
    "routes",
    [
        'handlers: {shop: {python: "shop:play", interpreter: .venv/bin/python}}',
        'interpreter: .venv/bin/python\nhandlers: {shop: {python: "shop:play"}}',
        'interpreter: absent\nhandlers: {shop: {python: "shop:play", interpreter: "${PLACE}/bin/python"}}',
        'interpreter: env-python\nhandlers: {shop: {python: "shop:play"}}',
    ],
    ids=["handler", "project", "variable", "path"],
)
def test_the_interpreter_runs_the_handler(
    routes: str, project: Path, open_handler: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is relative to the folder of routes.yaml, or on PATH. That of the handler comes first."""
    (project / "bin").mkdir()
    (project / "bin/env-python").write_text(f'#!/bin/sh\nexec {project}/.venv/bin/python "$@"\n', encoding="utf-8")
    (project / "bin/env-python").chmod(0o755)
    monkeypatch.setenv("PLACE", ".venv")
    monkeypatch.setenv("PATH", f"{project}/bin:/bin:/usr/bin")

    outcome = open_handler(routes)(CALL)

    assert isinstance(outcome, Done), outcome
    assert str(project / ".venv").encode() in outcome.emitted[0].detail


@pytest.mark.parametrize(
    ("interpreter", "message"),
    [
        (".venv/bin/absent", "there is no interpreter .venv/bin/absent; create that environment, or change"),
        (".venv", "there is no interpreter .venv; did you mean .venv/bin/python?"),
        ("shop.py", "there is no interpreter shop.py; "),
        ("absent", "there is no interpreter absent; "),
        ("${ABSENT}/python", "${ABSENT} is not set in the environment"),
        ("${SECRET}/python", "there is no interpreter ${SECRET}/python; "),
        ("/bin/false", "exit 1 (interpreter /bin/false; Python 3.9 or later is needed)"),
    ],
)
def test_a_missing_interpreter_is_named(
    interpreter: str, message: str, open_handler: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The delivery waits, the message has advice, and does not show the value of a variable."""
    monkeypatch.setenv("SECRET", "/hidden")
    outcome = open_handler(f'handlers: {{shop: {{python: "shop:play", interpreter: "{interpreter}"}}}}')(CALL)
    assert isinstance(outcome, Unavailable)
    assert f": {message}" in outcome.reason
    assert "hidden" not in outcome.reason


def test_an_environment_that_is_created_later_is_used(project: Path, open_handler: Open) -> None:
    """evtool looks for a missing interpreter at each call."""
    handler = open_handler('handlers: {shop: {python: "shop:play", interpreter: env/bin/python}}')
    assert isinstance(handler(CALL), Unavailable)
    (project / "env").symlink_to(".venv")
    assert isinstance(handler(CALL), Done)


def test_without_isolation_the_interpreter_is_ignored_or_refused(evtool: Evtool, tmp_path: Path) -> None:
    """Another Python cannot run inside evtool. The interpreter of the project applies only to the other handlers."""
    (tmp_path / "shop.py").write_text(HANDLER, encoding="utf-8")
    text = 'version: 1\ninterpreter: absent\nhandlers: {{shop: {{python: "shop:play", isolation: none{}}}}}\n'
    (tmp_path / "routes.yaml").write_text(text.format(", interpreter: python3"), encoding="utf-8")
    ran = evtool("publish", "-", "--type", "x", "--source", "y", "--dry-run", stdin=b"{}")
    assert ran.code == 2
    assert "EV022 handlers.shop: isolation: none runs the function inside evtool" in ran.err
    (tmp_path / "routes.yaml").write_text(text.format(""), encoding="utf-8")
    assert Routes.load(tmp_path / "routes.yaml").handlers["shop"].open()


@pytest.mark.parametrize("python", [sys.executable, *OTHERS])
def test_every_python_since_3_9_runs_the_worker(python: str, open_handler: Open) -> None:
    """The worker imports nothing of evtool in any version of Python."""
    if subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode:
        pytest.skip("it is on PATH and does not run")
    outcome = open_handler(f'handlers: {{shop: {{python: "shop:show", interpreter: "{python}"}}}}')(CALL)
    assert isinstance(outcome, Done), outcome


def test_the_worker_has_the_syntax_of_3_9() -> None:
    """It imports only the standard library."""
    tree = ast.parse(Path(worker.__file__).read_text(encoding="utf-8"), feature_version=(3, 9))
    imported = {
        name.split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names])
    }
    assert imported <= sys.stdlib_module_names
