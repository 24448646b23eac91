"""Replaces the references of a schema by what they lead to, so that the algebra of jsonschema-rs can work with it.

The engine's own `dereference` drops keywords next to `$ref`, and its algebra answers "unknown" for most references. A
reference that leads back into itself becomes `true`. The result then accepts more than the schema, never less. To
generate values it becomes "nothing" instead, so that the values end. Example, a tree:

    {"properties": {"name": {"type": "string"}, "child": {"$ref": "#"}}}

becomes {"properties": {"name": {"type": "string"}, "child": true}}, which is not exact: it accepts {"child": 5}.

Where a part accepts more, the whole must not accept less. In {"not": {"$ref": "#"}} it would: "not true" accepts
nothing, although the schema may accept much. Such keywords are left out.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from evtool.schemas.documents.document import DATA_KEYWORDS
from evtool.schemas.subschemas import Subschemas, child

# Schema objects of one result. Beyond it references become `true`.
MAX_PARTS = 20_000

_SCHEMA_LISTS = ("allOf", "anyOf", "oneOf", "prefixItems", "items")
_SCHEMA_MAPS = ("properties", "patternProperties", "dependentSchemas")
_UNEVALUATED = ("unevaluatedItems", "unevaluatedProperties")
_CONDITIONAL = ("if", "then", "else")
_SINGLE = ("additionalItems", "additionalProperties", "contains", "items", "propertyNames", "not")
_SCHEMAS = _SINGLE + _UNEVALUATED + _CONDITIONAL
_IN_PLACE = ("allOf", "anyOf", "oneOf", "dependentSchemas", "dependencies") + _CONDITIONAL
_LEFT_OUT = ("$id", "id", "$anchor", "$dynamicAnchor", "$recursiveAnchor", "$schema", "$defs", "definitions")
_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")
# In these drafts, `$ref` hides the keywords next to it.
_OLD_DRAFTS = ("draft-04", "draft-06", "draft-07")


class Inlined(NamedTuple):
    """A schema without references. If it is not exact, it accepts more than the original.

    With `keeps_names` it evaluates all properties and elements that the original does, so that `unevaluatedProperties`
    and `unevaluatedItems` next to it still accept no less.
    """

    schema: Any
    is_exact: bool
    keeps_names: bool = True


def inline_references(subschemas: Subschemas, *, at_loops: Any = True) -> Inlined:
    """Replaces the references of a schema by what they lead to, and those that lead back by `at_loops`."""
    inlined = _Inliner(subschemas, at_loops).inline(subschemas.root, frozenset([subschemas.root]))
    # `$schema` needs an object.
    schema = inlined.schema
    if schema is True:
        schema = {}
    elif schema is False:
        schema = {"not": {}}
    return inlined._replace(schema=subschemas.draft | schema)


class _Inliner:
    def __init__(self, subschemas: Subschemas, at_loops: Any):
        self._subschemas = subschemas
        self._at_loops = at_loops
        self._draft = str(subschemas.draft.get("$schema", ""))
        self._is_old = any(draft in self._draft for draft in _OLD_DRAFTS)
        self._parts = 0

    def inline(self, uri: str, above: frozenset[str]) -> Inlined:
        """The schema with a URI. `above` are the references that led to it."""
        schema = self._subschemas.library.resolve(uri)
        if not isinstance(schema, dict):
            is_exact = isinstance(schema, bool)
            return Inlined(schema is not False, is_exact, keeps_names=is_exact)
        self._parts += 1
        targets = [self._follow(uri, schema, key, above) for key in _REFERENCES if isinstance(schema.get(key), str)]
        if targets and self._is_old:
            return targets[0]
        rest = _KeywordInliner(self, uri, above).inline(schema)
        if targets:
            return _join(rest, targets)
        return rest

    def _follow(self, uri: str, schema: dict[str, Any], key: str, above: frozenset[str]) -> Inlined:
        target = self._subschemas.library.join(uri, schema[key])
        if key == "$ref" and target in above:
            return Inlined(self._at_loops, is_exact=False, keeps_names=False)
        # The target of a dynamic reference depends on the way to it.
        if key != "$ref" or self._parts > MAX_PARTS or not self._has_same_draft(target):
            return Inlined(schema=True, is_exact=False, keeps_names=False)
        return self.inline(target, above | {target})

    def _has_same_draft(self, uri: str) -> bool:
        """Whether the document of a URI has the draft of the schema, or names no draft."""
        document = self._subschemas.get(uri.partition("#")[0])
        return str(document.get("$schema", self._draft)).rstrip("#") == self._draft.rstrip("#")


class _KeywordInliner:
    """Inlines the keywords of one schema object. Notes which of them are not exact, and whether names are kept."""

    def __init__(self, inliner: _Inliner, uri: str, above: frozenset[str]):
        self._inliner = inliner
        self._uri = uri
        self._above = above
        self._inexact: set[str] = set()
        self._keeps_names = True

    def inline(self, schema: dict[str, Any]) -> Inlined:
        """The schema object without its references."""
        result: dict[str, Any] = {}
        for keyword, value in schema.items():
            if keyword not in _LEFT_OUT and keyword not in _REFERENCES:
                result[keyword] = self._inline_value(keyword, value)
        return _weaken(result, self._inexact, keeps_names=self._keeps_names)

    def _inline_value(self, keyword: str, value: Any) -> Any:
        if keyword in DATA_KEYWORDS:
            return value
        if keyword in _SCHEMA_LISTS and isinstance(value, list):
            return [self._inline_part(keyword, index) for index in range(len(value))]
        if keyword in _SCHEMA_MAPS and isinstance(value, dict):
            return {name: self._inline_part(keyword, name) for name in value}
        if keyword == "dependencies" and isinstance(value, dict):
            return self._inline_dependencies(value)
        if keyword in _SCHEMAS:
            return self._inline_part(keyword)
        return value

    def _inline_dependencies(self, dependencies: dict[str, Any]) -> dict[str, Any]:
        """`dependencies` has schemas, and lists of required names."""
        result = {}
        for name, entry in dependencies.items():
            if isinstance(entry, list):
                result[name] = entry
            else:
                result[name] = self._inline_part("dependencies", name)
        return result

    def _inline_part(self, keyword: str, *steps: str | int) -> Any:
        part = self._inliner.inline(child(self._uri, keyword, *steps), self._above)
        if not part.is_exact:
            self._inexact.add(keyword)
        if keyword in _IN_PLACE and not part.keeps_names:
            self._keeps_names = False
        return part.schema


def _join(rest: Inlined, targets: Sequence[Inlined]) -> Inlined:
    """A schema object that also has references: the targets become parts of its `allOf`."""
    is_exact = rest.is_exact and all(target.is_exact for target in targets)
    keeps_names = rest.keeps_names and all(target.keeps_names for target in targets)
    keywords = dict(rest.schema)
    if not keeps_names:
        for key in _UNEVALUATED:
            keywords.pop(key, None)
    # A schema `true` among other rules has no effect.
    others = [target.schema for target in targets if target.schema is not True]
    joined: Any = keywords
    if others and not keywords:
        joined = {"allOf": others}
        if len(others) == 1:
            joined = others[0]
    elif others:
        joined = keywords | {"allOf": keywords.get("allOf", []) + others}
    elif not keywords:
        joined = True
    return Inlined(joined, is_exact, keeps_names)


def _weaken(schema: dict[str, Any], inexact: set[str], *, keeps_names: bool) -> Inlined:
    """The schema object, made to accept more where a part that accepts more would make it accept less.

    `inexact` are the keywords with such a part.
    """
    if not inexact:
        return Inlined(schema, is_exact=True, keeps_names=keeps_names)
    left_out: set[str] = set()
    if "not" in inexact:
        left_out.add("not")
    # With a weaker `if`, `then` applies to more values.
    if "if" in inexact:
        left_out.update(_CONDITIONAL)
    # With a weaker `contains`, more elements count, so that there may be too many.
    if "contains" in inexact and "maxContains" in schema:
        left_out.update(("contains", "minContains", "maxContains"))
    # These keywords evaluate properties and elements, which are then unevaluated.
    if not keeps_names or left_out & {"if", "contains"} & schema.keys():
        left_out.update(_UNEVALUATED)
        keeps_names = False
    result = {key: value for key, value in schema.items() if key not in left_out}
    # With weaker forms, a value may fit several, which `oneOf` refuses.
    if "oneOf" in inexact:
        forms = {"anyOf": result.pop("oneOf")}
        result["allOf"] = result.get("allOf", []) + [forms]
    return Inlined(result, is_exact=False, keeps_names=keeps_names)
