"""Sets fields of an event from the command line: `--set detail.items[0].price=5`."""

import json
import re
from collections.abc import Sequence
from typing import Any

from evtool.errors import UsageError
from evtool.events.envelopes import parse_event
from evtool.events.event import Event, EventDefaults
from evtool.readers.json_text import JsonProblem, parse_json

STEP = re.compile(r"\[(\d+)\]|([^.\[\]]+)")


def apply_overrides(event: Event, assignments: Sequence[str], defaults: EventDefaults) -> Event:
    """The event with fields set, each `PATH=VALUE`; a value that is no JSON is taken as a text.

    A changed event is another event: it gets a new id, unless the id is what is set. Raises UsageError.
    """
    if not assignments:
        return event
    document = parse_json(event.raw, max_depth=1000)
    document["id"] = defaults.new_id()
    for assignment in assignments:
        path, separator, text = assignment.partition("=")
        if not separator or not path:
            raise UsageError(f"--set {assignment}: it is PATH=VALUE, such as detail.total=5")
        _set_value(document, path, _parse_value(text))
    try:
        new_event = parse_event(json.dumps(document, ensure_ascii=False).encode())
    except ValueError as error:
        hint = "a string that looks like a number is quoted: 'id=\"77\"'"
        raise UsageError(f"--set leaves no event: {error} ({hint})") from None
    return new_event._replace(source_map=event.source_map)


def _set_value(document: Any, path: str, value: Any) -> None:
    steps: list[str | int] = [int(index) if index else name for index, name in STEP.findall(path)]
    if not steps:
        raise UsageError(f"--set {path}: this names no field; it is PATH=VALUE, such as detail.total=5")
    *parents, last = steps
    container = document
    for step in parents:
        container = _enter_step(container, step, path)
    if isinstance(container, list) and last == len(container):
        container.append(value)
        return
    if not _is_valid_step(container, last):
        raise UsageError(f"--set {path}: there is nothing that {last} can be set in")
    container[last] = value


def _is_valid_step(container: Any, step: str | int) -> bool:
    """Whether a step leads into an object by a key, or into an array by an index that is there."""
    return (
        isinstance(step, str)
        if isinstance(container, dict)
        else isinstance(container, list) and step in range(len(container))
    )


def _enter_step(container: Any, step: str | int, path: str) -> Any:
    if not _is_valid_step(container, step):
        raise UsageError(f"--set {path}: the event has no {step} there")
    return container.setdefault(step, {}) if isinstance(container, dict) else container[step]


def _parse_value(text: str) -> Any:
    try:
        return parse_json(text.encode(errors="surrogateescape"))
    except JsonProblem:
        return text
