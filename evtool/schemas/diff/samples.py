"""Generates values near the limits of a schema, where two versions of it probably differ.

Example: for {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer", "maximum": 9}}} the values
have n = 9, 10, 8, 0, 1 and so on, and one value has an undeclared field. Not all of them are valid: the caller checks
them against both schemas.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from jsonschema_rs import Draft202012Validator, FancyRegexOptions

from evtool.schemas.validator import BACKTRACK_LIMIT

# Levels of nested values.
MAX_DEPTH = 4
# Values of one field or element that are combined with the rest of the value.
MAX_CHOICES = 20
# Longer strings and lists would only cost time.
MAX_STRING, MAX_ELEMENTS = 100_000, 100
FORMAT_SAMPLES = {
    "date": "2026-01-31",
    "date-time": "2026-01-31T10:00:00Z",
    "email": "joe@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "time": "10:00:00Z",
    "uri": "https://example.com/",
    "uuid": "4fed5ebb-10bd-4d88-bf87-af2b873ec14f",
}
_TYPES = ("object", "array", "string", "number", "boolean", "null")
_NUMBER_LIMITS = ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum", "multipleOf")


def build_validator(schema: Any) -> Draft202012Validator:
    """The validator of a schema in draft 2020-12. Raises ValidationError or ValueError for an invalid one."""
    options = FancyRegexOptions(backtrack_limit=BACKTRACK_LIMIT)
    return Draft202012Validator(schema, validate_formats=True, pattern_options=options)


def iter_samples(schema: Any, root: Any, depth: int = 0) -> Iterator[Any]:
    """Yields values near the limits of a schema, which is a part of `root`. Not all of them are valid."""
    if isinstance(schema, dict) and "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rpartition("/")[2]]
    if not isinstance(schema, dict):
        schema = {}
    if "const" in schema or "enum" in schema:
        yield from schema.get("enum", [schema.get("const")])
        return
    if depth >= MAX_DEPTH:
        return
    for key in ("anyOf", "oneOf", "allOf"):
        for part in schema.get(key, []):
            combined = {name: value for name, value in schema.items() if name != key}
            if isinstance(part, dict):
                combined |= part
            yield from iter_samples(combined, root, depth + 1)
    types = schema.get("type", _TYPES)
    if isinstance(types, str):
        types = [types]
    for name in types:
        yield from _iter_of_type(name, schema, root, depth)


def _iter_of_type(name: str, schema: Mapping[str, Any], root: Any, depth: int) -> Iterator[Any]:
    match name:
        case "object":
            yield from _iter_objects(schema, root, depth)
        case "array":
            yield from _iter_arrays(schema, root, depth)
        case "string":
            yield from _iter_strings(schema)
        case "number" | "integer":
            yield from _iter_numbers(schema, is_integer=name == "integer")
        case "boolean":
            yield from (True, False)
        case "null":
            yield None


def _iter_strings(schema: Mapping[str, Any]) -> Iterator[str]:
    if schema.get("format") in FORMAT_SAMPLES:
        yield FORMAT_SAMPLES[schema["format"]]
    yield from ("a", "A", "1", "", "a b", "text")
    for key in ("minLength", "maxLength"):
        length = schema.get(key)
        if isinstance(length, int) and length < MAX_STRING:
            yield "x" * length
    pattern = schema.get("pattern")
    if isinstance(pattern, str):
        literal = "".join(char for char in pattern if char.isalnum() or char in "-_")
        yield from (literal, f"{literal}x", f"x{literal}", "ABC", "abc", "123", "AB-12", "a-1")


def _iter_numbers(schema: Mapping[str, Any], *, is_integer: bool) -> Iterator[int | float]:
    bounds = [schema[key] for key in _NUMBER_LIMITS if isinstance(schema.get(key), int | float)]
    for bound in bounds + [0, 1, 1_000_000, -1_000_000]:
        yield from (bound, bound + 1, bound - 1)
    if not is_integer:
        for bound in bounds + [0]:
            yield from (bound + 0.5, bound - 0.5)


def _iter_arrays(schema: Mapping[str, Any], root: Any, depth: int) -> Iterator[list[Any]]:
    first_elements = [next(iter_samples(part, root, depth + 1), None) for part in schema.get("prefixItems", [])]
    least = min(schema.get("minItems", 0), MAX_ELEMENTS)
    for value in islice(iter_samples(schema.get("items", True), root, depth + 1), MAX_CHOICES):
        yield first_elements + [value] * max(1, least - len(first_elements))
    yield first_elements
    yield []


def _iter_objects(schema: Mapping[str, Any], root: Any, depth: int) -> Iterator[dict[str, Any]]:
    """Objects that differ in one field from one that is probably valid."""
    properties = schema.get("properties", {})
    choices = {}
    for name, part in properties.items():
        choices[name] = list(islice(iter_samples(part, root, depth + 1), MAX_CHOICES))
    base = {}
    for name in schema.get("required", []):
        candidates = choices.get(name, [])
        base[name] = _choose_valid(properties.get(name, True), candidates, root, default=(candidates or ["a"])[0])
    yield base
    for name, values in choices.items():
        for value in values:
            yield base | {name: value}
    full = {}
    for name, values in choices.items():
        if values:
            full[name] = _choose_valid(properties[name], values, root, default=values[0])
    yield full | base
    yield base | {"undeclared": 1}


def _choose_valid(schema: Any, values: Sequence[Any], root: Any, *, default: Any) -> Any:
    """The first valid value; `default` if none is valid."""
    if not isinstance(schema, dict):
        if values:
            return values[0]
        return default
    definitions = {}
    if isinstance(root, dict) and "$defs" in root:
        definitions = {"$defs": root["$defs"]}
    validator = build_validator(definitions | schema)
    for value in values:
        if validator.is_valid(value):
            return value
    return default
