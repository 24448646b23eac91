"""Compares the event types that routes match with those that handlers emit, samples have and schemas describe."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from evtool.checks.base import CheckContext, read_section
from evtool.events.members import STRING_MEMBERS
from evtool.findings.finding import Finding
from evtool.findings.spelling import did_you_mean
from evtool.patterns.conditions import Branch, Field
from evtool.routes.pattern_text import locate_in_pattern
from evtool.routes.routes import Route

TYPE_PATHS = ("detail-type", "type")  # of EventBridge events and of CloudEvents


class EmittedType(NamedTuple):
    """An entry of a handler's `emits`. Events that it emits have the handler's name as source unless it says more."""

    handler: str
    number: int  # in the list
    type: str


def list_emitted_types(context: CheckContext) -> list[EmittedType]:
    """The event types that handlers declare to emit, in file order."""
    return [
        EmittedType(name, index, event_type)
        for name, entry in context.handlers.items()
        for index, event_type in enumerate(entry.options.emits)
    ]


def may_match(branch: Branch, values: Mapping[str, str]) -> bool:
    """Whether a branch may match an event with these strings at these paths, whatever else it has."""
    return all(_may_hold(field, values) for field in branch)


def _may_hold(field: Field, values: Mapping[str, str]) -> bool:
    if field.path in values:
        return field.test(values[field.path]) or any(condition.unknown for condition in field.conditions)
    # a string has no fields: every event lacks `source.prefix`
    return field.can_be_absent or not field.path.startswith(tuple(f"{name}." for name in STRING_MEMBERS))


def check_unmatched(context: CheckContext) -> Iterator[Finding]:
    """EV406: types that are emitted or have a schema, and that no route matches, not even a disabled one."""
    routes = context.project.document.value.get("routes")
    if not context.routes or len(context.routes) != len(routes if isinstance(routes, Mapping) else ()):
        return  # a pattern that does not compile may match any type
    emitted = list_emitted_types(context)
    for entry in emitted:
        if not _is_matched(context, entry.type, None):
            location = context.project.locate(("handlers", entry.handler, "emits", entry.number))
            message = f'no route matches "{entry.type}", which the handler {entry.handler} emits'
            hint = did_you_mean(entry.type, {name for route in context.routes.values() for name in list_types(route)})
            yield Finding("EV406", message, "warning", suggestion=hint, **location)
    seen = {entry.type for entry in emitted}
    for event_type, source in context.schemas.list_entries() if context.schemas else ():
        if event_type not in seen and not _is_matched(context, event_type, source):
            seen.add(event_type)
            schema = context.find_schema(event_type, source or "")
            if schema:
                location = schema.root.document.locate(schema.root.pointer)
                message = f'no route matches "{event_type}", which has a schema'
                yield Finding("EV406", message, "note", event_type=event_type, **location)


def _is_matched(context: CheckContext, event_type: str, source: str | None) -> bool:
    values = dict.fromkeys(TYPE_PATHS, event_type) | ({"source": source} if source else {})
    return any(may_match(branch, values) for route in context.routes.values() for branch in route.pattern.branches)


def check_unsent(context: CheckContext) -> Iterator[Finding]:
    """EV407: types that a route matches and that nothing is known to send."""
    sent = {entry.type for entry in list_emitted_types(context)} | {sample.type for sample in context.samples}
    if not context.samples:
        return  # without samples, the project says nothing about the events that come from outside
    foreign = {str(entry.get("source")) for entry in read_section(context.project, "intake").values()}
    for route in context.enabled_routes:
        for event_type, path in list_types(route).items():
            if event_type in sent or _is_foreign(route, foreign):
                continue
            message = f'route {route.name} matches "{event_type}": no handler declares to emit it and no sample has it'
            location = locate_in_pattern(context.project, route.name, path)
            hint = (
                did_you_mean(event_type, sent)
                or "add a sample of it, or name it in `emits` of the handler that emits it"
            )
            yield Finding(
                "EV407", message, "note", route=route.name, suggestion=hint, event_type=event_type, **location
            )


def list_types(route: Route) -> dict[str, tuple[str | int, ...]]:
    """The types that a route lists as plain values, each with its path in the pattern."""
    return {
        condition.expected: (*field.keys, index)
        for branch in route.pattern.branches
        for field in branch
        if field.path in TYPE_PATHS
        for index, condition in enumerate(field.conditions)
        if condition.operator == "equals" and isinstance(condition.expected, str)
    }


def _is_foreign(route: Route, intakes: set[str]) -> bool:
    """Whether a route takes events of AWS or of an intake, whose types the project does not list."""
    sources = [
        condition.expected
        for branch in route.pattern.branches
        for field in branch
        if field.path == "source"
        for condition in field.conditions
        if isinstance(condition.expected, str)
    ]
    return any(str(source).startswith("aws.") or source in intakes for source in sources)
