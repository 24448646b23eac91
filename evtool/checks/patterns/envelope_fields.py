"""Says what is wrong with the fields of a pattern that ask for the envelope of events: no schema is needed."""

from collections.abc import Collection, Iterator
from typing import Any

from evtool.checks.patterns.subject import PatternProblem
from evtool.events.members import CLOUDEVENTS_MEMBERS, EVENTBRIDGE_MEMBERS
from evtool.findings.spelling import find_similar
from evtool.patterns.conditions import Branch, Field
from evtool.patterns.operators.registry import OPERATORS
from evtool.schemas.algebra.conditions import describe_condition
from evtool.schemas.algebra.types import is_impossible, to_canonical

_STRING: dict[str, Any] = {"type": "string"}
_OPTIONAL: dict[str, Any] = {"type": ["string", "null"]}
_MEMBERS: dict[str, dict[str, Any]] = {
    "detail": {
        **dict.fromkeys(("id", "detail-type", "source"), _STRING),
        **dict.fromkeys(("version", "account", "region", "time"), _OPTIONAL),
        "resources": {"anyOf": [{"type": "null"}, {"type": "array", "items": _STRING}]},
        "detail": {"type": "object"},
    },
    "data": {
        **dict.fromkeys(("specversion", "id", "type", "source"), _STRING),
        **dict.fromkeys(("time", "subject", "datacontenttype", "dataschema"), _OPTIONAL),
    },
}
_DISTINCT = (("detail-type", "detail"), ("type", "data", "specversion"))  # names that one form has and the other cannot
_COUNTERPARTS = {"detail-type": "type", "detail": "data", "type": "detail-type", "data": "detail"}
_NAMES = {"detail": EVENTBRIDGE_MEMBERS, "data": CLOUDEVENTS_MEMBERS}


def find_envelope_problems(
    field: Field, payload_key: str | None, payload_names: Collection[str]
) -> Iterator[PatternProblem]:
    """What is wrong with a field outside the payload.

    `payload_key` is None if the pattern does not say which envelope it means; `payload_names` are the fields that
    payloads have at their top.
    """
    if not field.known_conditions:
        return
    head, *rest = field.path.split(".")
    keys = field.keys[: _position_of_head(field) + 1]
    key_name = str(keys[-1])
    names = _NAMES[payload_key] if payload_key else (*EVENTBRIDGE_MEMBERS, *CLOUDEVENTS_MEMBERS)
    if "." in key_name or any(name in OPERATORS for name in rest):
        return  # a name with a dot, or an operator in the place of a field, which is another finding
    if head not in names:
        yield from _find_unknown(head, keys, payload_key, names, payload_names)
    elif not rest:
        yield from _find_impossible(field, head, payload_key)


def _find_unknown(
    name: str,
    keys: tuple[str | int, ...],
    payload_key: str | None,
    names: Collection[str],
    payload_names: Collection[str],
) -> Iterator[PatternProblem]:
    respelled = next((known for known in names if _normalize(known) == _normalize(name)), None)
    if payload_key == "data" and name.islower() and name.isalnum():
        return  # an extension attribute may have any such name
    if respelled is not None:
        message = f"events have no field {name}: the condition never holds"
        yield PatternProblem("EV306", keys, message, f'did you mean "{respelled}"?', at_key=True)
    elif payload_key == "detail" and name in payload_names:
        message = f"events have no field {name} beside detail: the condition never holds"
        yield PatternProblem("EV306", keys, message, f"it is a field of detail: write detail.{name}", at_key=True)
    elif similar := find_similar(name, names):
        message = f"events have no field {name}: the condition never holds"
        yield PatternProblem("EV301", keys, message, f'did you mean "{similar}"?', at_key=True)
    elif payload_key == "detail":
        message = f"EventBridge sends no field {name} beside detail"
        yield PatternProblem("EV301", keys, message, "fields of the payload are below detail", "warning", at_key=True)


def _find_impossible(field: Field, name: str, payload_key: str | None) -> Iterator[PatternProblem]:
    """Conditions on a known member that no event fulfils, since the member has another type."""
    schemas = [_MEMBERS[key] for key in ([payload_key] if payload_key else _MEMBERS)]
    documents = [{"type": "object", "properties": {name: schema.get(name, {})}} for schema in schemas]
    for index, condition in enumerate(field.conditions):
        is_absence = condition.operator == "exists" and condition.expected is False
        if is_absence or condition.unknown is not None:
            continue
        part = describe_condition(condition, (name,), from_above=True)
        canonical = [to_canonical(document) for document in documents]
        if all(schema is not None and is_impossible(schema, [part]) for schema in canonical):
            keys = (*field.keys, index)
            if name == "detail":
                message, suggestion = "detail is always an object, never a value", "name a field of it"
                yield PatternProblem("EV304" if condition.operator == "exists" else "EV302", keys, message, suggestion)
                continue
            number = isinstance(condition.expected, int | float) and not isinstance(condition.expected, bool)
            words = "a string"
            if name == "resources":
                words = "a list of strings"
            hint = None
            if number:
                hint = f'put it in quotes: "{condition.expected}"'
            yield PatternProblem("EV302", keys, f"{name} is always {words}: the condition never holds", hint)


def find_mixed_names(branch: Branch) -> Iterator[PatternProblem]:
    """The fields of a branch that only the other form of events has: EventBridge's or that of CloudEvents."""
    heads: dict[str, Field] = {}
    for field in branch:
        if not field.can_be_absent and field.known_conditions:
            heads.setdefault(field.path.partition(".")[0], field)
    own, others = ([name for name in names if name in heads] for names in _DISTINCT)
    if not own or not others:
        return
    if len(others) <= len(own):
        wrong, right, form = (others, own, "CloudEvents")
    else:
        wrong, right, form = (own, others, "EventBridge")
    for name in wrong:
        field = heads[name]
        keys = field.keys[: _position_of_head(field) + 1]
        message = f"{name} is a field of {form}, and {right[0]} is not: no event has both"
        suggestion = None
        if name in _COUNTERPARTS:
            suggestion = f'did you mean "{_COUNTERPARTS[name]}"?'
        yield PatternProblem("EV306", keys, message, suggestion, at_key=True)


def _position_of_head(field: Field) -> int:
    return next(i for i, key in enumerate(field.keys) if isinstance(key, str) and key != "$or")


def _normalize(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "")
