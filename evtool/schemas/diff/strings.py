"""Compares the strings that two schemas accept, by their expressions, lengths and lists of values.

The algebra of jsonschema-rs does not compare regular expressions. Here every rule becomes a regular expression, and
evtool's own comparison decides. Example: does {"pattern": "^AB-"} accept all strings of
{"enum": ["AB-1", "AB-2"], "maxLength": 4}?

    rules of the inner schema:    ^[\\s\\S]{0,4}$    ^(?:AB\\-1|AB\\-2)$
    rule of the outer schema:     ^AB-

Every string that matches both inner expressions matches the outer one, so the answer is yes.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from evtool.regex.containment import Containment, compare_expressions

RULES = ("type", "pattern", "minLength", "maxLength", "enum", "const")
SPECIAL = "\\^$.|?*+()[]{}/-"


def compare_strings(inner: Any, outer: Any) -> Containment:
    """Decides whether `outer` accepts all strings of `inner`. Undecided if they also differ in other ways."""
    if not isinstance(inner, dict) or not isinstance(outer, dict) or not (inner and outer):
        return Containment(holds=None)
    # If other types are possible, only expressions can be compared: they do not restrict other types.
    rules: tuple[str, ...] = ("pattern",)
    if _has_only_strings(inner) and "string" in outer.get("type", "string"):
        rules = RULES
    if _leave_out(inner, rules) != _leave_out(outer, rules):
        return Containment(holds=None)
    expressions = list(_list_expressions(inner))
    for expression in _list_expressions(outer):
        answer = compare_expressions(expressions, expression)
        if not answer.holds:
            return answer
    return Containment(holds=True)


def _leave_out(schema: Mapping[str, Any], keywords: tuple[str, ...]) -> dict[str, Any]:
    return {key: value for key, value in schema.items() if key not in keywords}


def _has_only_strings(schema: dict[str, Any]) -> bool:
    if schema.get("type") == "string":
        return True
    values = []
    if "const" in schema:
        values = [schema["const"]]
    values = schema.get("enum", values)
    return bool(values) and all(isinstance(value, str) for value in values)


def _list_expressions(schema: dict[str, Any]) -> Iterator[str]:
    """The rules of a schema for strings as regular expressions. A string fits if all of them match."""
    if "pattern" in schema:
        yield str(schema["pattern"])
    if "minLength" in schema or "maxLength" in schema:
        yield f"^[\\s\\S]{{{schema.get('minLength', 0)},{schema.get('maxLength', '')}}}$"
    if schema.get("enum") is not None:
        yield _list_alternatives(schema["enum"])
    if "const" in schema:
        yield _list_alternatives([schema["const"]])


def _list_alternatives(values: list[Any]) -> str:
    texts = ["".join(map(_escape, value)) for value in values if isinstance(value, str)]
    return f"^(?:{'|'.join(texts)})$"


def _escape(char: str) -> str:
    if char in SPECIAL:
        return f"\\{char}"
    return char
