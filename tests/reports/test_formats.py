"""Tests of the report formats: their readers must read back hostile text of events as text."""

import io
import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from evtool.cli.error_handler import run_command
from evtool.cli.session import Session
from evtool.commands.validate import validate
from evtool.findings.codes import CODES
from evtool.findings.finding import Finding
from evtool.reports.base import Subject
from evtool.reports.formats.registry import KINDS
from evtool.reports.formats.text import FindingsReport
from evtool.schemas.validation import ValidationResult
from tests.support.hostile_text import LONE, NAUGHTY, harmless_to_a_terminal, lines, obeyed

FINDING_KEYS = [  # of a finding, and of nothing else
    "code",
    "severity",
    "message",
    "file",
    "line",
    "column",
    "pointer",
    "event_id",
    "event_type",
    "route",
    "suggestion",
]


def finding(text: str, **more: Any) -> Finding:
    """Builds a finding with a text in all fields that come from an event or a file name."""
    place: dict[str, Any] = {"line": 3, "column": 5, "excerpt": f"    {text}", "width": len(text)}
    about = {"file": text or "e.json", "event_id": text, "event_type": text, "suggestion": text, "pointer": f"/{text}"}
    return Finding("EV104", text, **{**place, **about, **more})


def report_output(kind: str, findings: list[Finding], color: str = "never") -> str:
    """Returns the output of a report of findings."""
    file = io.StringIO()
    report = KINDS[kind](Subject("validate", "findings", FindingsReport), file, color)
    for each in findings:
        report.add_result(ValidationResult(each.file or "", 1, None, (each,)))
    report.end({"summary": {"events": len(findings), "valid": 0, "invalid": len(findings), "files": 1}})
    return file.getvalue()


@pytest.mark.parametrize("text", NAUGHTY, ids=lambda text: ascii(text)[:40])
def test_json_has_the_exact_text_and_no_command_of_a_runner(text: str) -> None:
    """The output of json and jsonl is ASCII."""
    document, rows = report_output("json", [finding(text)]), report_output("jsonl", [finding(text)])

    assert json.loads(document)["findings"] == [json.loads(rows.split("\n")[0])]
    assert json.loads(document)["findings"][0]["message"] == text
    for output in (document, rows):
        assert output.isascii()
        assert harmless_to_a_terminal(output)
        assert "##" not in output
        assert not any(map(obeyed, lines(output)))


@pytest.mark.parametrize("text", [*NAUGHTY, *LONE], ids=lambda text: ascii(text)[:40])
@pytest.mark.parametrize("color", ["never", "always"])
def test_text_controls_neither_a_terminal_nor_a_runner(text: str, color: str) -> None:
    """With colours, the only escape sequences are those of the colours."""
    output = report_output("text", [finding(text)], color)
    output = re.sub(r"\x1b\[[0-9;]*m", "", output) if color == "always" else output

    assert harmless_to_a_terminal(output)
    assert not any(map(obeyed, lines(output)))
    assert "##[" not in output
    assert "##vso[" not in output


@pytest.mark.parametrize("text", [*NAUGHTY, *LONE], ids=lambda text: ascii(text)[:40])
def test_github_reads_one_annotation_for_each_finding(text: str) -> None:
    """The runner reads the level, the location and the message of a finding, and no other command."""
    output = report_output("github", [finding(text), finding(text, severity="warning"), finding(text, severity="note")])
    commands = [command for line in lines(output) if (command := obeyed(line))]

    assert [command.name for command in commands] == ["error", "warning", "notice"]
    for command in commands:
        assert set(command.properties) == {"file", "line", "col", "title"}
        assert (command.properties["line"], command.properties["col"]) == ("3", "5")
        assert command.properties["title"] == "EV104"
    assert len(lines(output)) == 3
    assert harmless_to_a_terminal(output)
    if text.isprintable() and text and "##" not in text and not text.lstrip().startswith("::"):
        assert commands[0].data in (f"{text}; {text}", f"{text[:3999]}…")
        assert commands[0].properties["file"] == text


@pytest.mark.parametrize("text", [*NAUGHTY, *LONE], ids=lambda text: ascii(text)[:40])
def test_junit_is_xml_with_one_case_for_each_event(text: str) -> None:
    """A parser reads the counts, the location and the message; no text becomes an element or a command."""
    output = report_output("junit", [finding(text), finding("plain", line=None, column=None, excerpt=None)])
    suites = ElementTree.fromstring(output)

    assert [element.tag for element in suites.iter()] == [
        "testsuites",
        "testsuite",
        *("testcase", "failure") * 2,
    ]
    assert (suites.get("tests"), suites.get("failures")) == ("2", "2")
    first, second = suites.iter("failure")
    assert first.get("type") == "EV104"
    if text.isprintable() and text and "##" not in text and not text.lstrip().startswith("::"):
        assert first.get("message") == f"EV104 {text}"
        assert first.text == f"{text}:3:5: EV104 {text}; {text}"
    assert second.text == "plain: EV104 plain; plain"
    assert harmless_to_a_terminal(output)
    assert not any(map(obeyed, lines(output)))


