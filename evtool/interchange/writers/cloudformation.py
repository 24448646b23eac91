"""Writes rules as CloudFormation and SAM templates in YAML."""

import re
from collections.abc import Container, Sequence
from typing import Any, NamedTuple

from evtool.interchange.base import EVENT_ROUTES_METADATA, ROUTE_METADATA
from evtool.interchange.writers.base import ExportedRule, ExportedTarget, Writer
from evtool.interchange.writers.yaml_text import dump_yaml
from evtool.units import parse_duration

VERSION = "2010-09-09"
TRANSFORM = "AWS::Serverless-2016-10-31"
# Characters, with room for a suffix. CloudFormation allows 255.
MAX_LOGICAL_ID = 200
_FUNCTION_ARN = re.compile(r"arn:[^:]*:lambda:.*")
# AWS's names of runtimes by evtool's own names, which have no version.
_RUNTIMES = {"python": "python3.13", "node": "nodejs22.x", "ruby": "ruby3.4", "java": "java21"}
_CUSTOM_RUNTIME = "provided.al2023"


# What an event of type EventBridgeRule can have of a target.
_EVENT_FIELDS = {"Input", "InputPath", "InputTransformer", "RetryPolicy"}


class _Template(NamedTuple):
    """A template that grows, and what is already in it by the name of the handler: the expression for its ARN."""

    parameters: dict[str, Any]
    resources: dict[str, Any]
    arns: dict[str, Any]
    has_functions: bool


def write_cloudformation(rules: Sequence[ExportedRule]) -> str:
    """Returns the rules as a CloudFormation template; ARNs that are not known are parameters."""
    return dump_yaml({"AWSTemplateFormatVersion": VERSION, **_build(rules, has_functions=False)})


def write_sam(rules: Sequence[ExportedRule]) -> str:
    """The same with a function for each handler that is a Lambda function.

    A rule whose only target is such a function is an event of the function: SAM adds the permission to call it.
    """
    built = _build(rules, has_functions=True)
    return dump_yaml({"AWSTemplateFormatVersion": VERSION, "Transform": TRANSFORM, **built})


def _build(rules: Sequence[ExportedRule], *, has_functions: bool) -> dict[str, Any]:
    template = _Template({}, {}, {}, has_functions)
    for rule in rules:
        _add_rule(template, rule)
    if template.parameters:
        parameters = {"Parameters": template.parameters}
    else:
        parameters = {}
    return {**parameters, "Resources": template.resources}


def _is_function(template: _Template, target: ExportedTarget) -> bool:
    return template.has_functions and target.arn is None and "lambda" in target.options


def _is_event(template: _Template, rule: ExportedRule) -> bool:
    """Returns whether a rule can be an event of a function. Such an event has no description."""
    if len(rule.targets) != 1 or rule.description:
        return False
    return _is_function(template, rule.targets[0]) and rule.target_fields.keys() <= _EVENT_FIELDS


def _add_event(template: _Template, rule: ExportedRule) -> None:
    (target,) = rule.targets
    function = template.resources[_find_arn(template, target)["Fn::GetAtt"][0]]
    events = function["Properties"].setdefault("Events", {})
    name = _make_logical_id(rule.name, events)
    properties = {
        "RuleName": rule.name,
        "EventBusName": rule.bus,
        "Pattern": rule.pattern,
        "State": rule.state,
        **rule.target_fields,
    }
    events[name] = {"Type": "EventBridgeRule", "Properties": properties}
    function.setdefault("Metadata", {}).setdefault(EVENT_ROUTES_METADATA, {})[name] = rule.name


def _add_rule(template: _Template, rule: ExportedRule) -> None:
    if _is_event(template, rule):
        _add_event(template, rule)
        return
    arns = [_find_arn(template, target) for target in rule.targets]
    logical_id = _make_logical_id(rule.name, template.resources)
    properties: dict[str, Any] = {"Name": rule.name}
    if rule.description:
        properties["Description"] = rule.description
    properties |= {
        "EventBusName": rule.bus,
        "EventPattern": rule.pattern,
        "State": rule.state,
    }
    if rule.targets:
        properties["Targets"] = []
    for target, arn in zip(rule.targets, arns, strict=True):
        properties["Targets"].append({"Id": target.name, "Arn": arn, **rule.target_fields})
    template.resources[logical_id] = {
        "Type": "AWS::Events::Rule",
        "Metadata": {ROUTE_METADATA: rule.name},
        "Properties": properties,
    }
    for target, arn in zip(rule.targets, arns, strict=True):
        if (isinstance(arn, dict) and "Fn::GetAtt" in arn) or (isinstance(arn, str) and _FUNCTION_ARN.fullmatch(arn)):
            name = _make_logical_id(f"{logical_id}-{target.name}-permission", template.resources)
            template.resources[name] = _build_permission(logical_id, arn)


def _build_permission(rule: str, function: Any) -> dict[str, Any]:
    """Builds the permission of a rule to call a function."""
    properties = {
        "Action": "lambda:InvokeFunction",
        "FunctionName": function,
        "Principal": "events.amazonaws.com",
        "SourceArn": {"Fn::GetAtt": [rule, "Arn"]},
    }
    return {"Type": "AWS::Lambda::Permission", "Properties": properties}


def _find_arn(template: _Template, target: ExportedTarget) -> Any:
    """Returns the ARN of a target: a literal, that of a function of the template, or a parameter."""
    if target.arn is not None:
        return target.arn
    if target.name not in template.arns:
        if _is_function(template, target):
            name = _make_logical_id(target.name, template.resources)
            template.resources[name] = _build_function(target)
            template.arns[target.name] = {"Fn::GetAtt": [name, "Arn"]}
        else:
            name = _make_logical_id(f"{target.name}-arn", template.parameters)
            template.parameters[name] = {"Type": "String", "Description": f"The ARN of the target {target.name}"}
            template.arns[target.name] = {"Ref": name}
    return template.arns[target.name]


def _build_function(target: ExportedTarget) -> dict[str, Any]:
    options = target.options
    properties: dict[str, Any] = {
        "CodeUri": options["lambda"],
        "Handler": options.get("handler", "bootstrap"),
        "Runtime": _name_runtime(options.get("runtime")),
    }
    if "timeout" in options:
        properties["Timeout"] = max(1, round(parse_duration(options["timeout"])))
    if "memory_size" in options:
        properties["MemorySize"] = options["memory_size"]
    environment = options.get("environment") or {}
    # A value such as ${TOKEN} comes from the environment of evtool. It may be a secret.
    variables = {key: text for key, text in environment.items() if "${" not in str(text)}
    if variables:
        properties["Environment"] = {"Variables": variables}
    return {"Type": "AWS::Serverless::Function", "Properties": properties}


def _name_runtime(runtime: str | None) -> str:
    """AWS's name of a runtime, which has a version; evtool's names need none."""
    if runtime and "." in runtime:
        return runtime
    return _RUNTIMES.get(str(runtime), _CUSTOM_RUNTIME)


def _make_logical_id(name: str, taken: Container[str]) -> str:
    """Returns a logical id, which has letters and digits only: `pay-for-order` becomes `PayForOrder`."""
    words = re.split(r"[^A-Za-z0-9]+", name)
    first = candidate = "".join(word[:1].upper() + word[1:] for word in words)[:MAX_LOGICAL_ID] or "Rule"
    number = 1
    while candidate in taken:
        number += 1
        candidate = f"{first}{number}"
    return candidate


CLOUDFORMATION = Writer("a CloudFormation template", write_cloudformation)
SAM = Writer("a SAM template", write_sam)
