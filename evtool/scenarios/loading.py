"""Loads the scenarios of files, ready to be run, and reports everything that is wrong with them."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from evtool.errors import ConfigError
from evtool.events.event import Event
from evtool.findings.finding import Finding
from evtool.routes.project import Project
from evtool.scenarios.files import ScenarioFile, list_scenario_files, read_scenario_file
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
    given: Sequence[tuple[int, Event]]  # the number of the entry of `given`, and an event of it
    mocks: dict[str, Mock]

    def locate(self, path: Sequence[str | int] = ()) -> dict[str, Any]:
        """File, line and column of the scenario, or of a part of it."""
        location = self.source.locate(("scenarios", self.name, *path), key=not path)
        return {key: location[key] for key in ("file", "line", "column")}


def build_rules(project: Project) -> Rules:
    """The rules for the events of a project, as `publish` has them. Raises ConfigError."""
    folders, named = project.schemas, project.named_schemas
    return Rules(Schemas(folders, named=named) if folders or named else None)


def find_scenario_problems(project: Project) -> Iterator[Finding]:
    """Everything that is wrong with the scenarios of a project: syntax, shape, EV701 and EV702. None is run."""
    try:
        rules = build_rules(project)
    except ConfigError:
        rules = Rules(None)  # reported with the schemas
    yield from load_scenarios(list_scenario_files(project), project, rules)[1]


def load_scenarios(files: Sequence[Path], project: Project, rules: Rules) -> tuple[list[Scenario], list[Finding]]:
    """The scenarios of files, and the findings about all files, sorted by location."""
    scenarios: list[Scenario] = []
    findings: list[Finding] = []
    for file in files:
        source = read_scenario_file(file)
        if isinstance(source, ScenarioFile):
            file_scenarios, file_findings = load_file(source, project, rules)
            scenarios += file_scenarios
        else:
            file_findings = source
        findings += sorted(file_findings, key=lambda finding: (finding.line or 0, finding.column or 0))
    return scenarios, findings


def load_file(source: ScenarioFile, project: Project, rules: Rules) -> tuple[list[Scenario], list[Finding]]:
    """The scenarios of a file, and everything that is wrong with it."""
    models, findings = read_models(source)
    findings += [*find_name_problems(source, project), *find_pattern_problems(source)]
    scenarios = []
    for name, model in models.items():
        findings += find_contradictions(source, name, model)
        given, given_findings = _build_all_given(source, name, dict(enumerate(model.given)), project, rules)
        mocks, mock_findings = _build_mocks(source, name, model, project)
        findings += given_findings + mock_findings
        scenarios.append(Scenario(source, name, model, given, mocks))
    for name, entries in read_given_of_others(source, models):
        findings += _build_all_given(source, name, entries, project, rules)[1]
    return scenarios, list(dict.fromkeys(findings))


def _build_all_given(
    source: ScenarioFile, name: str, entries: Mapping[int, GivenModel], project: Project, rules: Rules
) -> tuple[list[tuple[int, Event]], list[Finding]]:
    """The given events of a scenario, each with the number of its entry, and what is wrong with them."""
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
    """The mocks of a scenario by handler, and what is wrong with them."""
    mocks: dict[str, Mock] = {}
    findings: list[Finding] = []
    for handler in project.names_in("handlers"):
        mock = model.find_mock(handler)
        if mock is None:
            continue
        if handler in model.mock:
            key = handler
        else:
            key = ALL
        built = list(build_emitted(source, ("scenarios", name, "mock", key), mock, handler))
        findings += [finding for finding in built if isinstance(finding, Finding)]
        mocks[handler] = Mock(mock, tuple(emitted for emitted in built if not isinstance(emitted, Finding)))
    return mocks, findings
