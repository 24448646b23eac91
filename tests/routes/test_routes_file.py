"""routes.yaml: all its problems are reported together with their locations, and the exported schema agrees.

In tests/cases/routes, a file of `refused` ends with the expected findings: `#! LINE:COLUMN CODE message | hint`, of
which the beginning is enough.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from evtool.errors import ConfigError
from evtool.readers.yaml_text import load_yaml
from evtool.routes import project as project_file
from evtool.routes.models import RoutesModel
from evtool.routes.project import Project
from evtool.routes.quick_check import is_certainly_valid
from evtool.routes.routes import load_routes
from tests.conftest import ROOT, Evtool

CASES = ROOT / "tests/cases/routes"
GOOD = sorted((CASES / "good").glob("*.yaml"))
REFUSED = sorted((CASES / "refused").glob("*.yaml"))
# What a JSON Schema cannot see: what a pattern and a template mean, and which handlers there are.
BEYOND_THE_SCHEMA = {
    *("patterns", "templates", "json-patterns", "changed-numbers", "template-functions-in-json"),
    "delays-and-twice",
}


def expected_findings(case: Path) -> list[str]:
    """Returns the findings that a file of the corpus expects."""
    lines = case.read_text("utf-8", errors="replace").splitlines()
    return [line.removeprefix("#! ") for line in lines if line.startswith("#! ")]


def refusal(file: Path) -> ConfigError:
    """Returns the error of a file that is refused."""
    with pytest.raises(ConfigError) as caught:
        load_routes(project_file.require_project(str(file)))
    return caught.value


@pytest.mark.parametrize("case", GOOD, ids=lambda case: case.stem)
def test_a_valid_file_is_loaded(case: Path) -> None:
    """Routes and handlers have the order of the file."""
    project = project_file.require_project(str(case))
    routes = load_routes(project)

    assert list(routes.routes) == project.names_in("routes")
    assert list(routes.handlers) == project.names_in("handlers")


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.stem)
def test_each_problem_is_reported_once_with_its_location(case: Path) -> None:
    """Line, column, code, message and hint, in the order of the file."""
    found = refusal(case).findings
    expected = expected_findings(case)

    assert found
    assert len(found) == len(expected) or not expected
    for finding, line in zip(found, expected, strict=bool(expected)):
        sentence, _, hint = line.partition(" | ")
        assert f"{finding.line}:{finding.column} {finding.code} {finding.message}".startswith(sentence) or (
            finding.code == sentence
        )
        assert (finding.suggestion or "").startswith(hint)


@pytest.mark.parametrize(
    ("command", "case"),
    [
        *(("validate", case) for case in REFUSED),
        *(("publish", case) for case in REFUSED if case.stem in BEYOND_THE_SCHEMA),
    ],
    ids=lambda value: value if isinstance(value, str) else value.stem,
)
def test_commands_refuse_an_invalid_file_with_exit_code_2(
    evtool: Evtool, tmp_path: Path, command: str, case: Path
) -> None:
    """The findings are on standard error, with a summary in the last line and without a traceback."""
    (tmp_path / "routes.yaml").write_bytes(case.read_bytes())
    (tmp_path / "schemas").mkdir()
    ran = evtool(command, "-", "--type", "t", stdin=b"{}")

    assert (ran.code, ran.out) == (2, "")
    assert ran.err.splitlines()[-1] == "evtool: routes.yaml cannot be used"
    assert ran.err.count("routes.yaml:") == max(1, len(expected_findings(case)))
    assert not (tmp_path / "pwned").exists()
    assert not (tmp_path / ".evtool").exists()


def test_the_exported_schema_is_a_schema() -> None:
    """Editors use it. tests/test_docs.py checks that it is up to date."""
    jsonschema.Draft202012Validator.check_schema(project_file.load_routes_schema())


@pytest.mark.parametrize("case", [*GOOD, *REFUSED], ids=lambda case: f"{case.parent.stem}/{case.stem}")
def test_the_exported_schema_agrees_with_the_models(case: Path) -> None:
    """A well-formed file is valid for both or for neither."""
    try:
        value = load_yaml(case.read_bytes(), case.name).value
    except ConfigError:
        return  # no YAML to judge
    try:
        RoutesModel.model_validate(value)
        taken = True
    except ValueError:
        taken = False

    assert jsonschema.Draft202012Validator(project_file.load_routes_schema()).is_valid(value) is taken
    assert taken is (case in GOOD or case.stem in BEYOND_THE_SCHEMA)


@pytest.mark.parametrize("case", [*GOOD, *REFUSED], ids=lambda case: f"{case.parent.stem}/{case.stem}")
def test_quick_check_accepts_only_valid_files(case: Path) -> None:
    """The models accept each file that the quick check accepts. They decide about the others."""
    try:
        project = project_file.require_project(str(case))
    except ConfigError:
        return  # no YAML to judge

    needs_models = case.stem in ("everything", "json-patterns") or b"template:" in case.read_bytes()
    assert is_certainly_valid(project) is (case in GOOD and not needs_models)


@pytest.mark.parametrize(
    "pattern",
    [
        "{source: {anything-but: [a]}}",
        "{source: {prefix: [a]}}",
        "{detail-type: {in: [a]}}",
        "{detail: {state: {anything-but: [x]}}}",
        "{detail: {total: {numeric: ['>', 5]}}}",
        "{detail: {ip: [{cidr: 0.0.0.0/0}]}}",
        "{detail: {a: [{anything-but: ['${A}']}]}}",
        "{source: ['${A}']}",
        "{source: [{suffix: '${A}'}]}",
    ],
)
def test_quick_check_leaves_warnings_to_the_models(tmp_path: Path, evtool: Evtool, pattern: str) -> None:
    """A pattern with a warning is not certainly valid, and `validate` shows the warning, unless -q."""
    file = tmp_path / "routes.yaml"
    file.write_text(f"version: 1\nhandlers: {{h: {{command: [cat]}}}}\nroutes:\n  r: {{pattern: {pattern}, to: [h]}}\n")
    project = project_file.require_project(str(file))
    [warning] = load_routes(project).warnings
    assert not is_certainly_valid(project)
    arguments = ("validate", "-", "--no-schema", "ignore")
    event = b'{"id": "1", "source": "s", "detail-type": "t", "detail": {}}'
    ran = evtool(*arguments, stdin=event)
    assert (ran.code, ran.out) == (0, "checked 1 event in 1 file: all valid\n")
    assert f"routes.yaml:4:{warning.column}: {warning.code} warning: " in ran.err
    assert evtool(*arguments, "-q", stdin=event)[1:] == ("", "")


@pytest.mark.parametrize("text", ["- routes\n", "routes\n"])
def test_routes_yaml_is_a_mapping(text: str, tmp_path: Path) -> None:
    """A list or a single value in routes.yaml is one finding at its beginning."""
    (tmp_path / "routes.yaml").write_text(text)

    (finding,) = refusal(tmp_path / "routes.yaml").findings

    assert (finding.line, finding.column, finding.code) == (1, 1, "EV022")
    assert finding.message == "routes.yaml is a mapping: version, handlers, routes"


def test_quick_check_imports_no_models() -> None:
    """A valid project is checked without pydantic, whose import takes longer than the rest."""
    code = """
