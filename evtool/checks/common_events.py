"""Finds an event that two routes both match: a sample of the project, or one made of values that both patterns take.

An event that was made counts only if it can occur: if the project has schemas, one for its type has to allow it.
"""

import copy
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, product
from typing import Any, NamedTuple

from evtool.checks.base import CheckContext
from evtool.checks.samples import validate_sample
from evtool.errors import ConfigError
from evtool.events.event import Event
from evtool.events.members import CLOUDEVENTS_MEMBERS, EVENTBRIDGE_MEMBERS
from evtool.patterns.conditions import Branch, Field
from evtool.patterns.explain.matching_values import iter_matching_values
from evtool.patterns.explain.mismatches import quote
from evtool.patterns.json_values import to_scalar
from evtool.routes.routes import Route
from evtool.schemas.algebra.events import generate_event
from evtool.schemas.algebra.values import CannotGenerate
from evtool.schemas.validator import CompiledSchema

MAX_PAIRS = 100  # of branches that are tried for two routes
MAX_VALUES = 20  # candidates for one field
MAX_TRIES = 50  # combinations of type and source
MAX_SAMPLES = 5  # samples of a type that are changed
MAX_EVENTS = 3000  # pairs of branches in a project for which an event is made
CLOUDEVENTS_NAMES = frozenset(("data", "type", "specversion", "subject", "datacontenttype", "dataschema"))
EVENTBRIDGE_NAMES = frozenset(("detail", "detail-type", "account", "region", "resources", "version"))
MEMBERS = frozenset((*EVENTBRIDGE_MEMBERS, *CLOUDEVENTS_MEMBERS)) - {"detail", "data"}  # strings, as far as known
MISSING = object()  # in place of a value: the field is absent

Steps = tuple[str, ...]


class _Form(NamedTuple):
    """What the two forms of events call their parts, and an event without a type, a source and a payload."""

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
        if context.schemas:
            self._types = context.schemas.list_types()
        else:
            self._types = []
        self._sample_values: dict[Steps, list[Any]] = {}
        self._matched: dict[str, set[int]] = {}  # the numbers of the samples that a route matches
        self._generated: dict[tuple[str, str], Mapping[str, Any]] = {}
        self._events = 0

    def may_exist(self, first: Route, second: Route) -> bool:
        """Whether `find` may find an event, by the buses of two routes and the values that they list. This is fast."""
        if None not in (first.event_bus, second.event_bus) and first.event_bus != second.event_bus:
            return False
        pairs = product(first.pattern.branches, second.pattern.branches)
        may_be_made = any(not _excludes(branch, other) and not _excludes(other, branch) for branch, other in pairs)
        return may_be_made or bool(self._list_matched(first) & self._list_matched(second))

    def find(self, first: Route, second: Route) -> str | None:
        """An event that both routes certainly match, described for people, or None if none is found."""
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
            samples = enumerate(self._context.samples)
            matched = {n for n, sample in samples if route.pattern.matches(sample.raw) is True}
            self._matched[route.name] = {
                n for n in matched if not validate_sample(self._context, self._context.samples[n])
            }
        return self._matched[route.name]

    def _make_event(self, branch: Branch, other: Branch, routes: tuple[Route, Route]) -> str | None:
        """An event for a branch of each route, described by the values that the patterns ask for."""
        fields: dict[str, list[Field]] = {}
        for field in (*branch, *other):
            fields.setdefault(field.path, []).append(field)
        names = {path.partition(".")[0] for path in fields}
        if names & CLOUDEVENTS_NAMES:
            form = CLOUDEVENTS
        else:
            form = EVENTBRIDGE
        if self._events >= MAX_EVENTS or not _may_have(form, names):
            return None
        choices: list[_Choice] = []
        for own in sorted(fields.values(), key=len, reverse=True):  # those of both patterns first: they may exclude
            choices.append(self._list_values(own, form))
            if not choices[-1].values:
                return None
        self._events += 1
        for event_type, source in islice(self._list_envelopes(choices, form), MAX_TRIES):
            found = self._fill_envelope(choices, event_type, source, form)
            if found:
                document, text = found
                if all(route.pattern.matches(document) is True for route in routes):
                    return text
        return None

    def _list_values(self, fields: Sequence[Field], form: _Form) -> _Choice:
        """The values of a field that all patterns take; those of samples first."""
        names = [key for key in fields[0].keys if isinstance(key, str) and key != "$or"]
        steps = tuple(fields[0].path.split(".") if "." in names[0] else names)
        values: list[Any] = [MISSING] if all(field.can_be_absent for field in fields) else []
        known = self._types if steps == (form.type_key,) else ()
        made = (made.value for field in fields for c in field.conditions for made in iter_matching_values(c))
        for value in (*self._list_sample_values(steps), *known, *made):
            scalar = to_scalar(value)
            if value in values or not all(field.test(scalar) for field in fields):
                continue
            if isinstance(value, str | None) or steps[0] not in MEMBERS:
                values.append(value)
        return _Choice(steps, values[:MAX_VALUES])

    def _list_sample_values(self, steps: Steps) -> list[Any]:
        if steps not in self._sample_values:
            found = (_get_value(sample, steps) for sample in self._context.samples)
            scalars = [v for v in found if v is not MISSING and not isinstance(v, Mapping | list)]
            self._sample_values[steps] = scalars[:MAX_VALUES]
        return self._sample_values[steps]

    def _list_envelopes(self, choices: Sequence[_Choice], form: _Form) -> Iterator[tuple[str, str]]:
        """The types and sources that an example may have. In a project with schemas, its types are known."""
        by_steps = {choice.steps: choice.values for choice in choices}
        samples = self._context.samples
        types = by_steps.get((form.type_key,)) or list(dict.fromkeys((*(s.type for s in samples), *self._types)))
        if not types and not self._context.schemas:
            types = ["any type"]
        sources = by_steps.get(("source",)) or list(dict.fromkeys(s.source for s in samples)) or ["any source"]
        return ((t, s) for t in types for s in sources if isinstance(t, str) and isinstance(s, str) and t and s)

    def _fill_envelope(
        self, choices: Sequence[_Choice], event_type: str, source: str, form: _Form
    ) -> tuple[dict[str, Any], str] | None:
        """An event of a type from a source with the values, and its description; None if its schema forbids it."""
        schema = self._context.find_schema(event_type, source, form.payload_key)
        if schema is None and event_type in self._types:
            return None  # its schema is for other sources, or cannot be used
        chosen: dict[Steps, Any] = {(form.type_key,): event_type, ("source",): source}
        shown = {choice.steps for choice in choices} | ({(form.type_key,)} if schema else set())
        for choice in choices:
            if choice.steps not in chosen:
                allowed = [value for value in choice.values if not _is_forbidden(schema, choice.steps, value, form)]
                if not allowed:
                    return None
                chosen[choice.steps] = allowed[0]
        values = {steps: value for steps, value in chosen.items() if steps in shown and value is not MISSING}
        text = ", ".join(f"{'.'.join(steps)} {quote(value)}" for steps, value in values.items())
        for base in self._iter_bases(event_type, source, form, needs_payload=schema is not None):
            document = copy.deepcopy(dict(base))
            is_complete = all(_set_value(document, steps, value) for steps, value in chosen.items())
            if is_complete and (schema is None or _is_valid(schema, document, form)):
                return document, text
        return None

    def _iter_bases(
        self, event_type: str, source: str, form: _Form, *, needs_payload: bool
    ) -> Iterator[Mapping[str, Any]]:
        """Events of a type to set values in: samples, one without a payload, one that is generated from the schema."""
        samples = [s for s in self._context.samples if (s.type, s.payload_key) == (event_type, form.payload_key)]
        yield from (sample.document for sample in samples[:MAX_SAMPLES])
        yield form.envelope
        if needs_payload:
            key = (event_type, source)
            if key not in self._generated:
                self._generated[key] = _generate(self._context, event_type, source)
            if form.payload_key in (event := self._generated[key]):
                yield event


