"""Compares the strings that two schemas accept, by their expressions, lengths and lists of values."""

from collections.abc import Iterator
from typing import Any

from evtool.regex.containment import Containment, compare_expressions

RULES = ("type", "pattern", "minLength", "maxLength", "enum", "const")
SPECIAL = "\\^$.|?*+()[]{}/-"


def compare_strings(inner: Any, outer: Any) -> Containment:
    """Whether `outer` accepts all strings of `inner`: undecided if they also differ in other ways."""
    if not isinstance(inner, dict) or not isinstance(outer, dict) or not (inner and outer):
        return Containment(holds=None)
    own_rules = RULES if _has_only_strings(inner) and "string" in outer.get("type", "string") else ("pattern",)
    rest, other_rest = ({k: v for k, v in schema.items() if k not in own_rules} for schema in (inner, outer))
    if rest != other_rest:
        return Containment(holds=None)
    expressions = list(_list_expressions(inner))
    for expression in _list_expressions(outer):
        found = compare_expressions(expressions, expression)
        if not found.holds:
            return found
    return Containment(holds=True)


def _has_only_strings(schema: dict[str, Any]) -> bool:
    values = schema.get("enum", [schema["const"]] if "const" in schema else [])
    return schema.get("type") == "string" or (bool(values) and all(isinstance(value, str) for value in values))


def _list_expressions(schema: dict[str, Any]) -> Iterator[str]:
    """The rules of a schema for strings as regular expressions; a string fits if all of them match."""
    if "pattern" in schema:
        yield str(schema["pattern"])
    if "minLength" in schema or "maxLength" in schema:
        yield f"^[\\s\\S]{{{schema.get('minLength', 0)},{schema.get('maxLength', '')}}}$"
    for values in (schema.get("enum"), [schema["const"]] if "const" in schema else None):
        if values is not None:
            texts = ("".join(map(_escape, value)) for value in values if isinstance(value, str))
            yield f"^(?:{'|'.join(texts)})$"


def _escape(char: str) -> str:
    if char in SPECIAL:
        return f"\\{char}"
    return char
