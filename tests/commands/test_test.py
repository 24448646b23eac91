"""evtool test, as a user calls it: which scenarios run, the options, the reports and the exit codes."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, Evtool

ROUTES = """version: 1
handlers:
  mail: {command: ["true"]}
routes:
  orders:
    pattern: {source: [shop, store], detail: {total: [{numeric: [">", 10]}]}}
    to: [mail]
"""


def scenario(name: str, total: int) -> str:
    """A scenario that passes if the total is more than 10."""
    event = f"{{source: shop, detail-type: order, detail: {{total: {total}}}}}"
    return f"  {name}:\n    given: [{{event: {event}}}]\n    mock: all\n    expect: {{routes: [orders]}}\n"


def write(file: Path, *scenarios: str) -> None:
    """Writes a scenario file."""
    file.parent.mkdir(exist_ok=True)
    file.write_text("version: 1\nscenarios:\n" + "".join(scenarios))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with two scenarios that pass and one that fails."""
    (tmp_path / "routes.yaml").write_text(ROUTES)
    write(tmp_path / "scenarios/a.yaml", scenario("large order", 20), scenario("small order", 5))
    write(tmp_path / "scenarios/b.yaml", scenario("another large order", 30))
    return tmp_path


# --- which scenarios -------------------------------------------------------------------------------------------------


def test_all_scenarios_of_the_project_run_without_arguments(evtool: Evtool, project: Path) -> None:
    """In the order of the files. The exit code is 1 if one fails."""
    ran = evtool("test")

    assert ran.code == 1
    lines = [line for line in ran.out.split("\n") if not line.startswith("        ")]
    assert lines == [
        "scenarios/a.yaml",
        "  ok    large order",
        "  FAIL  small order  scenarios/a.yaml:7",
        "scenarios/b.yaml",
        "  ok    another large order",
        "3 scenarios: 1 failed",
        "",
    ]


def test_paths_and_names_select_scenarios(evtool: Evtool, project: Path) -> None:
    """-k selects a part of the name in any case."""
    write(project / "more/c.yaml", scenario("c", 11))

    assert (
        evtool("test", "scenarios/b.yaml").out
        == "scenarios/b.yaml\n  ok    another large order\n1 scenario: all passed\n"
    )
    assert evtool("test", "more", "scenarios/b.yaml", "-o", "json").json["summary"]["scenarios"] == 2
    named = evtool("test", "-k", "LARGE", "-o", "json").json["scenarios"]
    assert [record["name"] for record in named] == ["large order", "another large order"]


def test_a_file_that_is_named_twice_runs_once(evtool: Evtool, project: Path) -> None:
    """Also with different paths."""
    ran = evtool("test", "scenarios/b.yaml", "scenarios/../scenarios/b.yaml", "-o", "json")

    assert ran.json["summary"]["scenarios"] == 1


def test_unusable_scenario_files_are_in_the_reports(evtool: Evtool, project: Path) -> None:
    """Scripts and CI systems get the same findings as people. No scenario runs."""
    write(project / "scenarios/b.yaml", scenario("c", 11).replace("routes:", "rotes:"))

    ran = evtool("test", "-o", "json", "-o", "junit=report.xml", "-o", "text=report.txt")

    assert ran.code == 2
    assert [f["code"] for f in ran.json["findings"]] == ["EV021"]
    assert (ran.json["scenarios"], ran.json["summary"]["scenarios"]) == ([], 0)
    assert 'name="EV021 unknown key rotes (line ' in (project / "report.xml").read_text()
    assert (project / "report.txt").read_text() == ""
    assert "EV021 unknown key rotes" in ran.err


