"""Sets fields of an event from the command line: `--set detail.items[0].price=5`.

A misspelled path would silently publish another event than intended. So a path must exist in the event, in its schema
or in its envelope, or it must be a new name in the detail that is not similar to an existing one:

    event                        {"source": "shop", "detail": {"total": 5}}
    --set detail.total=6         accepted: it exists
    --set detail.coupon=X1       accepted: a new name in the detail
    --set detail.totl=6          refused: similar to detail.total
    --set total=6                refused: not a member of the envelope
"""

import json
import re
from collections.abc import Callable, Collection, Sequence
from itertools import chain
from typing import Any, NamedTuple

from evtool.errors import UsageError
from evtool.events.envelopes import parse_event
from evtool.events.event import Event, EventDefaults
from evtool.events.members import (
    CLOUDEVENTS_MEMBERS,
    EVENTBRIDGE_MEMBERS,
    STRING_MEMBERS,
    describe_type,
    find_member_problem,
)
from evtool.findings.spelling import find_respelled, find_similar
from evtool.readers.field_paths import Steps, format_path, list_paths, split_assignment
from evtool.readers.json_text import JsonProblem, parse_json

# Names in a message.
MAX_NAMES = 8
FORM = "it is PATH=VALUE, such as detail.total=5"

ListProperties = Callable[[Event, Sequence[str | int]], Collection[str]]


class _Assignment(NamedTuple):
    """An assignment: the option as the user wrote it, the path and the value."""

    option: str
    steps: Steps
    value: Any


class _UnknownPathError(Exception):
    """A path is not accepted. `position` is that of the step that failed, `names` are the known names there."""

    def __init__(self, reason: str, position: int, names: Collection[str] = ()):
        super().__init__(reason)
        self.reason, self.position, self.names = reason, position, names


def _list_no_properties(_event: Event, _path: Sequence[str | int]) -> Collection[str]:
    return ()


def apply_overrides(
    event: Event,
    assignments: Sequence[str],
    defaults: EventDefaults,
    *,
    new: Sequence[str] = (),
    list_properties: ListProperties = _list_no_properties,
) -> Event:
    """Returns the event with assignments `PATH=VALUE`. A value that is not JSON is used as a string.

    `new` are assignments with any path. `list_properties` returns the names that the schema of an event has for an
    object in its detail. A changed event is a new event with a new id, unless an assignment sets the id.

    Raises UsageError.
    """
    if not assignments and not new:
        return event
    document = parse_json(event.raw, max_depth=1000)
    # A path leads into the decoded data.
    if event.payload_key not in document and "data_base64" in document:
        del document["data_base64"]
        document[event.payload_key] = event.detail
    document["id"] = defaults.new_id()
    # The new paths first, so that the other assignments may use them.
    for text in new:
        setter = _Setter(event, document, list_properties, allow_any=True)
        setter.assign(_parse_assignment("--set-new", text))
    for text in assignments:
        setter = _Setter(event, document, list_properties, allow_any=False)
        setter.assign(_parse_assignment("--set", text))
    try:
        new_event = parse_event(json.dumps(document, ensure_ascii=False).encode())
    except ValueError as error:
        raise UsageError(f"--set: the result is not an event: {error}") from None
    problem = find_member_problem(document)
    if problem:
        raise UsageError(f"--set: the result is not an event: {problem.message}")
    return new_event._replace(source_map=event.source_map, has_own_time=event.has_own_time, bus=event.bus)


