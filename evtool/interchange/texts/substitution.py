"""Puts values in the place of references to them, in sources whose variables lead to other parts of the same source.

A reference that is the whole of a string becomes the value itself, also a list or a mapping. In a longer string, it
becomes the text of the value: with `{"shop": "checkout"}`, `${local.shop}.test` is `checkout.test`. What a reference
leads to may have references, too. References that lead nowhere, to themselves or to a value of too many parts stay.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

MAX_SIZE = 10_000  # parts of a value, with those that references repeat
MAX_NESTING = 10  # references whose text has references
_OPEN = object()  # the value of a reference that stays
_MISSING = object()


class Steps(NamedTuple):
    """The keys of a reference, and its value if they do not exist."""

    keys: Sequence[str]
    default: Any = _MISSING


class Substitution:
    """The references of one source: `reference` matches one, and `read_steps` reads a match, or None if it stays."""

    def __init__(self, root: Any, reference: re.Pattern[str], read_steps: Callable[[re.Match[str]], Steps | None]):
        self._root, self._reference, self._read_steps = root, reference, read_steps
        self._values: dict[str, Any] = {}  # of the references so far

    def substitute(self, value: Any) -> Any:
        """Returns the value with other values in the place of its references."""
        if isinstance(value, str):
            if "${" in value:
                return self._substitute_text(value)
            return value
        if isinstance(value, Mapping):
            return {key: self.substitute(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.substitute(item) for item in value]
        return value

    def _substitute_text(self, text: str) -> Any:
        for _ in range(MAX_NESTING):
            match = self._reference.fullmatch(text)
            if match:
                value = self._find(match)
                if value is _OPEN:
                    return text
                return value
            inserted = self._reference.sub(self._insert, text)
            if inserted == text:
                break
            text = inserted
        return text

    def _insert(self, match: re.Match[str]) -> str:
        value = self._find(match)
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, str | int):
            return str(value)
        return match[0]

    def _find(self, match: re.Match[str]) -> Any:
        if match[0] not in self._values:
            # A value that refers to itself finds this.
            self._values[match[0]] = _OPEN
            steps = self._read_steps(match)
            if steps is not None:
                value = self._follow(steps)
                if _count_parts(value) <= MAX_SIZE:
                    self._values[match[0]] = value
        return self._values[match[0]]

    def _follow(self, steps: Steps) -> Any:
        value = self._root
        for key in steps.keys:
            if isinstance(value, str):
                value = self._substitute_text(value)
            if isinstance(value, list) and key.isdecimal() and int(key) < len(value):
                value = value[int(key)]
            elif isinstance(value, Mapping):
                if key not in value:
                    if steps.default is _MISSING:
                        return _OPEN
                    return steps.default
                value = value[key]
            else:
                return _OPEN
        return self.substitute(value)


def _count_parts(value: Any) -> int:
    if isinstance(value, Mapping):
        return 1 + sum(map(_count_parts, value.values()))
    if isinstance(value, list):
        return 1 + sum(map(_count_parts, value))
    if isinstance(value, str):
        return 1 + len(value) // 100
    return 1