def test_routes_yaml_names_the_folder_of_scenarios(evtool: Evtool, project: Path) -> None:
    """Relative to the file."""
    (project / "scenarios").rename(project / "stories")
    (project / "routes.yaml").write_text(ROUTES + "scenarios: stories\n")
    (project / "below").mkdir()

    ran = evtool("test", "-k", "another", cwd=project / "below")

    assert ran.code == 0
    assert "stories/b.yaml\n  ok    another large order\n" in ran.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-k", "nothing like it"], 'no name of 3 scenarios contains "nothing like it"'),
        (["nowhere.yaml"], "there is no file or folder nowhere.yaml"),
        (["empty"], "no scenario was found: empty has no *.yaml with scenarios"),
        (["--fail-under", "101"], "--fail-under 101: it is a percentage, at most 100"),
        (["--watch", "-o", "json"], "--watch prints text only"),
    ],
    ids=" ".join,
)
def test_a_run_without_scenarios_is_exit_code_2(
    evtool: Evtool, project: Path, arguments: list[str], message: str
) -> None:
    """Where nothing can be run the exit code is 2."""
    (project / "empty").mkdir()

    ran = evtool("test", *arguments)

    assert (ran.code, ran.out) == (2, "")
    assert message in ran.err


def test_a_project_without_scenarios_is_exit_code_2(evtool: Evtool, tmp_path: Path) -> None:
    """A project without scenarios has nothing to test."""
    (tmp_path / "routes.yaml").write_text(ROUTES)

    ran = evtool("test")

    assert ran.code == 2
    assert ran.err == "evtool: no scenario was found: scenarios has no *.yaml with scenarios\n"


# --- isolation -------------------------------------------------------------------------------------------------------


