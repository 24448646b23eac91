"""Describes the values that a condition of a pattern takes as a JSON Schema, from above or from below.

From above, the schema accepts all values that the condition takes, and perhaps more: if no event fits it, none matches.
From below, it accepts only such values: if every event fits it, every event matches. Most schemas are both. Numbers
that a double cannot keep are passed over: the engine compares them by their text.
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
    """The schema of the scalars for which a condition holds; those of `exists: false` are none."""
    expected = condition.expected
    if condition.unknown is not None:
        return SCALAR if from_above else NOTHING
    match condition.operator:
        case "equals":
            if isinstance(expected, str) and not is_text(condition):
                return {"type": "number"} if from_above else NOTHING
            return _describe_equal(expected, from_above=from_above)
        case "exactly":
            return {"enum": [expected]}
        case "exists":
            return SCALAR if expected else NOTHING
        case "numeric":
            return _describe_range(expected)
        case "cidr":
            return {"anyOf": [_ADDRESS, {"type": "number"}]} if from_above else NOTHING
        case "anything-but":
            return _describe_others(expected, from_above=from_above)
        case "prefix" | "suffix" | "wildcard" | "equals-ignore-case":
            return _describe_strings(condition.operator, expected, from_above=from_above)
    return SCALAR if from_above else NOTHING  # an operator that is new


def list_types(condition: Condition) -> list[str]:
    """The JSON types of the values that a condition may take."""
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
    """Whether a plain value is a string; a number that a double cannot keep is a text, too, but takes none."""
    return isinstance(condition.expected, str) and condition.test(str(condition.expected))


def _describe_equal(value: Any, *, from_above: bool) -> dict[str, Any]:
    if isinstance(value, str) and parse_address(value) is not None:
        if from_above:
            return _ADDRESS
        return {"enum": [value]}
    return {"enum": [value]}


def _describe_range(terms: list[Any]) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "number"}
    for name, bound in zip(terms[::2], terms[1::2], strict=True):
        if name == "=":
            return {"enum": [bound]}
        schema[_BOUNDS[name]] = bound
    return schema


def _describe_others(expected: Any, *, from_above: bool) -> dict[str, Any]:
    """All scalars but those that `anything-but` excludes."""
    if isinstance(expected, dict):
        name, value = next(iter(expected.items()))
        if isinstance(value, list):
            texts = value
        else:
            texts = [value]
        excluded = [_describe_strings(name, text, from_above=not from_above) for text in texts]
        return {**SCALAR, "not": {"anyOf": excluded}}
    if isinstance(expected, list):
        values = expected
    else:
        values = [expected]
    return {**SCALAR, "not": {"enum": values}}


def _describe_strings(operator: str, argument: Any, *, from_above: bool) -> dict[str, Any]:
    """The strings that an operator on strings takes."""
    is_caseless = operator == EQUALS_IGNORE_CASE or isinstance(argument, dict)
    if isinstance(argument, dict):
        text = argument[EQUALS_IGNORE_CASE]
    else:
        text = argument
    if operator == "wildcard":
        parts = split_literals(text)
        if len(parts) == 1:
            return {"enum": parts}
        return _match("^" + r"[\s\S]*".join(map(_escape, parts)) + "$", sum(map(len, parts)) if from_above else 0)
    if is_caseless and not text.isascii():
        if from_above:
            return _ANY_STRING
        return NOTHING
    if is_caseless:
        body = "".join(map(_escape_caseless, text))
    else:
        body = _escape(text)
    if operator == EQUALS_IGNORE_CASE:
        return _match(f"^{body}$", len(text) if from_above else 0)
    if '"' in text:  # the engine compares strings with the quotes around them
        if from_above:
            return _ANY_STRING
        return NOTHING
    return _match(f"^{body}" if operator == "prefix" else f"{body}$", len(text) if from_above else 0)


def _match(pattern: str, length: int) -> dict[str, Any]:
    """The strings that fit a regular expression; the algebra does not see by itself how long they are at least."""
    if length:
        shortest = {"minLength": length}
    else:
        shortest = {}
    if pattern not in ("^", "$"):
        return {"type": "string", "pattern": pattern, **shortest}
    return _ANY_STRING


def _escape(text: str) -> str:
    return "".join(f"\\{char}" if char in "\\^$.|?*+()[]{}" else _escape_control(char) for char in text)


def _escape_control(char: str) -> str:
    if ord(char) < 0x20:
        return f"\\u{ord(char):04x}"
    return char


def _escape_caseless(char: str) -> str:
    if re.fullmatch("[A-Za-z]", char):
        return f"[{char.lower()}{char.upper()}]"
    return _escape(char)
