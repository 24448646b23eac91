"""Says what is wrong with one field of a pattern, given the schemas of the types that the pattern matches."""

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from evtool.findings.phrases import list_some, shorten
from evtool.findings.spelling import did_you_mean, find_similar
from evtool.patterns.conditions import Condition, Field
from evtool.schemas.algebra.conditions import (
    Steps,
    TooLong,
    describe_absence,
    describe_condition,
    describe_field,
    describe_object,
    describe_presence,
    split_path,
)
from evtool.schemas.algebra.leaves import SCALAR, has_unknown, list_types
from evtool.schemas.algebra.types import (
    TypeSchema,
    find_parts,
    is_certain,
    is_impossible,
    iter_paths,
    list_names,
    list_values,
)

Keys = tuple[str | int, ...]
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


class PatternProblem(NamedTuple):
    """One thing that is wrong with a pattern: the keys that lead to it, or with `at_key` to the key that is wrong."""

    code: str
    keys: Keys
    message: str
    suggestion: str | None = None
    severity: str = "error"
    at_key: bool = False


class FieldOfTypes(NamedTuple):
    """A field of the payload, and the schemas of all types that its branch matches."""

    field: Field
    steps: Steps  # in the payload
    types: tuple[TypeSchema, ...]

    @property
    def is_absence(self) -> bool:
        """Whether the field only asks that there is no value."""
        return all(is_absence(condition) for condition in self.field.conditions)

    @property
    def type_names(self) -> str:
        """The types, for a message."""
        return list_some(list(dict.fromkeys(entry.type for entry in self.types)), 2)

    def never(self, describe: Callable[[Steps], dict[str, Any]], length: int | None = None) -> bool:
        """Whether no event of any of the types fits what `describe` makes of the steps, or of the first of them."""
        return all(is_impossible(entry.schema, [describe(entry.steps_of(self.steps[:length]))]) for entry in self.types)


def is_absence(condition: Condition) -> bool:
    """Whether a condition is `exists: false`."""
    return condition.operator == "exists" and condition.expected is False


def find_steps(field: Field, types: Sequence[TypeSchema]) -> Steps | None:
    """The steps from the payload to a field; None if a name has a dot, so that several properties may be meant."""
    dotted = {name for entry in types for name in entry.dotted}
    steps = split_path(field.path, dotted)
    has_dots = any("." in step for step in steps) or any("." in str(key) for key in field.keys)
    return None if has_dots else steps[1:]


def find_field_problems(field: Field, types: Sequence[TypeSchema]) -> list[PatternProblem]:
    """What is wrong with a field of the payload; nothing that is not proven, except for notes."""
    steps = find_steps(field, types)
    if not steps or not types:
        return []
    subject = FieldOfTypes(field, steps, tuple(types))
    try:
        problems = list(_find_unknown_name(subject)) or list(_find_impossible(subject)) or list(_find_certain(subject))
    except TooLong:
        return []
    return problems


def _find_unknown_name(subject: FieldOfTypes) -> Iterator[PatternProblem]:
    """A name on the path that no schema allows, or that is nearly one of an object that allows others."""
    for length in range(1, len(subject.steps) + 1):
        name, parent = subject.steps[length - 1], subject.steps[: length - 1]
        known = _list_known(subject, parent)
        if name in known:
            continue
        is_never = subject.never(describe_object, length)
        if is_never and subject.is_absence:
            return  # it is always absent
        if not is_never and (not known or _has_name_patterns(subject, parent)):
            return
        yield from _describe_unknown(subject, length, known, is_never=is_never)
        return


def _describe_unknown(
    subject: FieldOfTypes, length: int, known: list[str], *, is_never: bool
) -> Iterator[PatternProblem]:
    """The finding about a name that is not described where it stands."""
    name, parent = subject.steps[length - 1], subject.steps[: length - 1]
    path = _payload_path(subject, subject.steps[:length])
    keys = _keys_of_step(subject.field, length)
    severity = "error" if is_never else "note"
    allows = "allows" if is_never else "describes"
    message = f"no schema of {subject.type_names} {allows} {path}"
    if is_never:
        message += ": no valid event has it"
    same = next((other for other in known if _normalize(other) == _normalize(name)), None)
    elsewhere = _find_elsewhere(subject, name) if is_never and same is None else None
    if same is not None:
        yield PatternProblem("EV306", keys, message, f'did you mean "{same}"?', severity, at_key=True)
    elif elsewhere is not None:
        place = f"there is {_payload_path(subject, elsewhere)}"
        yield PatternProblem("EV306", keys, message, place, severity, at_key=True)
    elif is_never or find_similar(name, known):
        similar = find_similar(name, known)
        suggestion = did_you_mean(name, [similar] if similar else known)
        if suggestion is None and known:
            suggestion = f"{_payload_path(subject, parent)} has {list_some(known, _MOST_VALUES)}"
        yield PatternProblem("EV301", keys, message, suggestion, severity, at_key=True)


