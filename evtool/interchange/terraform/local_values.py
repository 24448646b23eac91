"""Local values of Terraform configurations: `local.source` is what `locals` says, as far as that is written there.

What a local value refers to may be a local value, too. All other references stay as they are, and so does what a local
value would repeat too often.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from evtool.interchange.base import as_list, as_mapping

_REFERENCE = re.compile(r"\$\{\s*local\.([A-Za-z_][\w-]*)((?:\.[A-Za-z_][\w-]*|\[\d+\]|\[\"[^\"\\$%]*\"\])*)\s*\}")
_ESCAPED_REFERENCE = re.compile(r"\$\$\{")
_STEP = re.compile(r"\.([A-Za-z_][\w-]*)|\[(\d+)\]|\[\"([^\"]*)\"\]")
_UNRESOLVED = object()
MAX_SIZE = 10_000  # values in a local value, with those that references repeat


class LocalValues:
    """The local values of the files of a module."""

    def __init__(self, documents: Iterable[Any]):
        self._expressions: dict[str, Any] = {}
        for document in documents:
            blocks = as_mapping(document).get("locals")
            for block in as_list(blocks) or [blocks]:
                self._expressions.update(as_mapping(block))
        self._values: dict[str, Any] = {}  # of the names that were asked for

    def substitute(self, value: Any) -> Any:
        """The value with local values in the place of references to them."""
        if isinstance(value, str):
            return self._substitute_text(value) if "local." in value else value
        if isinstance(value, Mapping):
            return {key: self.substitute(item) for key, item in value.items()}
        return [self.substitute(item) for item in value] if isinstance(value, list) else value

    def _substitute_text(self, text: str) -> Any:
        if match := _REFERENCE.fullmatch(text):
            value = self._find(match)
            return text if value is _UNRESOLVED else value
        return text if _ESCAPED_REFERENCE.search(text) else _REFERENCE.sub(self._interpolate, text)

    def _interpolate(self, match: re.Match[str]) -> str:
        value = self._find(match)
        if isinstance(value, bool):
            return str(value).lower()
        return str(value) if isinstance(value, str | int) else match[0]

    def _find(self, match: re.Match[str]) -> Any:
        """What a reference leads to; unresolved if nothing is there, or the way leads through an expression."""
        value = self._get(match[1])
        for name, index, key in _STEP.findall(match[2]):
            if isinstance(value, list) and index and int(index) < len(value):
                value = value[int(index)]
            elif isinstance(value, Mapping) and (name or key) in value:
                value = value[name or key]
            else:
                return _UNRESOLVED
        return value

    def _get(self, name: str) -> Any:
        if name not in self._expressions:
            return _UNRESOLVED
        if name not in self._values:
            self._values[name] = _UNRESOLVED  # for a value that refers to itself
            value = self.substitute(self._expressions[name])
            self._values[name] = value if _count_values(value) <= MAX_SIZE else _UNRESOLVED
        return self._values[name]


def _count_values(value: Any) -> int:
    if isinstance(value, Mapping):
        return 1 + sum(map(_count_values, value.values()))
    if isinstance(value, list):
        return 1 + sum(map(_count_values, value))
    return 1 + len(value) // 100 if isinstance(value, str) else 1
