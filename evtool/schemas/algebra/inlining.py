"""Replaces the references of a schema by what they lead to, so that the algebra of jsonschema-rs can work with it.

The engine's own `dereference` drops keywords beside `$ref`, and its algebra says "unknown" behind most references. A
reference that leads back into itself becomes `true`. The result then accepts more than the schema, never less. To
generate values it becomes "nothing" instead: they end where the schema could go on.
"""

from typing import Any, NamedTuple

from evtool.schemas.references import DATA_KEYWORDS
from evtool.schemas.subschemas import Subschemas, child

MAX_PARTS = 20_000  # schema objects of one result; beyond it references become `true`

_SCHEMA_LISTS = ("allOf", "anyOf", "prefixItems")
_SCHEMA_MAPS = ("properties", "patternProperties", "dependentSchemas")
_SCHEMAS = ("additionalItems", "additionalProperties", "contains", "items", "propertyNames")
_UNEVALUATED = ("unevaluatedItems", "unevaluatedProperties")
_CONDITIONAL = ("if", "then", "else")
_IN_PLACE = ("allOf", "anyOf", "oneOf", "dependentSchemas", "dependencies", *_CONDITIONAL)
_LEFT_OUT = ("$id", "id", "$anchor", "$dynamicAnchor", "$recursiveAnchor", "$schema", "$defs", "definitions")
_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")
_OLD_DRAFTS = ("draft-04", "draft-06", "draft-07")  # in which `$ref` hides what is beside it


class Inlined(NamedTuple):
    """A schema without references; if it is not exact, it accepts more than the schema that it was made of.

    `keeps_names`: it evaluates all properties and elements that the schema does, so that `unevaluatedProperties` and
    `unevaluatedItems` beside it still accept no less.
    """

    schema: Any
    is_exact: bool
    keeps_names: bool = True


def inline_references(subschemas: Subschemas, *, at_loops: Any = True) -> Inlined:
    """A schema with its references replaced by what they lead to, and those that lead back by another schema."""
    inlined = _Inliner(subschemas, at_loops).inline(subschemas.root, frozenset([subschemas.root]))
    if isinstance(inlined.schema, dict):
        schema = inlined.schema
    elif inlined.schema:
        schema = {}
    else:
        schema = {"not": {}}
    return inlined._replace(schema={**subschemas.draft, **schema})


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
        rest = self._inline_keywords(uri, schema, above)
        if not targets:
            return rest
        is_exact = rest.is_exact and all(target.is_exact for target in targets)
        keeps_names = rest.keeps_names and all(target.keeps_names for target in targets)
        keywords = {k: v for k, v in rest.schema.items() if keeps_names or k not in _UNEVALUATED}
        keeps_names = keeps_names and len(keywords) == len(rest.schema)
        others = [target.schema for target in targets if target.schema is not True]
        joined: Any
        if keywords:
            if others:
                joined = {**keywords, "allOf": [*keywords.get("allOf", []), *others]}
            else:
                joined = keywords
        else:
            if len(others) == 1:
                joined = others[0]
            elif others:
                joined = {"allOf": others}
            else:
                joined = True
        return Inlined(joined, is_exact, keeps_names)

    def _follow(self, uri: str, schema: dict[str, Any], key: str, above: frozenset[str]) -> Inlined:
        target = self._subschemas.library.join(uri, schema[key])
        if key == "$ref" and target in above:
            return Inlined(self._at_loops, is_exact=False, keeps_names=False)
        if key != "$ref" or self._parts > MAX_PARTS or not self._has_same_draft(target):
            return Inlined(schema=True, is_exact=False, keeps_names=False)
        return self.inline(target, above | {target})

    def _has_same_draft(self, uri: str) -> bool:
        """Whether the document of a URI names no other draft than the schema does."""
        document = self._subschemas.get(uri.partition("#")[0])
        return str(document.get("$schema", self._draft)).rstrip("#") == self._draft.rstrip("#")

    def _inline_keywords(self, uri: str, schema: dict[str, Any], above: frozenset[str]) -> Inlined:
        """The schema object without its references."""
        result: dict[str, Any] = {}
        inexact: set[str] = set()
        keeps_names: list[bool] = []

        def add(keyword: str, *steps: str | int) -> Any:
            part = self.inline(child(uri, keyword, *steps), above)
            if not part.is_exact:
                inexact.add(keyword)
            keeps_names.append(part.keeps_names or keyword not in _IN_PLACE)
            return part.schema

        for key, value in schema.items():
            if key in _LEFT_OUT or key in _REFERENCES:
                continue
            is_list, is_map = isinstance(value, list), isinstance(value, dict)
            if key in DATA_KEYWORDS:
                result[key] = value
            elif (key in _SCHEMA_LISTS or key in ("oneOf", "items")) and is_list:
                result[key] = [add(key, index) for index in range(len(value))]
            elif key in _SCHEMA_MAPS and is_map:
                result[key] = {name: add(key, name) for name in value}
            elif key == "dependencies" and is_map:
                result[key] = {n: entry if isinstance(entry, list) else add(key, n) for n, entry in value.items()}
            elif key in (*_SCHEMAS, *_UNEVALUATED, *_CONDITIONAL, "not"):
                result[key] = add(key)
            else:
                result[key] = value
        return _weaken(result, inexact, keeps_names=all(keeps_names))


def _weaken(schema: dict[str, Any], inexact: set[str], *, keeps_names: bool) -> Inlined:
    """The schema object made to accept more where a part of it does that would make it accept less."""
    if not inexact:
        return Inlined(schema, is_exact=True, keeps_names=keeps_names)
    result = dict(schema)
    if "not" in inexact:
        left_out = {"not"}
    else:
        left_out = set()
    if "if" in inexact:
        left_out |= set(_CONDITIONAL)
    else:
        left_out |= set()
    if "contains" in inexact and "maxContains" in schema:
        left_out |= {"contains", "minContains", "maxContains"}
    else:
        left_out |= set()
    if not keeps_names or left_out & {"if", "contains"} & schema.keys():
        left_out |= {*_UNEVALUATED}
        keeps_names = False
    for key in left_out:
        result.pop(key, None)
    if "oneOf" in inexact:
        result["allOf"] = [*result.get("allOf", []), {"anyOf": result.pop("oneOf")}]
    return Inlined(result, is_exact=False, keeps_names=keeps_names)
