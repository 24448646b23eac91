"""The schema of an event type as a set of values: what it has in common with others, and what it calls its parts."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from jsonschema_rs import CanonicalSchema, FancyRegexOptions, canonical, canonicalize

from evtool.schemas.algebra.conditions import Steps, to_draft_4
from evtool.schemas.algebra.inlining import inline_references
from evtool.schemas.validator import BACKTRACK_LIMIT, CompiledSchema

_IN_PLACE = ("allOf", "anyOf", "oneOf", "prefixItems")
_BRANCHES = ("if", "then", "else", "items", "additionalItems", "contains")  # elements count for their array
_EXAMPLES = ("examples", "example", "default")


class TypeSchema(NamedTuple):
    """The schema of an event type.

    `schema` accepts every payload that the type can have, and perhaps others; `document` is the same as JSON. With an
    envelope it describes the whole event.
    """

    type: str
    source: str | None
    payload_key: str
    has_envelope: bool
    document: Any
    schema: CanonicalSchema
    compiled: CompiledSchema
    dotted: frozenset[str]  # the names of properties that contain a dot

    def steps_of(self, steps: Steps) -> Steps:
        """The steps from the value that the schema describes to a part of the payload."""
        if self.has_envelope:
            return (self.payload_key, *steps)
        return steps


def load_type(
    compiled: CompiledSchema, event_type: str, source: str | None, payload_key: str, *, at_loops: Any = True
) -> TypeSchema | None:
    """The schema of a type as a set of values; None if the algebra does not know its form.

    `at_loops` is the schema that references have which lead back into themselves.
    """
    try:
        inlined = inline_references(compiled.subschemas, at_loops=at_loops)
        schema = to_canonical(inlined.schema)
    except RecursionError:  # it is nested hundreds of levels deep
        return None
    if schema is None or schema.kind == canonical.CanonicalKind.RAW:
        return None
    has_envelope = compiled.choice.envelope is not None
    if payload_key == "detail":  # EventBridge takes nothing else
        schema = restrict(schema, [{"type": "object"}]) or schema
    dotted = frozenset(_iter_dotted(inlined.schema))
    return TypeSchema(event_type, source, payload_key, has_envelope, inlined.schema, schema, compiled, dotted)


def to_canonical(schema: Any, draft: int | None = None) -> CanonicalSchema | None:
    """The canonical form of a schema; None if the algebra does not know its form. Formats count."""
    options = FancyRegexOptions(backtrack_limit=BACKTRACK_LIMIT)
    try:
        return canonicalize(
            to_draft_4(schema) if draft == 4 else schema, draft=draft, validate_formats=True, pattern_options=options
        )
    except ValueError:
        return None


def restrict(schema: CanonicalSchema, conditions: Sequence[Any]) -> CanonicalSchema | None:
    """The values of a schema that fit all conditions, which are JSON Schemas; None if that cannot be said."""
    result = schema
    for condition in conditions:
        other = to_canonical(condition, schema.draft)
        if other is None:
            return None
        try:
            result = result.intersect(other)
        except canonical.CanonicalizationError:
            return None
    return result


def is_impossible(schema: CanonicalSchema, conditions: Sequence[Any]) -> bool:
    """Whether it is proven that no value of a schema fits all conditions."""
    result = restrict(schema, conditions)
    return result is not None and result.satisfiability() == canonical.Satisfiability.NO


def is_certain(schema: CanonicalSchema, condition: Any) -> bool:
    """Whether it is proven that every value of a schema fits a condition."""
    other = to_canonical(condition, schema.draft)
    try:
        return other is not None and other.covers(schema) == canonical.Containment.YES
    except canonical.CanonicalizationError:
        return False


def _iter_dotted(value: Any) -> Iterator[str]:
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    if isinstance(value, dict):
        yield from (key for key in value if "." in key)
    for item in items:
        yield from _iter_dotted(item)


# --- the parts of a document ------------------------------------------------------------------------------------------


def find_parts(document: Any, steps: Steps) -> list[dict[str, Any]]:
    """The schema objects that a document has for what some steps lead to, without references, through arrays."""
    parts = list(_expand(document))
    for step in steps:
        parts = [part for schema in parts for child in _children(schema, step) for part in _expand(child)]
    return parts


def list_names(document: Any, steps: Steps = ()) -> list[str]:
    """The names of the properties that a document has at some steps."""
    return list(dict.fromkeys(name for part in find_parts(document, steps) for name in part.get("properties", ())))


def list_values(document: Any, steps: Steps) -> list[Any]:
    """The values that a document lists for what some steps lead to."""
    parts = find_parts(document, steps)
    return [value for part in parts for value in [*part.get("enum", ()), *([part["const"]] if "const" in part else ())]]


def iter_paths(document: Any, steps: Steps = (), depth: int = 8) -> Iterator[Steps]:
    """The steps to every property that a document names, the nearest first."""
    level = [steps]
    for _ in range(depth):
        level = [(*parent, name) for parent in level for name in list_names(document, parent)]
        yield from level


def _expand(schema: Any) -> Iterator[dict[str, Any]]:
    """The schema objects that may apply to a value or to the elements of an array."""
    if not isinstance(schema, dict):
        return
    yield schema
    for key in _IN_PLACE:
        for part in schema.get(key, ()):
            yield from _expand(part)
    for key in _BRANCHES:
        items = schema.get(key)
        for part in items if isinstance(items, list) else [items]:
            yield from _expand(part)
    for part in schema.get("dependentSchemas", {}).values():
        yield from _expand(part)


def _children(schema: dict[str, Any], step: str) -> list[Any]:
    properties = schema.get("properties", {})
    if step in properties:
        return [properties[step]]
    return []


def find_examples(document: Any) -> dict[tuple[str, ...], list[Any]]:
    """The examples and defaults of a document by the path of their value; every path in it is a key."""
    found: dict[tuple[str, ...], list[Any]] = {}
    pending: list[tuple[tuple[str, ...], Any]] = [((), document)]
    while pending:
        path, schema = pending.pop(0)
        if not isinstance(schema, dict) or len(path) > 16:
            continue
        values = [schema[key] for key in _EXAMPLES if key in schema]
        lists = [
            value if key == "examples" and isinstance(value, list) else [value]
            for key, value in zip([k for k in _EXAMPLES if k in schema], values, strict=True)
        ]
        found.setdefault(path, []).extend(value for entry in lists for value in entry)
        for key in ("allOf", "anyOf", "oneOf"):
            pending += [(path, part) for part in schema.get(key, ())]
        pending += [(path, schema[key]) for key in ("then", "else") if key in schema]
        pending += [((*path, name), part) for name, part in schema.get("properties", {}).items()]
        items = schema.get("items")
        pending += [((*path, "[]"), part) for part in (items if isinstance(items, list) else [items])]
        pending += [((*path, "[]"), part) for part in schema.get("prefixItems", ())]
    return found
