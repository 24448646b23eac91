"""Converts the errors of the schema validator to codes, messages and hints.

Example: the engine reports the kind `Type` with the type "string" at the path ("total",) for the value 15. The
violation has the code EV104, the same path, the message "should be string, got the number 15", and the hint "put it in
quotes". The caller puts the name of the field in front of the message.
"""

import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from jsonschema_rs import ValidationError
from jsonschema_rs import ValidationErrorKind as Kind

from evtool.findings.phrases import shorten
from evtool.findings.spelling import did_you_mean

# Scalars that people put in quotes by mistake. The lengths keep a hostile value from becoming a huge number.
_QUOTED_SCALAR = re.compile(r"true|false|null|-?(?:0|[1-9][0-9]{0,300})(?:\.[0-9]{1,300})?")
# Scalars as Python programs print them by mistake.
_PYTHON_SCALARS = {"True": True, "False": False, "None": None}
# Names for which a hint is searched: the search compares each with each, and no event has more misspelled names.
MAX_HINT_NAMES = 100
# Groups of equal elements that a message names.
MAX_GROUPS = 3

# The kinds of limits, and what each asks for.
BOUNDS: dict[type, str] = {
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
    """One thing that a schema does not allow. `path` leads to it in the validated value.

    With `at_key` a message points at the key instead of the value. `forms` are the forms of `oneOf` and `anyOf` that
    the value was compared with, the outermost first.
    """

    code: str
    path: tuple[str | int, ...]
    message: str
    suggestion: str | None = None
    at_key: bool = False
    forms: tuple[str, ...] = ()


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
            known_names = set(known()).union(schema.get("properties", {}))
            unknown_keys = [key for key in value if key not in known_names]
            misspelled = find_misspelled_key(name, unknown_keys[:MAX_HINT_NAMES])
            hint = None
            if misspelled:
                hint = f'"{misspelled}" looks like it'
            yield describe_missing(path, name, hint)
        case Kind.AdditionalProperties(unexpected=names):
            yield from find_unknown(path, value, names, schema.get("properties", {}), known())
        case Kind.AdditionalItems(limit=limit):
            for index in range(limit, len(value)):
                yield Violation("EV103", path + (index,), "is not allowed here")
        case Kind.PropertyNames(error=inner):
            for violation in find_violations(inner, {}):
                key_path = path + (str(inner.instance),)
                yield violation._replace(path=key_path, message=f"as a key {violation.message}", at_key=True)
        case kind:
            yield _describe_value(kind, path, value)


def _describe_value(kind: Any, path: tuple[str | int, ...], value: Any) -> Violation:
    """The violation of an error that is about one value."""
    match kind:
        case Kind.FalseSchema():
            return Violation("EV103", path, "is not allowed here", at_key=True)
        case Kind.Type(types=types):
            return describe_wrong_type(path, [str(name) for name in types], value)
        case Kind.Enum(options=options):
            return describe_wrong_value(path, options, value)
        case Kind.Constant(expected_value=expected):
            return describe_wrong_value(path, [expected], value)
        case Kind.Format(format=name):
            return Violation("EV107", path, f"should be a valid {name}, got {format_value(value)}")
        case Kind.Pattern(pattern=pattern):
            return Violation("EV107", path, f"should match the pattern {pattern}, got {format_value(value)}")
        case Kind.BacktrackLimitExceeded():
            hint = "write the schema's regular expression without nested repetitions"
            return Violation("EV107", path, "cannot be matched: its pattern takes too long", hint)
        case Kind.Not(schema=excluded):
            return Violation("EV109", path, f"has the form that the schema excludes: {format_value(excluded)}")
        case Kind.UniqueItems():
            return Violation("EV109", path, f"has equal elements, which the schema excludes: {_list_equal(value)}")
        case Kind.ContentEncoding(content_encoding=name):
            return Violation("EV109", path, f"should be encoded as {name}, got {format_value(value)}")
        case Kind.ContentMediaType(content_media_type=name):
            return Violation("EV109", path, f"should be a document of type {name}, got {format_value(value)}")
    bound = _describe_bound(kind)
    if bound is not None:
        return Violation("EV106", path, f"{bound}, got {format_value(value)}")
    # The engine's own message is not used: it may differ between versions of the engine.
    return Violation(
        "EV109", path, f"does not satisfy {format_value(kind.name)} of the schema, got {format_value(value)}"
    )


def find_misspelled_key(name: str, keys: Iterable[str], known: Collection[str] = ()) -> str | None:
    """Finds a key that is probably a misspelling of a name and is not itself a known name."""
    for key in keys:
        if key not in known and did_you_mean(name, [key]):
            return key
    return None


def describe_missing(path: tuple[str | int, ...], name: str, hint: str | None) -> Violation:
    """The violation of an object without a required property."""
    return Violation("EV102", path, f"has no {format_value(name)}, which is required", hint)


def find_unknown(
    path: tuple[str | int, ...], value: Any, names: Iterable[str], properties: Iterable[str], known: Collection[str]
) -> Iterator[Violation]:
    """The violations of an object that has the properties `names` although only `properties` are allowed."""
    properties = list(properties)
    missing = [key for key in properties if key not in value]
    for number, name in enumerate(names):
        hint = None
        # A name that another part of the schema knows is not misspelled.
        if number < MAX_HINT_NAMES and name not in known:
            same_letters = [key for key in properties if key.lower() == name.lower()]
            hint = did_you_mean(name, missing + same_letters)
        yield Violation("EV103", path + (name,), "is not allowed here", hint, at_key=True)


def describe_wrong_type(path: tuple[str | int, ...], types: Sequence[str], value: Any) -> Violation:
    """The violation of a value that has none of the types."""
    message = f"should be {' or '.join(types)}, got {describe_typed(value)}"
    return Violation("EV104", path, message, _suggest_quotes(value, types))


def describe_wrong_value(path: tuple[str | int, ...], options: Sequence[Any], value: Any) -> Violation:
    """The violation of a value that is not one of the options."""
    allowed = format_values(options)
    if len(options) != 1:
        allowed = f"one of {allowed}"
    if has_type_of(value, options):
        given = format_value(value)
    else:
        given = describe_typed(value)
    return Violation("EV105", path, f"should be {allowed}, got {given}", _suggest_option(value, options))


def json_type(value: Any) -> str:
    """The name of a JSON value's type; integers are numbers."""
    names = {dict: "object", list: "array", str: "string", bool: "boolean", type(None): "null"}
    return names.get(type(value), "number")


def has_type_of(value: Any, options: Iterable[Any]) -> bool:
    """Whether a value has the JSON type of one of the options."""
    return json_type(value) in map(json_type, options)


def is_same(value: Any, other: Any) -> bool:
    """Whether two JSON values are equal: 1 and 1.0 are, 1 and true are not."""
    return json_type(value) == json_type(other) and bool(value == other)


def is_one_of(value: Any, options: Iterable[Any]) -> bool:
    """Whether a value equals one of the options."""
    return any(is_same(value, option) for option in options)


def _suggest_option(value: Any, options: Sequence[Any]) -> str | None:
    """A hint which of the options was meant: one of another type that is written alike, or a similar string."""
    if not isinstance(value, str):
        if is_one_of(json.dumps(value), options):
            return "put it in quotes"
        return None
    for option in options:
        written = json.dumps(option)
        if not isinstance(option, str) and value.lower() == written:
            if value == written:
                return "remove the quotes"
            return f"write {written} without quotes"
    return did_you_mean(value, [option for option in options if isinstance(option, str)])


def _list_equal(elements: Sequence[Any]) -> str:
    """The indices of equal elements, group by group: `[0] and [2], [1] and [5]`."""
    groups = []
    for indices in _find_equal_elements(elements):
        groups.append(" and ".join(f"[{index}]" for index in indices))
    listed = ", ".join(groups[:MAX_GROUPS])
    if len(groups) > MAX_GROUPS:
        return f"{listed}, …"
    return listed


def _find_equal_elements(elements: Sequence[Any]) -> list[list[int]]:
    """The indices of equal elements, grouped."""
    groups: dict[Any, list[int]] = {}
    for index, element in enumerate(elements):
        groups.setdefault(_make_hashable(element), []).append(index)
    return [group for group in groups.values() if len(group) > 1]


def _make_hashable(value: Any) -> Any:
    """A key that is equal for equal JSON values. The type keeps 1 and true apart."""
    if isinstance(value, dict):
        return "object", frozenset((key, _make_hashable(item)) for key, item in value.items())
    if isinstance(value, list):
        return "array", tuple(map(_make_hashable, value))
    return json_type(value), value


def _describe_bound(kind: Any) -> str | None:
    """The words for a limit; None for other kinds of errors."""
    sentence = BOUNDS.get(type(kind))
    if sentence:
        # The only argument of these kinds is the limit.
        return sentence.format(getattr(kind, kind.__match_args__[0]))
    return None


def _suggest_quotes(value: Any, types: Sequence[str]) -> str | None:
    """A hint if a value has the wrong type only because of its quotes."""
    if isinstance(value, int | float) and not isinstance(value, bool) and "string" in types:
        return "put it in quotes"
    if not isinstance(value, str):
        return None
    if value in _PYTHON_SCALARS and json_type(_PYTHON_SCALARS[value]) in types:
        return f"write {json.dumps(_PYTHON_SCALARS[value])} without quotes"
    if not _QUOTED_SCALAR.fullmatch(value):
        return None
    scalar_type = json_type(json.loads(value))
    if scalar_type == "number" and value.lstrip("-").isdigit() and "integer" in types:
        scalar_type = "integer"
    if scalar_type in types:
        return "remove the quotes"
    return None


def describe_typed(value: Any) -> str:
    """A value with its type, as in `the string "x"`."""
    if value is None:
        return format_value(value)
    return f"the {json_type(value)} {format_value(value)}"


def format_value(value: Any) -> str:
    """A value as JSON, shortened."""
    return shorten(json.dumps(value, ensure_ascii=False))


def format_values(values: Iterable[Any]) -> str:
    """Values as JSON, each shortened, with commas between them."""
    return ", ".join(map(format_value, values))
