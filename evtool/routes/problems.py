"""Validates routes.yaml, and reports all problems as findings with locations."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from evtool.events.input_transformer import Input, find_problems
from evtool.events.payload_identity import suggest_pointer
from evtool.findings.finding import Finding
from evtool.findings.spelling import did_you_mean
from evtool.handlers.base import HandlerOptions, Unavailable
from evtool.handlers.plugins.kinds import find_kind, list_kinds, list_option_keys, list_plugin_kinds
from evtool.handlers.registry import KINDS
from evtool.patterns.compiler import PatternError
from evtool.patterns.pattern import Pattern
from evtool.patterns.unknown import Unknown, find_unknown
from evtool.routes.models import BusModel, CheckModel, IntakeModel, Retry, RouteModel, RoutesModel
from evtool.routes.pattern_text import PatternText, describe_changed_number, find_changed_numbers, locate_in_pattern
from evtool.routes.project import Project

# Messages by pydantic's type of error. All other types keep pydantic's message.
MESSAGES = {
    "dict_type": "should be a mapping",
    "greater_than_equal": "should be at least {ge}",
    "int_type": "should be a whole number",
    "less_than_equal": "should be at most {le}",
    "list_type": "should be a list",
    "literal_error": "should be {expected}",
    "model_type": "should be a mapping",
    "string_pattern_mismatch": "should match {pattern}",
    "path": "{said}",
    "string_too_long": "should have at most {max_length} characters",
    "string_too_short": "should not be empty",
    "string_type": "should be a string",
    "too_long": "should have at most {max_length} entries",
    "too_short": "should not be empty",
}


# The effect of an unknown value, by key of a route. A route without a bus takes events of every bus, which is usual.
DEFAULTS = {
    "state": "the route counts as enabled",
    "input": "its handlers get the whole event",
    "retry": "it has the default policy",
}


def read_model(project: Project) -> tuple[RoutesModel | None, dict[str, Pattern], list[Finding]]:
    """Returns the model of a routes.yaml, its patterns by route, and all problems in the order of the file.

    The model is None if the file does not have the shape of routes.yaml.
    """
    raw = project.document.value
    model: RoutesModel | None = None
    findings: list[Finding] = []
    try:
        model = RoutesModel.model_validate(raw)
    except ValidationError as error:
        findings += [_convert_model_error(project, detail) for detail in error.errors()]
    patterns: dict[str, Pattern] = {}
    for name, route in _as_mapping(raw.get("routes")).items():
        findings += _check_pattern(project, name, route, patterns)
        findings += _check_handlers(project, name, route)
        findings += _check_settings(project, name, _as_mapping(route))
        findings += _check_template(project, name, _as_mapping(_as_mapping(route).get("input")))
    if model:
        for name, route_model in model.routes.items():
            findings += _check_delays(project, name, route_model.retry)
    findings.sort(key=lambda finding: (finding.line or 0, finding.column or 0))
    return model, patterns, findings


def describe_load_failure(project: Project, handler: str, failure: Unavailable, **more: Any) -> Finding:
    """Returns the finding for a handler that cannot be loaded, with its location in routes.yaml."""
    code, reason = str(failure.code), failure.reason
    verb = "wait"
    if failure.is_failure:
        verb = "fail"
    hint = f"deliveries to it {verb}; correct this, then run `evtool deliver`"
    path, key = _find_cause(project, handler, code, reason)
    return _build_finding(project, code, f"handler {handler}: {reason}", path, key=key, suggestion=hint, **more)


def _find_cause(project: Project, handler: str, code: str, reason: str) -> tuple[tuple[str | int, ...], bool]:
    """Returns the path to the cause of a load failure, and whether the finding points to the key or to the value.

    The cause is a missing variable (EV503), the interpreter of a `python` handler (EV502), else the handler itself.
    """
    options, interpreter = project.document.value["handlers"][handler], project.document.value.get("interpreter")
    kind = list_kinds(options)[0]
    text = None
    variable = re.search(r"\$\{\w+\}", reason)
    if code == "EV503" and variable:
        text = variable[0]
    elif (code, kind) == ("EV502", "python"):
        text = options.get("interpreter") or interpreter
    if isinstance(text, str):
        path = _find_text({"handlers": {handler: options}, "interpreter": interpreter}, text)
        if path:
            return path, False
    return ("handlers", handler, kind), True


def _find_text(value: Any, text: str) -> tuple[str | int, ...] | None:
    """Returns the path of the first string that contains a text; None if no string does."""
    if isinstance(value, str) and text in value:
        return ()
    items: Iterable[tuple[str | int, Any]] = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    for key, item in items:
        path = _find_text(item, text)
        if path is not None:
            return (key,) + path
    return None


def _as_mapping(value: Any) -> Mapping[str, Any]:
    if isinstance(value, Mapping):
        return value
    return {}


def _build_finding(
    project: Project, code: str, message: str, path: Sequence[str | int], *, key: bool = False, **more: Any
) -> Finding:
    return Finding(code, message, **project.locate(path, key=key), **more)


def _path_of(detail: ErrorDetails) -> list[str | int]:
    """Returns the path of an error in routes.yaml: pydantic's location without the tags of alternatives and `[key]`."""
    match detail["loc"]:
        case ("schemas", "several", index, _, *rest):
            return ["schemas", index, *rest]
        case ("schemas", "one", _, *rest):
            return ["schemas", *rest]
        case ("schemas" | "samples" as key, _, *rest):
            return [key, *rest]
        case ("handlers", name, _, "headers", header, "[key]"):
            return ["handlers", name, "headers", header]
        case (*path, "[key]") if detail["type"] in ("string_pattern_mismatch", "path name"):
            return list(path)
        case ("routes", name, "pattern", _, *rest):
            return ["routes", name, "pattern", *rest]
        case ("handlers", name, _, "secret", _, *rest):
            return ["handlers", name, "secret", *rest]
        case ("handlers", name, _, *rest):
            return ["handlers", name, *rest]
    return list(detail["loc"])


