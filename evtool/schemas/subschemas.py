"""Finds which parts of a schema apply to a value: in place, by reference, and on the way to a nested value.

A part of a schema is named by its URI, such as `file:///schemas/order.json#/properties/total`. Example:

    {"allOf": [{"$ref": "#/$defs/base"}], "properties": {"total": {"type": "number"}},
     "$defs": {"base": {"properties": {"total": {"minimum": 0}}}}}

`expand("#")` yields the schema itself, `#/allOf/0` and `#/$defs/base`: each of them always applies where the whole
applies. The parts that apply to the property `total` are therefore `#/properties/total` and
`#/$defs/base/properties/total`.
"""

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from jsonschema_rs import ValidationError

from evtool.readers.locations import pointer_of
from evtool.schemas.documents.references import Library

Path = tuple[str | int, ...]

_IN_PLACE = ("if", "then", "else")
_LISTS = ("anyOf", "oneOf")
# Keywords that apply to the properties that no other keyword describes.
_ALL = ("additionalProperties", "unevaluatedProperties")
# Keywords that apply to some elements and properties only, which depends on the value.
_SOMETIMES = ("/contains", "/unevaluatedItems", "/unevaluatedProperties")
# Places in an event. Neighbours ask for the same parts.
_CACHE_SIZE = 1000


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
        self.draft: dict[str, str] = {}
        if draft:
            self.draft = {"$schema": draft}
        self._build = build
        self._build_part = lru_cache(maxsize=_CACHE_SIZE)(self._make_part_validator)
        self._build_pattern = lru_cache(maxsize=_CACHE_SIZE)(self._make_pattern_validator)
        self._find_cached = lru_cache(maxsize=_CACHE_SIZE)(self._find)
        self.known_names = lru_cache(maxsize=_CACHE_SIZE)(self._list_known_names)

    def get(self, uri: str) -> dict[str, Any]:
        """The schema object with a URI; empty for `true`, `false` and a URI without a schema."""
        schema = self.library.resolve(uri)
        if isinstance(schema, dict):
            return schema
        return {}

    def is_false(self, uri: str) -> bool:
        """Whether a part of the schema is `false`."""
        return self.library.resolve(uri) is False

    def find_errors(self, uri: str, value: Any) -> list[ValidationError]:
        """The errors of a value against one part of the schema."""
        validator = self._build_part(uri)
        if validator.is_valid(value):
            return []
        # Most events are valid and do not need this module.
        from evtool.schemas.explain.engine_errors import list_errors  # noqa: PLC0415

        return list_errors(validator, value)

    def expand(self, uri: str, *, all_forms: bool = False) -> Iterator[tuple[str, dict[str, Any]]]:
        """The schema objects that always apply where one applies: itself, its references and the parts of `allOf`.

        With `all_forms` also those that apply only sometimes.
        """
        pending, seen = [uri], set()
        while pending:
            current = pending.pop()
            # References may lead in a circle.
            if current in seen:
                continue
            seen.add(current)
            schema = self.get(current)
            yield current, schema
            pending += self.follow(current, schema)
            pending += _list_elements(current, schema, "allOf")
            if all_forms:
                for key in _LISTS:
                    pending += _list_elements(current, schema, key)
                pending += [child(current, key) for key in _IN_PLACE if key in schema]
                pending += [child(current, "dependentSchemas", key) for key in list_keys(schema, "dependentSchemas")]

    def matches(self, pattern: str, name: str) -> bool:
        """Whether a regular expression of the schema matches a property's name."""
        return bool(self._build_pattern(pattern).is_valid(name))

    def allows_string(self, path: Path) -> bool:
        """Whether the schema says that a place of the value may be a string, or does not describe the place."""
        parts = self._find_cached(path)
        for uri in parts:
            for _, schema in self.expand(uri, all_forms=True):
                if "string" in (schema.get("type") or ()):
                    return True
        return not parts

    def is_forbidden(self, path: Path, value: Any) -> bool:
        """Whether the schema allows a value at a place in no event."""
        return any(self.find_errors(part, value) for part in self._find_always(path))

    def _find_always(self, path: Path) -> list[str]:
        """The parts of the schema that apply at a place of every value."""
        if not path:
            return [self.root]
        parts = []
        for uri in self._find_always(path[:-1]):
            for current, schema in self.expand(uri):
                for part in self.find_children(current, schema, path[-1]):
                    if not part.endswith(_SOMETIMES):
                        parts.append(part)
        return parts

    def _list_known_names(self, path: Path) -> frozenset[str]:
        """The names of all properties that the schema describes at a place of the value."""
        names: set[str] = set()
        for uri in self._find_cached(path):
            for _, schema in self.expand(uri, all_forms=True):
                names.update(list_keys(schema, "properties"))
        return frozenset(names)

    def _find(self, path: Path) -> tuple[str, ...]:
        """The parts of the schema that may apply at a place of the value, each once."""
        if not path:
            return (self.root,)
        parts: dict[str, None] = {}
        for uri in self._find_cached(path[:-1]):
            for current, schema in self.expand(uri, all_forms=True):
                parts |= dict.fromkeys(self.find_children(current, schema, path[-1]))
        return tuple(parts)

    def find_children(self, uri: str, schema: dict[str, Any], step: str | int) -> Iterator[str]:
        """The parts of a schema object that apply to a property or element of a value."""
        if isinstance(step, int):
            yield from self._find_of_element(uri, schema, step)
        else:
            yield from self._find_of_property(uri, schema, step)

    def _find_of_element(self, uri: str, schema: dict[str, Any], index: int) -> Iterator[str]:
        # Up to draft 2019-09, `items` may be a list: it has the meaning of `prefixItems`, and `additionalItems` that of
        # `items`.
        key = "items"
        if "prefixItems" in schema:
            key = "prefixItems"
        if index < count_parts(schema, key):
            yield child(uri, key, index)
            return
        rest = "items"
        if isinstance(schema.get("items"), list):
            rest = "additionalItems"
        for keyword in (rest, "contains", "unevaluatedItems"):
            if keyword in schema:
                yield child(uri, keyword)

    def _find_of_property(self, uri: str, schema: dict[str, Any], name: str) -> Iterator[str]:
        is_described = False
        if name in list_keys(schema, "properties"):
            yield child(uri, "properties", name)
            is_described = True
        for pattern in list_keys(schema, "patternProperties"):
            if self.matches(pattern, name):
                yield child(uri, "patternProperties", pattern)
                is_described = True
        if is_described:
            return
        for keyword in _ALL:
            if keyword in schema:
                yield child(uri, keyword)

    def follow(self, uri: str, schema: dict[str, Any]) -> Iterator[str]:
        """The URIs that the references of a schema object name."""
        for key in ("$ref", "$dynamicRef", "$recursiveRef"):
            reference = schema.get(key)
            if isinstance(reference, str):
                yield self.library.join(uri, reference)

    def _make_part_validator(self, uri: str) -> Any:
        return self._build({**self.draft, "$ref": uri})

    def _make_pattern_validator(self, pattern: str) -> Any:
        return self._build({"pattern": pattern})


def list_keys(schema: dict[str, Any], keyword: str) -> list[str]:
    """The keys in the value of a keyword; empty if the value is not an object."""
    value = schema.get(keyword)
    if isinstance(value, dict):
        return list(value)
    return []


def count_parts(schema: dict[str, Any], keyword: str) -> int:
    """The number of elements in the value of a keyword; 0 if the value is not an array."""
    value = schema.get(keyword)
    if isinstance(value, list):
        return len(value)
    return 0


def _list_elements(uri: str, schema: dict[str, Any], keyword: str) -> list[str]:
    return [child(uri, keyword, index) for index in range(count_parts(schema, keyword))]
