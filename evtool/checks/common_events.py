"""Finds an event that two routes both match: a sample of the project, or one made of values that both patterns take.

    one    {"source": [{"prefix": "shop."}], "detail": {"total": [{"numeric": [">", 20]}]}}
    other  {"source": ["shop.cart", "bank"], "detail": {"currency": ["EUR"]}}

For each field the candidates are values of samples and values that the conditions suggest; those remain that all
conditions on the field take: "shop.cart" for the source, 21 for the total, "EUR" for the currency. They are set in a
sample, in an empty event, or in an event that is generated from the schema. The result is tested with both patterns, so
a bad candidate costs time but gives no wrong finding.

An event that was made counts only if it can occur: if the project has schemas, one for its type has to allow it.
"""

import copy
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice, product
from operator import attrgetter
from typing import Any, NamedTuple

from evtool.checks.base import CheckContext, map_fields
from evtool.checks.samples import validate_sample
from evtool.errors import ConfigError
from evtool.events.event import Event
from evtool.events.members import CLOUDEVENTS_MEMBERS, EVENTBRIDGE_MEMBERS
from evtool.patterns.conditions import Branch, Field
from evtool.patterns.explain.descriptions import quote
from evtool.patterns.explain.matching_values import iter_matching_values
from evtool.patterns.json_values import to_scalar
from evtool.routes.routes import Route
from evtool.schemas.algebra.events import generate_event
from evtool.schemas.algebra.values import CannotGenerate
from evtool.schemas.validator import CompiledSchema

# Pairs of branches that are tried for two routes.
MAX_PAIRS = 100
# Candidates for one field.
MAX_VALUES = 20
# Combinations of type and source.
MAX_TRIES = 50
# Samples of a type that are changed.
MAX_SAMPLES = 5
# Pairs of branches in a project for which an event is made.
MAX_EVENTS = 3000
CLOUDEVENTS_NAMES = frozenset(("data", "type", "specversion", "subject", "datacontenttype", "dataschema"))
EVENTBRIDGE_NAMES = frozenset(("detail", "detail-type", "account", "region", "resources", "version"))
# The members of envelopes that are strings, or null.
MEMBERS = frozenset(EVENTBRIDGE_MEMBERS + CLOUDEVENTS_MEMBERS) - {"detail", "data"}
# In place of a value: the field is absent.
MISSING = object()

Steps = tuple[str, ...]


class _Form(NamedTuple):
    """The names of the parts of one of the two forms of events, and an event without a type, a source and a payload."""

    type_key: str
    payload_key: str
    envelope: Mapping[str, Any]


CLOUDEVENTS = _Form("type", "data", {"specversion": "1.0", "id": "1", "data": {}})
EVENTBRIDGE = _Form(
    "detail-type",
    "detail",
    {
        "version": "0",
        "id": "1",
        "time": "2026-01-01T00:00:00Z",
        "account": "123456789012",
        "region": "us-east-1",
        "resources": [],
        "detail": {},
    },
)


class _Choice(NamedTuple):
    """The names that lead to a field, and the values that it may have for both patterns."""

    steps: Steps
    values: Sequence[Any]


