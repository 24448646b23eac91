"""Terraform configurations: `.tf` and `.tf.json` files, alone or all files of a folder."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from evtool.errors import EvtoolError
from evtool.interchange.base import Form, Path, Rule, Source, as_mapping, get_block
from evtool.interchange.terraform.named_values import find_named_values
from evtool.interchange.terraform.rules import BUS, RULE, TARGET, Resource, join_rules
from evtool.interchange.texts.hcl import parse_expression
from evtool.interchange.texts.substitution import Substitution

BLOCKS = {"resource", "module", "provider", "variable", "terraform", "data", "locals", "output"}
BLOCKS |= {"moved", "import", "removed", "check", "ephemeral"}

RELEVANT_TYPES = (RULE, TARGET, BUS)
_NOT_FOLLOWED = "is not followed: if it has rules, they are in the output of `terraform show -json`"


def recognizes(value: Any) -> bool:
    """Returns whether a document is a configuration."""
    return isinstance(value, Mapping) and bool(value) and value.keys() <= BLOCKS | {"//"}


def read_rules(source: Source) -> Iterator[Rule]:
    """Yields the rules of a file."""
    value = source.document.value
    yield from join_rules(list_resources(value, find_named_values([value], {})))
    for label, body in as_mapping(as_mapping(value).get("module")).items():
        yield note_module(label, body)


def note_module(label: str, body: Any) -> Rule:
    """Returns a note on a module that is called and not read."""
    return Rule(f"module {label}", ("module", label), note=_NOT_FOLLOWED, is_gap="event_pattern" in str(body))


def list_resources(value: Any, named_values: Substitution, module: str = "") -> Iterator[Resource]:
    """Yields the resources of a file, with the named values of its module. `module` is the address of the module."""
    for kind, resources in as_mapping(as_mapping(value).get("resource")).items():
        for label, body in as_mapping(resources).items():
            attributes = get_block(body)
            if kind in RELEVANT_TYPES:
                attributes = named_values.substitute(_parse_pattern(attributes))
            path: Path = ("resource", kind, label)
            # Some programs write JSON with each body in a list.
            attributes_path = path
            if isinstance(body, list):
                attributes_path = path + (0,)
            yield Resource(str(kind), str(label), attributes, path, attributes_path, module)


def _parse_pattern(attributes: Mapping[str, Any]) -> Mapping[str, Any]:
    """Returns the attributes; JSON files have `jsonencode` in a string: `"${jsonencode({source = [\"shop\"]})}"`."""
    pattern = attributes.get("event_pattern")
    if not isinstance(pattern, str) or not re.fullmatch(r"\$\{jsonencode\(.*\)\}", pattern, re.DOTALL):
        return attributes
    try:
        return {**attributes, "event_pattern": parse_expression(pattern[2:-1])}
    except EvtoolError:
        return attributes


FORM = Form("a Terraform configuration", recognizes, read_rules)
