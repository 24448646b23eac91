"""Finds problems of conditions on the envelope of events, such as a condition on a number for `account`."""

from collections.abc import Collection, Iterator
from typing import Any

from evtool.checks.base import is_absence
from evtool.checks.patterns.subject import Keys, PatternProblem, find_other_spelling
from evtool.events.members import CLOUDEVENTS_MEMBERS, EVENTBRIDGE_MEMBERS
from evtool.findings.spelling import find_similar
from evtool.patterns.conditions import Branch, Condition, Field
from evtool.patterns.operators.registry import OPERATORS
from evtool.schemas.algebra.conditions import describe_condition
from evtool.schemas.algebra.types import is_impossible, to_canonical

# The envelopes of both forms of events as schemas: what a user's schema does for the payload. The keys are those of the
# payload. Members that AWS always sends may be missing from the events of other programs, so they are optional.
_STRING: dict[str, Any] = {"type": "string"}
_OPTIONAL: dict[str, Any] = {"type": ["string", "null"]}
_MEMBERS: dict[str, dict[str, Any]] = {
    "detail": dict.fromkeys(("id", "detail-type", "source"), _STRING)
    | dict.fromkeys(("version", "account", "region", "time"), _OPTIONAL)
    | {
        "resources": {"anyOf": [{"type": "null"}, {"type": "array", "items": _STRING}]},
        "detail": {"type": "object"},
    },
    "data": dict.fromkeys(("specversion", "id", "type", "source"), _STRING)
    | dict.fromkeys(("time", "subject", "datacontenttype", "dataschema"), _OPTIONAL),
}
# Names that one form has and the other cannot have.
_EVENTBRIDGE_ONLY, _CLOUDEVENTS_ONLY = ("detail-type", "detail"), ("type", "data", "specversion")
_COUNTERPARTS = {"detail-type": "type", "detail": "data", "type": "detail-type", "data": "detail"}
_NAMES = {"detail": EVENTBRIDGE_MEMBERS, "data": CLOUDEVENTS_MEMBERS}


def find_envelope_problems(
    field: Field, payload_key: str | None, payload_names: Collection[str]
) -> Iterator[PatternProblem]:
    """Yields the problems of a field outside the payload.

    `payload_key` is None if the pattern fits both envelopes; `payload_names` are the fields that payloads have at their
    top.
    """
    if not field.known_conditions:
        return
    steps = field.path.split(".")
    head = steps[0]
    keys = _keys_of_head(field)
    # A name with a dot may be a path or one name. An operator in the place of a field is another finding.
    if "." in str(keys[-1]) or not OPERATORS.keys().isdisjoint(steps[1:]):
        return
    names: Collection[str] = EVENTBRIDGE_MEMBERS + CLOUDEVENTS_MEMBERS
    if payload_key:
        names = _NAMES[payload_key]
    if head not in names:
        yield from _find_unknown(head, keys, payload_key, names, payload_names)
    elif len(steps) == 1:
        yield from _find_impossible(field, head, payload_key)


def _find_unknown(
    name: str,
    keys: tuple[str | int, ...],
    payload_key: str | None,
    names: Collection[str],
    payload_names: Collection[str],
) -> Iterator[PatternProblem]:
    # An extension attribute of a CloudEvent may have any name of lower-case letters and digits.
    if payload_key == "data" and name.islower() and name.isalnum():
        return
    respelled = find_other_spelling(name, names)
    similar = find_similar(name, names)
    if respelled is not None:
        message = f"events have no field {name}: the condition never holds"
        yield PatternProblem("EV306", keys, message, f'did you mean "{respelled}"?', at_key=True)
    elif payload_key == "detail" and name in payload_names:
        message = f"events have no field {name} next to detail: the condition never holds"
        yield PatternProblem("EV306", keys, message, f"it is a field of detail: write detail.{name}", at_key=True)
    elif similar:
        message = f"events have no field {name}: the condition never holds"
        yield PatternProblem("EV301", keys, message, f'did you mean "{similar}"?', at_key=True)
    elif payload_key == "detail":
        message = f"EventBridge sends no field {name} next to detail"
        yield PatternProblem("EV301", keys, message, "fields of the payload are below detail", "warning", at_key=True)


def _find_impossible(field: Field, name: str, payload_key: str | None) -> Iterator[PatternProblem]:
    """Yields the conditions on a known member that no event fulfils, since the member has another type."""
    payload_keys: Collection[str] = _MEMBERS
    if payload_key:
        payload_keys = [payload_key]
    schemas = [to_canonical(_describe_member(name, key)) for key in payload_keys]
    for index, condition in enumerate(field.conditions):
        if is_absence(condition) or condition.unknown is not None:
            continue
        part = describe_condition(condition, (name,), from_above=True)
        if all(schema is not None and is_impossible(schema, [part]) for schema in schemas):
            yield _describe_impossible(condition, name, field.keys + (index,))


def _describe_member(name: str, payload_key: str) -> dict[str, Any]:
    return {"type": "object", "properties": {name: _MEMBERS[payload_key].get(name, {})}}


def _describe_impossible(condition: Condition, name: str, keys: Keys) -> PatternProblem:
    if name == "detail":
        code = "EV302"
        if condition.operator == "exists":
            code = "EV304"
        return PatternProblem(code, keys, "detail is always an object, never a value", "name a field of it")
    expected = condition.expected
    hint = None
    # In Python a boolean is an int, too.
    if isinstance(expected, int | float) and not isinstance(expected, bool):
        hint = f'put it in quotes: "{expected}"'
    kind = "a string"
    if name == "resources":
        kind = "a list of strings"
    return PatternProblem("EV302", keys, f"{name} is always {kind}: the condition never holds", hint)


def find_mixed_names(branch: Branch) -> Iterator[PatternProblem]:
    """Yields the fields of a branch that only the other form of events has: EventBridge's or that of CloudEvents."""
    heads: dict[str, Field] = {}
    for field in branch:
        if not field.can_be_absent and field.known_conditions:
            heads.setdefault(field.path.partition(".")[0], field)
    eventbridge = [name for name in _EVENTBRIDGE_ONLY if name in heads]
    cloudevents = [name for name in _CLOUDEVENTS_ONLY if name in heads]
    if not eventbridge or not cloudevents:
        return
    # The form with more fields in the pattern is probably the one that its author means.
    wrong, right, form = cloudevents, eventbridge, "CloudEvents"
    if len(cloudevents) > len(eventbridge):
        wrong, right, form = eventbridge, cloudevents, "EventBridge"
    for name in wrong:
        message = f"{name} is a field of {form}, and {right[0]} is not: no event has both"
        suggestion = None
        if name in _COUNTERPARTS:
            suggestion = f'did you mean "{_COUNTERPARTS[name]}"?'
        yield PatternProblem("EV306", _keys_of_head(heads[name]), message, suggestion, at_key=True)


def _keys_of_head(field: Field) -> Keys:
    """Returns the keys up to the first name of a field, which may be below `$or`."""
    for position, key in enumerate(field.keys):
        if isinstance(key, str) and key != "$or":
            return field.keys[: position + 1]
    return field.keys
