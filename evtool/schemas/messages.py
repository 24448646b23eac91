"""Converts the errors of the schema validator to codes, messages and hints."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from jsonschema_rs import ValidationError
from jsonschema_rs import ValidationErrorKind as Kind

from evtool.findings.spelling import did_you_mean

MAX_VALUE_WIDTH = 60  # characters of a value that a message shows
_QUOTED_SCALAR = re.compile(
    r"true|false|-?(?:0|[1-9][0-9]{0,300})(?:\.[0-9]{1,300})?"
)  # what may stand in quotes by mistake
MAX_HINT_NAMES = 100  # names that a hint is sought for: nobody misspells more

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
    """One thing that a schema does not allow. `path` leads to it in the payload."""

    code: str
    path: tuple[str | int, ...]
    message: str
    suggestion: str | None = None
    at_key: bool = False  # the key is to be pointed at, not the value


def find_violations(error: ValidationError, schema: Mapping[str, Any]) -> Iterator[Violation]:
    """What an error of the engine says, one violation for each property that it names.

    `schema` is the schema object in which the keyword stands: its properties are what may have been meant.
    """
    path = tuple(error.instance_path)
    value: Any = error.instance
    match error.kind:
        case Kind.Required(property=name):
            unknown_keys = [key for key in value if key not in schema.get("properties", {})][:MAX_HINT_NAMES]
            misspelled = next((key for key in unknown_keys if did_you_mean(name, [key])), None)
            hint = f'"{misspelled}" looks like it' if misspelled else None
            yield Violation("EV102", path, f"has no {_format_value(name)}, which is required", hint)
        case Kind.AdditionalProperties(unexpected=names) | Kind.UnevaluatedProperties(unexpected=names):
            missing_keys = [key for key in schema.get("properties", {}) if key not in value]
            for number, name in enumerate(names):
                known = (missing_keys, schema.get("properties", {})) if number < MAX_HINT_NAMES else ()
                hint = next(filter(None, (did_you_mean(name, keys) for keys in known)), None)
                yield Violation("EV103", (*path, name), "is not allowed here", hint, at_key=True)
        case Kind.FalseSchema():
            yield Violation("EV103", path, "is not allowed here", at_key=True)
        case Kind.UnevaluatedItems():
            yield Violation("EV103", path, "has elements that are not allowed here")
        case Kind.AdditionalItems(limit=limit):
            for index in range(limit, len(value)):
                yield Violation("EV103", (*path, index), "is not allowed here")
        case Kind.Type(types=types):
            expected = " or ".join(str(t) for t in types)
            yield Violation(
                "EV104",
                path,
                f"should be {expected}, got {_describe_type(value)}{_format_value(value)}",
                _suggest_quotes(value, types),
            )
        case Kind.Enum(options=options):
            allowed = ", ".join(_format_value(option) for option in options)
            hint = did_you_mean(value, options) if isinstance(value, str) else None
            yield Violation("EV105", path, f"should be one of {allowed}, got {_format_value(value)}", hint)
        case Kind.Constant(expected_value=expected):
            yield Violation("EV105", path, f"should be {_format_value(expected)}, got {_format_value(value)}")
        case Kind.Format(format=name):
            yield Violation("EV107", path, f"should be a valid {name}, got {_format_value(value)}")
        case Kind.Pattern(pattern=pattern):
            yield Violation("EV107", path, f"should match the pattern {pattern}, got {_format_value(value)}")
        case Kind.BacktrackLimitExceeded():
            hint = "write the schema's regular expression without nested repetitions"
            yield Violation("EV107", path, "cannot be matched: its pattern takes too long", hint)
        case Kind.AnyOf(context=branches) | Kind.OneOfNotValid(context=branches):
            yield Violation(
                "EV109", path, "matches none of the forms that the schema allows", _describe_nearest(branches)
            )
        case Kind.OneOfMultipleValid():
            yield Violation("EV109", path, "matches more than one of the forms of which the schema allows exactly one")
        case Kind.Not(schema=excluded):
            yield Violation("EV109", path, f"has the form that the schema excludes: {_format_value(excluded)}")
        case Kind.UniqueItems():
            yield Violation("EV109", path, "has an element twice")
        case Kind.Contains():
            yield Violation("EV109", path, "has too few or too many elements of the form that the schema asks for")
        case Kind.PropertyNames(error=inner):
            for violation in find_violations(inner, {}):
                key_path = (*path, str(inner.instance))
                yield Violation(
                    violation.code, key_path, f"as a key {violation.message}", violation.suggestion, at_key=True
                )
        case kind if (bound := _describe_bound(kind)) is not None:
            yield Violation("EV106", path, f"{bound}, got {_format_value(value)}")
        case Kind.ContentEncoding(content_encoding=name):
            yield Violation("EV109", path, f"should be encoded as {name}, got {_format_value(value)}")
        case Kind.ContentMediaType(content_media_type=name):
            yield Violation("EV109", path, f"should be a document of type {name}, got {_format_value(value)}")
        case kind:  # not in the engine's words, which may differ between its versions
            yield Violation(
                "EV109", path, f"does not satisfy {_format_value(kind.name)} of the schema, got {_format_value(value)}"
            )


def _describe_bound(kind: Any) -> str | None:
    """The sentence of a limit on size or amount, None when it is none."""
    sentence = BOUNDS.get(type(kind))
    return sentence.format(getattr(kind, kind.__match_args__[0])) if sentence else None


def _describe_nearest(branches: list[list[ValidationError]]) -> str | None:
    """What stands between the value and the form that it comes nearest to."""
    errors = min((branch for branch in branches if branch), key=len, default=None)
    if errors is None:
        return None
    path = ".".join(str(step) for step in errors[0].instance_path)
    violation = next(find_violations(errors[0], {}))
    hint = f"; {violation.suggestion}" if violation.suggestion else ""
    return (
        f"the nearest form: {path} {violation.message}{hint}"
        if path
        else f"the nearest form: it {violation.message}{hint}"
    )


def _suggest_quotes(value: Any, types: list[str]) -> str | None:
    if isinstance(value, str) and _QUOTED_SCALAR.fullmatch(value):
        scalar_type = (
            "boolean" if value in ("true", "false") else "integer" if value.lstrip("-").isdigit() else "number"
        )
        return "remove the quotes" if scalar_type in types or (scalar_type == "integer" and "number" in types) else None
    if isinstance(value, int | float) and not isinstance(value, bool) and "string" in types:
        return "put it in quotes"
    return None


def _describe_type(value: Any) -> str:
    names = {dict: "the object ", list: "the array ", str: "the string ", bool: "the boolean ", type(None): ""}
    return names.get(type(value), "the number ")


def _format_value(value: Any) -> str:
    return shorten(json.dumps(value, ensure_ascii=False))


def shorten(text: str, width: int = MAX_VALUE_WIDTH) -> str:
    """A text with no more than `width` characters."""
    return text if len(text) <= width else text[: width - 1] + "…"
