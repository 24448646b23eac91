"""Generates events: valid ones of a type, and those that a pattern matches or just misses.

The same seed gives the same events. Every event is checked against its schema and the pattern before it is returned.

A matching event is found in four steps. For the pattern {"detail-type": ["order.created"], "detail": {"total":
[{"numeric": [">", 100]}]}}:

1. Choose a branch of the pattern and a type that it matches: `order.created`.
2. Describe the events of the type as a schema: the envelope, with the schema of the type in `detail`.
3. Choose one condition of each field, and restrict the schema to the values for which it holds: totals above 100.
4. Generate events of the restricted schema until one is valid and matches.

Step 3 describes some matching events, not all, so another try may choose other conditions.
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
from evtool.patterns.conditions import Branch, Condition, Field
from evtool.patterns.explain.matching_values import iter_matching_values
from evtool.patterns.pattern import Pattern
from evtool.schemas.algebra.conditions import Entry, TooLong, describe_together, split_path
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
    """The schema of whole events of a type, with their envelope.

    `document` is the same schema as JSON, `compiled` the schema of the type if it has one.
    """

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
        if self.compiled.choice.envelope:
            return bool(self.compiled.validator.is_valid(event))
        return bool(self.compiled.validator.is_valid(event.get(self.payload_key)))


def generate_event(schemas: Schemas | None, event_type: str, source: str | None = None, *, seed: int) -> dict[str, Any]:
    """Generates a valid event of a type. Without a schema, its payload is empty.

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
    """Generates an event that a pattern matches. It is valid if a valid event of its type can match.

    `known` are the types of the project with their sources. Raises CannotGenerate if no such event was found.
    """
    event, _, _ = _find_match(pattern, schemas, known, seed)
    return event


def _find_match(
    pattern: Pattern, schemas: Schemas | None, known: Sequence[EventType], seed: int
) -> tuple[dict[str, Any], Branch, EventSchema]:
    """An event that a pattern matches, the branch that matches, and the schema of the event's type."""
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
    """Generates an event that a pattern just misses: one field has a value next to those that match.

    It is valid if one of the fields can miss in a valid event. Raises CannotGenerate if no such event was found.
    """
    event, branch, event_schema = _find_match(pattern, schemas, known, seed)
    fields = list(branch)
    Random(seed).shuffle(fields)  # noqa: S311
    fields.sort(key=_is_of_envelope)
    candidates = []
    for field in fields:
        values = list_values(event_schema.document, split_path(field.path))
        for changed in iter_near_misses(branch, event, field, values):
            if pattern.matches(changed) is False and _is_event(changed):
                candidates.append(changed)
    if not candidates:
        raise CannotGenerate("no event was found that the pattern just misses: it matches every event of its types")
    for changed in candidates:
        if event_schema.accepts(changed):
            return changed
    return candidates[0]


def _is_of_envelope(field: Field) -> bool:
    return "." not in field.path


def _is_event(document: Mapping[str, Any]) -> bool:
    """Whether a document has all members of an envelope, each with a valid value."""
    try:
        parse_event(json.dumps(document).encode())
    except ValueError:
        return False
    return find_member_problem(document) is None


def load_event_schema(schemas: Schemas | None, event_type: EventType, payload_key: str) -> EventSchema:
    """The schema of the events of a type. Raises CannotGenerate if the algebra does not know the form of its schema."""
    source = event_type.source or BARE_SOURCE
    compiled = None
    if schemas:
        compiled = schemas.find(event_type.type, source, payload_key)
    # First with nothing in place of recursive references, so that generated values end. If no value is left, with true.
    for at_loops in (NOTHING, True):
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
    properties = _ENVELOPES[payload_key] | {TYPE_KEYS[payload_key]: {"enum": [event_type.type]}}
    if event_type.source is not None:
        properties["source"] = {"enum": [event_type.source]}
    elif type_schema is None or not type_schema.has_envelope:
        properties["source"] = _STRING | {"default": BARE_SOURCE}
    schema: dict[str, Any] = {"type": "object", "required": list(properties), "properties": properties}
    if type_schema is not None:
        content = dict(type_schema.document)
        # The draft has to be given for the whole document.
        if "$schema" in content:
            schema["$schema"] = content.pop("$schema")
        if type_schema.has_envelope:
            schema["allOf"] = [content]
        else:
            properties[payload_key] = {"allOf": [content, properties[payload_key]]}
    return schema


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
    attempts.sort(key=_has_no_schema)
    yield from attempts
    # No valid event was found that matches, so the caller gets one that matches and is not valid.
    for branch, event_schema in attempts:
        if event_schema.compiled is not None:
            yield branch, load_event_schema(None, event_schema.event_type, event_schema.payload_key)


