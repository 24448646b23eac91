"""CloudFormation and SAM templates, in YAML or JSON, also as CDK writes them."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from evtool.findings.phrases import shorten
from evtool.interchange.base import (
    EVENT_ROUTES_METADATA,
    ROUTE_METADATA,
    Form,
    Function,
    Path,
    Rule,
    Source,
    Target,
    as_mapping,
    as_text,
    build_constant,
    read_retry,
    read_state,
    read_transformer,
)
from evtool.interchange.cloudformation.intrinsics import DYNAMIC_REFERENCE, Resolver, format_function, is_function
from evtool.interchange.cloudformation.references import find_reference
from evtool.interchange.cloudformation.sam_functions import read_sam_function
from evtool.interchange.names import bus_of_arn, name_of_arn
from evtool.patterns.unknown import Unknown

RULE = "AWS::Events::Rule"
BUS = "AWS::Events::EventBus"
SAM_FUNCTION = "AWS::Serverless::Function"
SAM_TYPES = (SAM_FUNCTION, "AWS::Serverless::StateMachine")
SAM_RULES = ("EventBridgeRule", "CloudWatchEvent")
SAM_SCHEDULES = ("Schedule", "ScheduleV2")
LAMBDA_QUALIFIERS = ("AWS::Lambda::Alias", "AWS::Lambda::Version")
LOOP_VARIABLE = re.compile(r"\$\{|\{\{resolve:")


class Template(NamedTuple):
    """A template, and where the source has it: `serverless.yml` has one inside."""

    resources: Mapping[str, Any]
    resolver: Resolver
    path: Path
    function_defaults: Mapping[str, Any] = {}

    def properties_of(self, name: str) -> Mapping[str, Any]:
        """Returns the properties of a resource."""
        return as_mapping(as_mapping(self.resources.get(name)).get("Properties"))

    def metadata_of(self, name: str) -> Mapping[str, Any]:
        """Returns the metadata of a resource."""
        return as_mapping(as_mapping(self.resources.get(name)).get("Metadata"))

    def type_of(self, name: str) -> str:
        """Returns the type of a resource, such as `AWS::Events::Rule`."""
        return str(as_mapping(self.resources.get(name)).get("Type"))


def recognizes(value: Any) -> bool:
    """Returns whether a document is a template."""
    if not isinstance(value, Mapping):
        return False
    resources = value.get("Resources")
    is_mapping = isinstance(resources, Mapping)
    return "AWSTemplateFormatVersion" in value or (is_mapping and ("Transform" in value or _has_types(resources)))


def _has_types(resources: Any) -> bool:
    return any("::" in str(as_mapping(resource).get("Type")) for resource in resources.values())


def read_rules(source: Source) -> Iterator[Rule]:
    """Returns the rules of a template, in the order of its resources."""
    return read_template_rules(source.document.value)


def read_template_rules(
    value: Mapping[str, Any], path: Path = (), variable: re.Pattern[str] = DYNAMIC_REFERENCE
) -> Iterator[Rule]:
    """Yields the rules of a template that the source has at a path. Strings with a `variable` are unknown."""
    mappings = value.get("Mappings")
    resources = as_mapping(value.get("Resources"))
    defaults = as_mapping(as_mapping(value.get("Globals")).get("Function"))
    template = Template(resources, Resolver(mappings, variable), path + ("Resources",), defaults)
    yield from _read_resources(template, mappings)


def _read_resources(template: Template, mappings: Any) -> Iterator[Rule]:
    """Yields the rules among resources. What a loop (`Fn::ForEach::Name`) makes several of is one rule."""
    for name, resource in template.resources.items():
        resource_type = template.type_of(name)
        if name.startswith("Fn::ForEach::") and isinstance(resource, list) and len(resource) == 3:
            looped = Template(as_mapping(resource[2]), Resolver(mappings, LOOP_VARIABLE), template.path + (name, 2))
            yield from _read_resources(looped, mappings)
        if resource_type == RULE:
            yield _read_rule(template, name)
        elif resource_type in SAM_TYPES:
            yield from _read_sam_events(template, name)


def _read_rule(template: Template, name: str) -> Rule:
    properties = template.properties_of(name)
    path = template.path + (name,)
    targets: list[Target] = []
    for target, target_path in _list_targets(properties.get("Targets"), path + ("Properties", "Targets")):
        targets.append(read_target(template, target, target_path))
    rule = build_rule(template, name, path, properties, path + ("Properties",), targets, pattern_key="EventPattern")
    route = template.metadata_of(name).get(ROUTE_METADATA)
    if isinstance(route, str) and route:
        return rule._replace(name=route)
    return rule


def _list_targets(value: Any, path: Path) -> Iterator[tuple[Mapping[str, Any], Path]]:
    """Yields the targets in a list, with those of a condition: `!If [IsProd, {Arn: ...}, !Ref AWS::NoValue]`."""
    match value:
        case [*targets]:
            for index, target in enumerate(targets):
                yield from _list_targets(target, path + (index,))
        case {"Fn::If": [_, *choices]}:
            for index, target in enumerate(choices, 1):
                yield from _list_targets(target, path + ("Fn::If", index))
        case {"Arn": _}:
            yield value, path


def _read_sam_events(template: Template, name: str) -> Iterator[Rule]:
    """Yields the rules of a function or state machine.

    Their logical ids are that of the resource and the event's name.
    """
    path = template.path + (name, "Properties", "Events")
    routes = as_mapping(template.metadata_of(name).get(EVENT_ROUTES_METADATA))
    for event_name, event in as_mapping(template.properties_of(name).get("Events")).items():
        event_type = as_mapping(event).get("Type")
        properties = as_mapping(as_mapping(event).get("Properties"))
        event_path = path + (event_name,)
        if event_type in SAM_SCHEDULES:
            schedule = properties.get("Schedule", properties.get("ScheduleExpression"))
            yield Rule(f"{name}{event_name}", event_path, note=describe_schedule(schedule))
        elif event_type in SAM_RULES:
            transformed = _read_input(template, properties)
            properties_path = event_path + ("Properties",)
            target = Target(
                name,
                f"!GetAtt {name}.Arn",
                template.path + (name,),
                transformed,
                properties_path,
                _read_function(template, name),
                _read_retry(template, properties),
            )
            # SAM makes this logical id. The metadata of an exported template has the name of the route.
            rule_name = as_text(routes.get(event_name)) or f"{name}{event_name}"
            yield build_rule(
                template,
                rule_name,
                event_path,
                properties,
                properties_path,
                [target],
                pattern_key="Pattern",
            )


def build_rule(
    template: Template,
    name: str,
    path: Path,
    properties: Mapping[str, Any],
    properties_path: Path,
    targets: list[Target],
    *,
    pattern_key: str,
) -> Rule:
    """Returns the rule that the properties of a resource or of an event describe."""
    pattern = properties.get(pattern_key)
    schedule_note = None
    if pattern is None and "ScheduleExpression" in properties:
        schedule_note = describe_schedule(properties["ScheduleExpression"])
    return Rule(
        name,
        path,
        template.resolver.resolve_pattern(pattern),
        targets,
        read_bus(template, properties.get("EventBusName")),
        as_text(properties.get("Description")) or "",
        read_state(template.resolver.resolve(properties.get("State", properties.get("Enabled")))),
        schedule_note,
        {
            "pattern": properties_path + (pattern_key,),
            "bus": properties_path + ("EventBusName",),
            "state": properties_path + ("State",),
        },
    )


def read_bus(template: Template, value: Any) -> str | Unknown:
    """Returns the name of the bus that a template gives, as a name, as an ARN, or as one of its resources."""
    if value is None:
        return "default"
    reference = find_reference(value)
    if reference is not None and template.type_of(reference) == BUS:
        name = template.resolver.resolve(template.properties_of(reference).get("Name"))
    else:
        name = template.resolver.resolve(value)
    if isinstance(name, str):
        return bus_of_arn(name)
    known_name = _find_last_part(value)
    if known_name:
        return known_name
    if isinstance(name, Unknown):
        return name
    return Unknown(shorten(str(value)))


def _find_last_part(value: Any) -> str | None:
    """Returns the name at the end of an ARN whose region and account are variables; None if it has a variable, too."""
    match value:
        case {"Fn::Sub": str(text)} if text.startswith("arn:"):
            name = text.rpartition("event-bus/")[2]
        case {"Fn::Join": ["/", [{"Fn::Sub": str(start)}, str(name)]]} if start.startswith("arn:"):
            pass
        case {"Fn::Join": ["", [*parts]]} if parts and str(parts[0]).startswith("arn:") and isinstance(parts[-1], str):
            name = ""
            if "event-bus/" in parts[-1]:
                name = parts[-1].rpartition("event-bus/")[2]
        case _:
            return None
    if name and re.fullmatch(r"[\w./-]+", name):
        return name
    return None


def read_target(template: Template, target: Mapping[str, Any], path: Path) -> Target:
    """Returns a target of a rule. Its name is that of the resource that its ARN refers to, else its Id."""
    arn, target_id = target.get("Arn"), target.get("Id")
    reference = _find_function(template, find_reference(arn))
    resolved = template.resolver.resolve(arn)
    if isinstance(resolved, str):
        address = resolved
    elif is_function(arn):
        address = format_function(arn)
    else:
        address = str(arn)
    if reference is not None and reference in template.resources:
        name, address = reference, f"!GetAtt {reference}.Arn"
    else:
        name = name_of_arn(address, as_text(target_id))
    function = None
    if reference == name:
        function = _read_function(template, name)
    return Target(name, address, path, _read_input(template, target), path, function, _read_retry(template, target))


def _read_function(template: Template, name: str) -> Function | None:
    """Returns the function of a SAM template with this logical id."""
    if template.type_of(name) != SAM_FUNCTION:
        return None
    return read_sam_function(name, template.properties_of(name), template.function_defaults, template.resolver)


def _find_function(template: Template, reference: str | None) -> str | None:
    """Returns the function of the template that an alias or a version refers to, else the reference itself."""
    if reference is not None and template.type_of(reference) in LAMBDA_QUALIFIERS:
        function = find_reference(template.properties_of(reference).get("FunctionName"))
        if function in template.resources:
            return function
        return reference
    return reference


def _read_input(template: Template, target: Mapping[str, Any]) -> dict[str, Any] | None:
    """Returns the input of a target in the form of routes.yaml; None if it is the event itself, or not known."""
    match template.resolver.resolve({key: target.get(key) for key in ("Input", "InputPath", "InputTransformer")}):
        case {"Input": str(text)}:
            return build_constant(text)
        case {"InputPath": str(path)}:
            return {"path": path}
        case {"InputTransformer": {"InputTemplate": str(text), **others}}:
            return read_transformer(others.get("InputPathsMap") or {}, text)
    return None


def _read_retry(template: Template, target: Mapping[str, Any]) -> dict[str, Any] | None:
    policy = as_mapping(template.resolver.resolve(target.get("RetryPolicy")))
    return read_retry(policy.get("MaximumRetryAttempts"), policy.get("MaximumEventAgeInSeconds"))


def describe_schedule(expression: Any) -> str:
    """Returns the note on a rule with a schedule."""
    note = "runs on a schedule, not for events"
    if is_function(expression):
        return f"{note}: {format_function(expression)}"
    if isinstance(expression, str) and expression:
        return f"{note}: {expression}"
    return note


FORM = Form("a CloudFormation or SAM template", recognizes, read_rules)
