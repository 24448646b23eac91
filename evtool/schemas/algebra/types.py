"""The schema of an event type as a set of values, which can be intersected with and compared to other sets.

The algebra of jsonschema-rs works with schemas in a canonical form. Example: the schema S of a type is
{"type": "object", "properties": {"total": {"type": "number", "minimum": 0}}}. A pattern asks for totals below zero, so
for the values of P = {"required": ["total"], "properties": {"total": {"type": "number", "exclusiveMaximum": 0}}}
(conditions.py writes such schemas). Then:

    restrict(S, [P])         the values of both: objects whose total is at least 0 and below 0
    is_impossible(S, [P])    True: no value is in both, so no event of the type matches
    is_certain(S, P)         False: not every value of S is one of P

Each answer is a proof. If the algebra does not know a form, the answer is None or False, and no conclusion is drawn.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, NamedTuple

from jsonschema_rs import CanonicalSchema, FancyRegexOptions, canonical, canonicalize

from evtool.schemas.algebra.conditions import Steps, to_draft_4
from evtool.schemas.algebra.inlining import inline_references
from evtool.schemas.validator import BACKTRACK_LIMIT, CompiledSchema

_IN_PLACE = ("allOf", "anyOf", "oneOf", "prefixItems")
# Keywords with one schema. The elements of an array count for the array, as in patterns.
_BRANCHES = ("if", "then", "else", "items", "additionalItems", "contains")
_EXAMPLES = ("examples", "example", "default")
# Steps of a path to an example. References that lead back make documents deep.
_MAX_STEPS = 16


class TypeSchema(NamedTuple):
    """The schema of an event type.

    `schema` accepts every payload that the type can have, and perhaps others; `document` is the same as JSON. With an
    envelope it describes the whole event. `dotted` are the names of properties that contain a dot.
    """

    type: str
    source: str | None
    payload_key: str
    has_envelope: bool
    document: Any
    schema: CanonicalSchema
    compiled: CompiledSchema
    dotted: frozenset[str]

    def steps_of(self, steps: Steps) -> Steps:
        """The steps from the value that the schema describes to a part of the payload."""
        if self.has_envelope:
            return (self.payload_key,) + steps
        return steps


def load_type(
    compiled: CompiledSchema, event_type: str, source: str | None, payload_key: str, *, at_loops: Any = True
) -> TypeSchema | None:
    """The schema of a type as a set of values; None if the algebra does not know its form.

    `at_loops` is the schema that takes the place of references that lead back into themselves.
    """
    try:
        inlined = inline_references(compiled.subschemas, at_loops=at_loops)
        schema = to_canonical(inlined.schema)
    except RecursionError:
        # The schema is nested hundreds of levels deep.
        return None
    if schema is None or schema.kind == canonical.CanonicalKind.RAW:
        return None
    has_envelope = compiled.choice.envelope is not None
    # The detail of an EventBridge event is always an object.
    if payload_key == "detail":
        schema = restrict(schema, [{"type": "object"}]) or schema
    dotted = frozenset(_iter_dotted(inlined.schema))
    return TypeSchema(event_type, source, payload_key, has_envelope, inlined.schema, schema, compiled, dotted)


def to_canonical(schema: Any, draft: int | None = None) -> CanonicalSchema | None:
    """The canonical form of a schema; None if the algebra does not know its form. Formats are rules, too."""
    options = FancyRegexOptions(backtrack_limit=BACKTRACK_LIMIT)
    if draft == 4:
        schema = to_draft_4(schema)
    try:
        return canonicalize(schema, draft=draft, validate_formats=True, pattern_options=options)
    except ValueError:
        return None


def restrict(schema: CanonicalSchema, conditions: Sequence[Any]) -> CanonicalSchema | None:
    """The values of a schema that fit all conditions, which are JSON Schemas; None if the algebra cannot decide."""
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
    """The keys with a dot in a document, at any depth."""
    items: Iterable[Any] = ()
    if isinstance(value, list):
        items = value
    elif isinstance(value, dict):
        items = value.values()
        for key in value:
            if "." in key:
                yield key
    for item in items:
        yield from _iter_dotted(item)


# --- the parts of a document ------------------------------------------------------------------------------------------


def find_parts(document: Any, steps: Steps) -> list[dict[str, Any]]:
    """The schema objects that a document has for the values that some steps lead to, also through arrays."""
    parts = list(_expand(document))
    for step in steps:
        outer, parts = parts, []
        for schema in outer:
            properties = schema.get("properties", {})
            if step in properties:
                parts += _expand(properties[step])
    return parts


def list_names(document: Any, steps: Steps = ()) -> list[str]:
    """The names of the properties that a document has at some steps."""
    names: dict[str, None] = {}
    for part in find_parts(document, steps):
        names |= dict.fromkeys(part.get("properties", ()))
    return list(names)


def list_values(document: Any, steps: Steps) -> list[Any]:
    """The values that a document lists for the values that some steps lead to."""
    values: list[Any] = []
    for part in find_parts(document, steps):
        values += part.get("enum", ())
        if "const" in part:
            values.append(part["const"])
    return values


def iter_paths(document: Any, steps: Steps = (), depth: int = 8) -> Iterator[Steps]:
    """The steps to every property that a document names, the nearest first."""
    level = [steps]
    for _ in range(depth):
        parents, level = level, []
        for parent in parents:
            level += [parent + (name,) for name in list_names(document, parent)]
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
        for part in _to_list(schema.get(key)):
            yield from _expand(part)
    for part in schema.get("dependentSchemas", {}).values():
        yield from _expand(part)


def _to_list(value: Any) -> list[Any]:
    if isinstance(value, list):
        return value
    return [value]


def find_examples(document: Any) -> dict[tuple[str, ...], list[Any]]:
    """The examples and defaults of a document by the path of their value; every path in it is a key.

    The step `[]` leads to the elements of an array.
    """
    examples: dict[tuple[str, ...], list[Any]] = {}
    pending: list[tuple[tuple[str, ...], Any]] = [((), document)]
    while pending:
        path, schema = pending.pop(0)
        if not isinstance(schema, dict) or len(path) > _MAX_STEPS:
            continue
        examples.setdefault(path, []).extend(_iter_examples(schema))
        for part in _list_in_place(schema):
            pending.append((path, part))
        for name, part in schema.get("properties", {}).items():
            pending.append((path + (name,), part))
        for part in chain(_to_list(schema.get("items")), schema.get("prefixItems", ())):
            pending.append((path + ("[]",), part))
    return examples


def _iter_examples(schema: dict[str, Any]) -> Iterator[Any]:
    for key in _EXAMPLES:
        if key not in schema:
            continue
        if key == "examples":
            yield from _to_list(schema[key])
        else:
            yield schema[key]


def _list_in_place(schema: dict[str, Any]) -> list[Any]:
    """The schemas in a schema that may apply to the same value."""
    parts: list[Any] = []
    for key in ("allOf", "anyOf", "oneOf"):
        parts += schema.get(key, ())
    for key in ("then", "else"):
        if key in schema:
            parts.append(schema[key])
    return parts
