"""Finds the problems of scenario files: their shape, names that do not exist, expectations that contradict.

Pydantic finds the problems of the shape. Its path has parts of the models, which no file has:

    loc   ("scenarios", "pay", "expect", "handlers", "counts", "charge-card", "[key]")
    path  ("scenarios", "pay", "expect", "handlers", "charge-card")
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from evtool.findings.finding import Finding
from evtool.findings.spelling import did_you_mean
from evtool.patterns.compiler import PatternError
from evtool.patterns.pattern import Pattern
from evtool.readers.field_paths import format_path
from evtool.routes.pattern_text import describe_changed_number, find_changed_numbers
from evtool.routes.problems import MESSAGES
from evtool.routes.project import Project
from evtool.scenarios.files import ScenarioFile, iter_scenarios
from evtool.scenarios.model import (
    ALL,
    ExpectModel,
    ForbiddenModel,
    GivenModel,
    MockModel,
    ScenarioModel,
    ScenariosModel,
    list_keys,
)

Path = tuple[str | int, ...]


def read_models(source: ScenarioFile) -> tuple[dict[str, ScenarioModel], list[Finding]]:
    """Reads the scenarios of a file that have the right shape, by name. Returns them, and problems of the others."""
    try:
        return dict(ScenariosModel.model_validate(source.document.value).scenarios), []
    except ValidationError as error:
        details = error.errors()
    findings = []
    invalid_names: set[str | int] = set()
    for detail in details:
        findings.append(_convert_model_error(source, detail))
        location = detail["loc"]
        if location[0:1] == ("scenarios",) and len(location) > 1:
            invalid_names.add(location[1])
    models = {}
    for name, value in iter_scenarios(source):
        if name and name not in invalid_names:
            models[name] = ScenarioModel.model_validate(value)
    return models, findings


def read_given_of_others(
    source: ScenarioFile, models: Collection[str]
) -> Iterator[tuple[str, Mapping[int, GivenModel]]]:
    """Yields the valid entries of `given`, by number, of each scenario whose shape is wrong elsewhere."""
    for name, value in iter_scenarios(source):
        if name not in models:
            entries: dict[int, GivenModel] = {}
            for number, entry in enumerate(_as_list(_as_mapping(value).get("given"))):
                model = _read_given(entry)
                if model:
                    entries[number] = model
            yield name, entries


def _read_given(entry: Any) -> GivenModel | None:
    try:
        return GivenModel.model_validate(entry)
    except ValidationError:
        return None


def find_name_problems(source: ScenarioFile, project: Project) -> Iterator[Finding]:
    """Yields EV701 for each route and handler that a scenario names and that the project does not have."""
    known = {"route": project.names_in("routes"), "handler": project.names_in("handlers")}
    for scenario, value in iter_scenarios(source):
        for kind, name, path, is_key in _iter_names(value):
            if name not in known[kind]:
                hint = did_you_mean(name, known[kind]) or f"the {kind}s are {', '.join(known[kind]) or 'none'}"
                location = source.locate(("scenarios", scenario) + path, key=is_key)
                message = f'there is no {kind} "{name}" in {project.display_name}'
                yield Finding("EV701", message, suggestion=hint, **location)


def find_pattern_problems(source: ScenarioFile) -> Iterator[Finding]:
    """Yields the problems of the patterns that emitted events have to match."""
    for scenario, value in iter_scenarios(source):
        expect = _as_mapping(_as_mapping(value).get("expect"))
        path: Path = ("scenarios", scenario, "expect")
        yield from _check_patterns(source, path + ("emits",), expect.get("emits"))
        yield from _check_patterns(source, path + ("not", "emits"), _as_mapping(expect.get("not")).get("emits"))


def find_contradictions(source: ScenarioFile, name: str, model: ScenarioModel) -> Iterator[Finding]:
    """Yields EV702 for each expectation of a scenario that cannot hold together with another one."""
    expect, forbidden = model.expect, model.expect.forbidden
    prefix: Path = ("scenarios", name, "expect")
    if forbidden:
        for path, message in _contradict_forbidden(expect, forbidden):
            yield Finding("EV702", message, **source.locate(prefix + path))
    for path, message in _contradict_states(expect):
        yield Finding("EV702", message, **source.locate(prefix + path, key=True))


# --- contradictions -------------------------------------------------------------------------------------------------


def _contradict_forbidden(expect: ExpectModel, forbidden: ForbiddenModel) -> Iterator[tuple[Path, str]]:
    counts = expect.handler_counts
    for index, route in enumerate(forbidden.routes):
        if route in expect.routes:
            yield ("not", "routes", index), f"route {route} is both expected and forbidden"
    for index, handler in enumerate(forbidden.handlers):
        if handler in counts and counts[handler] != 0:
            yield ("not", "handlers", index), f"calls of {handler} are both expected and forbidden"
        if expect.states.get(handler) == "done":
            message = f"{handler} is expected to be done, but no attempt is allowed to call it"
            yield ("not", "handlers", index), message
    for index, pattern in enumerate(forbidden.emits):
        if pattern in expect.emits:
            yield ("not", "emits", index), "this event is both expected and forbidden"


def _contradict_states(expect: ExpectModel) -> Iterator[tuple[Path, str]]:
    for handler, state in expect.states.items():
        if state == "done" and expect.handler_counts.get(handler, 1) == 0:
            yield ("states", handler), f"{handler} is expected to be done, but with no attempt"


# --- names and patterns ---------------------------------------------------------------------------------------------


def _iter_names(scenario: Any) -> Iterator[tuple[str, str, Path, bool]]:
    """Yields each route and handler that a scenario names: its kind, the name, its path, and whether it is a key."""
    value = _as_mapping(scenario)
    expect = _as_mapping(value.get("expect"))
    yield from _iter_expected_names(expect, ("expect",))
    yield from _iter_expected_names(_as_mapping(expect.get("not")), ("expect", "not"))
    for name in _as_mapping(expect.get("states")):
        yield "handler", name, ("expect", "states", name), True
    for name in _as_mapping(value.get("mock")):
        if name != ALL:
            yield "handler", name, ("mock", name), True


def _iter_expected_names(part: Mapping[str, Any], path: Path) -> Iterator[tuple[str, str, Path, bool]]:
    for kind in ("route", "handler"):
        names = part.get(f"{kind}s")
        for index, name in enumerate(_as_list(names)):
            if isinstance(name, str):
                yield kind, name, path + (f"{kind}s", index), False
        # Handlers may also be a mapping, from names to numbers of attempts.
        if kind == "handler":
            for name in _as_mapping(names):
                yield kind, name, path + ("handlers", name), True


def _check_patterns(source: ScenarioFile, path: Path, patterns: Any) -> Iterator[Finding]:
    for index, pattern in enumerate(_as_list(patterns)):
        pattern_path = path + (index,)
        for problem in _check_pattern(pattern):
            # These problems are about an operator, which is a key of the pattern.
            is_key = problem.code in ("EV202", "EV206")
            severity = "error"
            if problem.is_warning:
                severity = "warning"
            location = source.locate(pattern_path + tuple(problem.path), key=is_key)
            yield Finding(problem.code, problem.message, severity, suggestion=problem.hint, **location)
        for number_path, written, number in find_changed_numbers(source.document, source.text, pattern, pattern_path):
            message, hint = describe_changed_number(written, number), f'write "{written}"'
            yield Finding("EV022", message, suggestion=hint, **source.locate(number_path))


def _check_pattern(pattern: Any) -> Sequence[Any]:
    # If it is not a mapping, the model reports its shape.
    if not isinstance(pattern, dict):
        return ()
    try:
        return Pattern(pattern).warnings
    except PatternError as error:
        return error.problems


def _as_mapping(value: Any) -> Mapping[str, Any]:
    if isinstance(value, Mapping):
        return value
    return {}


def _as_list(value: Any) -> list[Any]:
    if isinstance(value, list):
        return value
    return []


# --- the shape ------------------------------------------------------------------------------------------------------


def _path_of(detail: ErrorDetails) -> Path:
    """Returns the path of an error in the file, without the tags of alternatives and the `[key]` of a name."""
    path = detail["loc"]
    if path[-1] == "[key]":
        return path[:-1]
    # The tag is the fourth key below a mock, and the fifth below expected handlers.
    if path[0] == "scenarios" and path[2:3] == ("mock",):
        return path[:3] + path[4:]
    if path[0] == "scenarios" and path[2:4] == ("expect", "handlers"):
        return path[:4] + path[5:]
    return path


def _convert_model_error(source: ScenarioFile, detail: ErrorDetails) -> Finding:
    path, kind = _path_of(detail), detail["type"]
    part = format_path(path[2:])
    if len(path) > 1:
        subject = f"scenario {path[1]}: {part}".removesuffix(": ")
    else:
        subject = format_path(path)
    # An empty name is not valid: the message cannot name the scenario.
    if detail["loc"][-1] == "[key]" and len(path) == 2:
        subject = "the name of a scenario"
    if kind == "extra_forbidden":
        known = _list_known_keys(path[:-1])
        hint = did_you_mean(path[-1], known) or f"known here: {', '.join(known)}"
        return Finding("EV021", f"unknown key {path[-1]}", suggestion=hint, **source.locate(path, key=True))
    if kind == "missing":
        return Finding("EV022", f"{subject} is missing", **source.locate(path[:-1], key=len(path) > 1))
    text = detail["msg"]
    message = MESSAGES.get(kind, text[0].lower() + text[1:]).format(**detail.get("ctx", {}))
    return Finding("EV022", f"{subject} {message}".strip(), suggestion=_suggest_value(detail), **source.locate(path))


def _suggest_value(detail: ErrorDetails) -> str | None:
    if detail["type"] == "literal_error":
        return did_you_mean(detail["input"], re.findall("'([^']*)'", detail["ctx"]["expected"]))
    is_scalar = isinstance(detail["input"], int | float)
    if detail["type"] == "string_type" and is_scalar:
        return "put it in quotes"
    return None


def _list_known_keys(path: Path) -> list[str]:
    """Lists the keys that a mapping at a path in a scenario file may have."""
    model: type[BaseModel] | None = None
    match path:
        case ():
            model = ScenariosModel
        case ("scenarios", _):
            model = ScenarioModel
        case ("scenarios", _, "given", _):
            model = GivenModel
        case ("scenarios", _, "mock", _):
            model = MockModel
        case ("scenarios", _, "expect"):
            model = ExpectModel
        case ("scenarios", _, "expect", "not"):
            model = ForbiddenModel
    if model is None:
        return []
    return list_keys(model)