def test_junit_has_a_case_for_each_valid_event(tmp_path: Path) -> None:
    """A warning does not fail the case."""
    file = io.StringIO()
    report = KINDS["junit"](Subject("validate", "findings", FindingsReport), file, "never")
    report.add_result(ValidationResult("e.json", 1, None, ()))
    report.add_result(ValidationResult("e.json", 2, None, (finding("x", severity="warning"),)))
    report.add_result(ValidationResult("e.json", 3, None, (finding("x"), finding("y"))))
    report.end({"summary": {}})
    suite = ElementTree.fromstring(file.getvalue())

    assert (suite.get("tests"), suite.get("failures"), suite.get("errors"), suite.get("skipped")) == (
        "3",
        "1",
        "0",
        "0",
    )
    assert [len(list(case)) for case in suite.iter("testcase")] == [0, 0, 1]


# --- the whole way, from an event to a report ------------------------------------------------------------------------


@pytest.fixture
def hostile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Writes a file of events with hostile text in keys, values, types and ids."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "schemas").mkdir()
    schema = {"properties": {"a": {"enum": ["b"]}}, "additionalProperties": False}
    (tmp_path / "schemas/t.json").write_text(json.dumps(schema), encoding="utf-8")
    (tmp_path / "routes.yaml").write_text("version: 1\nschemas: schemas\n", encoding="utf-8")
    events = []
    for text in NAUGHTY:
        known = {"source": "s", "id": text.replace("\0", "") or "1", "detail-type": "t"}
        events += [
            {**known, "detail": {text: 1, "a": text}},
            {**known, "detail-type": text.replace("\0", "") or "x", "detail": {}},
            {**known, "time": text, "detail": {}},
        ]
    rows = [json.dumps(event, ensure_ascii=number % 2 == 0) for number, event in enumerate(events)]
    (tmp_path / "e.jsonl").write_text("\n".join([*rows, *(text.replace("\n", " ") for text in NAUGHTY)]), "utf-8")
    return tmp_path


@pytest.mark.parametrize("kind", KINDS)
def test_hostile_events_cannot_break_a_report(hostile: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Every format can be parsed, and no text of an event controls a terminal or a CI runner."""
    code = run_command(lambda: validate(Session(output=(kind,)), ["e.jsonl"]))
    out, err = capsys.readouterr()

    assert (code, err) == (1, "")
    assert harmless_to_a_terminal(out)
    commands = [command for line in lines(out) if (command := obeyed(line))]
    if kind == "github":
        assert len(commands) == 10  # as many as GitHub shows; the last line counts the rest
        assert lines(out)[-1].startswith("not annotated: ")
        assert {command.properties["file"] for command in commands} == {"e.jsonl"}
        assert {command.properties["title"] for command in commands} <= set(CODES)
    else:
        assert commands == []
    if kind == "json":
        assert len(json.loads(out)["findings"]) > 3 * len(NAUGHTY)
    if kind == "jsonl":
        assert all(json.loads(line) for line in out.splitlines())
    if kind == "junit":
        assert ElementTree.fromstring(out).get("errors") == "0"


def test_json_has_the_documented_keys_and_no_others(hostile: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Keys without a value are null."""
    run_command(lambda: validate(Session(output=("json",)), ["e.jsonl", "none.json"]))
    document = json.loads(capsys.readouterr().out)

    assert list(document) == ["evtool", "command", "findings", "summary"]
    assert (document["evtool"], document["command"]) == (1, "validate")
    assert list(document["summary"]) == ["events", "valid", "invalid", "files"]
    for row in document["findings"]:
        assert list(row) == FINDING_KEYS
        assert row["code"] in CODES
        assert row["severity"] in ("error", "warning", "note")
    run_command(lambda: validate(Session(output=("jsonl",)), ["e.jsonl", "none.json"]))
    *rows, last = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert rows == [{**row, "event_id": r["event_id"]} for row, r in zip(document["findings"], rows, strict=True)]
    assert last == {"evtool": 1, "command": "validate", "summary": document["summary"]}
