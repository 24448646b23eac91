"""Rule sources: templates and other files become routes with their locations, and with unknown values.

Each file of tests/cases/interchange has an `.expected.json` with its routes, handlers and notes, and the lines of its
routes and patterns.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from evtool.patterns.unknown import Unknown
from evtool.routes.project import Project, require_project
from tests.conftest import ROOT, Evtool

CASES = ROOT / "tests/cases/interchange"
SOURCES = sorted(
    path
    for path in CASES.glob("*/*")
    if not path.name.endswith(".expected.json")
    and path.parent.name not in ("refused", "terraform-folder", "terraform-modules")
)


def show_unknown(value: Any) -> Any:
    """A value as JSON, with unknown values as `{"unknown": SOURCE}`."""
    if isinstance(value, Unknown):
        return {"unknown": value.source}
    if isinstance(value, dict):
        return {key: show_unknown(item) for key, item in value.items()}
    return [show_unknown(item) for item in value] if isinstance(value, list) else value


def describe(project: Project) -> dict[str, Any]:
    """A project in the form of the expected files."""
    value = show_unknown(project.document.value)
    position_of = project.document.position_of
    return {
        "form": project.form,
        "routes": value["routes"],
        "handlers": value["handlers"],
        "notes": [
            f"{note.line}: {note.message}".replace(str(CASES) + "/", "") for note in (*project.gaps, *project.notes)
        ],
        "lines": {
            name: [position_of(("routes", name), key=True)[0], *position_of(("routes", name, "pattern"))]
            for name in value["routes"]
        },
    }


@pytest.mark.parametrize("case", SOURCES, ids=lambda case: f"{case.parent.name}-{case.name}")
def test_a_rule_source_has_the_expected_routes(case: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its form is recognized from its content; names, patterns, targets, buses, states and lines are as expected."""
    monkeypatch.chdir(CASES)
    expected = json.loads(case.with_name(f"{case.name}.expected.json").read_text())

    assert describe(require_project(str(case))) == expected


REFUSED = sorted(path for path in (CASES / "refused").glob("*") if not path.name.endswith(".expected.txt"))


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.name)
def test_everything_wrong_is_reported_at_its_place(case: Path, evtool: Evtool) -> None:
    """A template with mistakes is exit code 2; each mistake has its line and column in the template."""
    expected = case.with_name(f"{case.name}.expected.txt").read_text().splitlines()
    result = evtool("explain", ROOT / "samples/events/order-created.json", "--routes", case)
    reported = [line.removeprefix(f"{case}:") for line in result.err.splitlines() if line.startswith(str(case))]

    assert result.code == 2
    assert len(reported) == len(expected)
    starts = [start.replace(" ", ": ", 1) for start in expected]
    assert [line[: len(start)] for line, start in zip(reported, starts, strict=True)] == starts
    assert "cannot be used" in result.err.splitlines()[-1]
