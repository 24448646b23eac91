"""The pytest plugin: each test runs pytest as a process in its own project, without other plugins."""

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.conftest import ROOT

Pytest = Callable[..., "subprocess.CompletedProcess[str]"]

ROUTES = """version: 1
handlers:
  mail: {command: ["true"]}
routes:
  orders:
    pattern: {source: [shop], detail: {total: [{numeric: [">", 10]}]}}
    to: [mail]
"""
SCENARIOS = """version: 1
scenarios:
  an order is mailed:
    given: [{event: {source: shop, detail-type: order, detail: {total: 11}}}]
    expect: {routes: [orders], handlers: {mail: 1}}
  "a small order [x] :: is not / é":
    given: [{event: {source: shop, detail-type: order, detail: {total: 9}}}]
    expect: {not: {routes: [orders]}}
"""
FAILING = """version: 1
scenarios:
  passes:
    given: [{event: {source: shop, detail-type: order, detail: {total: 11}}}]
    expect: {routes: [orders]}
  fails:
    given: [{event: {source: shop, detail-type: order, detail: {total: 9}}}]
    expect: {routes: [orders]}
"""


@pytest.fixture
def run_pytest(tmp_path: Path) -> Pytest:
    """Runs pytest in `tmp_path` with strict settings, the plugin of evtool, and no other plugin unless it is named."""
    (tmp_path / "pytest.ini").write_text(
        "[pytest]\naddopts = --strict-markers --strict-config\nfilterwarnings = error\n"
    )

    def run(*arguments: str, env: Mapping[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", **(env or {})}
        command = [sys.executable, "-m", "pytest", "-p", "evtool.pytest_plugin", "-p", "no:cacheprovider", *arguments]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)

    return run


def write(folder: Path, **files: str) -> None:
    """Writes files; `__` in a name is a `/`, `_yaml` the ending."""
    for name, text in files.items():
        file = folder / name.replace("__", "/").replace("_yaml", ".yaml").replace("_py", ".py")
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)


def test_scenarios_are_tests(tmp_path: Path, run_pytest: Pytest) -> None:
    """Each scenario in the scenario folder is a test with its name, which can be selected."""
    write(tmp_path, routes_yaml=ROUTES, scenarios__shop_yaml=SCENARIOS)

    listed = run_pytest("--collect-only", "-q")
    ran = run_pytest("scenarios/shop.yaml::a small order [x] : is not / é", "-v")

    assert "scenarios/shop.yaml::an order is mailed\n" in listed.stdout
    assert "scenarios/shop.yaml::a small order [x] : is not / é\n" in listed.stdout
    assert ran.returncode == 0, ran.stdout
    assert "1 passed" in ran.stdout


def test_failure_has_the_reason(tmp_path: Path, run_pytest: Pytest) -> None:
    """A failed scenario shows expected, actual and reason with the line, and no traceback of evtool."""
    write(tmp_path, routes_yaml=ROUTES, scenarios__shop_yaml=FAILING)

    ran = run_pytest("--junit-xml=out.xml")

    assert ran.returncode == 1
    assert "1 failed, 1 passed" in ran.stdout
    reason = "scenarios/shop.yaml:8: route orders: expected a match, got no match (order "
    assert reason in ran.stdout
    assert "detail.total: " in ran.stdout
    assert "runner.py" not in ran.stdout + ran.stderr
    assert 'name="fails"' in (tmp_path / "out.xml").read_text()


def test_text_of_events_cannot_control_the_log(tmp_path: Path, run_pytest: Pytest) -> None:
    """Control characters of names, events and errors are escaped."""
    scenario = FAILING.replace("source: shop, detail-type: order", r'source: "\e[31m", detail-type: "\r::error::x"')
    write(tmp_path, routes_yaml=ROUTES, scenarios__a_yaml=scenario.replace("  fails:", r'  "fails \e[31m":'))
    write(tmp_path, scenarios__b_yaml=FAILING.replace("routes: [orders]", r'routes: ["\e[31m"]'))

    ran = [run_pytest("--color=no", "scenarios/a.yaml"), run_pytest("--color=no", "scenarios/b.yaml")]

    assert [r.returncode for r in ran] == [1, 2]
    assert all("\x1b" not in r.stdout and "\r" not in r.stdout for r in ran)


def test_works_with_xdist(tmp_path: Path, run_pytest: Pytest) -> None:
    """The workers of xdist collect the same tests."""
    write(tmp_path, routes_yaml=ROUTES, scenarios__shop_yaml=FAILING, scenarios__more_yaml=SCENARIOS)

    ran = run_pytest("-p", "xdist", "-n", "2")

    assert "1 failed, 3 passed" in ran.stdout, ran.stdout + ran.stderr


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (SCENARIOS.replace("routes: [orders]", "routes: [ordres]"), 'EV701 there is no route "ordres"'),
        ("version: 1\nscenarios: [\n", "EV020"),
        (
            "version: 1\nscenarios:\n"
            + "".join(
                f'  "{name}": {{given: [{{event: {{source: s, detail-type: t, detail: {{}}}}}}],'
                " expect: {not: {routes: [orders]}}}\n"
                for name in ("a::b", "a:b")
            ),
            'several scenarios have the name "a:b"',
        ),
    ],
    ids=["unknown route", "bad YAML", "equal names"],
)
def test_unusable_file_is_one_error(tmp_path: Path, run_pytest: Pytest, text: str, message: str) -> None:
    """A scenario file that cannot be used is an error of collection with the location, without a traceback."""
    write(tmp_path, routes_yaml=ROUTES, scenarios__shop_yaml=text, scenarios__other_yaml=SCENARIOS)

    ran = run_pytest()

    assert ran.returncode == 2
    assert message in ran.stdout
    assert "1 error" in ran.stdout
    assert "Traceback" not in ran.stdout + ran.stderr
    assert "pytest_plugin.py" not in ran.stdout + ran.stderr


