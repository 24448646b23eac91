"""The pytest plugin: collects scenarios as tests, and provides the fixture `evtool`.

pytest loads it in every project where evtool is installed. Unless a project has a routes.yaml, the plugin does nothing
and imports nothing of evtool; this is why its imports of evtool are inside functions.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from evtool.scenarios.workbench import Workbench

ROUTES_FILE = "routes.yaml"
SUFFIXES = (".yaml", ".yml")
# The scenario folder of each routes.yaml.
FOLDERS = pytest.StashKey[dict[Path, Path]]()


def find_routes_file(folder: Path) -> Path | None:
    """Finds the nearest routes.yaml, in a folder or above it."""
    for ancestor in [folder] + list(folder.parents):
        file = ancestor / ROUTES_FILE
        if file.is_file():
            return file
    return None


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collects a file in the scenario folder of its project, or a file with scenarios that the command line names."""
    if file_path.suffix not in SUFFIXES or file_path.name == ROUTES_FILE:
        return None
    routes_file = find_routes_file(file_path.parent)
    if routes_file is None:
        return None
    folders = parent.config.stash.setdefault(FOLDERS, {})
    if routes_file not in folders:
        folders[routes_file] = _find_scenario_folder(routes_file)
    folder = folders[routes_file]
    # pytest resolves links in the paths of some files, but not of all.
    is_scenario_file = file_path.is_relative_to(folder.resolve()) or file_path.is_relative_to(folder)
    if not is_scenario_file and not (parent.session.isinitpath(file_path) and _has_scenarios(file_path)):
        return None
    return ScenarioFileCollector.from_parent(parent, path=file_path, routes_file=routes_file)


def _find_scenario_folder(routes_file: Path) -> Path:
    from evtool.errors import EvtoolError  # noqa: PLC0415
    from evtool.routes.project import require_project  # noqa: PLC0415

    try:
        return require_project(str(routes_file)).scenarios
    except EvtoolError:
        # The problems of routes.yaml are reported when a file of the default folder is collected.
        return routes_file.parent / "scenarios"


def _has_scenarios(file: Path) -> bool:
    text = file.read_text(encoding="utf-8", errors="replace")
    return any(line.startswith("scenarios:") for line in text.split("\n"))


class ScenarioFileCollector(pytest.File):
    """A scenario file: each scenario is a test."""

    def __init__(self, *, routes_file: Path, **keywords: Any):
        super().__init__(**keywords)
        self._routes_file = routes_file

    def collect(self) -> Iterator[pytest.Item]:
        """Yields a test for each scenario, in the order of the file. All problems of the file are one error."""
        from evtool.errors import EvtoolError  # noqa: PLC0415
        from evtool.scenarios.workbench import Workbench, format_findings  # noqa: PLC0415

        try:
            workbench = Workbench(self._routes_file)
            scenarios, findings = workbench.load(self.path)
        except EvtoolError as error:
            lines = format_findings(getattr(error, "findings", ()))
            raise self.CollectError("\n".join(lines + [str(error)])) from None
        errors = [finding for finding in findings if finding.severity == "error"]
        if errors:
            raise self.CollectError("\n".join(format_findings(errors)))
        names = [_to_test_name(scenario.name) for scenario in scenarios]
        for scenario, name in zip(scenarios, names, strict=True):
            if names.count(name) > 1:
                raise self.CollectError(f'{self.path.name}: several scenarios have the name "{name}" in pytest')
            yield ScenarioItem.from_parent(self, name=name, scenario=scenario, workbench=workbench)


def _to_test_name(name: str) -> str:
    """Returns a name that can be selected: `::` separates parts of a test's id, control characters break listings."""
    text = name.replace("::", ":")
    for char in text:
        if not char.isprintable():
            text = text.replace(char, " ")
    return text


class ScenarioItem(pytest.Item):
    """A scenario as a test."""

    def __init__(self, *, scenario: Any, workbench: "Workbench", **keywords: Any):
        super().__init__(**keywords)
        self._scenario, self._workbench = scenario, workbench

    def runtest(self) -> None:
        """Runs the scenario. Raises AssertionError with every expectation that does not hold."""
        self._workbench.assert_passes(self._scenario)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Returns the reasons of the failure, without the internals of evtool."""
        from evtool.errors import EvtoolError  # noqa: PLC0415

        if isinstance(excinfo.value, AssertionError | EvtoolError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Returns the file and the line of the scenario; pytest counts lines from 0."""
        return self.path, self._scenario.locate()["line"] - 1, f"scenario {self.name}"


@pytest.fixture
def evtool(request: pytest.FixtureRequest) -> "Workbench":
    """The project of the nearest routes.yaml: its routes, and scenarios that tests write in Python."""
    routes_file = find_routes_file(request.path.parent)
    if routes_file is None:
        pytest.fail(f"there is no {ROUTES_FILE} in {request.path.parent} or above it", pytrace=False)
    from evtool.scenarios.workbench import Workbench  # noqa: PLC0415

    return Workbench(routes_file)
