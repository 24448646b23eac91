"""Says what is wrong with one field of a pattern, given the schemas of the types that the pattern matches."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from evtool.checks.patterns.subject import (
    FieldOfTypes,
    Keys,
    PatternProblem,
    find_steps,
    format_path,
    is_absence,
    list_known_names,
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
    find_parts,
    is_certain,
    list_values,
)

_RULES = (
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
_MOST_VALUES = 5  # that a message lists


def find_field_problems(field: Field, types: Sequence[TypeSchema]) -> list[PatternProblem]:
    """What is wrong with a field of the payload; nothing that is not proven, except for notes."""
    steps = find_steps(field, types)
    if not steps or not types or not field.known_conditions:
        return []
    subject = FieldOfTypes(field, steps, tuple(types))
    try:
        problems = list(find_unknown_names(subject)) or list(_find_impossible(subject)) or list(_find_certain(subject))
    except TooLong:
        return []
    return problems


def _find_impossible(subject: FieldOfTypes) -> Iterator[PatternProblem]:
    """The conditions that never hold."""
    field, path = subject.field, format_path(subject, subject.steps)
    has_no_value = subject.never(lambda steps: describe_presence(steps, SCALAR, from_above=True))
    for index, condition in enumerate(field.conditions):
        keys = (*field.keys, index)
        if condition.unknown is not None:
            continue
        if is_absence(condition):
            is_detail = subject.types[0].payload_key == "detail"  # the data of a CloudEvent may be in Base64
            if is_detail and subject.never(lambda steps: describe_absence(steps, from_above=True)):
                message = f"{path} is required by the schema of {subject.type_names}: it is never absent"
                yield PatternProblem("EV304", keys, message, "leave the condition out")
        elif has_no_value:
            yield _describe_container(subject, condition, keys)
        elif subject.never(lambda steps, c=condition: describe_condition(c, steps, from_above=True)):  # type: ignore[misc]
            yield _describe_excluded(subject, condition, keys)


def _describe_container(subject: FieldOfTypes, condition: Condition, keys: Keys) -> PatternProblem:
    path = format_path(subject, subject.steps)
    known = list_known_names(subject, subject.steps)
    suggestion = None
    if known:
        suggestion = f"name a field of it: {list_some(known, _MOST_VALUES)}"
    message = f"{path} never has a value of its own in the schema of {subject.type_names}: the condition never holds"
    if known:
        message = f"{path} is always an object in the schema of {subject.type_names}, never a value"
    return PatternProblem("EV304" if condition.operator == "exists" else "EV302", keys, message, suggestion)


def _describe_excluded(subject: FieldOfTypes, condition: Condition, keys: Keys) -> PatternProblem:
    """Why a condition never holds for a field that has values: their type, or the values."""
    path = format_path(subject, subject.steps)
    possible = [name for name in SCALAR["type"] if not _is_never_of(subject, [name])]
    if not set(list_types(condition)) & set(possible):
        message = (
            f"{path} is never {_format_expected(condition)}: it is {_format_types(possible)}"
            f" in the schema of {subject.type_names}"
        )
        is_plain = condition.operator == "equals"
        return PatternProblem("EV302", keys, message, _suggest_type(condition.expected, possible) if is_plain else None)
    allowed = [value for entry in subject.types for value in list_values(entry.document, entry.steps_of(subject.steps))]
    message = f"{path} is never {_format_expected(condition)}"
    suggestion = None
    if allowed:
        texts = [json.dumps(value, ensure_ascii=False) for value in dict.fromkeys(map(_freeze, allowed))]
        message += f": the schema of {subject.type_names} allows {list_some(texts, _MOST_VALUES)}"
        if isinstance(condition.expected, str):
            suggestion = did_you_mean(condition.expected, [value for value in allowed if isinstance(value, str)])
    elif rules := _list_rules(subject, condition.expected):
        message += f": the schema of {subject.type_names} has {rules}"
    else:
        message += f" in the schema of {subject.type_names}"
    return PatternProblem("EV303", keys, message, suggestion)


def _find_certain(subject: FieldOfTypes) -> Iterator[PatternProblem]:
    """A field, or one of its conditions, that always holds."""
    field = subject.field
    if any(entry.payload_key != "detail" for entry in subject.types) or any(
        condition.unknown is not None for condition in field.conditions
    ):
        return
    path = format_path(subject, subject.steps)
    for index, condition in enumerate(field.conditions):
        if _is_always(subject, [condition]):
            keys: Keys = (*field.keys, index)
            break
    else:
        if len(field.conditions) == 1 or not _is_always(subject, field.conditions):
            return
        keys = field.keys
    suggestion = "leave it out"
    if subject.is_absence and subject.never(describe_object):
        suggestion = did_you_mean(subject.steps[-1], list_known_names(subject, subject.steps[:-1])) or suggestion
    message = f"the condition on {path} holds for every valid {subject.type_names}: it excludes nothing"
    yield PatternProblem("EV305", keys, message, suggestion, "warning")


def _is_always(subject: FieldOfTypes, conditions: Sequence[Condition]) -> bool:
    part = subject.field._replace(conditions=tuple(conditions))
    return all(
        is_certain(entry.schema, describe_field(part, entry.steps_of(subject.steps), from_above=False))
        for entry in subject.types
    )


# --- words ------------------------------------------------------------------------------------------------------------


def _is_never_of(subject: FieldOfTypes, types: list[str]) -> bool:
    return subject.never(lambda steps: describe_presence(steps, {"type": types}, from_above=True))


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
        if isinstance(value, bool):
            kind = "boolean"
        elif isinstance(value, int | float):
            kind = "number"
        else:
            kind = None
        if kind in possible:
            return f"write {expected} without quotes"
        return None
    if isinstance(expected, int | float) and "string" in possible:
        return f"put it in quotes: {json.dumps(json.dumps(expected))}"
    return None


def _list_rules(subject: FieldOfTypes, expected: Any) -> str:
    """The rules of the schemas for the value, such as `minimum 0`; the type as well if it excludes a fraction."""
    is_fraction = isinstance(expected, float) and not expected.is_integer()
    keys = ("type", *_RULES) if is_fraction else _RULES
    parts = [part for entry in subject.types for part in find_parts(entry.document, entry.steps_of(subject.steps))]
    rules = [f"{key} {shorten(json.dumps(part[key]))}" for part in parts for key in keys if key in part]
    return list_some(list(dict.fromkeys(rules)), 3)


def _freeze(value: Any) -> Any:
    if not isinstance(value, dict | list):
        return value
    return json.dumps(value)
