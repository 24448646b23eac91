"""Compares the event types that routes match with those that handlers emit, samples have and schemas describe."""

from collections.abc import Iterator, Mapping
from itertools import chain
from operator import attrgetter
from typing import NamedTuple

from evtool.checks.base import CheckContext, read_section
from evtool.events.members import STRING_MEMBERS
from evtool.findings.finding import Finding
from evtool.findings.spelling import did_you_mean
from evtool.patterns.conditions import Branch, Field
from evtool.routes.pattern_text import locate_in_pattern
from evtool.routes.routes import Route

# The fields where EventBridge events and CloudEvents have their type.
TYPE_PATHS = ("detail-type", "type")
# Every event has a string there, so it has no fields below: `source.prefix` is absent from all events.
STRING_PREFIXES = tuple(f"{name}." for name in STRING_MEMBERS)


class EmittedType(NamedTuple):
    """An entry of a handler's `emits`. The events have the handler's name as source, unless its code gives another."""

    handler: str
    # The index in the list.
    number: int
    type: str


def list_emitted_types(context: CheckContext) -> list[EmittedType]:
    """Lists the event types that handlers declare to emit, in file order."""
    emitted = []
    for name, entry in context.handlers.items():
        for index, event_type in enumerate(entry.options.emits):
            emitted.append(EmittedType(name, index, event_type))
    return emitted


def may_match(branch: Branch, values: Mapping[str, str]) -> bool:
    """Whether a branch may match an event that has these strings at these paths, and anything else elsewhere."""
    return all(_may_hold(field, values) for field in branch)


def _may_hold(field: Field, values: Mapping[str, str]) -> bool:
    if field.path in values:
        return field.test(values[field.path]) or field.unknown is not None
    return field.can_be_absent or not field.path.startswith(STRING_PREFIXES)


def check_unmatched(context: CheckContext) -> Iterator[Finding]:
    """EV406: types that are emitted or have a schema, and that no route matches, not even a disabled one."""
    routes = context.project.document.value.get("routes")
    if not isinstance(routes, Mapping) or not context.routes or len(context.routes) != len(routes):
        # A pattern that does not compile may match any type.
        return
    seen: set[str] = set()
    for entry in list_emitted_types(context):
        seen.add(entry.type)
        if not _is_matched(context, entry.type, None):
            location = context.project.locate(("handlers", entry.handler, "emits", entry.number))
            message = f'no route matches "{entry.type}", which the handler {entry.handler} emits'
            hint = did_you_mean(entry.type, list_route_types(context))
            yield Finding("EV406", message, "warning", suggestion=hint, **location)
    for event_type, source in context.schema_entries:
        if event_type not in seen and not _is_matched(context, event_type, source):
            seen.add(event_type)
            schema = context.find_schema(event_type, source or "")
            if schema:
                location = schema.root.document.locate(schema.root.pointer)
                message = f'no route matches "{event_type}", which has a schema'
                yield Finding("EV406", message, "note", event_type=event_type, **location)


def _is_matched(context: CheckContext, event_type: str, source: str | None) -> bool:
    # A schema file does not say which of the two forms its events have.
    values = dict.fromkeys(TYPE_PATHS, event_type)
    if source:
        values["source"] = source
    branches = chain.from_iterable(route.pattern.branches for route in context.routes.values())
    return any(may_match(branch, values) for branch in branches)


def check_unsent(context: CheckContext) -> Iterator[Finding]:
    """EV407: types that a route matches, but no handler emits and no sample has."""
    # Without samples, the project does not show which events come from outside.
    if not context.samples:
        return
    sent: set[str] = set()
    sent.update(map(attrgetter("type"), list_emitted_types(context)))
    sent.update(map(attrgetter("type"), context.samples))
    intakes = {str(entry.get("source")) for entry in read_section(context.project, "intake").values()}
    for route in context.enabled_routes:
        if _is_foreign(route, intakes):
            continue
        for event_type, path in list_types(route).items():
            if event_type not in sent:
                yield _make_unsent_finding(context, route, event_type, path, sent)


def _make_unsent_finding(
    context: CheckContext, route: Route, event_type: str, path: tuple[str | int, ...], sent: set[str]
) -> Finding:
    message = f'route {route.name} matches "{event_type}": no handler declares to emit it and no sample has it'
    location = locate_in_pattern(context.project, route.name, path)
    hint = did_you_mean(event_type, sent)
    if hint is None:
        hint = "add a sample of it, or name it in `emits` of the handler that emits it"
    return Finding("EV407", message, "note", route=route.name, suggestion=hint, event_type=event_type, **location)


def list_route_types(context: CheckContext) -> set[str]:
    """Lists the types that routes name as plain values, also those of disabled routes."""
    return set(chain.from_iterable(map(list_types, context.routes.values())))


def list_types(route: Route) -> dict[str, tuple[str | int, ...]]:
    """Lists the types that a route names as plain values, each with its path in the pattern."""
    types: dict[str, tuple[str | int, ...]] = {}
    for field in chain.from_iterable(route.pattern.branches):
        if field.path in TYPE_PATHS:
            for index, condition in enumerate(field.conditions):
                if condition.operator == "equals" and isinstance(condition.expected, str):
                    types[condition.expected] = field.keys + (index,)
    return types


def _is_foreign(route: Route, intakes: set[str]) -> bool:
    """Whether a route takes events of AWS or of an intake, whose types the project does not list."""
    for field in chain.from_iterable(route.pattern.branches):
        if field.path == "source":
            for condition in field.conditions:
                source = condition.expected
                if isinstance(source, str) and (source.startswith("aws.") or source in intakes):
                    return True
    return False
