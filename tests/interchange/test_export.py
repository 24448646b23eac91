"""Routes that are exported in a form and read again are the same routes."""

from pathlib import Path
from typing import Any

import pytest

from evtool.interchange.writers.base import build_rules
from evtool.interchange.writers.registry import WRITERS
from evtool.interchange.writers.yaml_text import dump_yaml
from evtool.readers.yaml_text import load_yaml
from evtool.routes.project import Project, require_project
from evtool.routes.routes import Route, load_routes
from tests.conftest import ROOT, Evtool
from tests.interchange.test_rule_sources import SOURCES

NAMES = {"terraform": "out.tf", "eventbridge": "out.json"}  # of the files; else out.yaml
HOSTILE = r"""
version: 1
handlers:
  charge: {command: [cat]}
  queue: {external: "arn:aws:sqs:eu-west-1:123456789012:orders"}
  fn: {external: "arn:aws:lambda:eu-west-1:123456789012:function:fn"}
routes:
  strings:
    description: 'a "quoted" text: #1 ${x} %{y}'
    event-bus: orders
    pattern:
      source: [NO, "on", "1e3", "0x1F", "012", "1_000", "12:30", "2026-11-23", "~", "", "=", "<<"]
      account: ["1.0", ".5", "a: b", "#", "-"]
      detail:
        "a b": ["$${b}", "%{c}", "é\u2028\u0085\U0001F600", "line\nbreak ", "\ttab", "<&>", 'back\slash "']
        "d d": [{prefix: "${literal}"}]
        "with.dot": [{exists: true}]
    to: [charge]
  numbers:
    pattern:
      detail:
        n: [1, -1, 0, 1.5, 1e3, 1e22, 0.000001, 300.0, 1234567890123456789, {numeric: [">", 0, "<=", 5e8]}]
        b: [true, false, null]
        any: {$or: [{x: [1]}, {y: [{anything-but: {prefix: z}}]}]}
    to: [queue, fn]
    state: disabled
  text-pattern:
    pattern: '{"source": ["a"], "detail": {"n": [1.50, 1E3]}}'
    input: {path: "$.detail['a b']"}
    retry: {max_attempts: 3, max_age: 2h}
    to: [fn]
  9.starts-with-a-digit:
    pattern: {source: [s]}
    input: {paths: {id: $.id}, template: '{"id": <id>, "text": "${x} \"q\" %{y}"}'}
    retry: {max_attempts: 1}
    to: [queue]
  constant:
    pattern: {source: [s]}
    input: {template: '"a text\n with two lines"'}
    to: [queue, charge]
"""


def describe(route: Route) -> dict[str, Any]:
    """Returns the parts that must be equal. A rule without a bus is on the default bus."""
    return {
        "branches": [
            [(field.path, [(item.operator, item.expected) for item in field.conditions]) for field in branch]
            for branch in route.pattern.branches
        ],
        "input": route.input,
        "retry": route.retry,
        "bus": route.event_bus or "default",
        "enabled": route.enabled,
        "description": route.description,
        "targets": len(route.to),
    }


def export(project: Project, form: str, folder: Path) -> Project:
    """The project of an exported file."""
    file = folder / NAMES.get(form, "out.yaml")
    rules, _ = build_rules(project)
    file.write_text(WRITERS[form].write(rules))
    return require_project(str(file))


@pytest.mark.parametrize("form", WRITERS)
def test_exported_routes_are_equal(form: str, tmp_path: Path) -> None:
    """Strings that look like numbers or expressions, numbers, inputs, retries, buses and states survive every form."""
    (tmp_path / "routes.yaml").write_text(HOSTILE)
    project = require_project(str(tmp_path / "routes.yaml"))
    again = export(project, form, tmp_path)
    expected = {name: describe(route) for name, route in load_routes(project).routes.items()}

    assert {name: describe(route) for name, route in load_routes(again).routes.items()} == expected


