"""The rules that an export writes: what EventBridge can have of the routes of a project."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from evtool.events.buses import DEFAULT_BUS
from evtool.findings.finding import Finding
from evtool.interchange.base import NO_TARGET
from evtool.patterns.unknown import find_unknown
from evtool.readers.json_text import JsonProblem, parse_json
from evtool.routes.project_file import Project
from evtool.units import parse_duration

MAX_RETRIES = 185
# EventBridge's limits for the age of an event, in seconds.
MIN_AGE, MAX_AGE = 60, 86_400
# The attempts of a route that names no limit.
DEFAULT_ATTEMPTS = 185


class ExportedTarget(NamedTuple):
    """A handler as a target. `arn` is None if it is not known here: the template has a parameter for it."""

    name: str
    arn: str | None
    # Those of the handler, in the form of routes.yaml.
    options: Mapping[str, Any] = {}


class ExportedRule(NamedTuple):
    """A route as a rule of EventBridge. `input` has the form of routes.yaml.

    `target_fields` are the fields of each of its targets besides Id and Arn, in the form of EventBridge's API.
    """

    name: str
    pattern: Any  # JSON
    bus: str
    targets: Sequence[ExportedTarget]
    is_enabled: bool = True
    description: str = ""
    target_fields: Mapping[str, Any] = {}

    @property
    def state(self) -> str:
        """The state in the words of EventBridge's API."""
        if self.is_enabled:
            return "ENABLED"
        return "DISABLED"


class Writer(NamedTuple):
    """A form of export: `title` completes "writes ...", `write` makes its text."""

    title: str
    write: Callable[[Sequence[ExportedRule]], str]


def build_rules(project: Project) -> tuple[list[ExportedRule], list[Finding]]:
    """Returns the routes that can be exported, and a finding for each part that EventBridge does not have."""
    value = project.document.value
    handlers = value.get("handlers") or {}
    rules: list[ExportedRule] = []
    routes = value.get("routes") or {}
    has_buses = any(route.get("event-bus") not in (None, DEFAULT_BUS) for route in routes.values())
    findings: list[Finding] = []
    for name, route in routes.items():
        unknown = find_unknown(route)
        if unknown:
            message = f"the route {name} is not exported: {unknown.source} is not known before deployment"
            findings.append(_report(project, name, message, "EV024", severity="error"))
            continue
        findings += [_report(project, name, message) for message in _list_inexact(name, route, has_buses=has_buses)]
        rules.append(
            ExportedRule(
                name,
                _read_pattern(route["pattern"]),
                route.get("event-bus") or DEFAULT_BUS,
                list(_build_targets(route["to"], handlers)),
                route.get("state", "enabled") == "enabled",
                route.get("description", ""),
                {**_build_input(route.get("input")), **_build_retry(route.get("retry") or {})},
            )
        )
    return rules, findings


def _report(project: Project, route: str, message: str, code: str = "EV026", *, severity: str = "warning") -> Finding:
    location = project.locate(("routes", route), key=True)
    return Finding(code, message, severity, route=route, **location)


def _read_pattern(pattern: Any) -> Any:
    """Returns the pattern as a value; routes.yaml may have it as JSON text."""
    if not isinstance(pattern, str):
        return pattern
    try:
        return parse_json(pattern.encode())
    except JsonProblem:  # the routes were loaded, so that this does not occur
        return pattern


def _build_targets(names: Sequence[str], handlers: Mapping[str, Mapping[str, Any]]) -> Iterator[ExportedTarget]:
    for name in names:
        options = handlers.get(name) or {}
        address = options.get("external")
        if address != NO_TARGET:
            yield ExportedTarget(name, _read_arn(address), options)


def _read_arn(address: Any) -> str | None:
    """Returns the address, if it is an ARN without variables.

    Others, such as a URL or an expression, are not known on AWS.
    """
    if isinstance(address, str) and re.fullmatch(r"arn:[^\s${}<>]+", address):
        return address
    return None


def _build_input(options: Mapping[str, Any] | None) -> dict[str, Any]:
    """Returns the fields of a target that replace the event."""
    if not options:
        return {}
    if "path" in options:
        return {"InputPath": options["path"]}
    if options.get("paths"):
        paths = {"InputPathsMap": dict(options["paths"])}
    else:
        paths = {}
    return {"InputTransformer": {**paths, "InputTemplate": options["template"]}}


def _build_retry(retry: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the retry policy of a target, within EventBridge's limits.

    Without one, EventBridge's is evtool's, too.
    """
    policy: dict[str, int] = {}
    if "max_attempts" in retry and retry["max_attempts"] != DEFAULT_ATTEMPTS:
        policy["MaximumRetryAttempts"] = min(retry["max_attempts"] - 1, MAX_RETRIES)
    age = parse_duration(retry.get("max_age", "24h"))
    if age < MAX_AGE:
        policy["MaximumEventAgeInSeconds"] = max(int(age), MIN_AGE)
    if policy:
        return {"RetryPolicy": policy}
    return {}


def _list_inexact(name: str, route: Mapping[str, Any], *, has_buses: bool) -> Iterator[str]:
    """Yields a message for each part of a route that differs on EventBridge."""
    if has_buses and not route.get("event-bus"):
        yield f'the route {name} takes events of every bus; the exported rule is on the bus "{DEFAULT_BUS}"'
    retry = route.get("retry") or {}
    for key in ("first_delay", "max_delay"):
        if key in retry:
            yield f"the route {name}: {key} is not exported, since EventBridge decides on its pauses itself"
    if retry.get("max_attempts", 1) > MAX_RETRIES:
        yield f"the route {name}: EventBridge tries at most {MAX_RETRIES + 1} times"
    age = parse_duration(retry.get("max_age", "24h"))
    if not MIN_AGE <= age <= MAX_AGE or age != int(age):
        yield f"the route {name}: EventBridge has a max_age from 60s to 24h, in whole seconds; the nearest is exported"
