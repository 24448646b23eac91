"""Closes a schema, so that it accepts no fields that it does not declare: what `--relaxed` compares."""

from collections.abc import Callable
from typing import Any

from evtool.schemas.diff.inlining import LOOP

IN_PLACE = ("allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas")


def close(schema: Any) -> Any:
    """The schema without fields that it does not declare: what a sender that knows only its own schema sends."""
    return _close(schema, is_whole=True)


def _close(schema: Any, *, is_whole: bool) -> Any:
    if not isinstance(schema, dict) or LOOP in schema:
        return schema
    result = dict(schema)
    close_inner: Callable[[Any], Any] = lambda part: _close(part, is_whole=True)  # noqa: E731
    if "properties" in schema:
        result["properties"] = {name: close_inner(part) for name, part in schema["properties"].items()}
    for key in ("items", "additionalProperties", "contains"):
        if key in schema:
            result[key] = close_inner(schema[key])
    for key in ("allOf", "anyOf", "oneOf"):
        if key in schema:
            result[key] = [_close(part, is_whole="properties" not in schema and key != "allOf") for part in schema[key]]
    limits = [schema.get(key, True) for key in ("additionalProperties", "unevaluatedProperties", "patternProperties")]
    if is_whole and "properties" in schema and all(limit in (True, {}) for limit in limits):
        has_parts = any(key in schema for key in IN_PLACE)
        result.pop("additionalProperties", None)
        result["unevaluatedProperties" if has_parts else "additionalProperties"] = False
    return result