def _find_impossible(subject: FieldOfTypes) -> Iterator[PatternProblem]:
    """The conditions that never hold."""
    field, path = subject.field, _payload_path(subject, subject.steps)
    has_no_value = subject.never(lambda steps: describe_presence(steps, SCALAR, from_above=True))
    for index, condition in enumerate(field.conditions):
        keys = (*field.keys, index)
        if has_unknown(condition.expected):
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
    path = _payload_path(subject, subject.steps)
    known = _list_known(subject, subject.steps)
    suggestion = f"name a field of it: {list_some(known, _MOST_VALUES)}" if known else None
    message = f"{path} never has a value of its own in the schema of {subject.type_names}: the condition never holds"
    if known:
        message = f"{path} is always an object in the schema of {subject.type_names}, never a value"
    return PatternProblem("EV304" if condition.operator == "exists" else "EV302", keys, message, suggestion)


def _describe_excluded(subject: FieldOfTypes, condition: Condition, keys: Keys) -> PatternProblem:
    """Why a condition never holds for a field that has values: their type, or the values."""
    path = _payload_path(subject, subject.steps)
    possible = [name for name in SCALAR["type"] if not _is_never_of(subject, [name])]
    if not set(list_types(condition)) & set(possible):
        message = (
            f"{path} is never {_format_expected(condition)}: it is {_format_types(possible)}"
            f" in the schema of {subject.type_names}"
        )
        return PatternProblem("EV302", keys, message, _suggest_type(condition.expected, possible))
    allowed = [value for entry in subject.types for value in list_values(entry.document, entry.steps_of(subject.steps))]
    message = f"{path} is never {_format_expected(condition)}"
    suggestion = None
    if allowed:
        texts = [json.dumps(value, ensure_ascii=False) for value in dict.fromkeys(map(_freeze, allowed))]
        message += f": the schema of {subject.type_names} allows {list_some(texts, _MOST_VALUES)}"
        if isinstance(condition.expected, str):
            suggestion = did_you_mean(condition.expected, [value for value in allowed if isinstance(value, str)])
    elif rules := _list_rules(subject):
        message += f": the schema of {subject.type_names} has {rules}"
    else:
        message += f" in the schema of {subject.type_names}"
    return PatternProblem("EV303", keys, message, suggestion)


def _find_certain(subject: FieldOfTypes) -> Iterator[PatternProblem]:
    """A field, or one of its conditions, that always holds."""
    field = subject.field
    if any(entry.payload_key != "detail" for entry in subject.types) or any(
        has_unknown(condition.expected) for condition in field.conditions
    ):
        return
    path = _payload_path(subject, subject.steps)
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
        suggestion = did_you_mean(subject.steps[-1], _list_known(subject, subject.steps[:-1])) or suggestion
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


def _list_known(subject: FieldOfTypes, steps: Steps) -> list[str]:
    names = [name for entry in subject.types for name in list_names(entry.document, entry.steps_of(steps))]
    return list(dict.fromkeys(names))


def _has_name_patterns(subject: FieldOfTypes, steps: Steps) -> bool:
    parts = [part for entry in subject.types for part in find_parts(entry.document, entry.steps_of(steps))]
    return any("patternProperties" in part for part in parts)


def _find_elsewhere(subject: FieldOfTypes, name: str) -> Steps | None:
    """Another place in the payload where a name is known."""
    for entry in subject.types:
        for steps in iter_paths(entry.document, entry.steps_of(())):
            if steps[-1] == name:
                return steps[1:] if entry.has_envelope else steps
    return None


def _payload_path(subject: FieldOfTypes, steps: Steps) -> str:
    return ".".join((subject.types[0].payload_key, *steps))


def _keys_of_step(field: Field, length: int) -> Keys:
    """The keys of the pattern that lead to a step of the payload."""
    positions = [i for i, key in enumerate(field.keys) if isinstance(key, str) and key != "$or"]
    return field.keys[: positions[min(length, len(positions) - 1)] + 1]


def _normalize(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "")


def _format_expected(condition: Condition) -> str:
    text = shorten(json.dumps(condition.expected, ensure_ascii=False, default=str))
    return text if condition.operator == "equals" else f"{condition.operator} {text}"


def _format_types(types: list[str]) -> str:
    words = {"string": "a string", "number": "a number", "boolean": "a boolean", "null": "null"}
    return " or ".join(words[name] for name in types)


def _suggest_type(expected: Any, possible: list[str]) -> str | None:
    if isinstance(expected, str):
        try:
            value = json.loads(expected)
        except (ValueError, RecursionError):
            return None
        kind = "boolean" if isinstance(value, bool) else "number" if isinstance(value, int | float) else None
        return f"write {expected} without quotes" if kind in possible else None
    if isinstance(expected, int | float) and "string" in possible:
        return f"put it in quotes: {json.dumps(json.dumps(expected))}"
    return None


def _list_rules(subject: FieldOfTypes) -> str:
    """The rules of the schemas for the value, such as `minimum 0`."""
    parts = [part for entry in subject.types for part in find_parts(entry.document, entry.steps_of(subject.steps))]
    rules = [f"{key} {shorten(json.dumps(part[key]))}" for part in parts for key in _RULES if key in part]
    return list_some(list(dict.fromkeys(rules)), 3)


def _freeze(value: Any) -> Any:
    return value if not isinstance(value, dict | list) else json.dumps(value)
