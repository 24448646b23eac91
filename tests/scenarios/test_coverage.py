"""Tests of the coverage of scenarios. tests/cases/scenarios/coverage has patterns, events, and what these cover."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from evtool.patterns.pattern import Pattern
from evtool.patterns.unknown import Unknown
from evtool.readers.yaml_text import Document
from evtool.routes.project import Project
from evtool.routes.routes import Route, Routes
from evtool.scenarios.coverage import Covered, measure
from evtool.schemas.validation import Rules
from tests.conftest import ROOT, Evtool

CASES = sorted((ROOT / "tests/cases/scenarios/coverage").glob("*.yaml"))


def write_project(folder: Path, routes: Mapping[str, Any], events: list[Any], **more: Any) -> None:
    """Writes a project with routes to mocked handlers, and a scenario with events."""
    handlers = {name: {"command": ["true"]} for route in routes.values() for name in route["to"]}
    project = {"version": 1, "handlers": handlers, "routes": routes, **more}
    (folder / "routes.yaml").write_text(yaml.safe_dump(project, sort_keys=False))
    given = [{"event": {"detail-type": "t", **event}} for event in events]
    emits = [{"detail-type": ["never"]}]
    scenario = {"given": given, "mock": "all", "expect": {"not": {"emits": emits}}}
    (folder / "scenarios").mkdir(exist_ok=True)
    (folder / "scenarios/a.yaml").write_text(json.dumps({"version": 1, "scenarios": {"a": scenario}}))


def show(record: Mapping[str, Any]) -> str:
    """Formats an alternative as the cases write it."""
    return f"{record['path']} {record['operator']} {json.dumps(record['value'])}"


@pytest.mark.parametrize("file", CASES, ids=lambda file: file.stem)
def test_events_cover_the_alternatives_that_a_case_lists(evtool: Evtool, tmp_path: Path, file: Path) -> None:
    """They miss all others."""
    case = yaml.safe_load(file.read_text())
    write_project(tmp_path, {"r": {"pattern": case["pattern"], "to": ["h"]}}, case["events"])

    alternatives = evtool("test", "-o", "json").json["coverage"]["alternatives"]

    assert sorted(map(show, alternatives["missed"])) == sorted(case["missed"])
    assert (alternatives["covered"], alternatives["all"]) == (
        len(case["covered"]),
        len(case["covered"] + case["missed"]),
    )


def test_coverage_has_routes_handlers_and_types(evtool: Evtool, tmp_path: Path) -> None:
    """Disabled routes and their handlers do not count. Percentages are rounded down."""
    (tmp_path / "schemas").mkdir()
    for name in ("t", "u", "v"):
        (tmp_path / f"schemas/{name}.json").write_text("{}")
    routes = {
        "a": {"pattern": {"source": ["a"]}, "to": ["one", "two"]},
        "b": {"pattern": {"source": ["b", "c"]}, "to": ["two", "three"]},
        "off": {"pattern": {"source": ["a"]}, "to": ["four"], "state": "disabled"},
    }
    write_project(tmp_path, routes, [{"source": "a", "detail": {}}], schemas="schemas")

    coverage = evtool("test", "-o", "json").json["coverage"]

    shares = {name: (part["covered"], part["all"], part["percent"]) for name, part in coverage.items()}
    assert shares == {"routes": (1, 2, 50), "alternatives": (1, 3, 33), "handlers": (2, 3, 66), "types": (1, 3, 33)}
    assert [record["route"] for record in coverage["routes"]["missed"]] == ["b"]
    assert [record["handler"] for record in coverage["handlers"]["missed"]] == ["three"]
    assert [record["type"] for record in coverage["types"]["missed"]] == ["u", "v"]


def test_coverage_of_an_empty_project_is_complete(evtool: Evtool, tmp_path: Path) -> None:
    """0 of 0 is 100 percent."""
    write_project(tmp_path, {}, [{"source": "a", "detail": {}}])

    ran = evtool("test", "-o", "json", "--fail-under", "100")

    assert ran.code == 0
    assert {part["percent"] for part in ran.json["coverage"].values()} == {100}


def test_unknown_conditions_do_not_count() -> None:
    """A condition that a template leaves open is neither covered nor missed. The same holds for such a branch."""
    source = {
        "source": ["a", Unknown("!Ref Source")],
        "$or": [{"account": [Unknown("!Ref Account")]}, {"region": [{"prefix": "eu-"}]}],
        "detail": Unknown("!Ref Detail"),
    }
    project = Project(Path("routes.yaml"), Document({"routes": {"r": {"pattern": source}}}))
    routes = Routes([Route("r", Pattern(source), ("h",))])

    alternatives = measure(Covered(), routes, Rules(None), project)["alternatives"]

    assert sorted(map(show, alternatives.missed)) == [
        '$or[1] $or {"region": [{"prefix": "eu-"}]}',
        'region prefix "eu-"',
        'source equals "a"',
    ]


def test_missed_alternatives_have_locations(evtool: Evtool, tmp_path: Path) -> None:
    """Both reports show them with file and line, in the order of the file."""
    write_project(tmp_path, {}, [{"source": "a", "detail": {}}])
    (tmp_path / "routes.yaml").write_text(
        """version: 1
handlers: {h: {command: ["true"]}}
routes:
  r:
    pattern:
      source:
        - a
        - {prefix: b}
      $or:
        - {region: [{exists: false}]}
        - {account: ["1"]}
    to: [h]
"""
    )

    ran, text = evtool("test", "-o", "json"), evtool("test", "--coverage")

    missed = ran.json["coverage"]["alternatives"]["missed"]
    assert [(record["file"], record["line"], show(record)) for record in missed] == [
        ("routes.yaml", 8, 'source prefix "b"'),
        ("routes.yaml", 11, '$or[1] $or {"account": ["1"]}'),
        ("routes.yaml", 11, 'account equals "1"'),
    ]
    assert '  routes.yaml:8  route r: source prefix "b"\n' in text.out
    assert '  routes.yaml:11  route r: account "1"\n' in text.out
