"""Tests of the SARIF report, with the official schema and the further requirements of code scanning."""

import json
import urllib.parse
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from evtool.findings.codes import CODES
from evtool.reports.formats import sarif
from evtool.reports.formats.line_hash import format_fingerprint, list_line_blocks
from tests.conftest import ROOT, Evtool
from tests.support.hostile_text import LONE, NAUGHTY, harmless_to_a_terminal, lines, obeyed
from tests.support.reports import CHANGE, SCENARIO, build_delivery, build_result, write_report

SCHEMA = json.loads((ROOT / "tests/cases/sarif/sarif-schema-2.1.0.json").read_text(encoding="utf-8"))
VALIDATOR = jsonschema_rs.validator_for(SCHEMA)


def read_run(text: str) -> dict[str, Any]:
    """Returns the run of a document. Asserts that it satisfies the schema and the requirements of code scanning."""
    document = json.loads(text)
    assert [str(error) for error in VALIDATOR.iter_errors(document)] == []
    [run] = document["runs"]
    rules = run["tool"]["driver"]["rules"]
    for rule in rules:
        assert {"shortDescription", "fullDescription", "help", "helpUri", "name"} <= set(rule)
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        [location] = result["locations"]
        region = location["physicalLocation"]["region"]
        assert region["startLine"] == region["endLine"] >= 1
        assert region["endColumn"] > region["startColumn"] >= 1
        uri = location["physicalLocation"]["artifactLocation"]["uri"]
        assert uri.isascii()
        assert not set(uri) & set(' "<>\\^`{|}')
    return dict(run)


def list_uris(run: dict[str, Any]) -> list[str]:
    """Returns the files of the results, in order."""
    return [result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for result in run["results"]]


def test_each_finding_of_validate_is_a_result(evtool: Evtool, shop: Path) -> None:
    """A result has the code, level, message, location and fingerprint of its finding; each code is a rule."""
    ran = evtool("validate", "samples/invalid", "-o", "json", "-o", "sarif=out.sarif", cwd=shop)
    findings = ran.json["findings"]
    run = read_run((shop / "out.sarif").read_text())

    assert ran.code == 1
    assert [result["ruleId"] for result in run["results"]] == [finding["code"] for finding in findings]
    assert list_uris(run) == [finding["file"] for finding in findings]
    starts = [result["locations"][0]["physicalLocation"]["region"] for result in run["results"]]
    assert [(start["startLine"], start["startColumn"]) for start in starts] == [
        (finding["line"], finding["column"]) for finding in findings
    ]
    assert all("primaryLocationLineHash" in result["partialFingerprints"] for result in run["results"])
    assert {rule["id"] for rule in run["tool"]["driver"]["rules"]} == {finding["code"] for finding in findings}
    assert run["columnKind"] == "unicodeCodePoints"


def test_a_run_without_problems_has_no_results(evtool: Evtool, shop: Path) -> None:
    """Code scanning needs the empty list to close the results of earlier runs."""
    run = read_run(evtool("validate", "-o", "sarif", cwd=shop).out)

    assert (run["results"], run["tool"]["driver"]["rules"]) == ([], [])


def test_paths_count_from_the_root_of_the_repository(evtool: Evtool, tmp_path: Path) -> None:
    """Code scanning counts paths from there, also where evtool runs in a subfolder; names are percent-encoded."""
    folder = tmp_path / "services/my shop"
    folder.mkdir(parents=True)
    (tmp_path / ".git").mkdir()
    (folder / "é #1.json").write_text("{")
    run = read_run(evtool("validate", "é #1.json", "--no-schema", "ignore", "-o", "sarif", cwd=folder).out)

    assert list_uris(run) == ["services/my%20shop/%C3%A9%20%231.json"]


def test_a_file_outside_of_the_repository_has_an_absolute_uri(evtool: Evtool, tmp_path: Path) -> None:
    """Code scanning refuses a path that begins with `..`."""
    (tmp_path / "repository/.git").mkdir(parents=True)
    (tmp_path / "e.json").write_text("{")
    cwd = tmp_path / "repository"
    run = read_run(evtool("validate", tmp_path / "e.json", "--no-schema", "ignore", "-o", "sarif", cwd=cwd).out)

    assert list_uris(run) == [f"file://{tmp_path}/e.json"]


