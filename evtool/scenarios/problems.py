"""Finds what is wrong with scenario files: their shape, names that do not exist, expectations that contradict."""

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
)

Path = tuple[str | int, ...]


def read_models(source: ScenarioFile) -> tuple[dict[str, ScenarioModel], list[Finding]]:
    """The scenarios of a file that have the right shape, by name, and what is wrong with the others."""
    try:
        return dict(ScenariosModel.model_validate(source.document.value).scenarios), []
    except ValidationError as error:
        details = error.errors()
    findings = [_convert_model_error(source, detail) for detail in details]
    wrong = {detail["loc"][1] for detail in details if detail["loc"][:1] == ("scenarios",) and len(detail["loc"]) > 1}
    valid = {name: value for name, value in iter_scenarios(source) if name and name not in wrong}
    return {name: ScenarioModel.model_validate(value) for name, value in valid.items()}, findings


def read_given_of_others(
    source: ScenarioFile, models: Collection[str]
) -> Iterator[tuple[str, Mapping[int, GivenModel]]]:
    """The entries of `given` with the right shape, by number, of each scenario whose shape is wrong elsewhere."""
    for name, value in iter_scenarios(source):
        if name not in models:
            entries = enumerate(_as_list(_as_mapping(value).get("given")))
            yield name, {number: model for number, entry in entries if (model := _read_given(entry))}


def _read_given(entry: Any) -> GivenModel | None:
    try:
        return GivenModel.model_validate(entry)
    except ValidationError:
        return None


def find_name_problems(source: ScenarioFile, project: Project) -> Iterator[Finding]:
    """EV701 for each route and handler that a scenario names and that the project does not have."""
    known = {"route": project.names_in("routes"), "handler": project.names_in("handlers")}
    for scenario, value in iter_scenarios(source):
        for kind, name, path, is_key in _iter_names(value):
            if name not in known[kind]:
                hint = did_you_mean(name, known[kind]) or f"the {kind}s are {', '.join(known[kind]) or 'none'}"
                location = source.locate(("scenarios", scenario, *path), key=is_key)
                message = f'there is no {kind} "{name}" in {project.display_name}'
                yield Finding("EV701", message, suggestion=hint, **location)


def find_pattern_problems(source: ScenarioFile) -> Iterator[Finding]:
    """What is wrong with the patterns that emitted events have to match."""
    for scenario, value in iter_scenarios(source):
        expect = _as_mapping(_as_mapping(value).get("expect"))
        for keys in (("expect", "emits"), ("expect", "not", "emits")):
            patterns = _as_mapping(expect.get("not") if "not" in keys else expect).get("emits")
            for index, pattern in enumerate(_as_list(patterns)):
                at: Path = ("scenarios", scenario, *keys, index)
                for problem in _check_pattern(pattern):
                    at_key = problem.code in ("EV202", "EV206")  # the key names the operator
                    severity = "error"
                    if problem.is_warning:
                        severity = "warning"
                    location = source.locate((*at, *problem.path), key=at_key)
                    yield Finding(problem.code, problem.message, severity, suggestion=problem.hint, **location)
                for path, written, number in find_changed_numbers(source.document, source.text, pattern, at):
                    message, hint = describe_changed_number(written, number), f'write "{written}"'
                    yield Finding("EV022", message, suggestion=hint, **source.locate(path))


def find_contradictions(source: ScenarioFile, name: str, model: ScenarioModel) -> Iterator[Finding]:
    """EV702 for each expectation of a scenario that cannot hold together with another one."""
    expect, forbidden = model.expect, model.expect.forbidden
    for path, message in [
        *(_contradict_forbidden(expect, forbidden) if forbidden else ()),
        *_contradict_states(expect),
    ]:
        yield Finding("EV702", message, **source.locate(("scenarios", name, "expect", *path), key=path[0] == "states"))


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
    """Each route and handler that a scenario names: its kind, the name, where it is, and whether that is a key."""
    value = _as_mapping(scenario)
    expect = _as_mapping(value.get("expect"))
    for path, part in ((("expect",), expect), (("expect", "not"), _as_mapping(expect.get("not")))):
        for kind in ("route", "handler"):
            names = part.get(f"{kind}s")
            for index, name in enumerate(_as_list(names)):
                if isinstance(name, str):
                    yield kind, name, (*path, f"{kind}s", index), False
            if kind == "handler":
                yield from ((kind, name, (*path, "handlers", name), True) for name in _as_mapping(names))
    yield from (("handler", name, ("expect", "states", name), True) for name in _as_mapping(expect.get("states")))
    for name in _as_mapping(value.get("mock")):
        if name != ALL:
            yield "handler", name, ("mock", name), True


def _check_pattern(pattern: Any) -> Sequence[Any]:
    if not isinstance(pattern, dict):
        return ()  # its shape is wrong, which the model says
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
    """Where pydantic found something, without the tags of alternatives and the `[key]` of a name."""
    match detail["loc"]:
        case (*path, "[key]"):
            return tuple(path)
        case ("scenarios", name, "mock", _, *rest):
            return ("scenarios", name, "mock", *rest)
        case ("scenarios", name, "expect", "handlers", _, *rest):
            return ("scenarios", name, "expect", "handlers", *rest)
    return detail["loc"]


def _convert_model_error(source: ScenarioFile, detail: ErrorDetails) -> Finding:
    path, kind = _path_of(detail), detail["type"]
    part = format_path(path[2:])
    if len(path) > 1:
        subject = f"scenario {path[1]}: {part}".removesuffix(": ")
    else:
        subject = format_path(path)
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
    """The keys that may be at a place in a scenario file."""
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
    if model:
        return [field.alias or name for name, field in model.model_fields.items()]
    return []
