"""The Serverless Framework's serverless.yml: events of its functions, and the CloudFormation resources in it."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from evtool.findings.phrases import list_some
from evtool.interchange.base import Form, Path, Rule, Source, Target, as_list, as_mapping, read_state
from evtool.interchange.cloudformation.intrinsics import Resolver
from evtool.interchange.cloudformation.template import Template, describe_schedule, read_bus, read_template_rules
from evtool.interchange.texts.substitution import Steps, Substitution

_REFERENCE = re.compile(r"""\$\{self:([\w.-]+)(?:\s*,\s*(?:'([^'$]*)'|"([^"$]*)"))?\s*\}""")
_OVERRIDDEN = ("provider.stage", "provider.region")  # by --stage and --region
MAX_NAMES = 3  # of parts in other files that a note lists
VARIABLE = re.compile(r"\$\{|\{\{resolve:")
PATTERN_KEYS = {"eventBridge": "pattern", "cloudwatchEvent": "event"}  # kinds of events, and where they have a pattern


def recognizes(value: Any) -> bool:
    """Whether a document is a serverless.yml."""
    return isinstance(value, Mapping) and len(value.keys() & {"service", "provider", "functions"}) > 1


def read_rules(source: Source) -> Iterator[Rule]:
    """The rules of the functions, then those of the resources."""
    value = _resolve_references(source.document.value)
    templates = list(_list_templates(value.get("resources"), ("resources",)))
    resources = {key: item for content, _ in templates for key, item in as_mapping(content.get("Resources")).items()}
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
    """The document with the values that `${self:custom.bus}` and the like lead to."""

    def read_steps(match: re.Match[str]) -> Steps | None:
        path, default = match[1], next((text for text in match.groups()[1:] if text is not None), None)
        if path.startswith(_OVERRIDDEN):
            return None
        if default is None:
            return Steps(path.split("."))
        return Steps(path.split("."), default)

    references = Substitution(value, _REFERENCE, read_steps)
    parts = {key: references.substitute(value.get(key)) for key in ("functions", "resources")}
    return {**as_mapping(value), **parts}


def _name_resource(function: str) -> str:
    """The logical id of a function in the template that the Serverless Framework makes."""
    name = function.replace("-", "Dash").replace("_", "Underscore")
    return f"{name[:1].upper()}{name[1:]}LambdaFunction"


def _find_function(target: Target, logical_ids: Mapping[str, tuple[str, Path]]) -> Target:
    """The target as the function of this file that its ARN refers to, if it does."""
    if target.address not in logical_ids:
        return target
    name, path = logical_ids[target.address]
    return target._replace(name=name, address=f"functions.{name}", path=path)


def _note_files(paths: Sequence[Path]) -> Iterator[Rule]:
    """A note on what is in other files."""
    if paths:
        names = list_some([".".join(map(str, path)) for path in paths], MAX_NAMES)
        text = "are in other files, which are not read"
        if len(paths) == 1:
            text = "is in another file, which is not read"
        yield Rule(names, paths[0], note=text, is_gap=True)


def _list_functions(value: Any, path: Path) -> Iterator[tuple[str, Any, Path]]:
    """The functions by name; they may be a list of mappings, too. What is in another file is a string."""
    if isinstance(value, str):
        yield "", value, path
    for index, entry in enumerate(as_list(value)):
        yield from _list_functions(entry, path + (index,))
    for name, function in as_mapping(value).items():
        yield str(name), function, path + (name,)


def _list_files(functions: Iterable[tuple[str, Any, Path]], resources: Any) -> Iterator[Path]:
    """Where functions, their events or resources are in other files: `${file(functions.yml)}`."""
    for _, function, path in functions:
        yield from _list_texts([function], [path])
        events = as_mapping(function).get("events")
        yield from _list_texts([events], [path + ("events",)])
        yield from _list_texts(as_list(events), [path + ("events", index) for index in range(len(as_list(events)))])
    for index, entry in enumerate(as_list(resources) or [resources]):
        if isinstance(resources, list):
            path = ("resources", index)
        else:
            path = ("resources",)
        content = as_mapping(entry).get("Resources")
        yield from _list_texts([entry, content], [path, path + ("Resources",)])
        named = as_mapping(content)
        yield from _list_texts(named.values(), [path + ("Resources", name) for name in named])


def _list_texts(values: Iterable[Any], paths: Iterable[Path]) -> Iterator[Path]:
    """The paths of the values that are strings: these are references to files."""
    return (path for value, path in zip(values, paths, strict=True) if isinstance(value, str))


def _list_templates(value: Any, path: Path) -> Iterator[tuple[Mapping[str, Any], Path]]:
    """The CloudFormation templates under `resources`: one or a list."""
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
        {"pattern": path + (pattern_key,), "bus": path + ("eventBus",)},
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
