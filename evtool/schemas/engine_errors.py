"""Lists the errors of the engine in a value, with their full paths: the engine leaves out empty names (`{"": 1}`)."""

from collections.abc import Mapping, Sequence
from typing import Any

from jsonschema_rs import ValidationError
from jsonschema_rs import ValidationErrorKind as Kind

from evtool.readers.locations import pointer_of

_EMPTY = '[""]'  # an empty name in the engine's message


def list_errors(validator: Any, value: Any) -> list[ValidationError]:
    """All errors of a value."""
    errors: list[ValidationError] = list(validator.iter_errors(value))
    if errors and _has_empty_name(value):
        restore_empty_names(errors)
    return errors


def _has_empty_name(value: Any) -> bool:
    pending = [value]
    while pending:
        current = pending.pop()
        if isinstance(current, Mapping):
            if "" in current:
                return True
            pending += current.values()
        elif isinstance(current, list):
            pending += current
    return False


def restore_empty_names(errors: Sequence[ValidationError]) -> None:
    """Put the empty names back into the paths of errors, and into those of their branches."""
    for error in errors:
        error.instance_path = _find_full_path(error)
        if isinstance(error.kind, Kind.AnyOf | Kind.OneOfNotValid | Kind.OneOfMultipleValid):
            for branch in error.kind.context:
                restore_empty_names(branch)


def _find_full_path(error: ValidationError) -> list[str | int]:
    """The path of an error with its empty names, which only the engine's message has: `On instance["a"][""][0]:`."""
    text = error.verbose_message.rpartition("\n\nOn instance")[2]
    position = 0
    path: list[str | int] = []
    for step in error.instance_path:
        shown = [f'["{pointer_of([step])[1:]}"]', f"[{step}]"]
        while (found := next((each for each in shown if text.startswith(each, position)), None)) is None:
            if not text.startswith(_EMPTY, position):
                return list(error.instance_path)  # a message of another form
            path.append("")
            position += len(_EMPTY)
        path.append(step)
        position += len(found)
    while text.startswith(_EMPTY, position):
        path.append("")
        position += len(_EMPTY)
    return path