import sys
from evtool.routes.project import require_project
from evtool.routes.quick_check import is_certainly_valid
assert is_certainly_valid(require_project("routes.yaml"))
assert "pydantic" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


@pytest.mark.slow
def test_thousands_of_findings_are_reported_in_seconds(tmp_path: Path) -> None:
    """Each of 2,000 routes has three problems."""
    routes = "".join(f"  r{number}: {{pattern: {{}}, to: [nobody], colour: red}}\n" for number in range(2000))
    (tmp_path / "routes.yaml").write_text(f"version: 1\nroutes:\n{routes}")

    assert len(refusal(tmp_path / "routes.yaml").findings) == 6000


def test_the_project_of_an_invalid_file_has_defaults() -> None:
    """Hints and completion use a project whose content may be invalid."""
    for value in ({}, {"routes": 5, "handlers": [], "schemas": 5, "samples": {"a": 1}, "store": 5}):
        project = Project(Path("/shop/routes.yaml"), load_yaml(json.dumps(value).encode(), "routes.yaml"))
        told: list[Any] = [project.schemas, project.samples, project.names_in("routes"), project.names_in("handlers")]
        assert told == [[], [], [], []]
        assert project.store == Path("/shop/.evtool/store.db")


def test_a_placeholder_in_a_pattern_gives_a_warning(tmp_path: Path) -> None:
    """`${...}` is compared literally, so the routes are loaded."""
    (tmp_path / "routes.yaml").write_text(
        "version: 1\nhandlers: {h: {command: [cat]}}\nroutes:\n"
        "  r: {pattern: {source: ['${Stage}.shop', {prefix: '$x'}], a: [{anything-but: ['${B}']}]}, to: [h]}\n"
    )
    warnings = load_routes(project_file.require_project(str(tmp_path / "routes.yaml"))).warnings

    assert [(finding.line, finding.column, finding.severity) for finding in warnings] == [
        (4, 26, "warning"),
        (4, 64, "warning"),
    ]
    assert "${Stage} is not resolved in a pattern" in warnings[0].message