def _convert_model_error(project: Project, detail: ErrorDetails) -> Finding:
    path, kind = _path_of(detail), detail["type"]
    known_keys = _list_known_keys(path[:-1], project.document.value)
    dotted_path = ".".join(str(step) for step in path)
    route = None
    if len(path) > 1 and path[0] == "routes":
        route = str(path[1])
    match kind:
        case "extra_forbidden":
            hint = did_you_mean(path[-1], known_keys) or f"known here: {', '.join(known_keys)}"
            return _build_finding(
                project, "EV021", f"unknown key {dotted_path}", path, key=True, suggestion=hint, route=route
            )
        case "missing":
            return _build_finding(project, "EV022", f"{dotted_path} is missing", path[:-1], route=route)
        case "union_tag_not_found":
            message, suggestion = _explain_missing_kind(str(path[-1]), detail["input"])
            return _build_finding(project, "EV022", message, path, suggestion=suggestion)
        case "string_pattern_mismatch" if detail["loc"][-1] == "[key]":
            message = f'the name "{path[-1]}" may have letters, digits, ".", "-" and "_", at most 64'
            return _build_finding(project, "EV022", message, path, key=True, route=route)
        case "string_pattern_mismatch" if path[0] == "intake":
            message = f"{dotted_path}: should be a JSON Pointer such as /id"
            return _build_finding(project, "EV022", message, path, suggestion=suggest_pointer(detail["input"]))
        case "path name":
            return _build_finding(project, "EV022", f"{dotted_path}: {detail['msg']}", path, key=True, route=route)
    text = detail["msg"].removeprefix("Value error, ")
    if kind in MESSAGES:
        message = MESSAGES[kind].format(**detail.get("ctx", {}))
    else:
        message = text[:1].lower() + text[1:]
    return _build_finding(
        project, "EV022", f"{dotted_path}: {message}", path, suggestion=_suggest_value(detail), route=route
    )


def _suggest_value(detail: ErrorDetails) -> str | None:
    """Suggests a valid value for an invalid one."""
    if detail["type"] == "path":
        return str(detail["ctx"]["hint"])
    if detail["type"] == "literal_error":
        return did_you_mean(detail["input"], re.findall("'([^']*)'", detail["ctx"]["expected"]))
    if detail["type"] == "list_type" and isinstance(detail["input"], str):
        return f"write a list: [{_split_command(detail['input'], str(detail['loc'][-1]))}]"
    is_scalar = isinstance(detail["input"], int | float)
    if detail["type"] == "string_type" and is_scalar:
        return "put it in quotes"
    return None


def _split_command(text: str, key: str) -> str:
    """Returns the entries of a list for a string: the words of a command, or the call of a shell if it needs one."""
    if key == "command" and re.search(r"""[|&;<>$`"'*()]""", text):
        return f"sh, -c, {json.dumps(text, ensure_ascii=False)}"
    if key == "command":
        return ", ".join(text.split())
    return text


def _explain_missing_kind(name: str, value: Any) -> tuple[str, str | None]:
    """Returns the message for a handler that does not have exactly one kind, and a suggestion."""
    named_kinds = list_kinds(value)
    if named_kinds:
        return f"handler {name} has several kinds: {', '.join(named_kinds)}; choose one", None
    kinds = list(KINDS) + list(list_plugin_kinds())
    message = f"handler {name} has no known kind; it needs one of the keys {', '.join(kinds)}"
    options = [key for key in _as_mapping(value) if key not in HandlerOptions.model_fields]
    for key in options:
        guess = did_you_mean(key, kinds)
        if guess:
            return message, guess
    if options:
        return message, "if the kind is of a plugin, install its package in the same environment as evtool"
    return message, None


