"""Tests of the reports for CI systems: annotations and JUnit, of publish, deliver, replay and doctor."""

import io
import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import junitparser
import pytest

from evtool.reports.base import Subject
from evtool.reports.formats.registry import KINDS
from evtool.reports.formats.text import FindingsReport
from tests.conftest import Evtool
from tests.support.hostile_text import LONE, NAUGHTY, harmless_to_a_terminal, lines, obeyed
from tests.support.reports import SCENARIO, build_result, write_report

PATTERN = "pattern: {source: [s]}"
ROUTES = f"""version: 1
schemas: schemas
handlers:
  good: {{command: ["true"]}}
  bad: {{command: [sh, -c, "echo 'no::stock %0A' >&2; exit 1"]}}
routes:
  well: {{{PATTERN}, to: [good]}}
  badly: {{{PATTERN}, to: [bad], retry: {{max_attempts: 1}}}}
  later: {{{PATTERN}, to: [bad], retry: {{max_attempts: 2, first_delay: 1h}}}}
"""
EVENTS = [
    {"id": "1", "source": "s", "detail-type": "t", "detail": {}},
    {"id": "2", "source": "s", "detail-type": "t", "detail": {"a": 1}},
]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Writes a project with an invalid event, and with deliveries that are done, dead and tried again."""
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas/t.json").write_text('{"additionalProperties": false}')
    (tmp_path / "routes.yaml").write_text(ROUTES)
    (tmp_path / "e.jsonl").write_text("\n".join(map(json.dumps, EVENTS)))
    return tmp_path


def read_annotations(output: str) -> list[tuple[str, str]]:
    """Returns level and title of each annotation. Asserts that every line is one."""
    commands = [obeyed(line) for line in lines(output)]
    assert None not in commands
    return sorted((command.name, command.properties["title"]) for command in commands if command)


def read_cases(file: Path) -> dict[str, list[str]]:
    """Returns the states of the test cases by their name, without the event. Asserts the counts of the suite."""
    suite = ElementTree.fromstring(file.read_text())
    cases: dict[str, list[str]] = {}
    for case in suite.iter("testcase"):
        states = [child.tag for child in case] or ["passed"]
        cases.setdefault(str(case.get("name")).partition(",")[0], []).extend(states)
    states = [state for found in cases.values() for state in found]
    for name, state in (("failures", "failure"), ("skipped", "skipped")):
        assert int(suite.get(name, "")) == states.count(state)
    assert int(suite.get("tests", "")) == len(states)
    return cases


def test_publish_and_replay_report_failed_deliveries(evtool: Evtool, project: Path) -> None:
    """A dead delivery, one that is tried again and a refused event are errors; a successful delivery passes."""
    ran = evtool("publish", "e.jsonl", "-o", "github", "-o", "junit=r.xml")

    assert ran.code == 1
    assert read_annotations(ran.out) == [
        ("error", "EV103"),
        ("error", "dead delivery"),
        ("error", "failed delivery"),
    ]
    assert "no::stock %250A" in ran.out
    assert read_cases(project / "r.xml") == {
        "good by well": ["passed"],
        "bad by badly": ["failure"],
        "bad by later": ["failure"],
        "t 2 (line 2)": ["failure"],
    }
    ran = evtool("replay", "--deliver", "-o", "github", "-o", "junit=r.xml")
    assert (ran.code, {level for level, _ in read_annotations(ran.out)}) == (1, {"error"})
    assert read_cases(project / "r.xml")["good by well"] == ["passed"]
    ran = evtool("replay", "-o", "github", "-o", "junit=r.xml")
    assert (ran.code, ran.out) == (0, "")
    assert {state for states in read_cases(project / "r.xml").values() for state in states} == {"passed"}


def test_deliver_reports_the_last_state_of_each_delivery(evtool: Evtool, project: Path) -> None:
    """A delivery that has not been attempted is open after publish, and failed or done after deliver."""
    evtool("publish", "e.jsonl", "--no-deliver", "-o", "junit=r.xml")
    assert read_cases(project / "r.xml")["good by well"] == ["skipped"]
    ran = evtool("deliver", "-o", "github", "-o", "junit=r.xml")

    assert ran.code == 1
    assert read_annotations(ran.out) == [("error", "dead delivery"), ("error", "failed delivery")]
    assert read_cases(project / "r.xml") == {
        "good by well": ["passed"],
        "bad by badly": ["failure"],
        "bad by later": ["failure"],
    }


def test_a_delivery_that_is_done_after_a_retry_passes() -> None:
    """The reports do not have the attempts that failed before."""
    delivery = {"event": "1", "type": "t", "route": "r", "handler": "h", "replay": None, "condition": None}
    for kind, expected in (("github", 0), ("junit", 1)):
        file = io.StringIO()
        report = KINDS[kind](Subject("deliver", "deliveries", FindingsReport), file, "never")
        report.add_record({**delivery, "state": "ready", "error": "no stock"})
        report.add_record({**delivery, "state": "done", "error": None})
        report.end({"summary": {}})
        assert file.getvalue().count("<testcase") + file.getvalue().count("::error") == expected
        assert "no stock" not in file.getvalue()


def test_doctor_reports_findings(evtool: Evtool, project: Path) -> None:
    """A store without damage is one test that passes, also with a warning."""
    evtool("publish", "e.jsonl", "--no-deliver")
    ran = evtool("doctor", "-o", "github", "-o", "junit=r.xml")
    assert (ran.code, list(read_cases(project / "r.xml").values())[-1]) == (0, ["passed"])
    next(project.glob(".*/store.db")).chmod(0o644)
    ran = evtool("doctor", "-o", "github")
    assert [title for _, title in read_annotations(ran.out)] == ["EV035"]


@pytest.mark.parametrize("text", [*NAUGHTY, *LONE], ids=lambda text: ascii(text)[:40])
def test_hostile_deliveries_are_harmless(text: str) -> None:
    """Names, ids and errors of deliveries add no command and no element."""
    delivery: dict[str, Any] = {
        "route": text,
        "handler": text,
        "state": "dead",
        "error": text,
        "condition": text or None,
    }
    for kind in ("github", "junit"):
        file = io.StringIO()
        report = KINDS[kind](Subject("publish", "events", FindingsReport), file, "never")
        report.add_record({"id": text, "type": text, "deliveries": [delivery]})
        report.end({"findings": [], "summary": {}})
        output = file.getvalue()
        assert harmless_to_a_terminal(output)
        commands = [command for line in lines(output) if (command := obeyed(line))]
        if kind == "github":
            assert [(c.name, dict(c.properties)) for c in commands] == [("error", {"title": "dead delivery"})]
            assert len(lines(output)) == 1
        else:
            assert commands == []
            tags = [element.tag for element in ElementTree.fromstring(output).iter()]
            assert tags == ["testsuites", "testsuite", "testcase", "failure"]


def test_a_duplicate_is_a_case_that_passes(evtool: Evtool, tmp_path: Path) -> None:
    """Its name distinguishes it from an event without a matching route."""
    (tmp_path / "routes.yaml").write_text(
        "version: 1\nhandlers: {h: {command: [cat]}}\nroutes: {r: {pattern: {source: [s]}, to: [h]}}\n"
    )
    events = [{"id": name, "source": name, "detail-type": "t", "detail": {}} for name in ("s", "other")]
    (tmp_path / "e.json").write_text(json.dumps(events))
    evtool("publish", "e.json", "--no-deliver")
    ran = evtool("publish", "e.json", "--set", "time=2026-11-23T10:00:00Z", "-o", "junit", "--dry-run")
    assert 'name="no route, event ' in ran.out
    ran = evtool("publish", "e.json", "-o", "junit")
    assert 'name="already stored, event s"' in ran.out


# --- what the readers of the formats ask for -------------------------------------------------------------------------


def test_github_shows_errors_first_and_counts_the_rest() -> None:
    """GitHub shows ten annotations of each level for a step, in the order of printing."""
    warnings = [build_result(f"warning {number}", severity="warning") for number in range(12)]
    output = write_report("github", "check", [*warnings, *(build_result(f"error {n}") for n in range(11))])

    assert [line.partition(" ")[0] for line in lines(output)] == [*["::error"] * 10, *["::warning"] * 10, "not"]
    assert lines(output)[-1] == (
        "not annotated: 1 error, 2 warnings; GitHub shows 10 annotations of each level for a step"
    )


def test_github_paths_count_from_the_root_of_the_repository(evtool: Evtool, tmp_path: Path) -> None:
    """GitHub shows an annotation only if its path is that of the repository, not of the working directory."""
    (tmp_path / "shop").mkdir()
    (tmp_path / ".git").mkdir()
    (tmp_path / "shop/e.json").write_text("{")
    ran = evtool("validate", "e.json", "--no-schema", "ignore", "-o", "github", cwd=tmp_path / "shop")

    assert ran.out.startswith("::error file=shop/e.json,line=1,")


def test_junit_is_read_by_a_junit_library(evtool: Evtool, project: Path) -> None:
    """junitparser finds the counts, a unique name for each case, and the whole text in the body of a failure."""
    evtool("publish", "e.jsonl", "-o", "junit=r.xml")
    document = junitparser.JUnitXml.fromfile(str(project / "r.xml"))
    [suite] = document
    cases = list(suite)

    assert (suite.tests, suite.failures, suite.skipped, suite.errors) == (4, 3, 0, 0)
    assert len({(case.classname, case.name) for case in cases}) == 4
    failures = [result for case in cases for result in case.result]
    assert {failure.type for failure in failures} == {"dead delivery", "failed delivery", "EV103"}
    for failure in failures:
        assert "\n" not in failure.message
        assert failure.message in failure.text


def test_junit_cases_with_the_same_name_are_numbered() -> None:
    """GitLab drops a case whose class and name it has read before."""
    output = write_report("junit", "check", [build_result("same", suggestion="do this")] * 3)
    suite = ElementTree.fromstring(output)

    assert [case.get("name") for case in suite.iter("testcase")] == [
        "EV104 same",
        "EV104 same #2",
        "EV104 same #3",
    ]
    assert next(suite.iter("failure")).text == "e.json:3:5: EV104 same; do this"
    assert next(suite.iter("testcase")).get("file") == "e.json"
    assert next(suite.iter("testcase")).get("line") == "3"


def test_a_coverage_that_is_too_low_is_an_error() -> None:
    """`evtool test --fail-under` fails with it, so CI shows why."""
    tail = {"coverage": {"alternatives": {"covered": 1, "all": 2, "percent": 50}}, "summary": {"fail_under": 80}}

    assert write_report("github", "test", [], **tail) == (
        "::error title=coverage::the scenarios cover 50 %25 of the alternatives, less than 80 %25\n"
    )


def test_scenarios_are_junit_cases() -> None:
    """A scenario is a case under its file, with a line for each expectation that does not hold."""
    output = write_report("junit", "test", [SCENARIO, {**SCENARIO, "name": "other", "ok": True, "failures": []}])
    cases = list(ElementTree.fromstring(output).iter("testcase"))

    assert [(case.get("classname"), case.get("name"), len(case)) for case in cases] == [
        ("scenarios/orders.yaml", "an order is paid for", 1),
        ("scenarios/orders.yaml", "other", 0),
    ]
