"""The action for GitHub and the hooks for pre-commit that other repositories use."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from evtool.commands.registry import COMMANDS
from tests.conftest import KEPT, ROOT, Evtool, Ran
from tests.support.hostile_text import lines, obeyed
from tests.support.prerequisites import report_missing

ACTION = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
STEPS = {step["id"]: step for step in ACTION["runs"]["steps"]}
HOOKS = {hook["id"]: hook for hook in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))}
EXPRESSION = re.compile(r"\$\{\{\s*(.*?)\s*\}\}")
GIT = {
    "GIT_AUTHOR_NAME": "t",
    "GIT_AUTHOR_EMAIL": "t@example.com",
    "GIT_COMMITTER_NAME": "t",
    "GIT_COMMITTER_EMAIL": "t@example.com",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_SYSTEM": "/dev/null",
}
needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
needs_bash = pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")


def needs_commands(*names: str) -> pytest.MarkDecorator:
    """Skips a test of commands that this version does not have."""
    missing = [name for name in names if name not in COMMANDS]
    return pytest.mark.skipif(bool(missing), reason=f"there is no command {missing}")


def find_expressions(value: Any) -> Iterator[str]:
    """The expressions in the strings of a document."""
    if isinstance(value, str):
        yield from EXPRESSION.findall(value)
    elif isinstance(value, Mapping | list):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from find_expressions(item)


# --- the action ------------------------------------------------------------------------------------------------------


def test_the_action_defines_all_names_that_it_uses() -> None:
    """GitHub replaces a misspelled input, step or output by an empty string."""
    expressions = list(find_expressions(ACTION))

    assert {name for e in expressions for name in re.findall(r"inputs\.([\w-]+)", e)} == set(ACTION["inputs"])
    for expression in expressions:
        if found := re.fullmatch(r"steps\.([\w-]+)\.outputs\.([\w-]+)", expression):
            assert f'echo "{found[2]}=' in STEPS[found[1]]["run"]
        else:
            assert re.match(r"inputs\.|github\.(action_path|event\.pull_request\.base\.sha)$", expression), expression
    assert len(STEPS) == len(ACTION["runs"]["steps"])


@pytest.mark.parametrize("name", STEPS)
def test_every_step_is_a_safe_shell_script(name: str) -> None:
    """Each composite step names its shell, takes inputs from variables instead of the script text, and sets each
    variable.
    """
    step = STEPS[name]
    given = set(step.get("env", {})) | {"RUNNER_TEMP", "GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"}
    used = set(re.findall(r"\$\{?([A-Z][A-Z_]+)", step["run"]))

    assert step["shell"] == "bash"
    assert not EXPRESSION.search(step["run"])
    assert used <= given
    assert set(step.get("env", {})) <= used | {"EVTOOL_ROUTES"}


class Job(NamedTuple):
    """The outputs and files of the action's steps."""

    code: int
    log: str
    summary: str
    folder: Path

    def read(self, file: str) -> str:
        """A file that the steps wrote."""
        return (self.folder / file).read_text(encoding="utf-8")


def run_action(folder: Path, **inputs: str) -> Job:
    """Runs the steps, except the installation, as the runner of GitHub does."""
    runner = folder.parent / "runner"
    (runner / "evtool/bin").mkdir(parents=True)
    (runner / "evtool-reports").mkdir()
    program = runner / "evtool/bin/evtool"
    program.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -m evtool "$@"\n')
    program.chmod(0o755)
    values = {name: entry["default"] for name, entry in ACTION["inputs"].items()}
    values |= {"base": ""} | {name.replace("_", "-"): value for name, value in inputs.items()}
    assert set(values) == set(ACTION["inputs"])
    context = {f"inputs.{name}": value for name, value in values.items()}
    log, code = "", 0
    for name, step in STEPS.items():
        if name == "install":
            continue
        files = {variable: runner / variable for variable in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
        files["GITHUB_OUTPUT"].write_text("")
        environment = {key: _fill_in(value, context) for key, value in step.get("env", {}).items()}
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
            cwd=folder / _fill_in(step.get("working-directory", "."), context),
            env={
                **os.environ,
                **GIT,
                "RUNNER_TEMP": str(runner),
                **environment,
                **{k: str(v) for k, v in files.items()},
            },
            capture_output=True,
            text=True,
            timeout=120,
        )
        log += done.stdout + done.stderr
        for line in files["GITHUB_OUTPUT"].read_text().splitlines():
            key, _, value = line.partition("=")
            context[f"steps.{name}.outputs.{key}"] = value
        code = done.returncode
        if code and name != "result":
            break
    return Job(code, log, (runner / "GITHUB_STEP_SUMMARY").read_text(), folder)


def _fill_in(text: str, context: Mapping[str, str]) -> str:
    return EXPRESSION.sub(lambda found: context[found[1]], text)