def test_the_store_of_the_project_stays_unchanged(
    evtool: Evtool, project: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The temporary stores are removed."""
    temporary = tmp_path_factory.mktemp("temporary")
    before = sorted(project.rglob("*"))

    evtool("test", env={"TMPDIR": str(temporary)})

    assert sorted(project.rglob("*")) == before
    assert not list(temporary.iterdir())


def test_every_run_has_the_same_ids_times_and_order(evtool: Evtool, project: Path) -> None:
    """Also with several jobs."""
    first, *others = [evtool("test", "-o", "json", "--jobs", jobs).out for jobs in ("1", "1", "4")]

    assert others == [first, first]


def test_clock_and_pauses_are_fixed(evtool: Evtool, project: Path) -> None:
    """The clock jumps to the next attempt. Each delay is 3/4 of the maximum: 81 attempts an hour."""
    retry = "    retry: {max_attempts: 10000, max_age: 1h, first_delay: 1m, max_delay: 1m}\n"
    (project / "routes.yaml").write_text(ROUTES + retry)
    text = scenario("an hour", 20).replace("mock: all", "mock: {mail: {fail: no}}")
    write(project / "scenarios/b.yaml", text.replace("{routes: [orders]}", "{handlers: {mail: 81}}"))

    ran = evtool("test", "scenarios/b.yaml")

    assert ran.code == 0, ran.out


# --- coverage and reports --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("least", "code"), [("66", 0), ("67", 1), ("0", 0)])
def test_fail_under_compares_the_coverage_of_alternatives(evtool: Evtool, project: Path, least: str, code: int) -> None:
    """Rounded down. It shows the coverage."""
    ran = evtool("test", "scenarios/b.yaml", "--fail-under", least)

    assert ran.code == code
    assert "alternatives        2    3       66" in ran.out
    assert ("coverage is 66 %, less than 67 %" in ran.out) == (code == 1)


def test_quiet_prints_only_failed_scenarios(evtool: Evtool, project: Path) -> None:
    """With -q a run without problems prints nothing."""
    assert evtool("test", "-q", "scenarios/b.yaml").out == ""
    assert "large order" not in evtool("test", "-q").out
    assert "small order" in evtool("test", "-q").out


def test_github_and_junit_report_each_expectation_and_the_coverage(evtool: Evtool, project: Path) -> None:
    """github has an annotation at the expectation, junit a test case for each scenario and one for the coverage."""
    ran = evtool("test", "-o", "github", "-o", "junit=out.xml", "--fail-under", "80")

    lines = ran.out.strip().split("\n")
    assert lines[0].startswith("::error file=scenarios/a.yaml,line=10,col=23,title=failed scenario::small order: route")
    assert lines[1] == "::error title=coverage::the scenarios cover 66 %25 of the alternatives, less than 80 %25"
    junit = (project / "out.xml").read_text()
    assert '<testcase classname="scenarios/a.yaml" name="large order"' in junit
    assert '<testcase classname="coverage" name="at least 80 % of the alternatives"' in junit
    assert 'tests="4" failures="2"' in junit


def test_jsonl_has_a_line_for_each_scenario_the_coverage_and_the_summary(evtool: Evtool, project: Path) -> None:
    """jsonl has a line for each scenario, then the coverage and the summary."""
    *records, tail = map(json.loads, evtool("test", "-o", "jsonl").out.strip().split("\n"))

    assert [record["ok"] for record in records] == [True, False, True]
    assert tail["summary"] == {"scenarios": 3, "passed": 2, "failed": 1, "fail_under": None}
    assert tail["coverage"]["alternatives"]["percent"] == 66


def test_the_scenarios_of_the_shop_cover_all_its_alternatives(evtool: Evtool, shop: Path) -> None:
    """The scenarios of the shop pass and cover every alternative of its routes."""
    ran = evtool("test", "--fail-under", "100", "--jobs", "2", cwd=shop)

    assert ran.code == 0, ran.out


@pytest.mark.slow
@pytest.mark.parametrize("jobs", ["1", "2"])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_end_running_handlers(tmp_path: Path, jobs: str, number: signal.Signals, code: int) -> None:
    """Ctrl-C ends the handlers in progress, also with several jobs, and removes the stores."""
    handler = "handlers: {mail: {command: [sh, -c, 'echo started >pipe; exec sleep 900'], timeout: 15m}}\n"
    (tmp_path / "routes.yaml").write_text(handler + ROUTES.replace('handlers:\n  mail: {command: ["true"]}\n', ""))
    scenarios = [scenario(name, 20).replace("mock: all", "description: called") for name in ("a", "b")]
    write(tmp_path / "scenarios/a.yaml", *scenarios)
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "temporary").mkdir()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path / "temporary")}
    command = [sys.executable, "-m", "evtool", "test", "--jobs", jobs]

    with subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert "started" in (tmp_path / "pipe").read_text()
        process.send_signal(number)
        assert process.wait(300) == code
        assert process.stderr is not None
        assert process.stderr.read().startswith("evtool: ")

    assert not list((tmp_path / "temporary").iterdir())


# --- watching --------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_watch_runs_again_after_a_change(project: Path) -> None:
    """The changed file is named, errors do not end it, and Ctrl-C is exit code 130."""
    with subprocess.Popen(
        [sys.executable, "-m", "evtool", "test", "--watch"],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None

        def read_until(text: str) -> str:
            lines = ""
            assert process.stdout is not None
            for line in process.stdout:
                lines += line
                if text in line:
                    return lines
            raise AssertionError(lines)

        assert "3 scenarios: 1 failed" in read_until("waiting for a change")
        write(project / "scenarios/a.yaml", scenario("larger order", 50))
        title = read_until("changed")
        assert "scenarios/a.yaml changed" in title
        assert "\n\n--- " in title or title.startswith("\n--- ")
        assert "2 scenarios: all passed" in read_until("waiting for a change")
        (project / "routes.yaml").write_text(ROUTES + "nonsense: [\n")
        assert "EV020" in read_until("waiting for a change")
        (project / "routes.yaml").unlink()  # as editors do for a moment that put a new file in place
        assert "no routes.yaml" in read_until("waiting for a change")
        (project / "routes.yaml").write_text(ROUTES)
        assert "2 scenarios: all passed" in read_until("waiting for a change")
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