class _Setter:
    """Sets fields in the document of an event."""

    def __init__(self, event: Event, document: dict[str, Any], list_properties: ListProperties, *, allow_any: bool):
        self._event, self._document, self._list_properties = event, document, list_properties
        self._allow_any = allow_any

    def assign(self, assignment: _Assignment) -> None:
        """Sets a value. Raises UsageError if the path is not accepted."""
        try:
            self._set(assignment.steps, assignment.value)
        except _UnknownPathError as error:
            hint = self._suggest(assignment.steps, error)
            raise UsageError(f"{assignment.option}: {error.reason}{hint}") from None

    def _set(self, steps: Steps, value: Any) -> None:
        container = self._document
        for position, step in enumerate(steps[:-1]):
            key = self._find_key(container, steps, position)
            # An index of a JSON Pointer is a string before this, and a number after it.
            steps = steps[:position] + (key,) + steps[position + 1 :]
            new_container: Any = {}
            if isinstance(steps[position + 1], int):
                new_container = []
            if isinstance(container, dict):
                container = container.setdefault(key, new_container)
                continue
            if key == len(container):
                if container and not self._allow_any:
                    raise _UnknownPathError(f"{_describe(container, steps, position)} and has no {step}", position)
                container.append(new_container)
            container = container[key]
        key = self._find_key(container, steps, len(steps) - 1)
        if isinstance(container, list) and key == len(container):
            container.append(value)
        else:
            container[key] = value

    def _suggest(self, steps: Steps, error: _UnknownPathError) -> str:
        """Returns a hint with the nearest path that would be accepted, or with the known names; or ""."""
        position = error.position
        candidates = list_paths(self._document)
        candidates += [steps[:position] + (name,) for name in error.names]
        nearest = _find_nearest(steps, candidates)
        if nearest is None:
            similar = find_similar(str(steps[position]), error.names)
            if similar:
                nearest = steps[:position] + (similar,) + steps[position + 1 :]
        if nearest is not None:
            return f"; did you mean {format_path(nearest)}? --set-new sets any path"
        if not error.names:
            return ""
        names = ", ".join(list(error.names)[:MAX_NAMES])
        if len(error.names) > MAX_NAMES:
            names += ", ..."
        parent = format_path(steps[:position]) or "an event"
        return f"; {parent} has {names}; --set-new sets any path"

    def _find_key(self, container: Any, steps: Steps, position: int) -> Any:
        """Returns the key or index of a step in a container. Raises _UnknownPathError if the step is not accepted."""
        step = steps[position]
        if isinstance(container, list):
            index = None
            # The index after the last element, in JSON Pointer (RFC 6901).
            if step == "-":
                index = len(container)
            elif str(step).isdecimal():
                index = int(step)
            if index is None or index > len(container):
                raise _UnknownPathError(f"{_describe(container, steps, position)} and has no {step}", position)
            return index
        if not isinstance(container, dict) or isinstance(step, int):
            raise _UnknownPathError(f"{_describe(container, steps, position)}: there is no {step} in it", position)
        if step in container or self._allow_any:
            return step
        names = self._list_names(steps, position)
        known_names = list(dict.fromkeys(chain(container, names)))
        is_new_name = position == len(steps) - 1 and steps[0] == self._event.payload_key and position > 0
        if step in names or (is_new_name and not find_similar(step, known_names)):
            return step
        reason = f"the event has no {format_path(steps[: position + 1])}"
        raise _UnknownPathError(reason, position, known_names)

    def _list_names(self, steps: Steps, position: int) -> Collection[str]:
        """Returns the names that the envelope or the schema has for the object at a position of a path."""
        if position == 0:
            if "specversion" in self._document:
                return CLOUDEVENTS_MEMBERS
            return EVENTBRIDGE_MEMBERS
        if steps[0] == self._event.payload_key:
            return self._list_properties(self._event, steps[1:position])
        return ()


def _describe(container: Any, steps: Steps, position: int) -> str:
    name = format_path(steps[:position]) or "an event"
    if isinstance(container, list):
        return f"{name} is an array of {len(container)}"
    return f"{name} is {describe_type(container)}"


def _find_nearest(steps: Steps, candidates: Sequence[Steps]) -> Steps | None:
    """Returns the path that was probably meant, or None.

    It is the same path without case and indices, or a path with the same end, or a similar one.
    """
    # Reversed, so that of two paths with the same key the first one remains.
    by_key = {_comparison_key(path): path for path in reversed(candidates) if path != steps[: len(path)]}
    key = _comparison_key(steps)
    if key in by_key:
        return by_key[key]
    tails = [key, key.partition(".")[2]]
    for tail in filter(None, tails):
        for candidate, path in reversed(by_key.items()):
            # `type` means `detail-type`.
            is_envelope_name = "." not in candidate and len(tail) > 3 and candidate.endswith(tail)
            if candidate == tail or candidate.endswith(f".{tail}") or is_envelope_name:
                return path
    for find in (find_respelled, find_similar):
        for other, path in by_key.items():
            if _is_near(key, other, find):
                return path
    return None


def _is_near(key: str, candidate: str, find: Callable[[str, list[str]], str | None]) -> bool:
    """Returns whether each name of a path is similar to the name of the other path at the same position."""
    names, other_names = key.split("."), candidate.split(".")
    if len(names) != len(other_names):
        return False
    return all(name == other or find(name, [other]) for name, other in zip(names, other_names, strict=True))


def _comparison_key(steps: Steps) -> str:
    """Returns a path without the parts that people write in different ways: case, `-` and `_`, indices, notation."""
    names = re.split(r"[.\[\]\"'$]+", ".".join(str(step) for step in steps).lower())
    return ".".join(re.sub("[-_]", "", name) for name in names if name and not name.isdecimal())


def _parse_assignment(option: str, text: str) -> _Assignment:
    try:
        steps, value_text = split_assignment(text)
    except ValueError:
        raise UsageError(f"{option} {text}: {FORM}") from None
    shown = f"{option} {text.removesuffix(value_text).removesuffix('=')}"
    try:
        value = parse_json(value_text.encode(errors="surrogateescape"))
    except JsonProblem as problem:
        # A string needs no quotes on the command line. But a value that begins like JSON, or is a number with too many
        # digits, is probably a mistake.
        if value_text.lstrip()[:1] in ("{", "[", '"') or (problem.code == "EV005" and value_text[-1:].isdigit()):
            hint = f"put a string that looks like JSON in quotes: {json.dumps(value_text, ensure_ascii=False)}"
            reason = f"the value is not well-formed JSON: {problem} (column {problem.column}); {hint}"
            raise UsageError(f"{shown}: {reason}") from None
        value = value_text
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if is_number and len(steps) == 1 and steps[0] in STRING_MEMBERS:
        # An account or an id is a string, even if it has only digits.
        value = value_text.strip()
    return _Assignment(shown, steps, value)
