"""Decides whether a schema accepts everything that another one accepts: by algebra, then by examples.

The algebra of jsonschema-rs answers yes, no or unknown. If it does not know, a value that one schema accepts and the
other refuses still proves a no.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any

from jsonschema_rs import Draft202012Validator, FancyRegexOptions, ValidationError, canonicalize

from evtool.schemas.diff.inlining import LOOP, map_parts
from evtool.schemas.diff.strings import compare_strings
from evtool.schemas.validator import BACKTRACK_LIMIT

MAX_SAMPLES = 300  # values that are tried for one schema
MAX_DEPTH = 4  # of nested values in them
DRAFT = 20
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


def is_covered(inner: Any, outer: Any, inner_loops: Mapping[str, Any], outer_loops: Mapping[str, Any]) -> bool | None:
    """Whether `outer` accepts everything that `inner` accepts; None if it cannot be decided."""
    inner_schema, outer_schema = write_loops(inner, inner_loops), write_loops(outer, outer_loops)
    try:
        first, second = (
            canonicalize(schema, draft=DRAFT, validate_formats=True) for schema in (inner_schema, outer_schema)
        )
        answer = str(second.covers(first))
        if answer == "yes":
            return True
        if answer == "no" and str(first.subtract(second).satisfiability()) == "yes":
            return False
    except Exception as error:
        if isinstance(error, MemoryError):
            raise
    strings = compare_strings(inner, outer)
    if strings.holds:
        return True
    if strings.example is None:
        texts = []
    else:
        texts = [strings.example]
    if find_example(inner_schema, outer_schema, texts) is not None:
        return False
    return None


def find_example(inner: Any, outer: Any, candidates: Sequence[Any] = ()) -> list[Any] | None:
    """A value, in a list, that `inner` accepts and `outer` refuses; None if none was found."""
    try:
        accepts, refuses = (_build_validator(schema) for schema in (inner, outer))
    except (ValueError, ValidationError):
        return None
    for value in islice(chain(candidates, iter_samples(inner, inner)), MAX_SAMPLES):
        if accepts.is_valid(value) and not refuses.is_valid(value):
            return [value]
    return None


def _build_validator(schema: Any) -> Draft202012Validator:
    options = FancyRegexOptions(backtrack_limit=BACKTRACK_LIMIT)
    return Draft202012Validator(schema, validate_formats=True, pattern_options=options)


def write_loops(schema: Any, loops: Mapping[str, Any]) -> Any:
    """The schema with references in place of loops, as an engine reads it."""
    if not isinstance(schema, dict):
        return schema
    names: dict[str, str] = {}
    definitions: dict[str, Any] = {}

    def copy(part: Any) -> Any:
        if not isinstance(part, dict):
            return part
        if LOOP in part:
            uri = part[LOOP]
            if uri not in names:
                names[uri] = str(len(names))
                definitions[names[uri]] = copy(loops[uri])
            return {"$ref": f"#/$defs/{names[uri]}"}
        return {**part, **map_parts(part, lambda _, inner: copy(inner))}

    root = copy(schema)
    if definitions:
        return {**root, "$defs": definitions}
    return root


# --- values that a schema may accept ---------------------------------------------------------------------------------


def iter_samples(schema: Any, root: Any, depth: int = 0) -> Iterator[Any]:
    """Values near the limits of a schema. Not all of them are valid."""
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
            rest = {name: value for name, value in schema.items() if name != key}
            yield from iter_samples({**rest, **part} if isinstance(part, dict) else rest, root, depth + 1)
    types = schema.get("type", ["object", "array", "string", "number", "boolean", "null"])
    for name in [types] if isinstance(types, str) else types:
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
    lengths = [schema[key] for key in ("minLength", "maxLength") if isinstance(schema.get(key), int)]
    yield from ("a", "A", "1", "", "a b", "text", *("x" * length for length in lengths if length < 100_000))
    pattern = schema.get("pattern")
    if isinstance(pattern, str):
        literal = "".join(char for char in pattern if char.isalnum() or char in "-_")
        yield from (literal, f"{literal}x", f"x{literal}", "ABC", "abc", "123", "AB-12", "a-1")


def _iter_numbers(schema: Mapping[str, Any], *, is_integer: bool) -> Iterator[int | float]:
    bounds = [
        schema[key]
        for key in ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum", "multipleOf")
        if isinstance(schema.get(key), int | float)
    ]
    for bound in (*bounds, 0, 1, 1_000_000, -1_000_000):
        yield from (bound, bound + 1, bound - 1)
    if not is_integer:
        for bound in (*bounds, 0):
            yield from (bound + 0.5, bound - 0.5)


def _iter_arrays(schema: Mapping[str, Any], root: Any, depth: int) -> Iterator[list[Any]]:
    heads = [next(iter_samples(part, root, depth + 1), None) for part in schema.get("prefixItems", [])]
    least = schema.get("minItems", 0)
    for value in islice(iter_samples(schema.get("items", True), root, depth + 1), 20):
        yield [*heads, *[value] * max(1, min(least, 100) - len(heads))]
    yield heads
    yield []


def _iter_objects(schema: Mapping[str, Any], root: Any, depth: int) -> Iterator[dict[str, Any]]:
    properties = schema.get("properties", {})
    choices = {name: list(islice(iter_samples(part, root, depth + 1), 20)) for name, part in properties.items()}
    least = {name: (choices.get(name) or ["a"])[0] for name in schema.get("required", [])}
    valid = {name: _first_valid(properties.get(name, True), choices.get(name, []), root) for name in least}
    base = {name: value[0] if value else least[name] for name, value in valid.items()}
    yield base
    for name, values in choices.items():
        for value in values:
            yield {**base, name: value}
    full = {name: (_first_valid(properties[name], values, root) or values[:1]) for name, values in choices.items()}
    yield {**{name: value[0] for name, value in full.items() if value}, **base}
    yield {**base, "undeclared": 1}


def _first_valid(schema: Any, values: list[Any], root: Any) -> list[Any]:
    if not isinstance(schema, dict):
        return values[:1]
    if isinstance(root, dict) and "$defs" in root:
        definitions = {"$defs": root["$defs"]}
    else:
        definitions = {}
    validator = _build_validator({**definitions, **schema})
    return [value for value in values if validator.is_valid(value)][:1]
