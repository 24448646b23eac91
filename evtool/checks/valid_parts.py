"""Compiles the valid parts of a pattern that has mistakes, so that one mistake does not hide others."""

import json
from collections.abc import Sequence
from typing import Any

from evtool.patterns.compiler import OR, PatternError
from evtool.patterns.pattern import Pattern
from evtool.patterns.unknown import Unknown

_MISTAKE = Unknown("a condition that does not compile")


def compile_valid_parts(source: Any) -> Pattern | None:
    """The pattern with an unknown value in place of each part that does not compile; None if that is not enough.

    The source is a mapping or JSON text.
    """
    try:
        document = json.loads(source) if isinstance(source, str) else source
        return Pattern(document)
    except ValueError:
        return None
    except PatternError as error:
        for problem in error.problems:
            document = _replace(document, problem.path)
    try:
        return Pattern(document)
    except PatternError:
        return None


def _replace(value: Any, path: Sequence[str | int], *, has_forms: bool = False) -> Any:
    """The value with an unknown one in place of the condition, or else of the field, that a path leads to."""
    step = path[0] if path else None
    if isinstance(value, dict) and step in value:
        return {**value, step: _replace(value[step], path[1:], has_forms=step == OR)}
    if isinstance(value, list) and isinstance(step, int) and step < len(value):
        item = _replace(value[step], path[1:]) if has_forms else _MISTAKE
        return [*value[:step], item, *value[step + 1 :]]
    return _MISTAKE
