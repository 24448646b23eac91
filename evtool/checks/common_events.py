"""Finds an event that two routes both match: a sample of the project, or one made of values that both patterns take.

An event that was made counts only if it can occur: if the project has schemas, one for its type has to allow it.
"""

import copy
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, product
from typing import Any, NamedTuple

from evtool.checks.base import CheckContext
from evtool.events.event import Event
from evtool.patterns.conditions import Branch, Field
from evtool.patterns.explain.matching_values import iter_matching_values
from evtool.patterns.explain.mismatches import quote
from evtool.patterns.json_values import Scalar, to_scalar
from evtool.routes.routes import Route
from evtool.schemas.validator import CompiledSchema

MAX_PAIRS = 100  # of branches that are tried
MAX_VALUES = 20  # candidates for one field
MAX_TRIES = 50  # combinations of type and source
CLOUDEVENTS_NAMES = frozenset(("data", "type", "specversion", "subject", "datacontenttype", "dataschema"))
EVENTBRIDGE_NAMES = frozenset(("detail", "detail-type", "account", "region", "resources", "version"))

Steps = tuple[str, ...]


class _Choice(NamedTuple):
    """A field of both patterns, its names, and the values that it may have for both; MISSING stands for no value."""

    path: str
    steps: Steps
    values: Sequence[Any]


MISSING = object()


def may_overlap(first: Route, second: Route) -> bool:
    """Whether two routes might match one event, by their buses and by the types and sources that they list."""
    if None not in (first.event_bus, second.event_bus) and first.event_bus != second.event_bus:
        return False
    return any(
        not _excludes(branch, other) and not _excludes(other, branch)
        for branch in first.pattern.branches
        for other in second.pattern.branches
    )


def find_common_event(context: CheckContext, first: Route, second: Route) -> str | None:
    """An event that both routes certainly match, described for people, or None if none is found."""
    for sample in context.samples:
        if first.pattern.matches(sample.raw) is True and second.pattern.matches(sample.raw) is True:
            return f"the sample {describe_event(sample)}"
    pairs = islice(product(first.pattern.branches, second.pattern.branches), MAX_PAIRS)
    for branch, other in pairs:
        if event := _build_event(context, branch, other, (first, second)):
            return event
    return None


def _excludes(branch: Branch, other: Branch) -> bool:
    """Whether a field of a branch takes none of the values that another branch lists for it."""
    fields = {field.path: field for field in other if field.path in ("detail-type", "type", "source")}
    for field in branch:
        listed = fields.get(field.path)
        is_list = listed and not listed.can_be_absent and all(c.operator == "equals" for c in listed.conditions)
        if listed and is_list and not any(_takes(field, condition.expected) for condition in listed.conditions):
            return True
    return False


def _takes(field: Field, value: Any) -> bool:
    return isinstance(value, str) and field.test(value)


def _build_event(context: CheckContext, branch: Branch, other: Branch, routes: tuple[Route, Route]) -> str | None:
    fields = {field.path: (field, None) for field in branch} | {
        field.path: (next((f for f in branch if f.path == field.path), None), field) for field in other
    }
    names = {path.partition(".")[0] for path in fields}
    if names & CLOUDEVENTS_NAMES and names & EVENTBRIDGE_NAMES:
        return None
    is_cloudevent = bool(names & CLOUDEVENTS_NAMES)
    choices = [_list_values(context, path, pair, is_cloudevent=is_cloudevent) for path, pair in fields.items()]
    if not all(choice.values for choice in choices):
        return None
    envelope = _list_envelopes(context, choices, is_cloudevent=is_cloudevent)
    for event_type, source in islice(envelope, MAX_TRIES):
        if found := _try_envelope(context, choices, event_type, source, is_cloudevent=is_cloudevent):
            document, shown = found
            if all(route.pattern.matches(document) is True for route in routes):
                return shown or "any other event"
    return None


def _list_values(
    context: CheckContext, path: str, pair: tuple[Field | None, Field | None], *, is_cloudevent: bool
) -> _Choice:
    """The values of a field that both patterns take; those of samples first."""
    fields = [field for field in pair if field]
    steps = tuple(key for key in fields[0].keys if isinstance(key, str) and key != "$or")
    can_be_absent = all(field.can_be_absent for field in fields)
    values: list[Any] = [MISSING] if can_be_absent else []
    made = (
        value.value for field in fields for condition in field.conditions for value in iter_matching_values(condition)
    )
    for value in (
        *_list_sample_values(context, steps),
        *_list_known(context, path, is_cloudevent=is_cloudevent),
        *made,
    ):
        scalar: Scalar = to_scalar(value)
        if value not in values and all(field.test(scalar) for field in fields):
            values.append(value)
    return _Choice(path, steps, values[:MAX_VALUES])


