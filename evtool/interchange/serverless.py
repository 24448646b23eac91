"""The Serverless Framework's serverless.yml: events of its functions, and the CloudFormation resources in it."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from evtool.interchange.base import Form, Path, Rule, Source, Target, as_list, as_mapping, read_state
from evtool.interchange.cloudformation.intrinsics import Resolver
from evtool.interchange.cloudformation.template import Template, describe_schedule, read_bus, read_template_rules

VARIABLE = re.compile(r"\$\{|\{\{resolve:")
PATTERN_KEYS = {"eventBridge": "pattern", "cloudwatchEvent": "event"}  # kinds of events, and where they have a pattern


def recognizes(value: Any) -> bool:
    """Whether a document is a serverless.yml."""
    return isinstance(value, Mapping) and len(value.keys() & {"service", "provider", "functions"}) > 1


def read_rules(source: Source) -> Iterator[Rule]:
    """The rules of the functions, then those of the resources."""
    value = source.document.value
    templates = list(_list_templates(value.get("resources"), ("resources",)))
    resources = {key: item for content, _ in templates for key, item in as_mapping(content.get("Resources")).items()}
    template = Template(resources, Resolver(variable=VARIABLE), ())
    for name, function, path in _list_functions(value.get("functions"), ("functions",)):
        yield from _read_function(template, name, function, path)
    for key in ("functions", "resources"):
        for path in _list_file_references(value.get(key), (key,)):
            yield Rule(".".join(map(str, path)), path, note="is in another file, which is not read")
    for content, path in templates:
        yield from read_template_rules(content, path, VARIABLE)


def _list_functions(value: Any, path: Path) -> Iterator[tuple[str, Mapping[str, Any], Path]]:
    """The functions by name; they may be a list of mappings, too."""
    for index, entry in enumerate(as_list(value)):
        yield from _list_functions(entry, (*path, index))
    for name, function in as_mapping(value).items():
        yield str(name), as_mapping(function), (*path, name)


def _list_file_references(value: Any, path: Path) -> Iterator[Path]:
    """Where functions or resources are in other files: `${file(functions.yml)}`."""
    for index, entry in enumerate(as_list(value)):
        yield from _list_file_references(entry, (*path, index))
    if isinstance(value, str):
        yield path


def _list_templates(value: Any, path: Path) -> Iterator[tuple[Mapping[str, Any], Path]]:
    """The CloudFormation templates under `resources`: one or a list."""
    for index, entry in enumerate(as_list(value)):
        yield from _list_templates(entry, (*path, index))
    if isinstance(value, Mapping):
        yield value, path


def _read_function(template: Template, name: str, function: Mapping[str, Any], path: Path) -> Iterator[Rule]:
    number = 0
    for index, event in enumerate(as_list(function.get("events"))):
        for kind, properties in as_mapping(event).items():
            event_path = (*path, "events", index, kind)
            if kind in PATTERN_KEYS:
                number += 1
                yield _read_event(template, f"{name}-rule-{number}", name, as_mapping(properties), event_path)
            elif kind == "schedule":
                rate = as_mapping(properties).get("rate", properties if isinstance(properties, str) else None)
                yield Rule(f"{name}-schedule-{index + 1}", event_path, note=describe_schedule(rate))


def _read_event(template: Template, name: str, function: str, properties: Mapping[str, Any], path: Path) -> Rule:
    pattern_key = PATTERN_KEYS[str(path[-1])]
    own_name, description = properties.get("name"), template.resolver.resolve(properties.get("description"))
    is_named = isinstance(own_name, str) and not VARIABLE.search(own_name)
    pattern = template.resolver.resolve_pattern(properties.get(pattern_key))
    is_schedule = pattern is None and "schedule" in properties
    target = Target(function, f"functions.{function}", path[:2], _read_input(template, properties), path)
    return Rule(
        str(own_name) if is_named else name,
        path,
        pattern,
        [target],
        read_bus(template, properties.get("eventBus")),
        description if isinstance(description, str) else "",
        read_state(template.resolver.resolve(properties.get("state", properties.get("enabled")))),
        describe_schedule(properties.get("schedule")) if is_schedule else None,
        {"pattern": (*path, pattern_key), "bus": (*path, "eventBus")},
    )


def _read_input(template: Template, properties: Mapping[str, Any]) -> dict[str, Any] | None:
    """The input of a function in the form of routes.yaml; None if it is the event itself, or not known."""
    match template.resolver.resolve({key: properties.get(key) for key in ("inputPath", "inputTransformer")}):
        case {"inputPath": str(path)}:
            return {"path": path}
        case {"inputTransformer": {"inputTemplate": str(text), **others}}:
            paths = others.get("inputPathsMap") or {}
            if isinstance(paths, Mapping) and all(isinstance(item, str) for item in paths.values()):
                return {"paths": dict(paths), "template": text}
    return None


FORM = Form("a serverless.yml", recognizes, read_rules)
