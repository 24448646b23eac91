"""Describes the values for which a condition of a pattern holds as a JSON Schema, from above or from below.

A schema cannot describe every condition exactly, but two approximations prove what is needed:

- From above, the schema accepts all values for which the condition holds, and perhaps more. If no event fits it, the
  pattern matches no event.
- From below, it accepts only such values, and perhaps not all. If every event fits it, the pattern matches every event.

Most conditions have one schema for both. {"cidr": "10.0.0.0/8"} does not. From above it is any number (which may match
by its digits), or {"type": "string", "pattern": "^[0-9A-Fa-f:.]+$"}, since every address has only these characters.
From below it is {"not": {}}, which accepts nothing.

Numbers that a double cannot represent are left out: the engine compares them as text.
"""

import re
from typing import Any

from evtool.patterns.conditions import Condition
from evtool.patterns.operators.cidr import parse_address
from evtool.patterns.operators.strings import EQUALS_IGNORE_CASE
from evtool.patterns.operators.wildcard import split_literals

SCALAR: dict[str, Any] = {"type": ["string", "number", "boolean", "null"]}
NOTHING: dict[str, Any] = {"not": {}}
_ANY_STRING = {"type": "string"}
_ADDRESS = {"type": "string", "pattern": "^[0-9A-Fa-f:.]+$"}
_BOUNDS = {">": "exclusiveMinimum", ">=": "minimum", "<": "exclusiveMaximum", "<=": "maximum"}


def describe_values(condition: Condition, *, from_above: bool) -> dict[str, Any]:
    """The schema of the scalars for which a condition holds. `exists: false` holds for no scalar."""
    expected = condition.expected
    if condition.unknown is not None:
        return _only_from_above(SCALAR, from_above=from_above)
    match condition.operator:
        case "equals":
            return _describe_equal(condition, from_above=from_above)
        case "exactly":
            return {"enum": [expected]}
        case "exists":
            if expected:
                return SCALAR
            return NOTHING
        case "numeric":
            return _describe_range(expected)
        case "cidr":
            return _only_from_above({"anyOf": [_ADDRESS, {"type": "number"}]}, from_above=from_above)
        case "anything-but":
            return _describe_others(expected, from_above=from_above)
        case "prefix" | "suffix" | "wildcard" | "equals-ignore-case":
            return _describe_strings(condition.operator, expected, from_above=from_above)
    # An operator that was added later.
    return _only_from_above(SCALAR, from_above=from_above)


def _only_from_above(schema: dict[str, Any], *, from_above: bool) -> dict[str, Any]:
    """A schema that accepts too much: it may be used from above. From below, only nothing is certain."""
    if from_above:
        return schema
    return NOTHING


def list_types(condition: Condition) -> list[str]:
    """The JSON types of the values for which a condition may hold."""
    match condition.operator:
        case "equals":
            value = condition.expected
            if isinstance(value, bool):
                return ["boolean"]
            if value is None:
                return ["null"]
            if is_text(condition):
                return ["string"]
            return ["number"]
        case "exactly" | "prefix" | "suffix" | "wildcard" | "equals-ignore-case":
            return ["string"]
        case "numeric":
            return ["number"]
        case "cidr":
            return ["string", "number"]
    return list(SCALAR["type"])


def is_text(condition: Condition) -> bool:
    """Whether a plain value is a string. A number that a double cannot represent is a str, too, but equals none."""
    return isinstance(condition.expected, str) and condition.test(str(condition.expected))


def _describe_equal(condition: Condition, *, from_above: bool) -> dict[str, Any]:
    value = condition.expected
    # A number that a double cannot represent.
    if isinstance(value, str) and not is_text(condition):
        return _only_from_above({"type": "number"}, from_above=from_above)
    # EventBridge compares IP addresses by their value: "::1" matches "0:0:0:0:0:0:0:1" as well.
    if from_above and isinstance(value, str) and parse_address(value) is not None:
        return _ADDRESS
    return {"enum": [value]}


def _describe_range(terms: list[Any]) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "number"}
    for name, bound in zip(terms[::2], terms[1::2], strict=True):
        if name == "=":
            return {"enum": [bound]}
        schema[_BOUNDS[name]] = bound
    return schema


def _describe_others(expected: Any, *, from_above: bool) -> dict[str, Any]:
    """All scalars except those that `anything-but` excludes."""
    if isinstance(expected, dict):
        operator, argument = next(iter(expected.items()))
        # A schema that excludes less accepts more, so the direction turns around.
        excluded = [_describe_strings(operator, text, from_above=not from_above) for text in _to_list(argument)]
        return SCALAR | {"not": {"anyOf": excluded}}
    return SCALAR | {"not": {"enum": _to_list(expected)}}


def _to_list(value: Any) -> list[Any]:
    if isinstance(value, list):
        return value
    return [value]


def _describe_strings(operator: str, argument: Any, *, from_above: bool) -> dict[str, Any]:
    """The strings for which an operator on strings holds."""
    if operator == "wildcard":
        return _describe_wildcard(argument, from_above=from_above)
    is_caseless = operator == EQUALS_IGNORE_CASE or isinstance(argument, dict)
    text = argument
    if isinstance(argument, dict):
        text = argument[EQUALS_IGNORE_CASE]
    # The engine's case folding is not that of a regular expression for letters such as "ß".
    if is_caseless and not text.isascii():
        return _only_from_above(_ANY_STRING, from_above=from_above)
    if is_caseless:
        body = "".join(map(_escape_caseless, text))
    else:
        body = _escape(text)
    if operator == EQUALS_IGNORE_CASE:
        return _match(f"^{body}$", len(text), from_above=from_above)
    # The engine compares strings with the quotes around them, so a quote in the text may match the one at the end.
    if '"' in text:
        return _only_from_above(_ANY_STRING, from_above=from_above)
    if operator == "prefix":
        return _match(f"^{body}", len(text), from_above=from_above)
    return _match(f"{body}$", len(text), from_above=from_above)


def _describe_wildcard(text: str, *, from_above: bool) -> dict[str, Any]:
    parts = split_literals(text)
    if len(parts) == 1:
        return {"enum": parts}
    pattern = r"[\s\S]*".join(map(_escape, parts))
    return _match(f"^{pattern}$", len("".join(parts)), from_above=from_above)


def _match(pattern: str, length: int, *, from_above: bool) -> dict[str, Any]:
    """The strings that match a regular expression, which are at least `length` characters long."""
    if pattern in ("^", "$"):
        return _ANY_STRING
    schema: dict[str, Any] = {"type": "string", "pattern": pattern}
    # The algebra does not see by itself how long the matching strings are. From below it does not need to.
    if from_above and length:
        schema["minLength"] = length
    return schema


def _escape(text: str) -> str:
    return "".join(map(_escape_char, text))


def _escape_char(char: str) -> str:
    if char in "\\^$.|?*+()[]{}":
        return f"\\{char}"
    if ord(char) < 0x20:
        return f"\\u{ord(char):04x}"
    return char


def _escape_caseless(char: str) -> str:
    if re.fullmatch("[A-Za-z]", char):
        return f"[{char.lower()}{char.upper()}]"
    return _escape_char(char)