def git(folder: Path, *arguments: str) -> str:
    """Runs git and returns its output."""
    done = subprocess.run(["git", *arguments], cwd=folder, env={**os.environ, **GIT}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
def repository(evtool: Evtool, tmp_path: Path) -> Path:
    """A Git repository with a new project."""
    folder = tmp_path / "my-shop"
    assert evtool("init", folder).code == 0
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "start")
    return folder


@pytest.mark.slow
@needs_bash
@needs_git
@needs_commands("check", "test")
def test_the_action_passes_in_a_new_project(repository: Path) -> None:
    """It writes SARIF, JUnit, the job summary and the text of a comment."""
    job = run_action(repository)

    assert job.code == 0, job.log
    assert '"results": [' in job.read("evtool.sarif")
    assert "<testsuites" in job.read("evtool-junit.xml")
    assert job.read("evtool-comment.md") == job.summary
    assert re.findall(r"^### .*$", job.summary, re.MULTILINE) == [
        "### evtool check: no problems",
        "### evtool test: no problems",
    ]


@pytest.mark.slow
@needs_bash
@needs_git
@needs_commands("check", "test")
def test_the_action_finds_scenarios_in_another_folder(repository: Path) -> None:
    """The folder that routes.yaml names."""
    (repository / "scenarios").rename(repository / "stories")
    routes = repository / "routes.yaml"
    routes.write_text(routes.read_text().replace("samples: samples", "samples: samples\nscenarios: stories"))

    assert "### evtool test: no problems" in run_action(repository).summary


@pytest.mark.slow
@needs_bash
@needs_git
@needs_commands("check", "test")
def test_the_action_fails_with_findings_and_reports_all_commands(repository: Path) -> None:
    """A failed check does not prevent the scenarios, and the exit code is the highest one."""
    routes = repository / "routes.yaml"
    routes.write_text(routes.read_text().replace("orders.py:confirm\n", "orders.py:confrim\n"))
    job = run_action(repository)
    commands = [command for line in lines(job.log) if (command := obeyed(line))]

    assert job.code == 1
    assert {command.properties["title"] for command in commands} >= {"EV501", "failed scenario"}
    assert "EV501" in job.read("evtool.sarif")
    assert "<code>routes.yaml:9" in job.read("evtool-comment.md")
    assert "### evtool test: " in job.summary


@pytest.mark.slow
@needs_bash
@needs_git
@needs_commands("check", "test", "schema")
def test_the_action_compares_with_the_base(repository: Path) -> None:
    """The comment shows which deliveries a pull request loses, with or without failing the job."""
    base = git(repository, "rev-parse", "HEAD")
    routes = repository / "routes.yaml"
    routes.write_text(routes.read_text().replace('{numeric: [">", 0]}', '{numeric: [">", 20]}'))
    job = run_action(repository, base=base, events="samples\n", test="false")

    assert job.code == 0, job.log
    assert "lost deliver" in job.read("evtool-comment.md")
    shutil.rmtree(repository.parent / "runner")
    assert run_action(repository, base=base, events="samples\n", test="false", fail_on="lost").code == 1


@pytest.mark.slow
@needs_bash
@needs_git
@needs_commands("check")
def test_a_base_that_is_not_fetched_is_a_notice(repository: Path) -> None:
    """A checkout without history cannot be compared; the other steps count."""
    job = run_action(repository, base="0" * 40, test="false")

    assert job.code == 0, job.log
    assert "fetch-depth: 0" in job.log


@pytest.mark.slow
@needs_bash
@needs_git
@needs_commands("check")
def test_a_base_without_routes_is_a_notice(repository: Path) -> None:
    """The pull request that introduces evtool has nothing to compare with."""
    git(repository, "mv", "routes.yaml", "other.yaml")
    git(repository, "commit", "--quiet", "-m", "before")
    base = git(repository, "rev-parse", "HEAD")
    git(repository, "mv", "other.yaml", "routes.yaml")
    job = run_action(repository, base=base, test="false")

    assert job.code == 0, job.log
    assert "The base revision has no routes.yaml" in job.log


@needs_bash
def test_a_long_comment_is_cut_at_a_line(tmp_path: Path) -> None:
    """A comment holds 65,536 characters, a job summary more."""
    reports = tmp_path / "evtool-reports"
    reports.mkdir()
    row = "| error | é | " + "x" * 500 + " |\n"
    (reports / "check.md").write_text(row * 100, encoding="utf-8")
    (reports / "test.md").write_text(row * 100, encoding="utf-8")
    environment = {"RUNNER_TEMP": str(tmp_path), "COMMENT": "c.md", "GITHUB_STEP_SUMMARY": str(tmp_path / "s.md")}
    subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", STEPS["summary"]["run"]],
        cwd=tmp_path,
        env={**os.environ, **environment},
        check=True,
    )
    comment = (tmp_path / "c.md").read_text(encoding="utf-8")

    assert len(comment) < 65_536
    assert comment.endswith("|\n\nThe job summary has the rest.\n")
    assert (tmp_path / "s.md").read_text(encoding="utf-8") == row * 200


