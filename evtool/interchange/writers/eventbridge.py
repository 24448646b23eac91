"""Writes rules as `aws events list-rules` prints them, each with its targets as `list-targets-by-rule` prints them."""

import json
from collections.abc import Sequence
from typing import Any

from evtool.interchange.writers.base import ExportedRule, ExportedTarget, Writer

REGION, ACCOUNT = "us-east-1", "123456789012"  # in the ARN of a target that is not known


def write(rules: Sequence[ExportedRule]) -> str:
    """Returns the rules as one JSON document."""
    return json.dumps({"Rules": [_build_rule(rule) for rule in rules]}, indent=4, ensure_ascii=False) + "\n"


def _build_rule(rule: ExportedRule) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "Name": rule.name,
        "EventPattern": json.dumps(rule.pattern, ensure_ascii=False),
        "State": rule.state,
    }
    if rule.description:
        entry["Description"] = rule.description
    targets = [{"Id": target.name, "Arn": _name_arn(target), **rule.target_fields} for target in rule.targets]
    return {**entry, "EventBusName": rule.bus, "Targets": targets}


def _name_arn(target: ExportedTarget) -> str:
    """Returns the ARN of a target, or one to replace: that of a function with the name of the handler."""
    return target.arn or f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{target.name}"


WRITER = Writer("the JSON of `aws events list-rules`", write)
