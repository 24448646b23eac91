"""What a schema violation means, in a sentence for a person, with its code and a hint."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from jsonschema_rs import ValidationError
from jsonschema_rs import ValidationErrorKind as Kind

from evtool.findings.spelling import did_you_mean

SHOWN = 60  # characters of a value that a message shows
_MEANT = re.compile(r"true|false|-?(?:0|[1-9][0-9]{0,300})(?:\.[0-9]{1,300})?")  # what may stand in quotes by mistake
HINTED = 100  # names that a hint is sought for: nobody misspells more

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


def violations(error: ValidationError, schema: Mapping[str, Any]) -> Iterator[Violation]:
    """What an error of the engine says, one violation for each property that it names.

    `schema` is the schema object in which the keyword stands: its properties are what may have been meant.
    """
    path = tuple(error.instance_path)
    value: Any = error.instance
    match error.kind:
        case Kind.Required(property=name):
            stray = [key for key in value if key not in schema.get("properties", {})][:HINTED]
            meant = next((key for key in stray if did_you_mean(name, [key])), None)
            hint = f'"{meant}" looks like it' if meant else None
            yield Violation("EV102", path, f"has no {_text(name)}, which is required", hint)
        case Kind.AdditionalProperties(unexpected=names) | Kind.UnevaluatedProperties(unexpected=names):
            absent = [key for key in schema.get("properties", {}) if key not in value]
            for number, name in enumerate(names):
                known = (absent, schema.get("properties", {})) if number < HINTED else ()
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
            wanted = " or ".join(str(t) for t in types)
            yield Violation(
                "EV104", path, f"should be {wanted}, got {_kind(value)}{_text(value)}", _unquote(value, types)
            )
        case Kind.Enum(options=options):
            allowed = ", ".join(_text(option) for option in options)
            hint = did_you_mean(value, options) if isinstance(value, str) else None
            yield Violation("EV105", path, f"should be one of {allowed}, got {_text(value)}", hint)
        case Kind.Constant(expected_value=wanted):
            yield Violation("EV105", path, f"should be {_text(wanted)}, got {_text(value)}")
        case Kind.Format(format=name):
            yield Violation("EV107", path, f"should be a valid {name}, got {_text(value)}")
        case Kind.Pattern(pattern=pattern):
            yield Violation("EV107", path, f"should match the pattern {pattern}, got {_text(value)}")
        case Kind.BacktrackLimitExceeded():
            hint = "write the schema's regular expression without nested repetitions"
            yield Violation("EV107", path, "cannot be matched: its pattern takes too long", hint)
        case Kind.AnyOf(context=branches) | Kind.OneOfNotValid(context=branches):
            yield Violation("EV109", path, "matches none of the forms that the schema allows", _nearest(branches))
        case Kind.OneOfMultipleValid():
            yield Violation("EV109", path, "matches more than one of the forms of which the schema allows exactly one")
        case Kind.Not(schema=excluded):
            yield Violation("EV109", path, f"has the form that the schema excludes: {_text(excluded)}")
        case Kind.UniqueItems():
            yield Violation("EV109", path, "has an element twice")
        case Kind.Contains():
            yield Violation("EV109", path, "has too few or too many elements of the form that the schema asks for")
        case Kind.PropertyNames(error=inner):
            for found in violations(inner, {}):
                named = (*path, str(inner.instance))
                yield Violation(found.code, named, f"as a key {found.message}", found.suggestion, at_key=True)
        case kind if (bound := _bound(kind)) is not None:
            yield Violation("EV106", path, f"{bound}, got {_text(value)}")
        case _:
            yield Violation("EV109", path, f"does not hold: {short(error.message)}")


def _bound(kind: Any) -> str | None:
    """The sentence of a limit on size or amount, None when it is none."""
    sentence = BOUNDS.get(type(kind))
    return sentence.format(getattr(kind, kind.__match_args__[0])) if sentence else None


def _nearest(branches: list[list[ValidationError]]) -> str | None:
    """What stands between the value and the form that it comes nearest to."""
    errors = min((branch for branch in branches if branch), key=len, default=None)
    if errors is None:
        return None
    path = ".".join(str(step) for step in errors[0].instance_path)
    first = next(violations(errors[0], {}))
    hint = f"; {first.suggestion}" if first.suggestion else ""
    return f"the nearest form: {path} {first.message}{hint}" if path else f"the nearest form: it {first.message}{hint}"


def _unquote(value: Any, types: list[str]) -> str | None:
    if isinstance(value, str) and _MEANT.fullmatch(value):
        meant = "boolean" if value in ("true", "false") else "integer" if value.lstrip("-").isdigit() else "number"
        return "remove the quotes" if meant in types or (meant == "integer" and "number" in types) else None
    if isinstance(value, int | float) and not isinstance(value, bool) and "string" in types:
        return "put it in quotes"
    return None


def _kind(value: Any) -> str:
    names = {dict: "the object ", list: "the array ", str: "the string ", bool: "the boolean ", type(None): ""}
    return names.get(type(value), "the number ")


def _text(value: Any) -> str:
    return short(json.dumps(value, ensure_ascii=False))


def short(text: str, width: int = SHOWN) -> str:
    """A text with no more than `width` characters."""
    return text if len(text) <= width else text[: width - 1] + "…"
