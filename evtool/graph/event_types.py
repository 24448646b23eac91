"""Which event types a project has, from which sources, and which routes can match them."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from evtool.patterns.conditions import Branch, Field
from evtool.routes.routes import Route, Routes

TYPE_KEYS = ("detail-type", "type")  # where an EventBridge event and a CloudEvent have their type


class EventType(NamedTuple):
    """What is known of the events of a type: the envelopes that they come in, and their sources in each.

    `envelopes` are keys of TYPE_KEYS. `sources` are pairs of such a key and a source. `default_sources` are the sources
    of events whose handler gives none; it may give any.
    """

    envelopes: frozenset[str] = frozenset()
    sources: frozenset[tuple[str, str]] = frozenset()
    default_sources: frozenset[str] = frozenset()

    def merge(self, other: "EventType") -> "EventType":
        """What both know."""
        return EventType(
            self.envelopes | other.envelopes,
            self.sources | other.sources,
            self.default_sources | other.default_sources,
        )


SCHEMA_TYPE = EventType(frozenset(TYPE_KEYS))  # a schema does not say in which envelope its events come


def emitted_type(handler: str) -> EventType:
    """A type that a handler emits: its events have the handler's name as source, unless the handler gives another."""
    return EventType(frozenset(TYPE_KEYS[:1]), default_sources=frozenset([handler]))


def sent_type(type_key: str, source: str) -> EventType:
    """A type of which there is an event, such as a sample."""
    return EventType(frozenset([type_key]), frozenset([(type_key, source)]))


def list_event_types(routes: Routes, known: Mapping[str, EventType]) -> dict[str, EventType]:
    """All types of a project, sorted: the known ones, those that patterns name, and those that handlers emit."""
    found: dict[str, EventType] = dict(known)
    named = [
        pair for route in routes.routes.values() for branch in route.pattern.branches for pair in _name_types(branch)
    ]
    emitted = [
        (event_type, emitted_type(name))
        for name, entry in routes.handlers.items()
        for event_type in entry.options.emits
    ]
    for name, event_type in (*named, *emitted):
        found[name] = found.get(name, EventType()).merge(event_type)
    return dict(sorted(found.items()))


def _name_types(branch: Branch) -> Iterable[tuple[str, EventType]]:
    """The types that a branch names literally, with the sources that it names."""
    fields = {field.path: field for field in branch}
    sources = _list_literals(fields.get("source"))
    for key in TYPE_KEYS:
        for name in _list_literals(fields.get(key)):
            yield name, EventType(frozenset([key]), frozenset((key, source) for source in sources))


def _list_literals(field: Field | None) -> list[str]:
    if field:
        conditions = field.conditions
    else:
        conditions = ()
    return [c.expected for c in conditions if c.operator == "equals" and isinstance(c.expected, str)]


def select_types(route: Route, types: Mapping[str, EventType]) -> Iterable[str]:
    """The types that a route may match, in their order: those that it names, if it names all of its types literally."""
    named: set[str] = set()
    for branch in route.pattern.branches:
        fields = [field for field in branch if field.path in TYPE_KEYS]
        literals = [name for field in fields for name in _list_literals(field)]
        if not fields or len(literals) < sum(len(field.conditions) for field in fields):
            return types
        named.update(literals)
    return sorted(named & types.keys())


def match_type(route: Route, name: str, event_type: EventType) -> bool | None:
    """Whether a route can match events of a type, by type and source; None if the source decides and is not known."""
    answers = [
        _match_branch(branch, key, name, event_type)
        for branch in route.pattern.branches
        for key in event_type.envelopes
    ]
    if True in answers:
        return True
    if None in answers:
        return None
    return False


def _match_branch(branch: Branch, key: str, name: str, event_type: EventType) -> bool | None:
    fields = {field.path: field for field in branch}
    if any(path in fields and not fields[path].can_be_absent for path in TYPE_KEYS if path != key):
        return False  # it matches events in the other envelope only
    matches_type = _test(fields.get(key), [name])
    if matches_type is False or "source" not in fields:
        return matches_type
    sources = [source for envelope, source in event_type.sources if envelope == key]
    matches_source = _test(fields["source"], [*sources, *event_type.default_sources])
    if matches_source is not False:
        return matches_type and matches_source
    is_named = name in _list_literals(fields.get(key))
    if not sources:
        if is_named:
            return matches_type
        return None
    if is_named:
        return None
    return False


def _test(field: Field | None, values: Iterable[str]) -> bool | None:
    """Whether a field holds for one of some strings; None if it may, depending on an unknown value of its pattern."""
    if field is None or any(field.test(value) for value in values):
        return True
    if field.unknown:
        return None
    return False
