"""Compiles the valid parts of a pattern that has mistakes, so that one mistake does not hide others.

    {"source": [{"prefx": "shop."}], "detail-type": ["order.created"]}
    {"source": [unknown],            "detail-type": ["order.created"]}

The second pattern takes the place of the first one: it never matches a payment, and may match an order.
"""

import json
from collections.abc import Sequence
from typing import Any

from evtool.patterns.compiler import OR, PatternError
from evtool.patterns.pattern import Pattern
from evtool.patterns.unknown import Unknown

_MISTAKE = Unknown("a condition that does not compile")


def compile_valid_parts(source: Any) -> Pattern | None:
    """Compiles a pattern with an unknown value in place of each part that does not compile; None if it still fails.

    The source is a mapping or JSON text.
    """
    try:
        if isinstance(source, str):
            document = json.loads(source)
        else:
            document = source
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
    """Returns the value with an unknown one in place of the condition, or else of the field, that a path leads to."""
    if not path:
        return _MISTAKE
    step = path[0]
    if isinstance(value, dict) and step in value:
        return value | {step: _replace(value[step], path[1:], has_forms=step == OR)}
    if isinstance(value, list) and isinstance(step, int) and step < len(value):
        # An element of `$or` is a pattern again. Any other one is a condition, which is unknown as a whole.
        item: Any = _MISTAKE
        if has_forms:
            item = _replace(value[step], path[1:])
        return value[:step] + [item] + value[step + 1 :]
    return _MISTAKE