def _list_known(context: CheckContext, path: str, *, is_cloudevent: bool) -> list[str]:
    if path == ("type" if is_cloudevent else "detail-type"):
        return context.schemas.list_types() if context.schemas else []
    return []


def _list_sample_values(context: CheckContext, steps: Steps) -> Iterator[Any]:
    for sample in context.samples:
        value: Any = sample.document
        for step in steps:
            value = value.get(step, MISSING) if isinstance(value, Mapping) else MISSING
        if value is not MISSING and not isinstance(value, Mapping | list):
            yield value


def _list_envelopes(
    context: CheckContext, choices: Sequence[_Choice], *, is_cloudevent: bool
) -> Iterator[tuple[str, str]]:
    """The types and sources that an example may have. In a project with schemas, its types are known."""
    by_path = {choice.path: choice.values for choice in choices}
    known = _list_known(context, "type" if is_cloudevent else "detail-type", is_cloudevent=is_cloudevent)
    sampled = [sample.type for sample in context.samples]
    types = by_path.get("type" if is_cloudevent else "detail-type") or [*dict.fromkeys((*sampled, *known))]
    if not types and not context.schemas:
        types = ["any type"]
    sources = by_path.get("source") or [*dict.fromkeys(sample.source for sample in context.samples)] or ["any source"]
    return ((t, s) for t in types for s in sources if isinstance(t, str) and isinstance(s, str) and t and s)


def _try_envelope(
    context: CheckContext, choices: Sequence[_Choice], event_type: str, source: str, *, is_cloudevent: bool
) -> tuple[dict[str, Any], str] | None:
    payload_key, type_key = ("data", "type") if is_cloudevent else ("detail", "detail-type")
    schema = context.find_schema(event_type, source, payload_key)
    if schema is None and context.schemas and event_type in context.schemas.list_types():
        return None  # its schema is for other sources, or cannot be used
    constrained = {choice.steps for choice in choices}
    chosen: dict[Steps, Any] = {(type_key,): event_type, ("source",): source}
    for choice in choices:
        if choice.steps not in chosen:
            value = next((v for v in choice.values if not _is_forbidden(schema, choice.steps, v, payload_key)), None)
            if value is None and None not in choice.values:
                return None
            chosen[choice.steps] = value
    shown = ", ".join(
        f"{'.'.join(steps)} {quote(value)}"
        for steps, value in chosen.items()
        if value is not MISSING and (steps in constrained or (schema is not None and steps == (type_key,)))
    )
    bases = [s for s in context.samples if (s.type, s.payload_key) == (event_type, payload_key)]
    for base in (*(dict(copy.deepcopy(s.document)) for s in bases), _create_envelope(is_cloudevent=is_cloudevent)):
        is_complete = all(_set_value(base, steps, value) for steps, value in chosen.items())
        if is_complete and (schema is None or _is_valid(schema, base, payload_key)):
            return base, shown
    return None


def _create_envelope(*, is_cloudevent: bool) -> dict[str, Any]:
    if is_cloudevent:
        return {"specversion": "1.0", "id": "1", "data": {}}
    envelope = {"version": "0", "id": "1", "time": "2026-01-01T00:00:00Z", "account": "123456789012"}
    return {**envelope, "region": "us-east-1", "resources": [], "detail": {}}


def _is_forbidden(schema: CompiledSchema | None, steps: Steps, value: Any, payload_key: str) -> bool:
    if schema is None or value is MISSING or steps[0] != payload_key:
        return False
    path = steps[1:] if schema.choice.envelope is None else steps
    return schema.subschemas.is_forbidden(path, value)


def _set_value(document: Any, steps: Steps, value: Any) -> bool:
    """Sets or removes a field; whether the document has a place for it."""
    *parents, name = steps
    for step in parents:
        if not isinstance(document, dict):
            return False
        document = document.setdefault(step, {})
    if not isinstance(document, dict) or isinstance(document.get(name), dict | list):
        return False
    if value is MISSING:
        document.pop(name, None)
    else:
        document[name] = value
    return True


def _is_valid(schema: CompiledSchema, document: Mapping[str, Any], payload_key: str) -> bool:
    """Whether the schema of a type allows an event."""
    value = document if schema.choice.envelope else document.get(payload_key)
    return bool(schema.validator.is_valid(value))


def describe_event(event: Event) -> str:
    """The file and line of a sample, for messages."""
    text = event.source_map.text if event.source_map else None
    return f"{text.file}:{text.line}" if text else event.id
