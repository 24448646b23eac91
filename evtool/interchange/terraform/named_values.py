"""Named values of Terraform modules, `local.source` and `var.source`, as far as the configuration decides them."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from evtool.interchange.base import as_list, as_mapping
from evtool.interchange.texts.substitution import Steps, Substitution

_REFERENCE = re.compile(r"(?<!\$)\$\{\s*(local|var)((?:\.[A-Za-z_][\w-]*|\[\d+\]|\[\"[^\"\\$%]*\"\])+)\s*\}")
_STEP = re.compile(r"\.([A-Za-z_][\w-]*)|\[(\d+)\]|\[\"([^\"]*)\"\]")


def find_named_values(documents: Iterable[Any], variables: Mapping[str, Any]) -> Substitution:
    """Returns the local values in the files of a module, and its variables, as far as they are known."""
    expressions: dict[str, Any] = {}
    for document in documents:
        blocks = as_mapping(document).get("locals")
        for block in as_list(blocks) or [blocks]:
            expressions.update(as_mapping(block))
    return Substitution({"local": expressions, "var": variables}, _REFERENCE, _read_steps)


def _read_steps(match: re.Match[str]) -> Steps:
    # Each step has three groups, two of which are empty.
    return Steps([match[1]] + list(map("".join, _STEP.findall(match[2]))))
