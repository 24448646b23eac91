"""Finds the type and the id of a payload without an envelope, such as a webhook that carries them inside."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from evtool.events.members import describe_type
from evtool.findings.spelling import find_similar
from evtool.readers.json_text import find_spans

POINTER_PATTERN = "^(/([^~/]|~[01])*)+$"  # a JSON Pointer (RFC 6901) to a part of a document


class PayloadIdentity(NamedTuple):
    """What a payload without an envelope gets: its type and source, or JSON Pointers to its type and its id."""

    type: str | None = None
    source: str | None = None
    type_at: str | None = None
    id_at: str | None = None

    @property
    def has_type(self) -> bool:
        """Whether payloads can become events: their type is known, or where it is."""
        return self.type is not None or self.type_at is not None


class IdentityProblem(ValueError):  # noqa: N818  (becomes a finding)
    """A type or id that is not in the payload, or has the wrong type; `pointer` leads to it."""

    def __init__(self, message: str, pointer: str, hint: str | None = None):
        super().__init__(message)
        self.message, self.pointer, self.hint = message, pointer, hint


def read_type(document: Mapping[str, Any], pointer: str) -> str:
    """The type at a pointer: a string that is not empty. Raises IdentityProblem."""
    value = _find_value(document, pointer, "type")
    return _check_string(value, pointer, "type", "a string")


def read_id(document: Mapping[str, Any], raw: bytes, pointer: str) -> str:
    """The id at a pointer: a string, or a number as its decimal text. Raises IdentityProblem.

    `raw` is the text of the document: a number with a fraction or an exponent is taken from there, so that it is exact.
    """
    value = _find_value(document, pointer, "id")
    if isinstance(value, float):
        from decimal import Decimal  # noqa: PLC0415  (it takes 2 ms to import, and few ids have a fraction)

        span = find_spans(raw)[pointer]
        return format(Decimal(raw[span.start : span.end].decode()), "f")
    is_integer = isinstance(value, int) and not isinstance(value, bool)
    if is_integer:
        return str(value)
    return _check_string(value, pointer, "id", "a string or a number")


def suggest_pointer(text: str) -> str | None:
    """A hint for a path that is not a JSON Pointer."""
    pointer = "/" + text.removeprefix("$").strip("./").replace(".", "/")
    if re.fullmatch(POINTER_PATTERN, pointer):
        return f'did you mean "{pointer}"?'
    return None


def _find_value(document: Any, pointer: str, name: str) -> Any:
    from evtool.readers.field_paths import split_pointer  # noqa: PLC0415  (few payloads have their identity inside)

    value = document
    parent = ""
    for step in split_pointer(pointer):
        if isinstance(value, list) and step.isdecimal() and len(step) < 10 and int(step) < len(value):
            value = value[int(step)]
        elif isinstance(value, dict) and step in value:
            value = value[step]
        else:
            similar = None
            if isinstance(value, dict):
                similar = find_similar(step, value)
            hint = None
            if similar:
                hint = f'the payload has "{similar}" there'
            raise IdentityProblem(f"the payload has no {pointer}, where its {name} should be", parent, hint)
        parent += "/" + step.replace("~", "~0").replace("/", "~1")
    return value


def _check_string(value: Any, pointer: str, name: str, expected: str) -> str:
    if isinstance(value, str) and value and "\0" not in value:
        return value
    if isinstance(value, str) and value:
        kind = "one with a NUL character"
    else:
        kind = describe_type(value)
    raise IdentityProblem(f"the {name} at {pointer} must be {expected}, not {kind}", pointer)
