"""Reads YAML as templates have it: with short tags such as `!Ref`, anchors, aliases, merge keys and numbers as keys."""

import re
from collections.abc import Iterator
from typing import Any

from yaml import AliasEvent, MappingEndEvent, ScalarEvent

from evtool.readers.yaml_text import YamlReader, encode_position

# Values of a document, with those that aliases repeat: a short text can describe any number.
MAX_VALUES = 1_000_000
_STANDARD = "tag:yaml.org,2002:"
# The words of YAML 1.1 that YAML 1.2 reads as strings.
_BOOLEANS = dict.fromkeys(("yes", "Yes", "YES", "on", "On", "ON"), True)
_BOOLEANS |= dict.fromkeys(("no", "No", "NO", "off", "Off", "OFF"), False)
_LEADING_ZERO = re.compile(r"([-+]?)0([0-9]{1,100})")
_OCTAL = re.compile(r"[0-7]+")
# The long form of these functions has no "Fn::".
_UNPREFIXED = ("Ref", "Condition")


class TemplateReader(YamlReader):
    """A short tag becomes the long form of its function: `!Ref Bus` is `{"Ref": "Bus"}`."""

    def __init__(self, text: str, file: str):
        super().__init__(text, file)
        self._anchors: dict[str, tuple[Any, list[Any] | None, int]] = {}  # with how many values they have
        self._values = 0

    def refuse_properties(self, event: Any) -> None:
        """Refuse nothing."""

    def read_value(self, event: Any, depth: int) -> tuple[Any, list[Any] | None]:
        """Returns the value that begins with an event, and the places of its parts."""
        if isinstance(event, AliasEvent):
            return self._read_alias(event)
        values_before = self._values
        self._count(event, 1)
        value, parts = super().read_value(event, depth)
        tag = event.tag or ""
        if isinstance(event, ScalarEvent) and tag:
            value = event.value
        if tag.startswith("!") and len(tag) > 1:
            value, parts = _expand(tag[1:], value, parts, encode_position(event.start_mark))
        if event.anchor:
            self._anchors[event.anchor] = value, parts, self._values - values_before
        return value, parts

    def _read_alias(self, event: Any) -> tuple[Any, list[Any] | None]:
        if event.anchor not in self._anchors:
            self.refuse(event, f"the alias *{event.anchor} has no anchor before it")
            return None, None
        value, parts, values = self._anchors[event.anchor]
        self._count(event, values)
        return value, parts

    def _count(self, event: Any, values: int) -> None:
        self._values += values
        if self._values > MAX_VALUES:
            self.refuse(event, f"with its aliases, the file has more than {MAX_VALUES:,} values")
            raise self.make_error()

    def read_mapping(self, depth: int) -> tuple[dict[Any, Any], list[Any]]:
        """Returns a mapping; the entries that `<<` merges come after its own."""
        entries: dict[Any, Any] = {}
        parts: list[Any] = []
        merged: list[tuple[Any, list[Any] | None]] = []
        for event in self._list_events():
            if isinstance(event, ScalarEvent) and event.value == "<<" and not event.style:
                merge_event = self.next_event()
                value, value_parts = self.read_value(merge_event, depth + 1)
                merged += _list_merged(value, value_parts)
                continue
            key = self.read_key(event, depth, entries, parts)
            value_event = self.next_event()
            entries[key], value_parts = self.read_value(value_event, depth + 1)
            parts += encode_position(event.start_mark), encode_position(value_event.start_mark), value_parts
        for value, value_parts in merged:
            for number, (key, item) in enumerate(value.items()):
                if key not in entries and value_parts is not None:
                    entries[key] = item
                    parts += value_parts[3 * number : 3 * number + 3]
        return entries, parts

    def _list_events(self) -> Iterator[Any]:
        """Yields the events that begin the keys of a mapping, up to its end."""
        event = self.next_event()
        while not isinstance(event, MappingEndEvent):
            yield event
            event = self.next_event()

    def read_key(self, event: Any, depth: int, entries: dict[Any, Any], parts: list[Any]) -> Any:
        """Returns the key that an event begins; a number, such as an account in `Mappings`, is a string."""
        if isinstance(event, ScalarEvent) and not event.tag and event.value not in entries:
            if event.anchor:
                self._anchors[event.anchor] = event.value, None, 1
            return event.value
        return super().read_key(event, depth, entries, parts)


class CloudFormationReader(TemplateReader):
    """Scalars without quotes mean what YAML 1.1 says, as CloudFormation reads them: `NO` is false, `010` is eight.

    A number with a leading zero that is not octal, such as the account 012345678901, is a string.
    """

    def read_scalar(self, event: Any) -> Any:
        """Returns the value of a scalar."""
        if event.style or event.tag:
            return super().read_scalar(event)
        if event.value in _BOOLEANS:
            return _BOOLEANS[event.value]
        match = _LEADING_ZERO.fullmatch(event.value)
        if match:
            if _OCTAL.fullmatch(match[2]):
                return int(match[1] + match[2], 8)
            return event.value
        return super().read_scalar(event)


def _list_merged(value: Any, parts: list[Any] | None) -> list[tuple[Any, list[Any] | None]]:
    """Returns the mappings that `<<` merges: one, or several in a list."""
    if isinstance(value, dict):
        return [(value, parts)]
    merged: list[tuple[Any, list[Any] | None]] = []
    if isinstance(value, list) and parts:
        for number, item in enumerate(value):
            if isinstance(item, dict):
                # Each item has three parts: the positions of its key and value, and the parts of its value.
                merged.append((item, parts[3 * number + 2]))
    return merged


def _expand(name: str, value: Any, parts: list[Any] | None, position: int) -> tuple[dict[str, Any], list[Any]]:
    """Returns the long form of a function, and the places of its parts."""
    if name == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
        parts = [position, position, None] * len(value)
    if name in _UNPREFIXED:
        key = name
    else:
        key = f"Fn::{name}"
    return {key: value}, [position, position, parts]