@pytest.mark.parametrize("text", [*NAUGHTY, *LONE], ids=lambda text: ascii(text)[:40])
def test_hostile_text_cannot_break_the_document(text: str) -> None:
    """No text is a command of a runner, or becomes a placeholder or a link of a message."""
    records = [build_result(text, file=text or "e.json", suggestion=text), build_delivery(text)]
    output = write_report("sarif", "publish", records)
    run = read_run(output)

    assert [result["ruleId"] for result in run["results"]] == ["EV104", "dead-delivery"]
    assert harmless_to_a_terminal(output)
    assert not any(map(obeyed, lines(output)))
    if text.isprintable() and text and "/" not in text and "##" not in text:
        assert urllib.parse.unquote(list_uris(run)[0]) == text


def test_braces_and_links_are_escaped() -> None:
    """In SARIF `{0}` is a placeholder and `[text](1)` a link; brackets of a path are plain."""
    output = write_report("sarif", "validate", [build_result('detail.items[0] is {"a": {0}}, see [x](https://evil)')])
    [result] = read_run(output)["results"]

    assert result["message"]["text"] == 'detail.items[0] is {{"a": {{0}}}}, see [x] (https://evil)'


def test_results_beyond_the_limit_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Code scanning refuses more results, so the rest is left out, and a notification says how many."""
    monkeypatch.setattr(sarif, "MOST_RESULTS", 3)
    run = read_run(write_report("sarif", "validate", [build_result(str(number)) for number in range(5)]))
    [notification] = run["invocations"][0]["toolExecutionNotifications"]

    assert len(run["results"]) == 3
    assert notification["message"]["text"].startswith("2 more results were left out")


def test_every_code_has_a_valid_rule() -> None:
    records = [build_result("x")._replace(findings=(build_result("x").findings[0]._replace(code=c),)) for c in CODES]

    assert {rule["id"] for rule in read_run(write_report("sarif", "check", records))["tool"]["driver"]["rules"]} == {
        *CODES
    }


def test_deliveries_scenarios_and_changes_are_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A delivery has no location, so it is shown at routes.yaml; scenarios and changes have their own."""
    monkeypatch.chdir(tmp_path)
    run = read_run(write_report("sarif", "test", [build_delivery("h"), SCENARIO, CHANGE]))

    assert list_uris(run) == ["routes.yaml", "scenarios/orders.yaml", "routes.yaml"]
    assert [result["level"] for result in run["results"]] == ["error", "error", "warning"]
    assert [result["ruleId"] for result in run["results"]] == ["dead-delivery", "failed-scenario", "lost-deliveries"]


@pytest.mark.parametrize(
    ("text", "fingerprints"),
    [  # as GitHub's upload action computes them
        ("", ["c129715d7a2bc9a3:1"]),
        (" a\nb\n  \t\tc\n d", ["271789c17abda88f:1", "54703d4cd895b18:1", "180aee12dab6264:1", "a23a3dc5e078b07b:1"]),
        ("x = 2\r\nx = 1\rprint(x)\nx = 3\nprint(x)\nx = 4\nprint(x)\n", ["e54938cc54b302f1:1", "bb609acbe9138d60:1"]),
    ],
)
def test_fingerprints_equal_those_of_the_upload_action(text: str, fingerprints: list[str]) -> None:
    """The action warns where a file has other fingerprints than those that it computes."""
    blocks = list_line_blocks(text)

    assert [format_fingerprint(*block) for block in blocks][: len(fingerprints)] == fingerprints


def test_fingerprints_of_equal_lines_are_numbered() -> None:
    fingerprints = [format_fingerprint(*block) for block in list_line_blocks("Lorem ipsum dolor sit amet.\n" * 10)]

    assert fingerprints[:3] == ["a7f2ff13bc495cf2:1", "a7f2ff13bc495cf2:2", "a7f2ff13bc495cf2:3"]
    assert len(set(fingerprints)) == len(fingerprints) == 11