def _generate(context: CheckContext, event_type: str, source: str) -> Mapping[str, Any]:
    """A valid event of a type; empty if none is found."""
    try:
        return generate_event(context.schemas, event_type, source, seed=0)
    except (CannotGenerate, ConfigError):
        return {}


def _may_have(form: _Form, names: set[str]) -> bool:
    """Whether events of a form may have fields with some names at their top."""
    if form is EVENTBRIDGE:
        return names <= {*EVENTBRIDGE_MEMBERS}
    return not names & EVENTBRIDGE_NAMES and all(name in CLOUDEVENTS_MEMBERS or name.isalnum() for name in names)


def _excludes(branch: Branch, other: Branch) -> bool:
    """Whether a field of a branch takes none of the values that another branch lists for it."""
    listed = {field.path: field for field in other}
    return any(field.path in listed and _takes_none(field, listed[field.path]) for field in branch)


def _takes_none(field: Field, listed: Field) -> bool:
    if listed.can_be_absent or any(condition.operator != "equals" for condition in listed.conditions):
        return False
    return not any(field.test(to_scalar(condition.expected)) for condition in listed.conditions)


def _get_value(sample: Event, steps: Steps) -> Any:
    value: Any = sample.document
    for step in steps:
        if isinstance(value, Mapping):
            value = value.get(step, MISSING)
        else:
            value = MISSING
    return value


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


def _is_forbidden(schema: CompiledSchema | None, steps: Steps, value: Any, form: _Form) -> bool:
    if schema is None or value is MISSING or steps[0] != form.payload_key:
        return False
    if schema.choice.envelope is None:
        path = steps[1:]
    else:
        path = steps
    return schema.subschemas.is_forbidden(path, value)


def _is_valid(schema: CompiledSchema, document: Mapping[str, Any], form: _Form) -> bool:
    """Whether the schema of a type allows an event."""
    return bool(schema.validator.is_valid(document if schema.choice.envelope else document.get(form.payload_key)))


def _describe_sample(event: Event) -> str:
    """The file and line of a sample."""
    text = None
    if event.source_map:
        text = event.source_map.text
    if text:
        return f"{text.file}:{text.line}"
    return event.id