def _has_no_schema(attempt: tuple[Branch, EventSchema]) -> bool:
    _, event_schema = attempt
    return event_schema.compiled is None


def _choose_conditions(branch: Branch, rng: Random) -> list[Entry]:
    """One condition of each field, as the schema that its value has to fit."""
    entries: list[Entry] = []
    for field in branch:
        # A condition that is not known before deployment cannot be described.
        if not field.known_conditions:
            continue
        condition = rng.choice(field.known_conditions)
        leaf = None
        if condition.operator != "exists" or condition.expected is not False:
            leaf = _describe_some(condition)
        entries.append((split_path(field.path), leaf))
    return entries


def _describe_some(condition: Condition) -> dict[str, Any]:
    """Values for which a condition holds: as many as can be described."""
    # From below all described values match. Operators such as `cidr` have no such schema, so single values replace it.
    values = describe_values(condition, from_above=False)
    if values != NOTHING:
        return values
    known = [match.value for match in iter_matching_values(condition)]
    if known:
        return {"enum": known}
    return describe_values(condition, from_above=True)


def _iter_events(event_schema: EventSchema, entries: Sequence[Entry], rng: Random) -> Iterator[dict[str, Any]]:
    """Yields valid events of a type whose values fit. Raises CannotGenerate if it finds none."""
    schema = _restrict(event_schema, entries)
    name = f'"{event_schema.event_type.type}"'
    is_found = False
    problem = CannotGenerate(f"no valid event of {name} was found in {MAX_TRIES} tries")
    for _ in range(MAX_TRIES):
        try:
            event = _order(generate_value(schema, rng, event_schema.examples), event_schema.payload_key)
        except CannotGenerate as error:
            problem = error
            continue
        if event_schema.accepts(event):
            is_found = True
            yield event
    if not is_found:
        raise problem


def _restrict(event_schema: EventSchema, entries: Sequence[Entry]) -> CanonicalSchema:
    """The events of a type whose values fit. Raises CannotGenerate if none exists."""
    name = f'"{event_schema.event_type.type}"'
    conditions = []
    try:
        if entries:
            conditions.append(describe_together(entries))
        schema = restrict(event_schema.schema, conditions)
    except TooLong:
        schema = None
    if schema is None:
        raise CannotGenerate(f"the conditions on {name} are too complex")
    if schema.satisfiability() == Satisfiability.NO:
        if entries:
            raise CannotGenerate(f"no valid event of {name} can match")
        raise CannotGenerate(f"no valid event of {name} exists: {_explain_nothing(event_schema)}")
    return schema


def _explain_nothing(event_schema: EventSchema) -> str:
    """The reason why no event of a type is valid."""
    part = event_schema.document["properties"].get("detail", {})
    types = "object"
    for schema in part.get("allOf", ())[:1]:
        types = schema.get("type", types)
    if types != "object" and "object" not in types:
        return "its schema accepts no object, and the detail of an event is one"
    return "its schema accepts nothing"


def _order(event: dict[str, Any], payload_key: str) -> dict[str, Any]:
    """An event with the members of its envelope in their usual order, and the payload last."""
    ordered = {name: event[name] for name in _ENVELOPES[payload_key] if name in event and name != payload_key}
    # Members that the envelope does not know, and the payload last.
    for name, value in event.items():
        if name != payload_key:
            ordered.setdefault(name, value)
    if payload_key in event:
        ordered[payload_key] = event[payload_key]
    return ordered
