"""Converts the errors of the schema validator to codes, messages and hints."""

import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from jsonschema_rs import ValidationError
from jsonschema_rs import ValidationErrorKind as Kind

from evtool.findings.phrases import shorten
from evtool.findings.spelling import did_you_mean

_QUOTED_SCALAR = re.compile(
    r"true|false|null|-?(?:0|[1-9][0-9]{0,300})(?:\.[0-9]{1,300})?"
)  # what may stand in quotes by mistake
_PYTHON_SCALARS = {"True": True, "False": False, "None": None}  # as programs print them by mistake
MAX_HINT_NAMES = 100  # names that a hint is sought for: nobody misspells more
MAX_PAIRS = 3  # groups of equal elements that a message names

BOUNDS: dict[type, str] = {  # the kind of a limit, and what it asks for
    Kind.Minimum: "should be at least {}",
    Kind.Maximum: "should be at most {}",
    Kind.ExclusiveMinimum: "should be more than {}",
    Kind.ExclusiveMaximum: "should be less than {}",
    Kind.MultipleOf: "should be a multiple of {}",
    Kind.MinLength: "should have at least {} characters",
    Kind.MaxLength: "should have at most {} characters",
    Kind.MinItems: "should have at least {} elements",
    Kind.MaxItems: "should have at most {} elements",
    Kind.MinProperties: "should have at least {} properties",
    Kind.MaxProperties: "should have at most {} properties",
}


class Violation(NamedTuple):
    """One thing that a schema does not allow. `path` leads to it in the validated value."""

    code: str
    path: tuple[str | int, ...]
    message: str
    suggestion: str | None = None
    at_key: bool = False  # the key is to be pointed at, not the value
    forms: tuple[str, ...] = ()  # the forms of `oneOf` and `anyOf` that the value was compared with, from the outside


def find_violations(
    error: ValidationError, schema: Mapping[str, Any], known: Callable[[], Collection[str]] = tuple
) -> Iterator[Violation]:
    """The violations that an error of the engine reports, one for each property that it names.

    `schema` is the schema object that contains the keyword. `known` returns the names of all properties that a schema
    describes at this place: such a key is not a misspelling of another.
    """
    path = tuple(error.instance_path)
    value: Any = error.instance
    match error.kind:
        case Kind.Required(property=name):
            known_names = {*known(), *schema.get("properties", {})}
            unknown_keys = [key for key in value if key not in known_names][:MAX_HINT_NAMES]
            misspelled = next((key for key in unknown_keys if did_you_mean(name, [key])), None)
            hint = None
            if misspelled:
                hint = f'"{misspelled}" looks like it'
            yield Violation("EV102", path, f"has no {format_value(name)}, which is required", hint)
        case Kind.AdditionalProperties(unexpected=names):
            yield from find_unknown(path, value, names, schema.get("properties", {}), known())
        case Kind.FalseSchema():
            yield Violation("EV103", path, "is not allowed here", at_key=True)
        case Kind.AdditionalItems(limit=limit):
            for index in range(limit, len(value)):
                yield Violation("EV103", (*path, index), "is not allowed here")
        case Kind.Type(types=types):
            yield describe_wrong_type(path, [str(name) for name in types], value)
        case Kind.Enum(options=options):
            yield describe_wrong_value(path, options, value)
        case Kind.Constant(expected_value=expected):
            yield describe_wrong_value(path, [expected], value)
        case Kind.Format(format=name):
            yield Violation("EV107", path, f"should be a valid {name}, got {format_value(value)}")
        case Kind.Pattern(pattern=pattern):
            yield Violation("EV107", path, f"should match the pattern {pattern}, got {format_value(value)}")
        case Kind.BacktrackLimitExceeded():
            hint = "write the schema's regular expression without nested repetitions"
            yield Violation("EV107", path, "cannot be matched: its pattern takes too long", hint)
        case Kind.Not(schema=excluded):
            yield Violation("EV109", path, f"has the form that the schema excludes: {format_value(excluded)}")
        case Kind.UniqueItems():
            groups = [" and ".join(f"[{index}]" for index in group) for group in _find_equal_elements(value)]
            shown = ", ".join(groups[:MAX_PAIRS]) + (", …" if len(groups) > MAX_PAIRS else "")
            yield Violation("EV109", path, f"has equal elements, which the schema excludes: {shown}")
        case Kind.PropertyNames(error=inner):
            for violation in find_violations(inner, {}):
                key_path = (*path, str(inner.instance))
                yield Violation(
                    violation.code, key_path, f"as a key {violation.message}", violation.suggestion, at_key=True
                )
        case kind if (bound := _describe_bound(kind)) is not None:
            yield Violation("EV106", path, f"{bound}, got {format_value(value)}")
        case Kind.ContentEncoding(content_encoding=name):
            yield Violation("EV109", path, f"should be encoded as {name}, got {format_value(value)}")
        case Kind.ContentMediaType(content_media_type=name):
            yield Violation("EV109", path, f"should be a document of type {name}, got {format_value(value)}")
        case kind:  # not in the engine's words, which may differ between its versions
            yield Violation(
                "EV109", path, f"does not satisfy {format_value(kind.name)} of the schema, got {format_value(value)}"
            )


