"""Finds which parts of a schema apply to a value: in place, by reference, and on the way to a nested value."""

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from jsonschema_rs import ValidationError

from evtool.readers.locations import pointer_of
from evtool.schemas.references import Library

Path = tuple[str | int, ...]

_IN_PLACE = ("if", "then", "else")
_LISTS = ("anyOf", "oneOf")
_ALL = ("additionalProperties", "unevaluatedProperties")  # apply to every other property
_SOMETIMES = ("/contains", "/unevaluatedItems", "/unevaluatedProperties")  # apply to some elements and properties
_CACHE_SIZE = 1000  # places in an event; neighbours ask for the same


def child(uri: str, *steps: str | int) -> str:
    """The URI of a part of the schema that has a URI."""
    address, _, fragment = uri.partition("#")
    return f"{address}#{fragment}{quote(pointer_of(steps))}"


class Subschemas:
    """The parts of one schema, by URI. `build` makes the validator of a schema object.

    `draft` is the object with `$schema` that each of its parts needs; it is empty for the newest draft.
    """

    def __init__(self, library: Library, root: str, draft: str | None, build: Callable[[Any], Any]):
        self.library = library
        self.root = root
        if draft:
            self.draft = {"$schema": draft}
        else:
            self.draft = {}
        self._build = lru_cache(maxsize=_CACHE_SIZE)(lambda uri: build({**self.draft, "$ref": uri}))
        self._build_pattern = lru_cache(maxsize=_CACHE_SIZE)(lambda pattern: build({"pattern": pattern}))
        self._find_cached = lru_cache(maxsize=_CACHE_SIZE)(self._find)
        self.known_names = lru_cache(maxsize=_CACHE_SIZE)(self._list_known_names)

    def get(self, uri: str) -> dict[str, Any]:
        """The schema object with a URI; empty for `true`, `false` and what does not exist."""
        schema = self.library.resolve(uri)
        if isinstance(schema, dict):
            return schema
        return {}

    def is_false(self, uri: str) -> bool:
        """Whether a part of the schema is `false`."""
        return self.library.resolve(uri) is False

    def find_errors(self, uri: str, value: Any) -> list[ValidationError]:
        """The errors of a value against one part of the schema."""
        validator = self._build(uri)
        if validator.is_valid(value):
            return []
        from evtool.schemas.explain.engine_errors import list_errors  # noqa: PLC0415  (most events are valid)

        return list_errors(validator, value)

    def expand(self, uri: str, *, all_forms: bool = False) -> Iterator[tuple[str, dict[str, Any]]]:
        """The schema objects that always apply where one applies: itself, its references and the parts of `allOf`.

        With `all_forms` also those that apply only sometimes.
        """
        pending, seen = [uri], set()
        while pending:
            current = pending.pop()
            if current in seen:
                continue
            seen.add(current)
            schema = self.get(current)
            yield current, schema
            pending += self.follow(current, schema)
            pending += [child(current, "allOf", index) for index in range(_count(schema, "allOf"))]
            if all_forms:
                pending += [child(current, key, index) for key in _LISTS for index in range(_count(schema, key))]
                pending += [child(current, key) for key in _IN_PLACE if key in schema]
                pending += [child(current, "dependentSchemas", key) for key in _keys(schema, "dependentSchemas")]

    def matches(self, pattern: str, name: str) -> bool:
        """Whether a regular expression of the schema matches a property's name."""
        return bool(self._build_pattern(pattern).is_valid(name))

    def allows_string(self, path: Path) -> bool:
        """Whether the schema says that a place of the value may be a string, or says nothing about the place."""
        parts = self._find_cached(path)
        schemas = (schema for uri in parts for _, schema in self.expand(uri, all_forms=True))
        return not parts or any("string" in (schema.get("type") or ()) for schema in schemas)

    def is_forbidden(self, path: Path, value: Any) -> bool:
        """Whether the schema allows a value in no case at a place, whatever else there is."""
        return any(self.find_errors(part, value) for part in self._find_always(path))

    def _find_always(self, path: Path) -> list[str]:
        """The parts of the schema that apply at a place of every value."""
        if not path:
            return [self.root]
        return [
            part
            for uri in self._find_always(path[:-1])
            for current, schema in self.expand(uri)
            for part in self.find_children(current, schema, path[-1])
            if not part.endswith(_SOMETIMES)
        ]

    def _list_known_names(self, path: Path) -> frozenset[str]:
        """The names of all properties that the schema describes at a place of the value."""
        schemas = (schema for uri in self._find_cached(path) for _, schema in self.expand(uri, all_forms=True))
        return frozenset(name for schema in schemas for name in _keys(schema, "properties"))

    def _find(self, path: Path) -> tuple[str, ...]:
        """The parts of the schema that may apply at a place of the value."""
        if not path:
            return (self.root,)
        parts = {
            part: None
            for uri in self._find_cached(path[:-1])
            for current, schema in self.expand(uri, all_forms=True)
            for part in self.find_children(current, schema, path[-1])
        }
        return tuple(parts)

    def find_children(self, uri: str, schema: dict[str, Any], step: str | int) -> Iterator[str]:
        """The parts of a schema object that apply to a property or element of a value."""
        if isinstance(step, int):
            key = "items"
            if "prefixItems" in schema:
                key = "prefixItems"
            if step < _count(schema, key):
                yield child(uri, key, step)
            else:
                rest = "items"
                if isinstance(schema.get("items"), list):
                    rest = "additionalItems"
                yield from (child(uri, k) for k in (rest, "contains", "unevaluatedItems") if k in schema)
            return
        if step in _keys(schema, "properties"):
            parts = [child(uri, "properties", step)]
        else:
            parts = []
        parts += [
            child(uri, "patternProperties", pattern)
            for pattern in _keys(schema, "patternProperties")
            if self.matches(pattern, step)
        ]
        yield from parts or (child(uri, key) for key in _ALL if key in schema)

    def follow(self, uri: str, schema: dict[str, Any]) -> Iterator[str]:
        """The URIs that the references of a schema object name."""
        for key in ("$ref", "$dynamicRef", "$recursiveRef"):
            if isinstance(reference := schema.get(key), str):
                yield self.library.join(uri, reference)


def _keys(schema: dict[str, Any], keyword: str) -> list[str]:
    value = schema.get(keyword)
    if isinstance(value, dict):
        return list(value)
    return []


def _count(schema: dict[str, Any], keyword: str) -> int:
    value = schema.get(keyword)
    if isinstance(value, list):
        return len(value)
    return 0
