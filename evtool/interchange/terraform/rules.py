"""Joins the rules and targets that Terraform describes, whatever the file: a configuration, a plan or a state."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from evtool.interchange.base import Path, Rule, Target, as_list, as_mapping, build_constant, read_retry, read_state
from evtool.interchange.names import bus_of_arn, make_label, name_of_arn
from evtool.interchange.terraform.expressions import (
    EXPRESSION,
    Reference,
    find_reference,
    format_expression,
    resolve,
    resolve_pattern,
    unescape,
)
from evtool.patterns.unknown import Unknown, find_unknown

RULE = "aws_cloudwatch_event_rule"
TARGET = "aws_cloudwatch_event_target"
BUS = "aws_cloudwatch_event_bus"
KNOWN_AFTER_APPLY = Unknown("(known after apply)")


class Resource(NamedTuple):
    """A resource: its module (`""` is the root), label and instance, its attributes, and where the source has them.

    `references` has for an attribute whose value is not known the expressions of the configuration.
    """

    type: str
    label: str
    attributes: Mapping[str, Any]
    path: Path
    attributes_path: Path
    module: str = ""
    instance: str | int | None = None
    references: Mapping[str, Sequence[str]] = {}

    @property
    def name(self) -> str:
        """The label with the module before it and the instance behind it."""
        module = self.module.removeprefix("module.").replace(".module.", ".")
        return f"{module}." * bool(module) + self.label + ("" if self.instance is None else f"-{self.instance}")


def join_rules(resources: Iterable[Resource], own: Iterable[Resource] | None = None) -> Iterator[Rule]:
    """The rules among some resources, each with its targets. With `own` only the rules of these."""
    everything = list(resources)
    targets = [resource for resource in everything if resource.type == TARGET]
    for rule in everything if own is None else own:
        if rule.type == RULE:
            rule_targets = [_read_target(target) for target in targets if _is_target_of(target, rule)]
            yield _build_rule(rule, rule_targets, everything)


def _is_target_of(target: Resource, rule: Resource) -> bool:
    if target.module != rule.module:
        return False
    name = target.attributes.get("rule")
    if isinstance(name, str) and not EXPRESSION.search(name):
        return name in (rule.attributes.get("name"), rule.attributes.get("id"))
    reference = find_reference([name, *target.references.get("rule", ())])
    is_same_instance = rule.instance is None or target.instance is None or rule.instance == target.instance
    return reference == Reference(RULE, rule.label) and is_same_instance


def _build_rule(rule: Resource, targets: list[Target], resources: Sequence[Resource]) -> Rule:
    attributes = rule.attributes
    pattern, schedule = attributes.get("event_pattern"), attributes.get("schedule_expression")
    description = attributes.get("description")
    is_schedule = pattern in (None, "") and schedule not in (None, "")
    name = attributes.get("name")
    # an exported rule: its label has what the name may have and a label may not
    is_exported = isinstance(name, str) and name != make_label(name) == rule.name
    return Rule(
        str(name) if is_exported else rule.name,
        rule.path,
        None if pattern == "" else resolve_pattern(pattern),
        targets,
        _read_bus(rule, resources),
        unescape(description) if isinstance(description, str) and not EXPRESSION.search(description) else "",
        read_state(resolve(attributes.get("state", attributes.get("is_enabled")))),
        f"runs on a schedule, not for events: {format_expression(str(schedule))}" if is_schedule else None,
        {
            "pattern": rule.attributes_path + ("event_pattern",),
            "bus": rule.attributes_path + ("event_bus_name",),
            "state": rule.attributes_path + ("state",),
        },
    )


def _read_bus(rule: Resource, resources: Sequence[Resource]) -> str | Unknown:
    value = rule.attributes.get("event_bus_name")
    if value is None:
        return "default"
    if isinstance(value, Unknown):
        return value
    reference = find_reference([value])
    buses = [
        item
        for item in resources
        if item.type == BUS and item.module == rule.module and reference == Reference(BUS, item.label)
    ]
    name = resolve(buses[0].attributes.get("name") if buses else value)
    if isinstance(name, str):
        return bus_of_arn(name)
    if isinstance(name, Unknown):
        return name
    return Unknown(str(value))


def _read_target(target: Resource) -> Target:
    """A target; its name is that of the resource or module that its ARN refers to, else its id, else its label."""
    arn, target_id = target.attributes.get("arn"), target.attributes.get("target_id")
    known_id = None
    if isinstance(target_id, str) and not EXPRESSION.search(target_id):
        known_id = target_id
    if isinstance(arn, str) and not EXPRESSION.search(arn):
        name = name_of_arn(arn, known_id)
        return Target(name, arn, target.path, _read_input(target), target.path, retry=_read_retry(target))
    texts = [arn, *target.references.get("arn", ())]
    reference = find_reference(texts)
    address = next((format_expression(text) for text in texts if isinstance(text, str)), f"{TARGET}.{target.label}")
    if target.module:
        address = f"{target.module}.{address}"  # the same expression is another resource in another module
    if reference:
        name = reference.name
    elif known_id:
        name = name_of_arn("", known_id)
    else:
        name = target.label
    return Target(name, address, target.path, _read_input(target), target.path, retry=_read_retry(target))


def _read_retry(target: Resource) -> dict[str, Any] | None:
    policy = as_mapping((as_list(target.attributes.get("retry_policy")) or [None])[0])
    return read_retry(policy.get("maximum_retry_attempts"), policy.get("maximum_event_age_in_seconds"))


def _read_input(target: Resource) -> dict[str, Any] | None:
    """The input of a target in the form of routes.yaml; None if it is the event itself, or not known."""
    constant, path = target.attributes.get("input"), target.attributes.get("input_path")
    if isinstance(constant, str) and constant and not EXPRESSION.search(constant):
        return build_constant(unescape(constant))
    if isinstance(constant, dict | list):
        known = resolve(constant)
        if find_unknown(known):
            return None
        return build_constant(json.dumps(known, ensure_ascii=False))
    if isinstance(path, str) and path and not EXPRESSION.search(path):
        return {"path": unescape(path)}
    transformer = as_mapping((as_list(target.attributes.get("input_transformer")) or [None])[0])
    template, paths = resolve(transformer.get("input_template")), resolve(transformer.get("input_paths") or {})
    if isinstance(template, str) and isinstance(paths, dict) and all(isinstance(item, str) for item in paths.values()):
        return {"paths": paths, "template": template}
    return None