def find_unknown(
    path: tuple[str | int, ...], value: Any, names: Iterable[str], properties: Iterable[str], known: Collection[str]
) -> Iterator[Violation]:
    """A violation for each property in `names`, which are not allowed beside `properties`."""
    properties = list(properties)
    missing = [key for key in properties if key not in value]
    for number, name in enumerate(names):
        is_other = number >= MAX_HINT_NAMES or name in known
        same_letters = [key for key in properties if key.lower() == name.lower()]
        hint = None
        if not is_other:
            hint = did_you_mean(name, [*missing, *same_letters])
        yield Violation("EV103", (*path, name), "is not allowed here", hint, at_key=True)


def describe_wrong_type(path: tuple[str | int, ...], types: Sequence[str], value: Any) -> Violation:
    """The violation of a value that has none of the types."""
    message = f"should be {' or '.join(types)}, got {describe_typed(value)}"
    return Violation("EV104", path, message, _suggest_quotes(value, types))


def describe_wrong_value(path: tuple[str | int, ...], options: Sequence[Any], value: Any) -> Violation:
    """The violation of a value that is none of the options."""
    allowed = ("" if len(options) == 1 else "one of ") + ", ".join(format_value(option) for option in options)
    types = {json_type(option) for option in options}
    if json_type(value) in types:
        got = format_value(value)
    else:
        got = describe_typed(value)
    return Violation("EV105", path, f"should be {allowed}, got {got}", _suggest_option(value, options))


def json_type(value: Any) -> str:
    """The name of a JSON value's type; integers are numbers."""
    names = {dict: "object", list: "array", str: "string", bool: "boolean", type(None): "null"}
    return names.get(type(value), "number")


def is_same(value: Any, other: Any) -> bool:
    """Whether two JSON values are equal: 1 and 1.0 are, 1 and true are not."""
    return json_type(value) == json_type(other) and bool(value == other)


def _suggest_option(value: Any, options: Sequence[Any]) -> str | None:
    """Which of the options was meant: one of another type with the same text, or a similar string."""
    if not isinstance(value, str):
        text = json.dumps(value)
        if any(isinstance(o, str) and o == text for o in options):
            return "put it in quotes"
        return None
    for option in options:
        if not isinstance(option, str) and value.lower() == json.dumps(option):
            if value == json.dumps(option):
                return "remove the quotes"
            return f"write {json.dumps(option)} without quotes"
    return did_you_mean(value, [option for option in options if isinstance(option, str)])


def _find_equal_elements(elements: Sequence[Any]) -> list[list[int]]:
    """The indices of equal elements, grouped."""
    groups: dict[Any, list[int]] = {}
    for index, element in enumerate(elements):
        groups.setdefault(_make_hashable(element), []).append(index)
    return [group for group in groups.values() if len(group) > 1]


def _make_hashable(value: Any) -> Any:
    if isinstance(value, dict):
        return "object", frozenset((key, _make_hashable(item)) for key, item in value.items())
    if isinstance(value, list):
        return "array", tuple(_make_hashable(item) for item in value)
    return json_type(value), value


def _describe_bound(kind: Any) -> str | None:
    """The sentence of a limit on size or amount, None for other kinds."""
    sentence = BOUNDS.get(type(kind))
    if sentence:
        return sentence.format(getattr(kind, kind.__match_args__[0]))
    return None


def _suggest_quotes(value: Any, types: Sequence[str]) -> str | None:
    if isinstance(value, str) and value in _PYTHON_SCALARS and json_type(_PYTHON_SCALARS[value]) in types:
        return f"write {json.dumps(_PYTHON_SCALARS[value])} without quotes"
    if isinstance(value, str) and _QUOTED_SCALAR.fullmatch(value):
        scalar_type = json_type(json.loads(value))
        if scalar_type == "number" and value.lstrip("-").isdigit() and "integer" in types:
            scalar_type = "integer"
        if scalar_type in types:
            return "remove the quotes"
        return None
    if isinstance(value, int | float) and not isinstance(value, bool) and "string" in types:
        return "put it in quotes"
    return None


def describe_typed(value: Any) -> str:
    """A value with its type, as in `the string "x"`."""
    if value is None:
        return format_value(value)
    return f"the {json_type(value)} {format_value(value)}"


def format_value(value: Any) -> str:
    """A value as JSON, shortened."""
    return shorten(json.dumps(value, ensure_ascii=False))
