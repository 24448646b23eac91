"""Writes rules as a Terraform configuration."""

import json
import re
from collections.abc import Container, Iterator, Mapping, Sequence
from typing import Any

from evtool.interchange.names import make_label
from evtool.interchange.terraform.rules import RULE, TARGET
from evtool.interchange.writers.base import ExportedRule, ExportedTarget, Writer

_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def write(rules: Sequence[ExportedRule]) -> str:
    """Returns the rules in the syntax of `.tf` files; ARNs that are not known are variables."""
    # The names of variables by the names of handlers: a handler with several routes has one.
    variables: dict[str, str] = {}
    labels: set[str] = set()
    blocks: list[str] = []
    for rule in rules:
        label = _find_free(make_label(rule.name), labels)
        labels.add(label)
        blocks.append(_format_block(f'resource "{RULE}" "{label}"', list(_list_rule(rule))))
        for target in rule.targets:
            if target.arn:
                arn = json.dumps(target.arn)
            else:
                arn = f"var.{_find_variable(target, variables)}"
            lines = [
                f"rule = {RULE}.{label}.name",
                f"event_bus_name = {RULE}.{label}.event_bus_name",
                f"target_id = {_format(target.name)}",
                f"arn = {arn}",
            ]
            lines += _list_fields(rule.target_fields)
            target_label = _find_free(make_label(f"{label}-{target.name}"), labels)
            labels.add(target_label)
            blocks.append(_format_block(f'resource "{TARGET}" "{target_label}"', lines))
    declared: list[str] = []
    for name, variable in variables.items():
        lines = ["type = string", f"description = {_format(f'The ARN of {name}')}"]
        declared.append(_format_block(f'variable "{variable}"', lines))
    return "\n".join(declared + blocks)


def _list_rule(rule: ExportedRule) -> Iterator[str]:
    yield f"name = {_format(rule.name)}"
    if rule.description:
        yield f"description = {_format(rule.description)}"
    yield f"event_bus_name = {_format(rule.bus)}"
    yield f'state = "{rule.state}"'
    yield f"event_pattern = jsonencode({_format(rule.pattern, 1)})"


def _list_fields(fields: Mapping[str, Any]) -> Iterator[str]:
    """Yields the arguments of a target besides its id and its ARN."""
    if "InputPath" in fields:
        yield f"input_path = {_format(fields['InputPath'])}"
    transformer = fields.get("InputTransformer")
    if transformer:
        paths = transformer.get("InputPathsMap")
        if paths:
            lines = [f"    input_paths = {_format(paths, 2)}\n"]
        else:
            lines = []
        lines.append(f"    input_template = {_format(transformer['InputTemplate'])}\n")
        yield f"input_transformer {{\n{''.join(lines)}  }}"
    policy = fields.get("RetryPolicy")
    if policy:
        names = {
            "MaximumRetryAttempts": "maximum_retry_attempts",
            "MaximumEventAgeInSeconds": "maximum_event_age_in_seconds",
        }
        lines = [f"    {names[key]} = {number}\n" for key, number in policy.items()]
        yield f"retry_policy {{\n{''.join(lines)}  }}"


def _format_block(head: str, lines: Sequence[str]) -> str:
    return f"{head} {{\n" + "".join(f"  {line}\n" for line in lines) + "}\n"


def _format(value: Any, depth: int = 0) -> str:
    """Returns a JSON value in Terraform's language."""
    if isinstance(value, str):
        # In a string, ${ and %{ begin an expression.
        return json.dumps(value, ensure_ascii=False).replace("${", "$${").replace("%{", "%%{")
    if isinstance(value, Mapping):
        if not value:
            return "{}"
        indent = "  " * (depth + 1)
        text = "{\n"
        for key, item in value.items():
            text += f"{indent}{_format_key(key)} = {_format(item, depth + 1)}\n"
        return text + "  " * depth + "}"
    if isinstance(value, list):
        return f"[{', '.join(_format(item, depth) for item in value)}]"
    return json.dumps(value)


def _format_key(key: str) -> str:
    if _KEY.fullmatch(key):
        return key
    return _format(key)


def _find_variable(target: ExportedTarget, variables: dict[str, str]) -> str:
    if target.name not in variables:
        name = make_label(f"{target.name}_arn".replace("-", "_"))
        variables[target.name] = _find_free(name, set(variables.values()))
    return variables[target.name]


def _find_free(name: str, taken: Container[str]) -> str:
    number, candidate = 1, name
    while candidate in taken:
        number += 1
        candidate = f"{name}-{number}"
    return candidate


WRITER = Writer("a Terraform configuration", write)