# --- pre-commit ------------------------------------------------------------------------------------------------------


def run_hook(evtool: Evtool, name: str, files: list[str], cwd: Path) -> Ran | None:
    """Runs a hook as pre-commit does; None if it is skipped, since no file matches."""
    hook = HOOKS[name]
    named = [file for file in files if re.search(hook.get("files", ""), file)]
    matching = sorted(file for file in named if not re.search(hook.get("exclude", "^$"), file))
    if not matching and not hook.get("always_run"):
        return None
    program, *words = hook["entry"].split()
    assert program == "evtool"
    names = matching if hook.get("pass_filenames", True) else []
    return evtool(*words, *hook.get("args", []), *names, cwd=cwd, env={"PRE_COMMIT": "1"})


def test_the_manifest_is_valid(tmp_path: Path) -> None:
    """pre-commit accepts it."""
    done = subprocess.run(
        [sys.executable, "-m", "pre_commit", "validate-manifest", str(ROOT / ".pre-commit-hooks.yaml")],
        env={**os.environ, "PRE_COMMIT_HOME": str(tmp_path)},
        capture_output=True,
    )

    assert (done.returncode, done.stderr) == (0, b"")
    assert set(HOOKS) == {"evtool-validate", "evtool-check"}


def test_the_validate_hook_checks_changed_events(evtool: Evtool, shop: Path) -> None:
    """All files are checked in one run. A name may begin with a dash. Files that are not events are ignored."""
    shutil.copy(shop / "samples/invalid/order-wrong-type.json", shop / "-dash.json")
    good = "samples/events/order-created.json"
    passed = run_hook(evtool, "evtool-validate", [good], shop)
    failed = run_hook(evtool, "evtool-validate", ["-dash.json", good, "samples/events/orders.jsonl"], shop)

    assert passed is not None
    assert failed is not None
    assert passed.code == 0
    assert failed.code == 1
    assert "-dash.json:42:21: EV104" in failed.out
    assert run_hook(evtool, "evtool-validate", ["README.md", "a.py"], shop) is None
    assert HOOKS["evtool-validate"]["require_serial"] is True


@pytest.mark.parametrize(
    "file", ["schemas/order.json", "a/schema/b.json", "samples/invalid/x.json", "package.json", "a/b.schema.json"]
)
def test_the_validate_hook_leaves_out_other_json_files(evtool: Evtool, shop: Path, file: str) -> None:
    """`pre-commit run --all-files` names every JSON file: schemas and configuration are not events."""
    assert run_hook(evtool, "evtool-validate", [file], shop) is None
    assert run_hook(evtool, "evtool-validate", [file, "samples/events/order-created.json"], shop) is not None


@needs_commands("check")
def test_the_check_hook_runs_for_every_commit(evtool: Evtool, shop: Path) -> None:
    """Also for one that only deletes files, which pre-commit does not name."""
    passed = run_hook(evtool, "evtool-check", [], shop)
    (shop / "samples/schemas/order.created.json").unlink()
    (shop / "routes.yaml").write_text((shop / "routes.yaml").read_text().replace("[charge-card]", "[charge-crad]"))
    failed = run_hook(evtool, "evtool-check", [], shop)

    assert passed is not None
    assert failed is not None
    assert (passed.code, failed.code) == (0, 1)


# --- this repository -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("ci", "outcome"), [("true", pytest.fail.Exception), ("", pytest.skip.Exception)])
def test_a_missing_program_fails_a_test_only_in_ci(
    ci: str, outcome: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a laptop the test is skipped. In CI a skipped test would never be noticed."""
    monkeypatch.setenv("CI", ci)
    with pytest.raises(outcome, match="make clients"):
        report_missing("the client is missing; install it: make clients")


def test_ci_says_that_it_is_ci() -> None:
    """The environment of tests is a fixed one; this variable is kept, also in the workers of pytest-xdist."""
    assert "export CI=true" in (ROOT / ".ci/run").read_text()
    assert "CI" in KEPT


@needs_commands("check", "test")
@pytest.mark.parametrize("arguments", [["check"], ["test"]])
def test_this_repository_passes_its_own_checks(evtool: Evtool, shop: Path, arguments: list[str]) -> None:
    """CI runs the action on the shop."""
    if arguments == ["test"]:
        shutil.copytree(ROOT / "scenarios", shop / "scenarios", dirs_exist_ok=True)
    ran = evtool(*arguments, cwd=shop)

    assert ran.code == 0, ran.out