def test_broken_routes_file_is_an_error(tmp_path: Path, run_pytest: Pytest) -> None:
    """A routes.yaml that cannot be used is an error of each scenario file, with its own location."""
    write(
        tmp_path, routes_yaml="version: 1\nroutes: {a: {pattern: {source: x}, to: [b]}}\n", scenarios__a_yaml=SCENARIOS
    )

    ran = run_pytest()

    assert ran.returncode == 2
    assert "routes.yaml:2:" in ran.stdout
    assert "Traceback" not in ran.stdout


def test_other_yaml_files_are_not_tests(tmp_path: Path, run_pytest: Pytest) -> None:
    """YAML files outside the scenario folder are left alone, unless they are named and have scenarios."""
    write(tmp_path, routes_yaml=ROUTES, other__compose_yaml="services: {}\n", other__more_yaml=SCENARIOS)

    assert "no tests collected" in run_pytest("--collect-only", "-q").stdout
    assert "2 tests collected" in run_pytest("--collect-only", "-q", "other/more.yaml").stdout
    assert "no tests collected" in run_pytest("--collect-only", "-q", "other/compose.yaml").stdout


def test_does_nothing_without_routes_file(tmp_path: Path, run_pytest: Pytest) -> None:
    """Without a routes.yaml nothing is collected, and only the plugin of evtool is imported."""
    test = """
import sys

def test_modules():
    assert [name for name in sys.modules if name.startswith("evtool.")] == ["evtool.pytest_plugin"]
"""
    write(tmp_path, test_own_py=test, scenarios__shop_yaml=SCENARIOS)

    ran = run_pytest()

    assert "1 passed" in ran.stdout, ran.stdout


def test_fixture(tmp_path: Path, run_pytest: Pytest) -> None:
    """The fixture matches and validates events, and runs scenarios that are written in Python."""
    test = """
import pytest
from evtool.errors import ConfigError

EVENT = {"source": "shop", "detail-type": "order", "detail": {"total": 11}}

def test_match(evtool):
    assert evtool.match(EVENT) == ["orders"]
    assert evtool.match({**EVENT, "detail": {"total": 1}}) == []

def test_validate(evtool):
    assert evtool.validate(EVENT) == []
    assert [finding.code for finding in evtool.validate({"total": 11})] == ["EV009"]

def test_run(evtool):
    result = evtool.run({"given": [{"event": EVENT}], "mock": "all", "expect": {"states": {"mail": "dead"}}})
    assert not result.ok
    assert [(failure.expected, failure.actual) for failure in result.failures] == [("dead", "done")]

def test_assert_passes(evtool):
    evtool.assert_passes({"given": [{"event": EVENT}], "mock": "all", "expect": {"routes": ["orders"]}})
    with pytest.raises(AssertionError, match="state of mail: expected dead, got done"):
        evtool.assert_passes({"given": [{"event": EVENT}], "mock": "all", "expect": {"states": {"mail": "dead"}}})

def test_wrong_scenario(evtool):
    with pytest.raises(ConfigError, match="there is no route"):
        evtool.run({"given": [{"event": EVENT}], "expect": {"routes": ["x"]}})
"""
    write(tmp_path, routes_yaml=ROUTES, tests__test_own_py=test)

    ran = run_pytest()

    assert "5 passed" in ran.stdout, ran.stdout


def test_the_fixture_without_a_project_names_the_missing_file(tmp_path: Path, run_pytest: Pytest) -> None:
    write(tmp_path, test_own_py="def test_own(evtool):\n    pass\n")

    ran = run_pytest()

    assert "there is no routes.yaml in" in ran.stdout
    assert "Traceback" not in ran.stdout


def test_entry_point(tmp_path: Path, run_pytest: Pytest) -> None:
    """The package has the plugin as an entry point, so that pytest finds it; `-p no:evtool` turns it off."""
    entry_points = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]
    assert entry_points["pytest11"] == {"evtool": "evtool.pytest_plugin"}
    write(tmp_path, routes_yaml=ROUTES, scenarios__shop_yaml=SCENARIOS)
    distribution = tmp_path / "site/evtool_test-1.dist-info"
    distribution.mkdir(parents=True)
    (distribution / "METADATA").write_text("Metadata-Version: 2.1\nName: evtool-test\nVersion: 1\n")
    (distribution / "entry_points.txt").write_text("[pytest11]\nevtool = evtool.pytest_plugin\n")
    environment = {**os.environ, "PYTHONPATH": f"{distribution.parent}:{ROOT}"}

    def run(*options: str) -> str:
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--collect-only", "-q", *options]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True).stdout

    assert "2 tests collected" in run()
    assert "no tests collected" in run("-p", "no:evtool")


def test_the_example_in_the_docs_passes(shop: Path, run_pytest: Pytest) -> None:
    """The test of docs/scenarios.md passes in the shop."""
    [example] = re.findall(r"```python\n(.*?)```", (ROOT / "docs/scenarios.md").read_text(), re.DOTALL)
    (shop / "test_example.py").write_text(example)

    ran = run_pytest("shop/test_example.py")

    assert "1 passed" in ran.stdout, ran.stdout
