"""A project for tests in Python: which routes match an event, whether it is valid, and scenarios as dictionaries."""

import json
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from evtool.errors import ConfigError
from evtool.events.buses import DEFAULT_BUS
from evtool.events.envelopes import read_events
from evtool.events.event import Event
from evtool.findings.finding import Finding
from evtool.findings.phrases import format_location
from evtool.readers.files import SourceText
from evtool.readers.yaml_text import Document
from evtool.routes.project import Project, require_project
from evtool.routes.routes import Routes, load_routes
from evtool.scenarios.files import ScenarioFile
from evtool.scenarios.given import fix_defaults
from evtool.scenarios.loading import Scenario, build_rules, load_file, load_scenarios
from evtool.scenarios.runner import ScenarioResult, run_scenario
from evtool.schemas.validation import Rules
from evtool.terminal.sanitize import sanitize


class Workbench:
    """The value of the pytest fixture `evtool`."""

    def __init__(self, routes_file: str | Path):
        """Raises ConfigError if routes.yaml cannot be used."""
        self.project: Project = require_project(str(routes_file))
        self.routes: Routes = load_routes(self.project)

    def match(self, event: Mapping[str, Any] | str | bytes, bus: str = DEFAULT_BUS) -> list[str]:
        """Returns the names of the enabled routes that match an event, in the order of routes.yaml."""
        return [route.name for route in self.routes.match(event, bus)]

    def validate(self, event: Mapping[str, Any]) -> list[Finding]:
        """Returns the findings about an event, in any form that `publish` reads; empty if it is valid."""
        findings: list[Finding] = []
        text = SourceText("event", 1, 1, json.dumps(event).encode())
        for item in read_events(text, fix_defaults(["validate"])):
            if isinstance(item, Event):
                findings += self._rules.check(item)
            else:
                findings.append(item)
        return findings

    def run(self, scenario: Mapping[str, Any]) -> ScenarioResult:
        """Runs a scenario as a scenario file has it: `given`, `mock`, `expect`. Paths are relative to routes.yaml.

        The result has `ok` and `failures`. Raises ConfigError with findings if the scenario cannot be used.
        """
        return self._run(self._build(scenario))

    def assert_passes(self, scenario: Mapping[str, Any] | Scenario) -> None:
        """Runs a scenario. Raises AssertionError that lists everything that does not hold."""
        # With this name pytest shows the line of the test instead of a line of this function.
        __tracebackhide__ = True
        if isinstance(scenario, Scenario):
            result = self._run(scenario)
        else:
            result = self.run(scenario)
        if not result.failures:
            return
        lines = []
        for failure in result.failures:
            text = failure.describe()
            # A scenario that is a dictionary of the test has no lines.
            if isinstance(scenario, Scenario):
                location = scenario.locate(failure.path)
                text = f"{location['file']}:{location['line']}: {text}"
            lines.append(sanitize(text))
        raise AssertionError("\n".join(lines))

    def load(self, file: Path) -> tuple[list[Scenario], list[Finding]]:
        """Loads the scenarios of a file. Returns them, and the problems of the file."""
        return load_scenarios([file], self.project, self._rules)

    @cached_property
    def _rules(self) -> Rules:
        return build_rules(self.project)

    def _run(self, scenario: Scenario) -> ScenarioResult:
        return run_scenario(scenario, self.project, self.routes, self._rules)

    def _build(self, scenario: Mapping[str, Any]) -> Scenario:
        """Builds a scenario as if it was the only one in a file. Raises ConfigError."""
        # The round trip through JSON turns tuples into lists, and refuses values that no file can have.
        value = {"version": 1, "scenarios": {"scenario": json.loads(json.dumps(scenario))}}
        source = ScenarioFile(self.project.folder / "scenario", Document(value), b"")
        scenarios, findings = load_file(source, self.project, self._rules)
        errors = [finding for finding in findings if finding.severity == "error"]
        if errors:
            raise ConfigError("; ".join(finding.message for finding in errors), errors)
        return scenarios[0]


def format_findings(findings: Iterable[Finding]) -> list[str]:
    """Formats a line for each finding, without control characters."""
    lines = []
    for finding in findings:
        location = format_location(finding.file, finding.line, finding.column)
        line = sanitize(f"{location}: {finding.code} {finding.message}")
        if finding.suggestion:
            line += f" ({sanitize(finding.suggestion)})"
        lines.append(line)
    return lines
