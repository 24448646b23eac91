"""Lists the errors of the engine with their full paths.

The engine's paths are wrong for some names: it leaves out empty names (`{"": 1}`) and gives names of digits
(`{"0": 1}`) as indices. Its message has the full path, so the lost names are read from there. Example, for the schema
`{"additionalProperties": {"items": {"type": "string"}}}` and the value `{"": [1]}`:

    path of the engine:    [0]
    end of its message:    On instance[""][0]:
    restored path:         ["", 0]
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from jsonschema_rs import ValidationError
from jsonschema_rs import ValidationErrorKind as Kind

from evtool.readers.locations import pointer_of

# An empty name in the engine's message.
_EMPTY = '[""]'
# Names that the engine parses as indices. Rust's number parser accepts a plus sign.
_DIGITS = re.compile(r"\+?[0-9]+", re.ASCII)


def list_errors(validator: Any, value: Any) -> list[ValidationError]:
    """All errors of a value."""
    errors: list[ValidationError] = list(validator.iter_errors(value))
    # The message of an error repeats its value, so it is read only if a name was lost.
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
    """Puts the names that the engine loses back into the paths of the errors of a value, and of their branches."""
    for error in errors:
        error.instance_path = _find_full_path(error, value)
        if isinstance(error.kind, Kind.AnyOf | Kind.OneOfNotValid | Kind.OneOfMultipleValid):
            for branch in error.kind.context:
                restore_paths(branch, value)


def _find_full_path(error: ValidationError, value: Any) -> list[str | int]:
    """The path of an error with the names that only the engine's message has."""
    text = error.verbose_message.rpartition("\n\nOn instance")[2]
    position = 0
    path: list[str | int] = []
    for step in error.instance_path:
        match = _match_step(text, position, step)
        while match is None:
            # A later version of the engine may word its messages differently.
            if not text.startswith(_EMPTY, position):
                return list(error.instance_path)
            path.append("")
            value = _get(value, "")
            position += len(_EMPTY)
            match = _match_step(text, position, step)
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
    """Matches a step of a path as the message shows it. The first group is its name."""
    # The engine gives the name "007" as the index 7.
    if isinstance(step, int):
        return re.compile(rf'\["?(\+?0*{step})"?\]').match(text, position)
    escaped_name = re.escape(pointer_of([step])[1:])
    return re.compile(rf'\["?({escaped_name})"?\]').match(text, position)


def _get(value: Any, step: str | int) -> Any:
    try:
        return value[step]
    except (KeyError, IndexError, TypeError):
        return None
