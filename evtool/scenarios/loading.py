"""Loads the scenarios of files, ready to be run, and reports the problems of these files."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from evtool.errors import ConfigError
from evtool.events.event import Event
from evtool.findings.finding import Finding
from evtool.handlers.base import Emitted
from evtool.routes.project import Project
from evtool.scenarios.files import ScenarioFile, list_scenario_files, read_scenario_file, select_position
from evtool.scenarios.given import build_emitted, build_given
from evtool.scenarios.mocks import Mock
from evtool.scenarios.model import ALL, GivenModel, ScenarioModel
from evtool.scenarios.problems import (
    find_contradictions,
    find_name_problems,
    find_pattern_problems,
    read_given_of_others,
    read_models,
)
from evtool.schemas.validation import Rules
from evtool.schemas.validator import Schemas


class Scenario(NamedTuple):
    """A scenario that can be run: its given events and its mocks are built."""

    source: ScenarioFile
    name: str
    model: ScenarioModel
    # The number of the entry of `given`, and an event of it: an entry that names a file may have several events.
    given: Sequence[tuple[int, Event]]
    mocks: dict[str, Mock]

    def locate(self, path: Sequence[str | int] = ()) -> dict[str, Any]:
        """Returns file, line and column of the scenario, or of a part of it."""
        return select_position(self.source.locate(("scenarios", self.name) + tuple(path), key=not path))


def build_rules(project: Project) -> Rules:
    """Builds the rules for the events of a project, the same as for `publish`. Raises ConfigError."""
    if project.schemas or project.named_schemas:
        return Rules(Schemas(project.schemas, named=project.named_schemas))
    return Rules(None)


def find_scenario_problems(project: Project) -> Iterator[Finding]:
    """Yields the problems of the scenarios of a project: syntax, shape, EV701 and EV702. Runs no scenario."""
    try:
        rules = build_rules(project)
    except ConfigError:
        # Another check reports the schemas. Without them the scenarios can still be read.
        rules = Rules(None)
    _, findings = load_scenarios(list_scenario_files(project), project, rules)
    yield from findings


def load_scenarios(files: Sequence[Path], project: Project, rules: Rules) -> tuple[list[Scenario], list[Finding]]:
    """Loads the scenarios of files. Returns them, and the findings of all files, sorted by location."""
    scenarios: list[Scenario] = []
    findings: list[Finding] = []
    for file in files:
        source = read_scenario_file(file)
        if isinstance(source, ScenarioFile):
            file_scenarios, file_findings = load_file(source, project, rules)
            scenarios += file_scenarios
        else:
            file_findings = source
        findings += sorted(file_findings, key=_position_of)
    return scenarios, findings


def _position_of(finding: Finding) -> tuple[int, int]:
    return finding.line or 0, finding.column or 0


def load_file(source: ScenarioFile, project: Project, rules: Rules) -> tuple[list[Scenario], list[Finding]]:
    """Loads the scenarios of a file. Returns those that can be run, and the problems of the file.

    Each kind of problem is looked for in all scenarios, also in those that have a wrong shape elsewhere, so that one
    run of `evtool check` shows all of them.
    """
    models, findings = read_models(source)
    findings += find_name_problems(source, project)
    findings += find_pattern_problems(source)
    scenarios = []
    for name, model in models.items():
        findings += find_contradictions(source, name, model)
        given, given_findings = _build_all_given(source, name, dict(enumerate(model.given)), project, rules)
        mocks, mock_findings = _build_mocks(source, name, model, project)
        findings += given_findings + mock_findings
        scenarios.append(Scenario(source, name, model, given, mocks))
    for name, entries in read_given_of_others(source, models):
        _, given_findings = _build_all_given(source, name, entries, project, rules)
        findings += given_findings
    # The mock for every other handler is built once for each of them, and finds the same problems each time.
    return scenarios, list(dict.fromkeys(findings))


def _build_all_given(
    source: ScenarioFile, name: str, entries: Mapping[int, GivenModel], project: Project, rules: Rules
) -> tuple[list[tuple[int, Event]], list[Finding]]:
    """Builds the given events of a scenario, each with the number of its entry. Returns them, and their problems."""
    events: list[tuple[int, Event]] = []
    findings: list[Finding] = []
    for number, entry in entries.items():
        for event in build_given(source, ("scenarios", name, "given", number), entry, project, rules):
            if isinstance(event, Finding):
                findings.append(event)
            else:
                events.append((number, event))
    return events, findings


def _build_mocks(
    source: ScenarioFile, name: str, model: ScenarioModel, project: Project
) -> tuple[dict[str, Mock], list[Finding]]:
    """Builds the mocks of a scenario by handler. Returns them, and their problems."""
    mocks: dict[str, Mock] = {}
    findings: list[Finding] = []
    for handler in project.names_in("handlers"):
        mock = model.find_mock(handler)
        if mock is None:
            continue
        # Problems of the mock for every other handler are located at that mock.
        key = ALL
        if handler in model.mock:
            key = handler
        emitted: list[Emitted] = []
        for item in build_emitted(source, ("scenarios", name, "mock", key), mock, handler):
            if isinstance(item, Finding):
                findings.append(item)
            else:
                emitted.append(item)
        mocks[handler] = Mock(mock, tuple(emitted))
    return mocks, findings
