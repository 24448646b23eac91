"""Generates events: valid ones of a type, and those that a pattern matches or just misses.

The same seed gives the same events. Every event is checked against its schema and the pattern before it is returned.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from random import Random
from typing import Any, NamedTuple

from jsonschema_rs import CanonicalSchema
from jsonschema_rs.canonical import Satisfiability

from evtool.errors import ConfigError
from evtool.events.envelopes import ACCOUNT, BARE_SOURCE, REGION, parse_event
from evtool.events.members import find_member_problem
from evtool.patterns.conditions import Branch, Condition
from evtool.patterns.explain.matching_values import iter_matching_values
from evtool.patterns.pattern import Pattern
from evtool.schemas.algebra.conditions import Steps, TooLong, describe_together, split_path
from evtool.schemas.algebra.leaves import NOTHING, describe_values
from evtool.schemas.algebra.matched_types import TYPE_KEYS, EventType, find_matched_types, find_payload_key
from evtool.schemas.algebra.near_misses import iter_near_misses
from evtool.schemas.algebra.strings import MAX_TRIES
from evtool.schemas.algebra.types import TypeSchema, find_examples, list_values, load_type, restrict, to_canonical
from evtool.schemas.algebra.values import CannotGenerate, generate_value
from evtool.schemas.validator import CompiledSchema, Schemas

_STRING = {"type": "string"}
_ENVELOPES: dict[str, dict[str, Any]] = {
    "detail": {
        "version": {**_STRING, "default": "0"},
        "id": {**_STRING, "format": "uuid"},
        "detail-type": _STRING,
        "source": _STRING,
        "account": {**_STRING, "default": ACCOUNT},
        "time": {**_STRING, "format": "date-time"},
        "region": {**_STRING, "default": REGION},
        "resources": {"type": "array", "items": _STRING, "default": []},
        "detail": {"type": "object"},
    },
    "data": {
        "specversion": {"enum": ["1.0"]},
        "id": {**_STRING, "format": "uuid"},
        "type": _STRING,
        "source": _STRING,
        "time": {**_STRING, "format": "date-time"},
        "datacontenttype": {"enum": ["application/json"]},
        "data": {},
    },
}


class EventSchema(NamedTuple):
    """What the events of a type look like, with their envelope; `compiled` is the schema of the type, if it has one."""

    event_type: EventType
    payload_key: str
    schema: CanonicalSchema
    document: Any
    examples: Mapping[tuple[str, ...], Sequence[Any]]
    compiled: CompiledSchema | None

    def accepts(self, event: Mapping[str, Any]) -> bool:
        """Whether the schema of the type accepts an event."""
        if self.compiled is None:
            return True
        value = event if self.compiled.choice.envelope else event.get(self.payload_key)
        return bool(self.compiled.validator.is_valid(value))


def generate_event(schemas: Schemas | None, event_type: str, source: str | None = None, *, seed: int) -> dict[str, Any]:
    """A valid event of a type; of a type without a schema, one with an empty payload.

    It is a CloudEvent if the schema describes one. Raises CannotGenerate if the schema accepts nothing or no value was
    found, ConfigError if it cannot be used.
    """
    compiled = None
    if schemas:
        compiled = schemas.find(event_type, source or BARE_SOURCE, "data")
    payload_key = "detail"
    if compiled and compiled.choice.envelope == "cloudevents":
        payload_key = "data"
    event_schema = load_event_schema(schemas, EventType(event_type, source), payload_key)
    return next(_iter_events(event_schema, [], Random(seed)))  # noqa: S311


def generate_matching_event(
    pattern: Pattern, schemas: Schemas | None, known: Sequence[EventType], *, seed: int
) -> dict[str, Any]:
    """An event that a pattern matches. It is valid if the type that it has can match with a valid one.

    `known` are the types of the project with their sources. Raises CannotGenerate if no such event was found.
    """
    return _find_match(pattern, schemas, known, seed)[0]


def _find_match(
    pattern: Pattern, schemas: Schemas | None, known: Sequence[EventType], seed: int
) -> tuple[dict[str, Any], Branch, EventSchema]:
    """An event that a pattern matches, by which branch, and the schema of its type."""
    rng = Random(seed)  # noqa: S311
    problem = CannotGenerate("no event was found that the pattern matches")
    for branch, event_schema in _list_attempts(pattern, schemas, known, rng):
        try:
            for _ in range(MAX_TRIES):
                entries = _choose_conditions(branch, rng)
                for event in _iter_events(event_schema, entries, rng):
                    if pattern.matches(event) is not False and _is_event(event):
                        return event, branch, event_schema
        except CannotGenerate as error:
            problem = error
    raise problem


def generate_near_miss(
    pattern: Pattern, schemas: Schemas | None, known: Sequence[EventType], *, seed: int
) -> dict[str, Any]:
    """An event that a pattern just misses: one field has a value next to those that match.

    It is valid if one of the fields can miss in a valid event. Raises CannotGenerate if no such event was found.
    """
    event, branch, event_schema = _find_match(pattern, schemas, known, seed)
    fields = list(branch)
    Random(seed).shuffle(fields)  # noqa: S311
    fields.sort(key=lambda field: "." not in field.path)  # fields of the payload first
    candidates = [
        changed
        for field in fields
        for changed in iter_near_misses(
            branch, event, field, list_values(event_schema.document, split_path(field.path))
        )
        if pattern.matches(changed) is False and _is_event(changed)
    ]
    if not candidates:
        raise CannotGenerate("no event was found that the pattern just misses: it matches every event of its types")
    return next((changed for changed in candidates if event_schema.accepts(changed)), candidates[0])


def _is_event(document: Mapping[str, Any]) -> bool:
    """Whether a document has all members of an envelope, with values that they may have."""
    try:
        parse_event(json.dumps(document).encode())
    except ValueError:
        return False
    return find_member_problem(document) is None


def load_event_schema(schemas: Schemas | None, event_type: EventType, payload_key: str) -> EventSchema:
    """What the events of a type look like. Raises CannotGenerate if the form of its schema is not known."""
    source = event_type.source or BARE_SOURCE
    compiled = None
    if schemas:
        compiled = schemas.find(event_type.type, source, payload_key)
    for at_loops in (NOTHING, True):  # values that end, if there are any
        type_schema = None
        if compiled:
            type_schema = load_type(compiled, *event_type, payload_key, at_loops=at_loops)
        if compiled is not None and type_schema is None:
            raise CannotGenerate(f'the schema of "{event_type.type}" has a form for which no values can be generated')
        document = _describe_envelope(event_type, payload_key, type_schema)
        schema = to_canonical(document)
        if schema is not None and schema.satisfiability() != Satisfiability.NO:
            break
    assert schema is not None
    return EventSchema(event_type, payload_key, schema, document, find_examples(document), compiled)


def _describe_envelope(event_type: EventType, payload_key: str, type_schema: TypeSchema | None) -> dict[str, Any]:
    """The schema of whole events of a type."""
    properties = {**_ENVELOPES[payload_key], TYPE_KEYS[payload_key]: {"enum": [event_type.type]}}
    if event_type.source is not None:
        properties["source"] = {"enum": [event_type.source]}
    elif type_schema is None or not type_schema.has_envelope:
        properties["source"] = {**_STRING, "default": BARE_SOURCE}
    draft = {}
    parts: dict[str, Any] = {}
    if type_schema is not None:
        content = {key: value for key, value in type_schema.document.items() if key != "$schema"}
        draft = {key: value for key, value in type_schema.document.items() if key == "$schema"}
        if type_schema.has_envelope:
            parts = {"allOf": [content]}
        else:
            properties[payload_key] = {"allOf": [content, properties[payload_key]]}
    return {**draft, "type": "object", "required": list(properties), "properties": properties, **parts}


def _list_attempts(
    pattern: Pattern, schemas: Schemas | None, known: Sequence[EventType], rng: Random
) -> Iterator[tuple[Branch, EventSchema]]:
    """The branches of a pattern with the types that they match, in random order; those with a schema first."""
    attempts: list[tuple[Branch, EventSchema]] = []
    problems: list[Exception] = []
    for branch in pattern.branches:
        payload_key = find_payload_key(branch) or "detail"
        matched = find_matched_types(branch, known, payload_key).types
        for event_type in matched or (EventType("generated", None),):
            try:
                attempts.append((branch, load_event_schema(schemas, event_type, payload_key)))
            except (CannotGenerate, ConfigError) as error:
                problems.append(error)
    if not attempts and problems:
        raise problems[0]
    rng.shuffle(attempts)
    attempts.sort(key=lambda attempt: attempt[1].compiled is None)
    for branch, event_schema in attempts:
        yield branch, event_schema
    for branch, event_schema in attempts:  # a valid event cannot match: then one that is not valid
        if event_schema.compiled is not None:
            yield branch, load_event_schema(None, event_schema.event_type, event_schema.payload_key)


def _choose_conditions(branch: Branch, rng: Random) -> list[tuple[Steps, dict[str, Any] | None]]:
    """One condition of each field, as what the value has to fit."""
    entries: list[tuple[Steps, dict[str, Any] | None]] = []
    for field in branch:
        known = [condition for condition in field.conditions if condition.unknown is None]
        if not known:
            continue  # what is not known before deployment is left out
        condition = rng.choice(known)
        is_absence = condition.operator == "exists" and condition.expected is False
        entries.append((split_path(field.path), None if is_absence else _describe_some(condition)))
    return entries


def _describe_some(condition: Condition) -> dict[str, Any]:
    """Values for which a condition holds: as many as can be described."""
    values = describe_values(condition, from_above=False)
    if values != NOTHING:
        return values
    known = [match.value for match in iter_matching_values(condition)]
    if known:
        return {"enum": known}
    return describe_values(condition, from_above=True)


def _iter_events(
    event_schema: EventSchema, entries: Sequence[tuple[Steps, dict[str, Any] | None]], rng: Random
) -> Iterator[dict[str, Any]]:
    """Valid events of a type whose values fit. Raises CannotGenerate if there is none."""
    try:
        schema = restrict(event_schema.schema, [describe_together(entries)] if entries else [])
    except TooLong:
        schema = None
    name = f'"{event_schema.event_type.type}"'
    if schema is None:
        raise CannotGenerate(f"the conditions on {name} are too complex")
    if schema.satisfiability() == Satisfiability.NO:
        raise CannotGenerate(
            f"no valid event of {name} {'can match' if entries else f'exists: {_explain_nothing(event_schema)}'}"
        )
    found, problem = False, CannotGenerate(f"no valid event of {name} was found in {MAX_TRIES} tries")
    for _ in range(MAX_TRIES):
        try:
            event = _order(generate_value(schema, rng, event_schema.examples), event_schema.payload_key)
        except CannotGenerate as error:
            problem = error
            continue
        if event_schema.accepts(event):
            found = True
            yield event
    if not found:
        raise problem


def _explain_nothing(event_schema: EventSchema) -> str:
    """Why no event of a type is valid."""
    part = event_schema.document["properties"].get("detail", {})
    types = next((schema["type"] for schema in part.get("allOf", ())[:1] if "type" in schema), "object")
    if types != "object" and "object" not in types:
        return "its schema accepts no object, and the detail of an event is one"
    return "its schema accepts nothing"


def _order(event: dict[str, Any], payload_key: str) -> dict[str, Any]:
    """An event with the members of its envelope in their usual order, and the payload last."""
    order = [*_ENVELOPES[payload_key]]
    names = sorted(event, key=lambda name: (name == payload_key, order.index(name) if name in order else len(order)))
    return {name: event[name] for name in names}
