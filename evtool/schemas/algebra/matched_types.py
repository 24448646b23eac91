"""Finds the event types that a branch of a pattern matches, among those that a project knows."""

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from evtool.events.event import Event
from evtool.patterns.conditions import Branch, Condition, Field
from evtool.patterns.operators.registry import OPERATORS
from evtool.schemas.algebra.leaves import is_text
from evtool.schemas.validator import Schemas

TYPE_KEYS = {"detail": "detail-type", "data": "type"}  # by the key of the payload
_EVENTBRIDGE_ONLY = frozenset(("version", "detail-type", "account", "region", "resources", "detail", "replay-name"))
_CLOUDEVENTS_ONLY = frozenset(("specversion", "type", "subject", "datacontenttype", "dataschema", "data"))


class EventType(NamedTuple):
    """A type and its source; None if it may come from any."""

    type: str
    source: str | None


class MatchedTypes(NamedTuple):
    """The types that a branch matches. They are named by it, or known to the project.

    `is_certain` is false if the branch may as well be meant for types that the project does not know.
    """

    types: tuple[EventType, ...]
    is_certain: bool


def find_payload_key(branch: Branch) -> str | None:
    """The payload's key in the envelope that a branch asks for; None if it does not say whose envelope that is."""
    heads = {field.path.partition(".")[0] for field in branch}
    is_eventbridge, is_cloudevents = bool(heads & _EVENTBRIDGE_ONLY), bool(heads & _CLOUDEVENTS_ONLY)
    if is_eventbridge == is_cloudevents:
        return None
    if is_eventbridge:
        return "detail"
    return "data"


def find_matched_types(branch: Branch, known: Collection[EventType], payload_key: str) -> MatchedTypes:
    """The types that a branch matches, by running its conditions on the types of the project and those it names.

    A source that is not known before deployment may be any.
    """
    fields = {field.path: field for field in branch}
    type_field, source_field = fields.get(TYPE_KEYS[payload_key]), fields.get("source")
    if _is_open(type_field) or "" in fields:  # the latter if the whole pattern is unknown
        return MatchedTypes((), is_certain=False)
    is_any_source = _is_open(source_field)
    if is_any_source:
        source_field = None
    named = list_literals(type_field)
    names = dict.fromkeys((*named, *(entry.type for entry in known if _holds(type_field, entry.type))))
    literal_sources = list_literals(source_field)
    has_literal_sources = source_field is not None and all(map(is_literal, source_field.conditions))
    found: dict[EventType, None] = {}
    is_certain = bool(names)
    has_evidence = False
    for name in names:
        sources = [entry.source for entry in known if entry.type == name and entry.source is not None]
        matching = [source for source in sources if _holds(source_field, source)]
        if name in named:
            matching += literal_sources
        has_evidence = has_evidence or name in named or (bool(matching) and not is_any_source)
        possible: list[str | None] = [*matching]
        if (
            is_any_source or EventType(name, None) in known or (name in named and not matching)
        ):  # any source that the branch takes
            if has_literal_sources:
                possible += literal_sources
            else:
                possible += [None]
        found |= dict.fromkeys(EventType(name, source) for source in dict.fromkeys(possible))
    return MatchedTypes(tuple(found), is_certain and has_evidence)


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
    """Whether a condition of a field is not known before deployment."""
    if field:
        conditions = field.conditions
    else:
        conditions = ()
    return any(c.operator not in ("equals", *OPERATORS) or c.unknown is not None for c in conditions)


def list_known_types(schemas: Schemas | None, samples: Iterable[Event]) -> list[EventType]:
    """The types of a project: those with a schema and those of its samples, with the sources that are known."""
    described = [EventType(*entry) for entry in (schemas.list_entries() if schemas else ())]
    return list(dict.fromkeys([*described, *(EventType(sample.type, sample.source) for sample in samples)]))


def list_sources(types: Sequence[EventType], event_type: str) -> list[str]:
    """The sources that a type is known to come from."""
    return list(dict.fromkeys(e.source for e in types if e.type == event_type and e.source is not None))
