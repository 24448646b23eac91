"""Finds the event types that a branch of a pattern matches, among those that a project knows.

The project knows types from its schemas and samples, the branch names types in its conditions. Example: the project has
`order.created` and `order.paid` from `shop.checkout`; the branch is

    {"source": ["shop.checkout"], "detail-type": [{"prefix": "order."}, "refund.created"]}

The conditions hold for both known types. `refund.created` is named by the branch, so it counts as well, from the source
that the branch names. The result is `order.created`, `order.paid` and `refund.created`, each from `shop.checkout`.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from evtool.events.event import Event
from evtool.patterns.conditions import Branch, Condition, Field
from evtool.patterns.operators.registry import OPERATORS
from evtool.schemas.algebra.leaves import is_text
from evtool.schemas.validator import Schemas

# The key of the type in an envelope, by the key of its payload.
TYPE_KEYS = {"detail": "detail-type", "data": "type"}
_EVENTBRIDGE_ONLY = frozenset(("version", "detail-type", "account", "region", "resources", "detail", "replay-name"))
_CLOUDEVENTS_ONLY = frozenset(("specversion", "type", "subject", "datacontenttype", "dataschema", "data"))


class EventType(NamedTuple):
    """A type and its source; None if it may come from any source."""

    type: str
    source: str | None


class MatchedTypes(NamedTuple):
    """The types that a branch matches: those that it names, and those that the project knows.

    `is_certain` is false if the branch may be meant for types that the project does not know.
    """

    types: tuple[EventType, ...]
    is_certain: bool


def find_payload_key(branch: Branch) -> str | None:
    """The payload's key in the envelope that a branch is for; None if its fields are in both envelopes or in none."""
    names = {field.path.partition(".")[0] for field in branch}
    is_eventbridge, is_cloudevents = bool(names & _EVENTBRIDGE_ONLY), bool(names & _CLOUDEVENTS_ONLY)
    if is_eventbridge == is_cloudevents:
        return None
    if is_eventbridge:
        return "detail"
    return "data"


def find_matched_types(branch: Branch, known: Collection[EventType], payload_key: str) -> MatchedTypes:
    """The types that a branch matches: runs its conditions on the types of the project and those that it names.

    A source that is not known before deployment counts as any source.
    """
    fields = {field.path: field for field in branch}
    type_field, source_field = fields.get(TYPE_KEYS[payload_key]), fields.get("source")
    # The field "" means that the whole pattern is unknown.
    if _is_open(type_field) or "" in fields:
        return MatchedTypes((), is_certain=False)
    is_any_source = _is_open(source_field)
    if is_any_source:
        source_field = None
    named = list_literals(type_field)
    names = named + [entry.type for entry in known if _holds(type_field, entry.type)]
    literal_sources = list_literals(source_field)
    has_literal_sources = source_field is not None and all(map(is_literal, source_field.conditions))
    # A dict, because it keeps the order and drops duplicates.
    matched: dict[EventType, None] = {}
    has_evidence = False
    for name in dict.fromkeys(names):
        sources = _list_matching_sources(known, name, source_field)
        if name in named:
            sources += literal_sources
        # A type that the branch does not name is evidence only if its source is one that the branch asks for.
        if name in named or (sources and not is_any_source):
            has_evidence = True
        possible: list[str | None] = list(sources)
        if is_any_source or EventType(name, None) in known or (name in named and not sources):
            # The type comes from any source, so from each that the branch allows.
            if has_literal_sources:
                possible += literal_sources
            else:
                possible.append(None)
        for source in possible:
            matched[EventType(name, source)] = None
    return MatchedTypes(tuple(matched), is_certain=has_evidence)


def _list_matching_sources(known: Collection[EventType], event_type: str, source_field: Field | None) -> list[str]:
    """The known sources of a type for which a field holds."""
    sources = []
    for entry in known:
        if entry.type == event_type and entry.source is not None and _holds(source_field, entry.source):
            sources.append(entry.source)
    return sources


def list_literals(field: Field | None) -> list[str]:
    """The plain strings among the conditions of a field."""
    if field is None:
        return []
    return [condition.expected for condition in field.conditions if is_literal(condition)]


def is_literal(condition: Condition) -> bool:
    """Whether a condition is a plain string."""
    is_plain = condition.operator == "exactly" or (condition.operator == "equals" and is_text(condition))
    return is_plain and condition.unknown is None


def _holds(field: Field | None, text: str) -> bool:
    return field is None or bool(field.test(text))


def _is_open(field: Field | None) -> bool:
    """Whether a condition of a field is not known before deployment, or has an operator that evtool does not know."""
    return field is not None and any(map(_is_unknown, field.conditions))


def _is_unknown(condition: Condition) -> bool:
    is_new = condition.operator != "equals" and condition.operator not in OPERATORS
    return is_new or condition.unknown is not None


def list_known_types(schemas: Schemas | None, samples: Iterable[Event]) -> list[EventType]:
    """The types of a project: those with a schema and those of its samples, with the sources that are known."""
    types: list[EventType] = []
    if schemas is not None:
        types += map(EventType._make, schemas.list_entries())
    for sample in samples:
        types.append(EventType(sample.type, sample.source))
    return list(dict.fromkeys(types))


def list_sources(types: Sequence[EventType], event_type: str) -> list[str]:
    """The known sources of a type, each once."""
    return list(dict.fromkeys(_list_matching_sources(types, event_type, None)))