@pytest.mark.parametrize("form", WRITERS)
def test_exported_corpora_are_equal(form: str, tmp_path: Path) -> None:
    """The routes of every rule source of the corpora, but for those with unknown values, which are reported."""
    count = 0
    for case in SOURCES:
        project = require_project(str(case))
        rules, findings = build_rules(project)
        routes = load_routes(project).routes
        left_out = {finding.route for finding in findings if finding.severity == "error"}
        assert {rule.name for rule in rules} == routes.keys() - left_out
        if not rules:
            continue
        again = load_routes(export(project, form, tmp_path)).routes
        assert [describe(route) for route in again.values()] == [describe(routes[rule.name]) for rule in rules], case
        count += len(rules)

    assert count > 30


@pytest.mark.parametrize(
    "text", ["1e3", "0o17", "12e03", "NO", "yes", "0b1", "-.5", "1.", "\x85", "\ufeffx", "a\n\n b\n"]
)
def test_yaml_keeps_strings(text: str) -> None:
    """A string that some YAML parser would read as a number, boolean or special character is quoted."""
    value = {text: [text, {"key": text}]}

    assert load_yaml(dump_yaml(value).encode(), "test").value == value


def test_export_reports_what_eventbridge_does_not_support(evtool: Evtool, tmp_path: Path) -> None:
    """Pauses, limits and routes of every bus are reported with their location. The export is on standard output."""
    (tmp_path / "routes.yaml").write_text(
        "version: 1\nhandlers: {h: {command: [cat]}}\nroutes:\n"
        "  a: {pattern: {source: [s]}, to: [h], retry: {first_delay: 2s, max_age: 30s, max_attempts: 500}}\n"
        "  b: {pattern: {source: [s]}, to: [h], event-bus: orders}\n"
    )
    ran = evtool("export", "-o", "eventbridge")

    assert ran.code == 0
    assert [rule["Name"] for rule in ran.json["Rules"]] == ["a", "b"]
    policy = ran.json["Rules"][0]["Targets"][0]["RetryPolicy"]
    assert policy == {"MaximumRetryAttempts": 185, "MaximumEventAgeInSeconds": 60}
    assert ran.err.count("routes.yaml:4:3: EV026 warning") == 4


def test_export_omits_routes_with_unknown_values(evtool: Evtool) -> None:
    """Each is reported, and the exit code is 1."""
    ran = evtool("export", "-o", "json", "--routes", ROOT / "tests/cases/interchange/cloudformation/known-parts.yaml")

    assert ran.code == 1
    assert [rule["name"] for rule in ran.json["rules"]] == ["Parts"]
    assert {finding["code"] for finding in ran.json["findings"]} == {"EV024"}


def test_export_needs_a_form(evtool: Evtool, shop: Path) -> None:
    """Without a form, the message names all."""
    ran = evtool("export", cwd=shop)

    assert (ran.code, ran.out) == (2, "")
    assert "-o: cloudformation, sam, terraform, eventbridge" in ran.err


def test_sam_has_functions(evtool: Evtool, tmp_path: Path) -> None:
    """A Lambda function becomes a function of the template, and a rule with this target alone an event of it."""
    (tmp_path / "code").mkdir()
    (tmp_path / "routes.yaml").write_text(
        "version: 1\nhandlers:\n  fraud: {lambda: code, runtime: python, handler: app.handler, timeout: 5s}\n"
        "routes:\n  a-1: {pattern: {source: [s]}, to: [fraud]}\n"
        "  described: {pattern: {source: [s]}, to: [fraud], description: text}\n"
    )
    ran = evtool("export", "-o", "sam")
    resources = load_yaml(ran.out.encode(), "sam").value["Resources"]

    assert [resource["Type"] for resource in resources.values()] == [
        "AWS::Serverless::Function",
        "AWS::Events::Rule",
        "AWS::Lambda::Permission",
    ]
    assert resources["Fraud"]["Properties"] == {
        "CodeUri": "code",
        "Handler": "app.handler",
        "Runtime": "python3.13",
        "Timeout": 5,
        "Events": {
            "A1": {
                "Type": "EventBridgeRule",
                "Properties": {
                    "RuleName": "a-1",
                    "EventBusName": "default",
                    "Pattern": {"source": ["s"]},
                    "State": "ENABLED",
                },
            }
        },
    }
    (tmp_path / "template.yaml").write_text(ran.out)
    assert evtool("import", "template.yaml", "--to", "again.yaml").code == 0
    assert load_yaml((tmp_path / "again.yaml").read_bytes(), "again").value["routes"].keys() == {"a-1", "described"}