def _list_known_keys(path: Sequence[str | int], raw: Mapping[str, Any]) -> list[str]:
    """Returns the keys that are valid at a path in routes.yaml."""
    match list(path):
        case []:
            return list(RoutesModel.model_fields)
        case ["routes", _]:
            return [field.alias or name for name, field in RouteModel.model_fields.items()]
        case ["intake", _]:
            return [field.alias or name for name, field in IntakeModel.model_fields.items()]
        case ["buses", _]:
            return list(BusModel.model_fields)
        case ["check"]:
            return list(CheckModel.model_fields)
        case ["routes", _, "retry"]:
            return list(Retry.model_fields)
        case ["routes", _, "input"]:
            return list(Input.model_fields)
        case ["handlers", name]:
            kind = find_kind(_as_mapping(raw.get("handlers")).get(str(name)))
            if kind:
                return list_option_keys(kind)
            return []
    return []


def _check_pattern(project: Project, name: str, route: Any, patterns: dict[str, Pattern]) -> Iterator[Finding]:
    source = _as_mapping(route).get("pattern")
    # The model has reported a pattern of another type.
    if not isinstance(source, dict | str | Unknown):
        return
    if isinstance(source, str):
        json_finding = PatternText(project, name, source).find_problem()
        if json_finding:
            yield json_finding
            return
    try:
        patterns[name] = Pattern(source)
        problems = patterns[name].warnings
    except PatternError as error:
        problems = error.problems
    for problem in problems:
        if _is_escaped(project, name, problem.code):
            continue
        severity = "error"
        if problem.is_warning:
            severity = "warning"
        # In these findings the key is wrong, since it names the operator.
        is_about_key = problem.code in ("EV202", "EV206")
        location = locate_in_pattern(project, name, problem.path, key=is_about_key)
        message = f"route {name}: {problem.message}"
        yield Finding(problem.code, message, suggestion=problem.hint, route=name, severity=severity, **location)
    if isinstance(source, dict):
        yield from _check_changed_numbers(project, name, source)


def _is_escaped(project: Project, name: str, code: str) -> bool:
    """Whether a finding is about `${...}` in a Terraform file: there `$${...}` means these characters themselves."""
    return code == "EV022" and project.source_of(name).form.startswith("terraform")


def _check_changed_numbers(project: Project, name: str, pattern: Mapping[str, Any]) -> Iterator[Finding]:
    source = project.source_of(name)
    path = ("routes", name, "pattern")
    for at, written, number in find_changed_numbers(source.document, source.text, pattern, path):
        message = f"route {name}: {describe_changed_number(written, number)}"
        yield _build_finding(project, "EV022", message, at, suggestion=f'write "{written}"', route=name)


def _check_settings(project: Project, name: str, route: Mapping[str, Any]) -> Iterator[Finding]:
    for key, consequence in DEFAULTS.items():
        unknown = find_unknown(route.get(key))
        if unknown:
            message = f"route {name}: {key} depends on {unknown.source}, which is not known before deployment"
            path = ("routes", name, key)
            yield _build_finding(project, "EV024", message, path, severity="note", suggestion=consequence, route=name)


def _check_template(project: Project, name: str, input_model: Mapping[str, Any]) -> Iterator[Finding]:
    template, paths = input_model.get("template"), _as_mapping(input_model.get("paths"))
    # The model has reported a template of another type.
    if isinstance(template, str) and template:
        for message, hint in find_problems(paths, template):
            path = ("routes", name, "input", "template")
            yield _build_finding(project, "EV022", f"route {name}: {message}", path, suggestion=hint, route=name)


def _check_delays(project: Project, name: str, retry: Retry) -> Iterator[Finding]:
    # A max_delay of 0s means no pause, whatever first_delay is.
    if retry.first_delay > retry.max_delay > 0 and "first_delay" in retry.model_fields_set:
        message = f"route {name}: first_delay is longer than max_delay, so every pause would be max_delay"
        path = ("routes", name, "retry", "first_delay")
        yield _build_finding(project, "EV022", message, path, suggestion="make max_delay at least as long", route=name)


def _check_handlers(project: Project, name: str, route: Any) -> Iterator[Finding]:
    handlers = list(_as_mapping(project.document.value.get("handlers")))
    to = _as_mapping(route).get("to")
    if to == [] and not project.source_of(name).is_rule_source:
        message = f"routes.{name}.to: should not be empty"
        yield _build_finding(project, "EV022", message, ("routes", name, "to"), route=name)
    if not isinstance(to, list):
        to = []
    for index, handler in enumerate(to):
        if isinstance(handler, str) and handler in to[:index]:
            message = f'route {name} names the handler "{handler}" twice'
            advice = "an event is delivered once to each handler: remove one"
            path = ("routes", name, "to", index)
            yield _build_finding(project, "EV022", message, path, suggestion=advice, route=name)
            continue
        if isinstance(handler, str) and handler not in handlers:
            message = f'route {name} goes to the handler "{handler}", which does not exist'
            hint = did_you_mean(handler, handlers)
            path = ("routes", name, "to", index)
            yield _build_finding(project, "EV403", message, path, suggestion=hint, route=name)