def test_the_longest_pause_is_at_least_the_first(tmp_path: Path) -> None:
    """Without max_delay the longest pause is the larger of 15 minutes and the first pause."""
    (tmp_path / "routes.yaml").write_text(
        "version: 1\nhandlers: {h: {command: [cat]}}\nroutes:\n"
        "  a: {pattern: {a: [1]}, to: [h], retry: {first_delay: 1h}}\n"
        "  b: {pattern: {a: [1]}, to: [h], retry: {first_delay: 2s}}\n"
    )
    routes = load_routes(project_file.require_project(str(tmp_path / "routes.yaml"))).routes

    assert [route.retry.max_delay for route in routes.values()] == [3600, 900]


def test_routes_load_raises_one_error_with_all_findings(tmp_path: Path) -> None:
    """Routes.load raises one exported error for everything that is wrong, with the findings."""
    import evtool  # noqa: PLC0415  (what is public)

    file = tmp_path / "routes.yaml"
    for text, codes in [
        ("version: 2\nx: 1\n", ["EV022", "EV021"]),
        ("a: [", ["EV020"]),
        ("[]", ["EV022"]),
        (None, ["EV001"]),
    ]:
        file.unlink(missing_ok=True)
        if text is not None:
            file.write_text(text)
        with pytest.raises(evtool.RoutesError) as caught:
            evtool.Routes.load(file)
        assert [finding.code for finding in caught.value.findings] == codes
        assert all(finding.message in str(caught.value) for finding in caught.value.findings)
    assert issubclass(evtool.RoutesError, ConfigError)

    file.write_text("version: 1\nroutes: {}\n")
    assert evtool.Routes.load(file).routes == {}


def test_the_hint_for_a_string_is_the_list_to_write(tmp_path: Path) -> None:
    """The words of a command are the entries of its list."""
    (tmp_path / "routes.yaml").write_text(
        "version: 1\nhandlers: {h: {command: python3 h.py}, s: {command: 'cat | wc'}}\n"
        "routes: {r: {pattern: {source: [a]}, to: h}}\n"
    )
    hints = [finding.suggestion for finding in refusal(tmp_path / "routes.yaml").findings]

    assert hints == [
        "write a list: [python3, h.py]",
        'write a list: [sh, -c, "cat | wc"]',
        "write a list: [h]",
    ]
