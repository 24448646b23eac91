"""Setting fields of an event from the command line: `detail.items[0].price=5`."""

import json
import re
from collections.abc import Sequence
from typing import Any

from evtool.errors import UsageError
from evtool.events.envelopes import identify
from evtool.events.event import Event, Stamp
from evtool.readers.json_text import JsonProblem, parse

STEP = re.compile(r"\[(\d+)\]|([^.\[\]]+)")


def with_changes(event: Event, assignments: Sequence[str], stamp: Stamp) -> Event:
    """The event with fields set, each `PATH=VALUE`; a value that is no JSON is taken as a text.

    A changed event is another event: it gets a new id, unless the id is what is set. Raises UsageError.
    """
    if not assignments:
        return event
    document = parse(event.raw, max_depth=1000)
    document["id"] = stamp.new_id()
    for assignment in assignments:
        path, equals, text = assignment.partition("=")
        if not equals or not path:
            raise UsageError(f"--set {assignment}: it is PATH=VALUE, such as detail.total=5")
        _put(document, path, _value(text))
    try:
        changed = identify(json.dumps(document, ensure_ascii=False).encode())
    except ValueError as error:
        hint = "a string that looks like a number is quoted: 'id=\"77\"'"
        raise UsageError(f"--set leaves no event: {error} ({hint})") from None
    return changed._replace(origin=event.origin)


def _put(document: Any, path: str, value: Any) -> None:
    steps: list[str | int] = [int(index) if index else name for index, name in STEP.findall(path)]
    if not steps:
        raise UsageError(f"--set {path}: this names no field; it is PATH=VALUE, such as detail.total=5")
    *outer, last = steps
    at = document
    for step in outer:
        at = _step(at, step, path)
    if isinstance(at, list) and last == len(at):
        at.append(value)
        return
    if not _fits(at, last):
        raise UsageError(f"--set {path}: there is nothing that {last} can be set in")
    at[last] = value


def _fits(at: Any, step: str | int) -> bool:
    """Whether a step leads into an object by a key, or into an array by an index that is there."""
    return isinstance(step, str) if isinstance(at, dict) else isinstance(at, list) and step in range(len(at))


def _step(at: Any, step: str | int, path: str) -> Any:
    if not _fits(at, step):
        raise UsageError(f"--set {path}: the event has no {step} there")
    return at.setdefault(step, {}) if isinstance(at, dict) else at[step]


def _value(text: str) -> Any:
    try:
        return parse(text.encode(errors="surrogateescape"))
    except JsonProblem:
        return text
