"""Infers a JSON Schema from values: it accepts all of them, and avoids what may be a coincidence of the examples.

Bounds, lengths and patterns are not inferred. A format is used only if every string fits, `enum` only for few values
that repeat often, and an object with many names that rarely occur becomes a map. Example: from the values

    {"id": 1, "state": "open"}    {"id": 2.5}

follows `{"type": "object", "required": ["id"], "properties": {"id": {"type": "number"}, "state": {"type": "string"}}}`.
`state` is not required because one value lacks it, and it has no `enum` because one string is not a pattern.
"""

from collections import Counter
from collections.abc import Sequence
from functools import cache
from typing import Any

from jsonschema_rs import Draft202012Validator

from evtool.schemas.documents.declarations import DRAFT_2020

# A schema lists its types in this order.
TYPES = ("object", "array", "string", "integer", "number", "boolean", "null")
# The first format that all strings fit is used.
FORMATS = ("uuid", "date-time", "date", "email", "uri")
# Distinct strings of an enum. A single one may well be a coincidence.
ENUM_LENGTHS = range(2, 9)
# Strings that an enum needs in total, and repetitions that each of its values needs.
ENUM_LEAST, ENUM_REPEATS = 20, 3
# Characters of a string in an enum.
MAX_ENUM_TEXT = 40
# An object is a map if it has more names than this, each in at most this share of the values.
MAP_NAMES, MAP_SHARE = 30, 0.5
# Levels of nested values. Below them everything is accepted.
MAX_DEPTH = 200


class Shape:
    """The common properties of the values at one place."""

    def __init__(self) -> None:
        self._types: Counter[str] = Counter()
        # None once the strings are too many for an enum.
        self._texts: Counter[str] | None = Counter()
        self._formats: Sequence[str] = FORMATS
        self._properties: dict[str, Shape] = {}
        # The number of objects that have each property.
        self._presence: Counter[str] = Counter()
        self._items: Shape | None = None
        # Values that are nested too deeply were left out.
        self._is_open = False

    def add(self, value: Any, depth: int = 0) -> None:
        """Takes a value into account."""
        if depth > MAX_DEPTH:
            self._is_open = True
            return
        name = _name_type(value)
        self._types[name] += 1
        if isinstance(value, str):
            self._add_text(value)
        elif isinstance(value, list):
            self._items = self._items or Shape()
            for item in value:
                self._items.add(item, depth + 1)
        elif isinstance(value, dict):
            for key, item in value.items():
                self._presence[key] += 1
                self._properties.setdefault(key, Shape()).add(item, depth + 1)

    def build(self) -> dict[str, Any]:
        """The schema of the values."""
        if self._is_open or not self._types:
            return {}
        names = [name for name in TYPES if self._types[name]]
        # Integers are numbers, too.
        if "number" in names and "integer" in names:
            names.remove("integer")
        schema: dict[str, Any] = {"type": names}
        if len(names) == 1:
            schema["type"] = names[0]
        if self._types["string"]:
            schema.update(self._build_text(is_only=len(names) == 1))
        if self._types["object"]:
            schema.update(self._build_object())
        items = {}
        if self._items is not None:
            items = self._items.build()
        if items:
            schema["items"] = items
        return schema

    def _add_text(self, text: str) -> None:
        self._formats = [name for name in self._formats if _has_format(name, text)]
        if self._texts is not None:
            self._texts[text] += 1
            if len(self._texts) >= ENUM_LENGTHS.stop or len(text) > MAX_ENUM_TEXT:
                self._texts = None

    def _build_text(self, *, is_only: bool) -> dict[str, Any]:
        if self._formats:
            return {"format": self._formats[0]}
        texts = self._texts
        if texts is None or not is_only or len(texts) not in ENUM_LENGTHS:
            return {}
        is_repeated = texts.total() >= ENUM_LEAST and min(texts.values()) >= ENUM_REPEATS
        if is_repeated:
            return {"enum": sorted(texts)}
        return {}

    def _build_object(self) -> dict[str, Any]:
        count = self._types["object"]
        if len(self._properties) > MAP_NAMES and max(self._presence.values()) <= MAP_SHARE * count:
            merged = Shape()
            for shape in self._properties.values():
                merged.merge(shape)
            return {"additionalProperties": merged.build()}
        schema: dict[str, Any] = {}
        required = [name for name in self._properties if self._presence[name] == count]
        if required:
            schema["required"] = required
        if self._properties:
            schema["properties"] = {name: shape.build() for name, shape in self._properties.items()}
        return schema

    def merge(self, other: "Shape") -> None:
        """Takes the values of another place into account, too. Their strings are not a list of choices any more."""
        self._types += other._types
        self._formats = [name for name in self._formats if name in other._formats]
        self._texts = None
        self._presence += other._presence
        self._is_open = self._is_open or other._is_open
        for name, shape in other._properties.items():
            self._properties.setdefault(name, Shape()).merge(shape)
        if other._items is not None:
            self._items = self._items or Shape()
            self._items.merge(other._items)


def build_schema(event_type: str, shape: Shape) -> dict[str, Any]:
    """The schema document of an event type."""
    return {"$schema": DRAFT_2020, "title": event_type} | shape.build()


def _name_type(value: Any) -> str:
    match value:
        # In Python, True is an int.
        case bool():
            return "boolean"
        case None:
            return "null"
        case int():
            return "integer"
        case str():
            return "string"
        case list():
            return "array"
        case dict():
            return "object"
    return "number"


def _has_format(name: str, text: str) -> bool:
    # Every string with a colon, such as "urn:x" or "a:b", is a URI.
    if name == "uri" and "://" not in text:
        return False
    return bool(_build_format_validator(name).is_valid(text))


@cache
def _build_format_validator(name: str) -> Draft202012Validator:
    return Draft202012Validator({"format": name}, validate_formats=True)
