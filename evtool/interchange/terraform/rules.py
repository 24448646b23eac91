"""Joins the rules and targets that Terraform describes, whatever the file: a configuration, a plan or a state."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from evtool.interchange.base import (
    Path,
    Rule,
    Target,
    as_list,
    build_constant,
    get_block,
    read_retry,
    read_state,
    read_transformer,
)
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
        name = self.label
        if self.instance is not None:
            name = f"{name}-{self.instance}"
        module = self.module.removeprefix("module.").replace(".module.", ".")
        if module:
            return f"{module}.{name}"
        return name


def join_rules(resources: Iterable[Resource], own: Iterable[Resource] | None = None) -> Iterator[Rule]:
    """Yields the rules among some resources, each with its targets. With `own` only the rules of these."""
    everything = list(resources)
    if own is None:
        own = everything
    for rule in own:
        if rule.type != RULE:
            continue
        targets: list[Target] = []
        for resource in everything:
            if resource.type == TARGET and _is_target_of(resource, rule):
                targets.append(_read_target(resource))
        yield _build_rule(rule, targets, everything)


def _is_target_of(target: Resource, rule: Resource) -> bool:
    if target.module != rule.module:
        return False
    name = target.attributes.get("rule")
    if isinstance(name, str) and not EXPRESSION.search(name):
        return name in (rule.attributes.get("name"), rule.attributes.get("id"))
    reference = find_reference([name] + list(target.references.get("rule", ())))
    is_same_instance = rule.instance is None or target.instance is None or rule.instance == target.instance
    return reference == Reference(RULE, rule.label) and is_same_instance


def _build_rule(rule: Resource, targets: list[Target], resources: Sequence[Resource]) -> Rule:
    attributes = rule.attributes
    pattern, schedule = attributes.get("event_pattern"), attributes.get("schedule_expression")
    # A plan has "" for what the configuration leaves out.
    if pattern == "":
        pattern = None
    schedule_note = None
    if pattern is None and schedule not in (None, ""):
        schedule_note = f"runs on a schedule, not for events: {format_expression(str(schedule))}"
    return Rule(
        _find_name(rule),
        rule.path,
        resolve_pattern(pattern),
        targets,
        _read_bus(rule, resources),
        _read_literal(attributes.get("description")) or "",
        read_state(resolve(attributes.get("state", attributes.get("is_enabled")))),
        schedule_note,
        {
            "pattern": rule.attributes_path + ("event_pattern",),
            "bus": rule.attributes_path + ("event_bus_name",),
            "state": rule.attributes_path + ("state",),
        },
    )


def _find_name(rule: Resource) -> str:
    # The name of an exported rule may have characters that a label cannot have.
    name = rule.attributes.get("name")
    if isinstance(name, str) and name != make_label(name) == rule.name:
        return name
    return rule.name


def _read_literal(value: Any) -> str | None:
    """Returns the text of a string without expressions; None for anything else."""
    if isinstance(value, str) and not EXPRESSION.search(value):
        return unescape(value)
    return None


def _read_bus(rule: Resource, resources: Sequence[Resource]) -> str | Unknown:
    value = rule.attributes.get("event_bus_name")
    if value is None:
        return "default"
    if isinstance(value, Unknown):
        return value
    reference = find_reference([value])
    for bus in resources:
        if bus.type == BUS and bus.module == rule.module and reference == Reference(BUS, bus.label):
            value = bus.attributes.get("name")
            break
    name = resolve(value)
    if isinstance(name, str):
        return bus_of_arn(name)
    if isinstance(name, Unknown):
        return name
    return Unknown(str(rule.attributes["event_bus_name"]))


def _read_target(target: Resource) -> Target:
    """Returns a target.

    Its name is that of the resource or module that its ARN refers to, else its id, else its label.
    """
    arn, target_id = target.attributes.get("arn"), target.attributes.get("target_id")
    known_id = None
    if isinstance(target_id, str) and not EXPRESSION.search(target_id):
        known_id = target_id
    if isinstance(arn, str) and not EXPRESSION.search(arn):
        name = name_of_arn(arn, known_id)
        return Target(name, arn, target.path, _read_input(target), target.path, retry=_read_retry(target))
    texts = [arn] + list(target.references.get("arn", ()))
    reference = find_reference(texts)
    address = _find_address(texts) or f"{TARGET}.{target.label}"
    if target.module:
        # The same expression is another resource in another module.
        address = f"{target.module}.{address}"
    if reference:
        name = reference.name
    elif known_id:
        name = name_of_arn("", known_id)
    else:
        name = target.label
    return Target(name, address, target.path, _read_input(target), target.path, retry=_read_retry(target))


def _find_address(texts: Sequence[Any]) -> str | None:
    """Returns the first expression among the ARN and what the configuration has for it."""
    for text in texts:
        if isinstance(text, str):
            return format_expression(text)
    return None


def _read_retry(target: Resource) -> dict[str, Any] | None:
    policy = get_block(as_list(target.attributes.get("retry_policy")))
    return read_retry(policy.get("maximum_retry_attempts"), policy.get("maximum_event_age_in_seconds"))


def _read_input(target: Resource) -> dict[str, Any] | None:
    """Returns the input of a target in the form of routes.yaml; None if it is the event itself, or not known."""
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
    transformer = get_block(as_list(target.attributes.get("input_transformer")))
    paths, template = resolve(transformer.get("input_paths") or {}), resolve(transformer.get("input_template"))
    return read_transformer(paths, template)
