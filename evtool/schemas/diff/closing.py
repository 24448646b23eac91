"""Closes a schema, so that it accepts no fields that it does not declare. `--relaxed` compares such schemas.

JSON Schema accepts undeclared fields unless it forbids them. Compared strictly, a new optional field `note` with the
type string breaks old events, since an old event may already have a `note` of another type. No real sender does that:
a sender that knows only the old schema sends only its fields. So its events are those of the closed old schema:

    {"properties": {"id": {}}}    becomes    {"properties": {"id": {}}, "additionalProperties": false}
"""

from typing import Any

from evtool.schemas.diff.inlining import LOOP

IN_PLACE = ("allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas")
_UNIONS = ("allOf", "anyOf", "oneOf")
_LIMITS = ("additionalProperties", "unevaluatedProperties", "patternProperties")


def close(schema: Any) -> Any:
    """The schema without fields that it does not declare: its values are those of a sender that knows only it."""
    return _close(schema, is_whole=True)


def _close(schema: Any, *, is_whole: bool) -> Any:
    """`is_whole` is false for a part of an object whose other parts declare more fields."""
    if not isinstance(schema, dict) or LOOP in schema:
        return schema
    result = dict(schema)
    if "properties" in schema:
        result["properties"] = {name: close(part) for name, part in schema["properties"].items()}
    for key in ("items", "additionalProperties", "contains"):
        if key in schema:
            result[key] = close(schema[key])
    for key in _UNIONS:
        if key in schema:
            is_whole_form = "properties" not in schema and key != "allOf"
            result[key] = [_close(part, is_whole=is_whole_form) for part in schema[key]]
    limits = [schema.get(key, True) for key in _LIMITS]
    if is_whole and "properties" in schema and all(limit in (True, {}) for limit in limits):
        result.pop("additionalProperties", None)
        # Only `unevaluatedProperties` sees the fields that the parts of the schema declare.
        if any(key in schema for key in IN_PLACE):
            result["unevaluatedProperties"] = False
        else:
            result["additionalProperties"] = False
    return result
