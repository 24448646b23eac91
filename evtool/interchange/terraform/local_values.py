"""Local values of Terraform configurations: `local.source` is what `locals` says, as far as that is written there."""

import re
from collections.abc import Iterable
from typing import Any

from evtool.interchange.base import as_list, as_mapping
from evtool.interchange.substitution import Steps, Substitution

_REFERENCE = re.compile(r"(?<!\$)\$\{\s*local((?:\.[A-Za-z_][\w-]*|\[\d+\]|\[\"[^\"\\$%]*\"\])+)\s*\}")
_STEP = re.compile(r"\.([A-Za-z_][\w-]*)|\[(\d+)\]|\[\"([^\"]*)\"\]")


def find_local_values(documents: Iterable[Any]) -> Substitution:
    """The local values of the files of a module."""
    expressions: dict[str, Any] = {}
    for document in documents:
        blocks = as_mapping(document).get("locals")
        for block in as_list(blocks) or [blocks]:
            expressions.update(as_mapping(block))
    return Substitution(expressions, _REFERENCE, _read_steps)


def _read_steps(match: re.Match[str]) -> Steps:
    return Steps(["".join(step) for step in _STEP.findall(match[1])])
