"""What a schema violation means, in a sentence for a person, with its code and a hint."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from jsonschema_rs import ValidationError
from jsonschema_rs import ValidationErrorKind as Kind

from evtool.finding import did_you_mean

SHOWN = 60  # characters of a value that a message shows


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
            stray = [key for key in value if key not in schema.get("properties", {})]
            meant = next((key for key in stray if did_you_mean(name, [key])), None)
            hint = f'"{meant}" looks like it' if meant else None
            yield Violation("EV102", path, f"has no {_text(name)}, which is required", hint)
        case Kind.AdditionalProperties(unexpected=names) | Kind.UnevaluatedProperties(unexpected=names):
            absent = [key for key in schema.get("properties", {}) if key not in value]
            for name in names:
                hint = did_you_mean(name, absent) or did_you_mean(name, schema.get("properties", {}))
                yield Violation("EV103", (*path, name), "is not allowed here", hint, at_key=True)
        case Kind.FalseSchema() if path:
            yield Violation("EV103", path, "is not allowed here", at_key=True)
        case Kind.Type(types=types):
            wanted = " or ".join(str(t) for t in types)
            yield Violation(
                "EV104", path, f"should be {wanted}, got {_kind(value)} {_text(value)}", _unquote(value, types)
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
        case kind if (bound := _bound(kind)) is not None:
            yield Violation("EV106", path, f"{bound}, got {_text(value)}")
        case _:
            yield Violation("EV109", path, f"does not hold: {_short(error.message)}")


def _bound(kind: Kind) -> str | None:
    """The sentence of a limit on size or amount, None when it is none."""
    match kind:
        case Kind.Minimum(limit=limit):
            return f"should be at least {limit}"
        case Kind.Maximum(limit=limit):
            return f"should be at most {limit}"
        case Kind.ExclusiveMinimum(limit=limit):
            return f"should be more than {limit}"
        case Kind.ExclusiveMaximum(limit=limit):
            return f"should be less than {limit}"
        case Kind.MultipleOf(multiple_of=step):
            return f"should be a multiple of {step}"
        case Kind.MinLength(limit=limit):
            return f"should have at least {limit} characters"
        case Kind.MaxLength(limit=limit):
            return f"should have at most {limit} characters"
        case Kind.MinItems(limit=limit):
            return f"should have at least {limit} elements"
        case Kind.MaxItems(limit=limit):
            return f"should have at most {limit} elements"
        case Kind.MinProperties(limit=limit):
            return f"should have at least {limit} properties"
        case Kind.MaxProperties(limit=limit):
            return f"should have at most {limit} properties"
    return None


def _nearest(branches: list[list[ValidationError]]) -> str | None:
    """What stands between the value and the form that it comes nearest to."""
    errors = min((branch for branch in branches if branch), key=len, default=None)
    if errors is None:
        return None
    first = errors[0]
    at = "".join(f".{step}" for step in first.instance_path)
    return f"the nearest form fails with: {_short(first.message)}" + (f" at {at.lstrip('.')}" if at else "")


def _unquote(value: Any, types: list[str]) -> str | None:
    if isinstance(value, str) and {"number", "integer", "boolean"} & set(types):
        try:
            if not isinstance(json.loads(value), int | float):
                return None
        except ValueError:
            return None
        return "remove the quotes"
    if isinstance(value, int | float) and not isinstance(value, bool) and "string" in types:
        return "put it in quotes"
    return None


def _kind(value: Any) -> str:
    names = {dict: "the object", list: "the array", str: "the string", bool: "the boolean", type(None): ""}
    return names.get(type(value), "the number")


def _text(value: Any) -> str:
    return _short(json.dumps(value, ensure_ascii=False))


def _short(text: str) -> str:
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"
