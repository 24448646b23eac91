"""Finds the problems of one field of a pattern, given the schemas of the types that the pattern matches.

A condition is impossible (EV302 to EV304) if no valid event fulfils it, and certain (EV305) if every valid event does.
With the schema {"total": {"type": "number", "minimum": 0}}, of which `total` is required:

    {"detail": {"total": ["5"]}}                      EV302: it is a number; write 5 without quotes
    {"detail": {"total": [{"numeric": ["<", 0]}]}}    EV303: the schema has minimum 0
    {"detail": {"total": [{"exists": false}]}}        EV304: it is never absent
    {"detail": {"total": [{"numeric": [">=", 0]}]}}   EV305: it excludes nothing
"""

import json
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from evtool.checks.base import is_absence
from evtool.checks.patterns.subject import (
    FieldOfTypes,
    Keys,
    PatternProblem,
    find_steps,
    format_path,
    list_known_names,
    list_schema_parts,
)
from evtool.checks.patterns.unknown_names import find_unknown_names
from evtool.findings.phrases import list_some, shorten
from evtool.findings.spelling import did_you_mean
from evtool.patterns.conditions import Condition, Field
from evtool.schemas.algebra.conditions import (
    TooLong,
    describe_absence,
    describe_condition,
    describe_field,
    describe_object,
    describe_presence,
)
from evtool.schemas.algebra.leaves import SCALAR, list_types
from evtool.schemas.algebra.types import (
    TypeSchema,
    is_certain,
    list_values,
)

# Keywords that a message names as the reason why a schema excludes a value.
_RULES: tuple[str, ...] = (
    "minimum",
    "exclusiveMinimum",
    "maximum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "format",
    "pattern",
)
# Values that a message lists.
_MOST_VALUES = 5


def find_field_problems(field: Field, types: Sequence[TypeSchema]) -> list[PatternProblem]:
    """Finds the problems of a field of the payload. Only notes are not proven."""
    steps = find_steps(field, types)
    if not steps or not types or not field.known_conditions:
        return []
    subject = FieldOfTypes(field, steps, tuple(types))
    try:
        # A field with an unknown name is impossible, too; the message about its name helps more.
        for find in (find_unknown_names, _find_impossible, _find_certain):
            problems = list(find(subject))
            if problems:
                return problems
    except TooLong:
        # The description grows with each name of the path, so a condition on a very long path is not checked.
        return []
    return []


def _find_impossible(subject: FieldOfTypes) -> Iterator[PatternProblem]:
    """Yields the conditions that never hold."""
    field = subject.field
    has_no_value = subject.never(partial(describe_presence, leaf=SCALAR, from_above=True))
    for index, condition in enumerate(field.conditions):
        keys = field.keys + (index,)
        if condition.unknown is not None:
            continue
        if is_absence(condition):
            if _is_never_absent(subject):
                path = format_path(subject, subject.steps)
                message = f"{path} is required by the schema of {subject.type_names}: it is never absent"
                yield PatternProblem("EV304", keys, message, "leave the condition out")
        elif has_no_value:
            yield _describe_container(subject, condition, keys)
        elif subject.never(partial(describe_condition, condition, from_above=True)):
            yield _describe_excluded(subject, condition, keys)


def _is_never_absent(subject: FieldOfTypes) -> bool:
    # The data of a CloudEvent may be in Base64, so that it has no fields for a pattern.
    if subject.types[0].payload_key != "detail":
        return False
    return subject.never(partial(describe_absence, from_above=True))


def _describe_container(subject: FieldOfTypes, condition: Condition, keys: Keys) -> PatternProblem:
    path = format_path(subject, subject.steps)
    known = list_known_names(subject, subject.steps)
    suggestion = None
    message = f"{path} never has a value of its own in the schema of {subject.type_names}: the condition never holds"
    if known:
        suggestion = f"name a field of it: {list_some(known, _MOST_VALUES)}"
        message = f"{path} is always an object in the schema of {subject.type_names}, never a value"
    code = "EV302"
    if condition.operator == "exists":
        code = "EV304"
    return PatternProblem(code, keys, message, suggestion)


