"""Sets fields of an event from the command line: `--set detail.items[0].price=5`.

A misspelled path would publish an event that differs from the intended one, and say nothing. So a path has to be known:
it is in the event, in its schema or in its envelope, or it is a new name in the detail that is not similar to another.
"""

import json
import re
from collections.abc import Callable, Collection, Sequence
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

MAX_NAMES = 8  # names that a message lists
FORM = "it is PATH=VALUE, such as detail.total=5"

ListProperties = Callable[[Event, Sequence[str | int]], Collection[str]]


class _Assignment(NamedTuple):
    """A field that is set: the option as it was written, its path and its value."""

    option: str
    steps: Steps
    value: Any


class _UnknownPathError(Exception):
    """A path that is not accepted: why, the names that are known at the step that failed, and its position."""

    def __init__(self, reason: str, position: int, names: Collection[str] = ()):
        super().__init__(reason)
        self.reason, self.position, self.names = reason, position, names


def apply_overrides(
    event: Event,
    assignments: Sequence[str],
    defaults: EventDefaults,
    *,
    new: Sequence[str] = (),
    list_properties: ListProperties = lambda _event, _path: (),
) -> Event:
    """The event with fields set, each `PATH=VALUE`; a value that is not JSON is used as a string.

    `new` are assignments whose path may be any. `list_properties` gives the names that the schema of an event has for
    an object in its detail. A changed event is another event: it gets a new id, unless the id is set.

    Raises UsageError.
    """
    if not assignments and not new:
        return event
    document = parse_json(event.raw, max_depth=1000)
    if event.payload_key not in document and "data_base64" in document:
        del document["data_base64"]
        document[event.payload_key] = event.detail
    document["id"] = defaults.new_id()
    for option, text in (*(("--set-new", text) for text in new), *(("--set", text) for text in assignments)):
        assignment = _parse_assignment(option, text)
        setter = _Setter(event, document, list_properties, allow_any=option == "--set-new")
        try:
            setter.set(assignment.steps, assignment.value)
        except _UnknownPathError as error:
            raise UsageError(f"{assignment.option}: {error.reason}{setter.suggest(assignment.steps, error)}") from None
    try:
        new_event = parse_event(json.dumps(document, ensure_ascii=False).encode())
    except ValueError as error:
        raise UsageError(f"--set leaves no event: {error}") from None
    problem = find_member_problem(document)
    if problem:
        raise UsageError(f"--set leaves no event: {problem.message}")
    return new_event._replace(source_map=event.source_map, has_own_time=event.has_own_time, bus=event.bus)


class _Setter:
    """Sets fields in the document of an event."""

    def __init__(self, event: Event, document: dict[str, Any], list_properties: ListProperties, *, allow_any: bool):
        self._event, self._document, self._list_properties = event, document, list_properties
        self._allow_any = allow_any

    def set(self, steps: Steps, value: Any) -> None:
        """Sets a value. Raises _UnknownPathError when its path is not accepted."""
        container = self._document
        for position, step in enumerate(steps[:-1]):
            key = self._find_key(container, steps, position)
            steps = (*steps[:position], key, *steps[position + 1 :])  # an index of a JSON Pointer is a number from here
            if isinstance(steps[position + 1], int):
                new_container: Any = []
            else:
                new_container = {}
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

    def suggest(self, steps: Steps, error: _UnknownPathError) -> str:
        """The nearest path that would be accepted, or the names that are known."""
        position = error.position
        beside = [(*steps[:position], name) for name in error.names]
        similar = find_similar(str(steps[position]), error.names)
        if similar:
            repaired = [(*steps[:position], similar, *steps[position + 1 :])]
        else:
            repaired = []
        nearest = _find_nearest(steps, [*list_paths(self._document), *beside]) or next(iter(repaired), None)
        if nearest is not None:
            return f"; did you mean {format_path(nearest)}? --set-new sets any path"
        if not error.names:
            return ""
        names = list(error.names)
        more = ""
        if len(names) > MAX_NAMES:
            more = ", ..."
        where = format_path(steps[:position]) or "an event"
        return f"; {where} has {', '.join(names[:MAX_NAMES])}{more}; --set-new sets any path"

    def _find_key(self, container: Any, steps: Steps, position: int) -> Any:
        """The key or index that a step means in a container. Raises _UnknownPathError when it is not accepted."""
        step = steps[position]
        if isinstance(container, list):
            if step == "-":
                index = len(container)
            elif str(step).isdecimal():
                index = int(step)
            else:
                index = None
            if index is None or index > len(container):
                raise _UnknownPathError(f"{_describe(container, steps, position)} and has no {step}", position)
            return index
        if not isinstance(container, dict) or isinstance(step, int):
            raise _UnknownPathError(f"{_describe(container, steps, position)}: there is no {step} in it", position)
        if step in container or self._allow_any:
            return step
        names = self._list_names(steps, position)
        is_new_name = position == len(steps) - 1 and steps[0] == self._event.payload_key and position > 0
        if step in names or (is_new_name and not find_similar(step, {*container, *names})):
            return step
        reason = f"the event has no {format_path(steps[: position + 1])}"
        raise _UnknownPathError(reason, position, list(dict.fromkeys((*container, *names))))

    def _list_names(self, steps: Steps, position: int) -> Collection[str]:
        """The names that the envelope or the schema has for the object at a position of a path."""
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
    """The path that was probably meant: the same without case and indices, or the same end, or the most similar."""
    by_key = {_comparison_key(path): path for path in reversed(candidates) if path != steps[: len(path)]}
    key = _comparison_key(steps)
    if key in by_key:
        return by_key[key]
    tails = [key, key.partition(".")[2]]
    for tail in filter(None, tails):
        for candidate, path in reversed(by_key.items()):
            # `type` means `detail-type`
            is_envelope_name = "." not in candidate and len(tail) > 3 and candidate.endswith(tail)
            if candidate == tail or candidate.endswith(f".{tail}") or is_envelope_name:
                return path
    paths = (
        path for find in (find_respelled, find_similar) for other, path in by_key.items() if _is_near(key, other, find)
    )
    return next(paths, None)


def _is_near(key: str, candidate: str, find: Callable[[str, list[str]], str | None]) -> bool:
    """Whether each name of a path is near to that of the other in the same position."""
    names, other_names = key.split("."), candidate.split(".")
    return len(names) == len(other_names) and all(
        name == other or find(name, [other]) for name, other in zip(names, other_names, strict=True)
    )


def _comparison_key(steps: Steps) -> str:
    """A path without what people write in different ways: case, `-` and `_`, indices, and the notation."""
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
        # most strings need no quotes; but what begins as JSON, or is a number, was hardly meant as a string
        if value_text.lstrip()[:1] in ("{", "[", '"') or (problem.code == "EV005" and value_text[-1:].isdigit()):
            hint = f"a string that looks like JSON is quoted: {json.dumps(value_text, ensure_ascii=False)}"
            reason = f"the value is not well-formed JSON: {problem} (column {problem.column}); {hint}"
            raise UsageError(f"{shown}: {reason}") from None
        value = value_text
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if is_number and len(steps) == 1 and steps[0] in STRING_MEMBERS:
        value = value_text.strip()  # an account or an id is a string, also if it has digits only
    return _Assignment(shown, steps, value)