class CommonEvents:
    """Finds events that two routes of a project both match."""

    def __init__(self, context: CheckContext):
        self._context = context
        self._types: Sequence[str] = ()
        if context.schemas:
            self._types = context.schemas.list_types()
        self._sample_values: dict[Steps, list[Any]] = {}
        # The numbers of the samples that a route matches.
        self._matched: dict[str, set[int]] = {}
        self._generated: dict[tuple[str, str], Mapping[str, Any]] = {}
        self._events = 0

    def may_exist(self, first: Route, second: Route) -> bool:
        """Whether `find` may find an event, by the buses of two routes and the values that they list.

        This is fast: most pairs of routes list different types, and need no event.
        """
        buses = {first.event_bus, second.event_bus}
        if len(buses) == 2 and None not in buses:
            return False
        for branch, other in product(first.pattern.branches, second.pattern.branches):
            if not _excludes(branch, other) and not _excludes(other, branch):
                return True
        return not self._list_matched(first).isdisjoint(self._list_matched(second))

    def find(self, first: Route, second: Route) -> str | None:
        """Describes an event that both routes certainly match. Returns None if it finds none."""
        common = self._list_matched(first) & self._list_matched(second)
        if common:
            return f"the sample {_describe_sample(self._context.samples[min(common)])}"
        for branch, other in islice(product(first.pattern.branches, second.pattern.branches), MAX_PAIRS):
            text = self._make_event(branch, other, (first, second))
            if text is not None:
                return text or "any other event"
        return None

    def _list_matched(self, route: Route) -> set[int]:
        if route.name not in self._matched:
            self._matched[route.name] = set()
            for number, sample in enumerate(self._context.samples):
                if route.pattern.matches(sample.raw) is True and not validate_sample(self._context, sample):
                    self._matched[route.name].add(number)
        return self._matched[route.name]

    def _make_event(self, branch: Branch, other: Branch, routes: tuple[Route, Route]) -> str | None:
        """Makes an event for a branch of each route. Describes it by the values that the patterns ask for."""
        fields: dict[str, list[Field]] = {}
        for field in chain(branch, other):
            fields.setdefault(field.path, []).append(field)
        names = {path.partition(".")[0] for path in fields}
        form = EVENTBRIDGE
        if names & CLOUDEVENTS_NAMES:
            form = CLOUDEVENTS
        if self._events >= MAX_EVENTS or not _may_have(form, names):
            return None
        choices: list[_Choice] = []
        # The fields of both patterns come first: only they can have no value that all conditions take.
        for same_path in sorted(fields.values(), key=len, reverse=True):
            choices.append(self._list_values(same_path, form))
            if not choices[-1].values:
                return None
        self._events += 1
        for event_type, source in islice(self._iter_envelopes(choices, form), MAX_TRIES):
            filled = self._fill_envelope(choices, event_type, source, form)
            if filled:
                document, text = filled
                if all(route.pattern.matches(document) is True for route in routes):
                    return text
        return None

    def _list_values(self, fields: Sequence[Field], form: _Form) -> _Choice:
        """Lists the values of a field that all patterns take; those of samples come first."""
        steps = _list_steps(fields[0])
        values: list[Any] = []
        if all(field.can_be_absent for field in fields):
            values.append(MISSING)
        types: Sequence[str] = ()
        if steps == (form.type_key,):
            types = self._types
        for value in chain(self._list_sample_values(steps), types, _suggest_values(fields)):
            scalar = to_scalar(value)
            if value in values or not all(field.test(scalar) for field in fields):
                continue
            # A member of the envelope is never a number, even if a pattern asks for one.
            if isinstance(value, str | None) or steps[0] not in MEMBERS:
                values.append(value)
        return _Choice(steps, values[:MAX_VALUES])

    def _list_sample_values(self, steps: Steps) -> list[Any]:
        if steps not in self._sample_values:
            scalars = []
            for sample in self._context.samples:
                value = _get_value(sample, steps)
                if value is not MISSING and not isinstance(value, Mapping | list):
                    scalars.append(value)
            self._sample_values[steps] = scalars[:MAX_VALUES]
        return self._sample_values[steps]

    def _iter_envelopes(self, choices: Sequence[_Choice], form: _Form) -> Iterator[tuple[str, str]]:
        """Yields the types and sources that an example may have."""
        by_steps = {choice.steps: choice.values for choice in choices}
        types = by_steps.get((form.type_key,))
        if not types:
            types = list(dict.fromkeys(map(attrgetter("type"), self._context.samples)) | dict.fromkeys(self._types))
        # The schemas of a project describe all of its types. Without any, a type of another name may exist.
        if not types and not self._context.schemas:
            types = ["any type"]
        sources = by_steps.get(("source",))
        if not sources:
            sources = list(dict.fromkeys(map(attrgetter("source"), self._context.samples))) or ["any source"]
        for event_type, source in product(types, sources):
            if isinstance(event_type, str) and isinstance(source, str) and event_type and source:
                yield event_type, source

    def _fill_envelope(
        self, choices: Sequence[_Choice], event_type: str, source: str, form: _Form
    ) -> tuple[dict[str, Any], str] | None:
        """Returns an event with the values, and its description; None if its schema forbids such an event."""
        schema = self._context.find_schema(event_type, source, form.payload_key)
        # The schema of this type is for other sources, or cannot be used.
        if schema is None and event_type in self._types:
            return None
        chosen: dict[Steps, Any] = {(form.type_key,): event_type, ("source",): source}
        for choice in choices:
            if choice.steps not in chosen:
                allowed = [value for value in choice.values if not _is_forbidden(schema, choice.steps, value, form)]
                if not allowed:
                    return None
                chosen[choice.steps] = allowed[0]
        # The description has the type, which determines the schema, and the values that a pattern asks for.
        described = {choice.steps for choice in choices}
        if schema:
            described.add((form.type_key,))
        parts = []
        for steps, value in chosen.items():
            if steps in described and value is not MISSING:
                parts.append(f"{'.'.join(steps)} {quote(value)}")
        for base in self._iter_bases(event_type, source, form, needs_payload=schema is not None):
            document = copy.deepcopy(dict(base))
            is_complete = all(_set_value(document, steps, value) for steps, value in chosen.items())
            if is_complete and (schema is None or _is_valid(schema, document, form)):
                return document, ", ".join(parts)
        return None

    def _iter_bases(
        self, event_type: str, source: str, form: _Form, *, needs_payload: bool
    ) -> Iterator[Mapping[str, Any]]:
        """Yields events of a type to set values in: samples, one without a payload, one generated from the schema."""
        count = 0
        for sample in self._context.samples:
            if count < MAX_SAMPLES and sample.type == event_type and sample.payload_key == form.payload_key:
                count += 1
                yield sample.document
        yield form.envelope
        if needs_payload:
            key = (event_type, source)
            if key not in self._generated:
                self._generated[key] = _generate(self._context, event_type, source)
            if form.payload_key in self._generated[key]:
                yield self._generated[key]


