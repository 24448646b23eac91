"""Lists the errors of the engine in a value with their full paths, of which the engine loses names.

It leaves out empty names (`{"": 1}`), and gives names of digits (`{"0": 1}`) as indices.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from jsonschema_rs import ValidationError
from jsonschema_rs import ValidationErrorKind as Kind

from evtool.readers.locations import pointer_of

_EMPTY = '[""]'  # an empty name in the engine's message
_DIGITS = re.compile(r"\+?[0-9]+", re.ASCII)  # names that the engine takes for indices


def list_errors(validator: Any, value: Any) -> list[ValidationError]:
    """All errors of a value."""
    errors: list[ValidationError] = list(validator.iter_errors(value))
    if errors and _has_lost_name(value):
        restore_paths(errors, value)
    return errors


def _has_lost_name(value: Any) -> bool:
    pending = [value]
    while pending:
        current = pending.pop()
        if isinstance(current, Mapping):
            if any(not name or _DIGITS.fullmatch(name) for name in current):
                return True
            pending += current.values()
        elif isinstance(current, list):
            pending += current
    return False


def restore_paths(errors: Sequence[ValidationError], value: Any) -> None:
    """Put the names that the engine loses back into the paths of the errors of a value, and of their branches."""
    for error in errors:
        error.instance_path = _find_full_path(error, value)
        if isinstance(error.kind, Kind.AnyOf | Kind.OneOfNotValid | Kind.OneOfMultipleValid):
            for branch in error.kind.context:
                restore_paths(branch, value)


def _find_full_path(error: ValidationError, value: Any) -> list[str | int]:
    """The path of an error with the names that only the engine's message has: `On instance["a"][""][0]:`."""
    text = error.verbose_message.rpartition("\n\nOn instance")[2]
    position = 0
    path: list[str | int] = []
    for step in error.instance_path:
        while (match := _match_step(text, position, step)) is None:
            if not text.startswith(_EMPTY, position):
                return list(error.instance_path)  # a message of another form
            path.append("")
            value = _get(value, "")
            position += len(_EMPTY)
        if isinstance(value, Mapping) and isinstance(step, int):
            name = match[1]
        else:
            name = step
        path.append(name)
        value = _get(value, name)
        position = match.end()
    while text.startswith(_EMPTY, position):
        path.append("")
        position += len(_EMPTY)
    return path


def _match_step(text: str, position: int, step: str | int) -> re.Match[str] | None:
    """A step of a path as the message shows it; the first group is the name, of digits."""
    if isinstance(step, int):
        return re.compile(rf'\["?(\+?0*{step})"?\]').match(text, position)
    shown = re.escape(pointer_of([step])[1:])
    return re.compile(rf'\["?({shown})"?\]').match(text, position)


def _get(value: Any, step: str | int) -> Any:
    try:
        return value[step]
    except (KeyError, IndexError, TypeError):
        return None
