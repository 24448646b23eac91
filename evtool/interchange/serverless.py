"""The Serverless Framework's serverless.yml: events of its functions, and the CloudFormation resources in it."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from evtool.findings.phrases import list_some
from evtool.interchange.base import (
    Form,
    Path,
    Rule,
    Source,
    Target,
    as_list,
    as_mapping,
    as_text,
    read_state,
    read_transformer,
)
from evtool.interchange.cloudformation.intrinsics import Resolver
from evtool.interchange.cloudformation.template import Template, describe_schedule, read_bus, read_template_rules
from evtool.interchange.texts.substitution import Steps, Substitution

_REFERENCE = re.compile(r"""\$\{self:([\w.-]+)(?:\s*,\s*(?:'([^'$]*)'|"([^"$]*)"))?\s*\}""")
# The command line of the Serverless Framework overrides these: --stage and --region.
_OVERRIDDEN = ("provider.stage", "provider.region")
# A note lists the names of this many parts that are in other files.
MAX_NAMES = 3
VARIABLE = re.compile(r"\$\{|\{\{resolve:")
# The kinds of events with a pattern, and the key of the pattern.
PATTERN_KEYS = {"eventBridge": "pattern", "cloudwatchEvent": "event"}


def recognizes(value: Any) -> bool:
    """Returns whether a document is a serverless.yml."""
    return isinstance(value, Mapping) and len(value.keys() & {"service", "provider", "functions"}) > 1


def read_rules(source: Source) -> Iterator[Rule]:
    """Yields the rules of the functions, then those of the resources."""
    value = _resolve_references(source.document.value)
    templates = list(_list_templates(value.get("resources"), ("resources",)))
    resources: dict[str, Any] = {}
    for content, _ in templates:
        resources |= as_mapping(content.get("Resources"))
    template = Template(resources, Resolver(variable=VARIABLE), ())
    functions = list(_list_functions(value.get("functions"), ("functions",)))
    for name, function, path in functions:
        yield from _read_function(template, name, as_mapping(function), path)
    logical_ids = {f"!GetAtt {_name_resource(name)}.Arn": (name, path) for name, _, path in functions if name}
    for content, path in templates:
        for rule in read_template_rules(content, path, VARIABLE):
            yield rule._replace(targets=[_find_function(target, logical_ids) for target in rule.targets])
    yield from _note_files(list(_list_files(functions, value.get("resources"))))


def _resolve_references(value: Any) -> Mapping[str, Any]:
    """Returns the document with the values that `${self:custom.bus}` and the like lead to."""

    def read_steps(match: re.Match[str]) -> Steps | None:
        path = match[1]
        if path.startswith(_OVERRIDDEN):
            return None
        # The default is in single or in double quotes.
        for default in (match[2], match[3]):
            if default is not None:
                return Steps(path.split("."), default)
        return Steps(path.split("."))

    references = Substitution(value, _REFERENCE, read_steps)
    parts = {key: references.substitute(value.get(key)) for key in ("functions", "resources")}
    return {**as_mapping(value), **parts}


def _name_resource(function: str) -> str:
    """Returns the logical id of a function in the template that the Serverless Framework makes."""
    name = function.replace("-", "Dash").replace("_", "Underscore")
    return f"{name[:1].upper()}{name[1:]}LambdaFunction"


def _find_function(target: Target, logical_ids: Mapping[str, tuple[str, Path]]) -> Target:
    """Returns the target as the function of this file that its ARN refers to, if it does."""
    if target.address not in logical_ids:
        return target
    name, path = logical_ids[target.address]
    return target._replace(name=name, address=f"functions.{name}", path=path)


def _note_files(paths: Sequence[Path]) -> Iterator[Rule]:
    """Yields a note on what is in other files."""
    if paths:
        names = list_some(list(map(_format_path, paths)), MAX_NAMES)
        text = "are in other files, which are not read"
        if len(paths) == 1:
            text = "is in another file, which is not read"
        yield Rule(names, paths[0], note=text, is_gap=True)


def _format_path(path: Path) -> str:
    return ".".join(map(str, path))


def _list_functions(value: Any, path: Path) -> Iterator[tuple[str, Any, Path]]:
    """Yields the functions by name; they may be a list of mappings, too. What is in another file is a string."""
    if isinstance(value, str):
        yield "", value, path
    for index, entry in enumerate(as_list(value)):
        yield from _list_functions(entry, path + (index,))
    for name, function in as_mapping(value).items():
        yield str(name), function, path + (name,)


def _list_files(functions: Iterable[tuple[str, Any, Path]], resources: Any) -> Iterator[Path]:
    """Yields the paths of functions, events and resources that are in other files: `${file(functions.yml)}`."""
    for _, function, path in functions:
        yield from _list_texts([function], [path])
        events = as_mapping(function).get("events")
        yield from _list_texts([events], [path + ("events",)])
        for index, event in enumerate(as_list(events)):
            yield from _list_texts([event], [path + ("events", index)])
    for index, entry in enumerate(as_list(resources) or [resources]):
        if isinstance(resources, list):
            path = ("resources", index)
        else:
            path = ("resources",)
        content = as_mapping(entry).get("Resources")
        yield from _list_texts([entry, content], [path, path + ("Resources",)])
        for name, resource in as_mapping(content).items():
            yield from _list_texts([resource], [path + ("Resources", name)])


def _list_texts(values: Iterable[Any], paths: Iterable[Path]) -> Iterator[Path]:
    """Yields the paths of the values that are strings: these are references to files."""
    for value, path in zip(values, paths, strict=True):
        if isinstance(value, str):
            yield path


def _list_templates(value: Any, path: Path) -> Iterator[tuple[Mapping[str, Any], Path]]:
    """Yields the CloudFormation templates under `resources`: one or a list."""
    for index, entry in enumerate(as_list(value)):
        yield from _list_templates(entry, path + (index,))
    if isinstance(value, Mapping):
        yield value, path


def _read_function(template: Template, name: str, function: Mapping[str, Any], path: Path) -> Iterator[Rule]:
    number = 0
    for index, event in enumerate(as_list(function.get("events"))):
        for kind, properties in as_mapping(event).items():
            event_path = path + ("events", index, kind)
            if kind in PATTERN_KEYS:
                number += 1
                yield _read_event(template, f"{name}-rule-{number}", name, as_mapping(properties), event_path)
            elif kind == "schedule":
                # A schedule is a string, or a mapping with the string.
                rate = as_mapping(properties).get("rate", properties)
                yield Rule(f"{name}-schedule-{index + 1}", event_path, note=describe_schedule(rate))


def _read_event(template: Template, name: str, function: str, properties: Mapping[str, Any], path: Path) -> Rule:
    pattern_key = PATTERN_KEYS[str(path[-1])]
    own_name, description = properties.get("name"), template.resolver.resolve(properties.get("description"))
    if isinstance(own_name, str) and not VARIABLE.search(own_name):
        name = own_name
    pattern = template.resolver.resolve_pattern(properties.get(pattern_key))
    schedule_note = None
    if pattern is None and "schedule" in properties:
        schedule_note = describe_schedule(properties["schedule"])
    target = Target(function, f"functions.{function}", path[:2], _read_input(template, properties), path)
    return Rule(
        name,
        path,
        pattern,
        [target],
        read_bus(template, properties.get("eventBus")),
        as_text(description) or "",
        read_state(template.resolver.resolve(properties.get("state", properties.get("enabled")))),
        schedule_note,
        {"pattern": path + (pattern_key,), "bus": path + ("eventBus",)},
    )


def _read_input(template: Template, properties: Mapping[str, Any]) -> dict[str, Any] | None:
    """Returns the input of a function in the form of routes.yaml; None if it is the event itself, or not known."""
    match template.resolver.resolve({key: properties.get(key) for key in ("inputPath", "inputTransformer")}):
        case {"inputPath": str(path)}:
            return {"path": path}
        case {"inputTransformer": {"inputTemplate": str(text), **others}}:
            return read_transformer(others.get("inputPathsMap") or {}, text)
    return None


FORM = Form("a serverless.yml", recognizes, read_rules)