def _describe_excluded(subject: FieldOfTypes, condition: Condition, keys: Keys) -> PatternProblem:
    """Explains why a condition never holds for a field that has values: by their type, or by the values."""
    message = f"{format_path(subject, subject.steps)} is never {_format_expected(condition)}"
    suggestion = None
    possible = [name for name in SCALAR["type"] if not _is_never_of(subject, name)]
    if set(possible).isdisjoint(list_types(condition)):
        message += f": it is {_format_types(possible)} in the schema of {subject.type_names}"
        if condition.operator == "equals":
            suggestion = _suggest_type(condition.expected, possible)
        return PatternProblem("EV302", keys, message, suggestion)
    allowed: list[Any] = []
    for entry in subject.types:
        allowed += list_values(entry.document, entry.steps_of(subject.steps))
    rules = _list_rules(subject, condition.expected)
    if allowed:
        texts = [json.dumps(value, ensure_ascii=False) for value in dict.fromkeys(map(_freeze, allowed))]
        message += f": the schema of {subject.type_names} allows {list_some(texts, _MOST_VALUES)}"
        if isinstance(condition.expected, str):
            suggestion = did_you_mean(condition.expected, [value for value in allowed if isinstance(value, str)])
    elif rules:
        message += f": the schema of {subject.type_names} has {rules}"
    else:
        message += f" in the schema of {subject.type_names}"
    return PatternProblem("EV303", keys, message, suggestion)


def _find_certain(subject: FieldOfTypes) -> Iterator[PatternProblem]:
    """Yields a problem for a field, or one of its conditions, that always holds."""
    # The data of a CloudEvent may be in Base64, so that it has no fields for a pattern.
    if any(entry.payload_key != "detail" for entry in subject.types) or subject.field.unknown:
        return
    keys = _find_always(subject)
    if keys is None:
        return
    path = format_path(subject, subject.steps)
    suggestion = "leave it out"
    if subject.is_absence and subject.never(describe_object):
        suggestion = did_you_mean(subject.steps[-1], list_known_names(subject, subject.steps[:-1])) or suggestion
    message = f"the condition on {path} holds for every valid {subject.type_names}: it excludes nothing"
    yield PatternProblem("EV305", keys, message, suggestion, "warning")


def _find_always(subject: FieldOfTypes) -> Keys | None:
    """Returns the keys of the first condition that always holds, or of the field if only all of them together do."""
    field = subject.field
    for index, condition in enumerate(field.conditions):
        if _is_always(subject, [condition]):
            return field.keys + (index,)
    if len(field.conditions) > 1 and _is_always(subject, field.conditions):
        return field.keys
    return None


def _is_always(subject: FieldOfTypes, conditions: Sequence[Condition]) -> bool:
    part = subject.field._replace(conditions=tuple(conditions))
    for entry in subject.types:
        described = describe_field(part, entry.steps_of(subject.steps), from_above=False)
        if not is_certain(entry.schema, described):
            return False
    return True


# --- words ------------------------------------------------------------------------------------------------------------


def _is_never_of(subject: FieldOfTypes, type_name: str) -> bool:
    return subject.never(partial(describe_presence, leaf={"type": [type_name]}, from_above=True))


def _format_expected(condition: Condition) -> str:
    text = shorten(json.dumps(condition.expected, ensure_ascii=False, default=str))
    if condition.operator == "equals":
        return text
    return f"{condition.operator} {text}"


def _format_types(types: list[str]) -> str:
    words = {"string": "a string", "number": "a number", "boolean": "a boolean", "null": "null"}
    return " or ".join(words[name] for name in types)


def _suggest_type(expected: Any, possible: list[str]) -> str | None:
    if isinstance(expected, str):
        try:
            value = json.loads(expected)
        except (ValueError, RecursionError):
            return None
        # In Python a boolean is an int, too.
        kind = None
        if isinstance(value, bool):
            kind = "boolean"
        elif isinstance(value, int | float):
            kind = "number"
        if kind in possible:
            return f"write {expected} without quotes"
        return None
    if isinstance(expected, int | float) and "string" in possible:
        return f"put it in quotes: {json.dumps(json.dumps(expected))}"
    return None


def _list_rules(subject: FieldOfTypes, expected: Any) -> str:
    """Lists the rules of the schemas for the value, such as `minimum 0`; an empty string if they have none."""
    keys = _RULES
    # The type `integer` is the reason why a fraction is excluded.
    if isinstance(expected, float) and not expected.is_integer():
        keys = ("type",) + _RULES
    rules = []
    for part in list_schema_parts(subject, subject.steps):
        for key in keys:
            if key in part:
                rules.append(f"{key} {shorten(json.dumps(part[key]))}")
    return list_some(list(dict.fromkeys(rules)), 3)


def _freeze(value: Any) -> Any:
    if not isinstance(value, dict | list):
        return value
    return json.dumps(value)
