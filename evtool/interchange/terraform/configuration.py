"""Terraform configurations: `.tf` and `.tf.json` files, alone or all files of a folder."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from evtool.errors import EvtoolError
from evtool.interchange.base import Form, Rule, Source, as_mapping
from evtool.interchange.terraform.rules import Resource, join_rules
from evtool.interchange.texts.hcl import parse_expression

BLOCKS = {"resource", "module", "provider", "variable", "terraform", "data", "locals", "output"}


def recognizes(value: Any) -> bool:
    """Whether a document is a configuration."""
    return isinstance(value, Mapping) and bool(value) and value.keys() <= BLOCKS | {"//", "import", "moved", "check"}


def read_rules(source: Source) -> Iterator[Rule]:
    """The rules of a file."""
    return join_rules(list_resources(source.document.value))


def list_resources(value: Any) -> Iterator[Resource]:
    """The resources of a file."""
    for kind, resources in as_mapping(as_mapping(value).get("resource")).items():
        for label, body in as_mapping(resources).items():
            is_list = isinstance(body, list)  # as some programs write JSON
            attributes = _parse_pattern(as_mapping(body[0] if is_list and body else body))
            path = ("resource", kind, label)
            yield Resource(str(kind), str(label), attributes, path, (*path, 0) if is_list else path)


def _parse_pattern(attributes: Mapping[str, Any]) -> Mapping[str, Any]:
    """The attributes; JSON files have `jsonencode` in a string: `"${jsonencode({source = [\"shop\"]})}"`."""
    pattern = attributes.get("event_pattern")
    if not isinstance(pattern, str) or not re.fullmatch(r"\$\{jsonencode\(.*\)\}", pattern, re.DOTALL):
        return attributes
    try:
        return {**attributes, "event_pattern": parse_expression(pattern[2:-1])}
    except EvtoolError:
        return attributes


FORM = Form("a Terraform configuration", recognizes, read_rules)