def _generate(context: CheckContext, event_type: str, source: str) -> Mapping[str, Any]:
    """Generates a valid event of a type; it is empty if that is not possible."""
    try:
        return generate_event(context.schemas, event_type, source, seed=0)
    except (CannotGenerate, ConfigError):
        return {}


def _list_steps(field: Field) -> Steps:
    """Returns the names that lead to a field of a document.

    A key of a pattern may have dots and mean a path, such as `detail.total`, or a name with a dot below `detail`.
    """
    names = [key for key in field.keys if isinstance(key, str) and key != "$or"]
    if "." in names[0]:
        return tuple(field.path.split("."))
    return tuple(names)


def _suggest_values(fields: Sequence[Field]) -> Iterator[Any]:
    for field in fields:
        for condition in field.conditions:
            for suggestion in iter_matching_values(condition):
                yield suggestion.value


def _may_have(form: _Form, names: set[str]) -> bool:
    """Whether events of a form may have fields with some names at their top."""
    if form is EVENTBRIDGE:
        return names <= set(EVENTBRIDGE_MEMBERS)
    # An extension attribute of a CloudEvent may have any name of letters and digits.
    return not names & EVENTBRIDGE_NAMES and all(name in CLOUDEVENTS_MEMBERS or name.isalnum() for name in names)


def _excludes(branch: Branch, other: Branch) -> bool:
    """Whether a field of a branch takes none of the values that another branch lists for it."""
    listed = map_fields(other)
    return any(field.path in listed and _takes_none(field, listed[field.path]) for field in branch)


def _takes_none(field: Field, listed: Field) -> bool:
    if listed.can_be_absent:
        return False
    for condition in listed.conditions:
        if condition.operator != "equals" or field.test(to_scalar(condition.expected)):
            return False
    return True


def _get_value(sample: Event, steps: Steps) -> Any:
    value: Any = sample.document
    for step in steps:
        if not isinstance(value, Mapping):
            return MISSING
        value = value.get(step, MISSING)
    return value


def _set_value(document: Any, steps: Steps, value: Any) -> bool:
    """Sets or removes a field. Returns False if the document has no place for it."""
    for step in steps[:-1]:
        if not isinstance(document, dict):
            return False
        document = document.setdefault(step, {})
    name = steps[-1]
    # Conditions are about values, not about objects; a list of the sample may have elements that other fields need.
    if not isinstance(document, dict) or isinstance(document.get(name), dict | list):
        return False
    if value is MISSING:
        document.pop(name, None)
    else:
        document[name] = value
    return True


def _is_forbidden(schema: CompiledSchema | None, steps: Steps, value: Any, form: _Form) -> bool:
    if schema is None or value is MISSING or steps[0] != form.payload_key:
        return False
    # A schema of a whole event begins at the envelope, any other one at the payload.
    if schema.choice.envelope is None:
        return schema.subschemas.is_forbidden(steps[1:], value)
    return schema.subschemas.is_forbidden(steps, value)


def _is_valid(schema: CompiledSchema, document: Mapping[str, Any], form: _Form) -> bool:
    """Whether the schema of a type allows an event."""
    value: Any = document
    if not schema.choice.envelope:
        value = document.get(form.payload_key)
    return bool(schema.validator.is_valid(value))


def _describe_sample(event: Event) -> str:
    """Returns the file and line of a sample."""
    if event.source_map and event.source_map.text:
        return f"{event.source_map.text.file}:{event.source_map.text.line}"
    return event.id
