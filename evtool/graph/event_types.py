"""Lists the event types of a project with their sources, and decides which routes can match them.

Without an event, only the name and the sources of a type are known. The answer has three values. With the type
`order.created`, of which samples come from `shop.checkout`:

    {"detail-type": ["order.created"]}                                True
    {"detail-type": ["payment.declined"]}                             False
    {"detail-type": ["order.created"], "source": [{"prefix": "eu."}]} None: an event from such a source may come, too

The last pattern names the type, so its author expects such events. A pattern without a type, such as
`{"source": [{"prefix": "eu."}]}`, gets False for the same sources: otherwise its route had arrows from all types.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from evtool.patterns.conditions import Branch, Field
from evtool.routes.routes import Route, Routes

# The fields where an EventBridge event and a CloudEvent have their type.
TYPE_KEYS = ("detail-type", "type")


class EventType(NamedTuple):
    """The known envelopes of a type's events, with their sources in each envelope.

    `envelopes` are keys of TYPE_KEYS. `sources` are pairs of such a key and a source. `default_sources` are the sources
    of events whose handler gives none; it may give any.
    """

    envelopes: frozenset[str] = frozenset()
    sources: frozenset[tuple[str, str]] = frozenset()
    default_sources: frozenset[str] = frozenset()

    def merge(self, other: "EventType") -> "EventType":
        """Returns the envelopes and sources of both."""
        return EventType(
            self.envelopes | other.envelopes,
            self.sources | other.sources,
            self.default_sources | other.default_sources,
        )


# A schema does not say in which envelope its events come.
SCHEMA_TYPE = EventType(frozenset(TYPE_KEYS))


def emitted_type(handler: str) -> EventType:
    """Describes a type that a handler emits: its source is the handler's name, unless the handler gives another."""
    return EventType(frozenset(TYPE_KEYS[:1]), default_sources=frozenset([handler]))


def sent_type(type_key: str, source: str) -> EventType:
    """Describes a type of which an event is known, such as a sample."""
    return EventType(frozenset([type_key]), frozenset([(type_key, source)]))


def list_event_types(routes: Routes, known: Mapping[str, EventType]) -> dict[str, EventType]:
    """Lists all types of a project, sorted: the known ones, those that patterns name, and those that handlers emit."""
    types: dict[str, EventType] = dict(known)
    for route in routes.routes.values():
        for branch in route.pattern.branches:
            for name, event_type in _list_named_types(branch):
                types[name] = types.get(name, EventType()).merge(event_type)
    for handler, entry in routes.handlers.items():
        for name in entry.options.emits:
            types[name] = types.get(name, EventType()).merge(emitted_type(handler))
    return dict(sorted(types.items()))


def _list_named_types(branch: Branch) -> Iterable[tuple[str, EventType]]:
    """Yields the types that a branch names literally, with the sources that it names."""
    fields = {field.path: field for field in branch}
    sources = _list_literals(fields.get("source"))
    for key in TYPE_KEYS:
        pairs = frozenset((key, source) for source in sources)
        for name in _list_literals(fields.get(key)):
            yield name, EventType(frozenset([key]), pairs)


def _list_literals(field: Field | None) -> list[str]:
    literals: list[str] = []
    if field:
        for condition in field.conditions:
            if condition.operator == "equals" and isinstance(condition.expected, str):
                literals.append(condition.expected)
    return literals


def select_types(route: Route, types: Mapping[str, EventType]) -> Iterable[str]:
    """Selects the types that a route may match, in their order. Selects all unless the route names its types literally.

    This is a fast test before `match_type`: most routes name one type of a project that has hundreds.
    """
    named: set[str] = set()
    for branch in route.pattern.branches:
        literals: list[str] = []
        conditions = 0
        for field in branch:
            if field.path in TYPE_KEYS:
                literals += _list_literals(field)
                conditions += len(field.conditions)
        # A branch without a condition on the type, or with one such as a prefix, may match any type.
        if not conditions or len(literals) < conditions:
            return types
        named.update(literals)
    return sorted(named & types.keys())


def match_type(route: Route, name: str, event_type: EventType) -> bool | None:
    """Whether a route can match events of a type, by type and source; None if the source decides and is not known."""
    answers: set[bool | None] = set()
    for branch in route.pattern.branches:
        for key in event_type.envelopes:
            answers.add(_match_branch(branch, key, name, event_type))
    if True in answers:
        return True
    if None in answers:
        return None
    return False


def _match_branch(branch: Branch, key: str, name: str, event_type: EventType) -> bool | None:
    fields = {field.path: field for field in branch}
    for other_key in TYPE_KEYS:
        # A branch with a condition on `type` matches CloudEvents only, so no EventBridge event, and vice versa.
        if other_key != key and other_key in fields and not fields[other_key].can_be_absent:
            return False
    matches_type = _test(fields.get(key), [name])
    if matches_type is False or "source" not in fields:
        return matches_type
    sources = [source for envelope, source in event_type.sources if envelope == key]
    matches_source = _test(fields["source"], sources + list(event_type.default_sources))
    if matches_source is not False:
        return matches_type and matches_source
    is_named = name in _list_literals(fields.get(key))
    if is_named and not sources:
        # No event shows which sources the type has, and a handler may give any: the author of the pattern knows it.
        return matches_type
    if is_named or not sources:
        return None
    return False


def _test(field: Field | None, values: Iterable[str]) -> bool | None:
    """Whether a field holds for one of some strings; None if it may, depending on an unknown value of its pattern."""
    if field is None or any(map(field.test, values)):
        return True
    if field.unknown:
        return None
    return False
