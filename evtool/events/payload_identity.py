"""Finds the type and the id of a payload without an envelope, such as a webhook that contains them."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from evtool.events.members import describe_type
from evtool.findings.spelling import find_similar
from evtool.readers.json_text import find_spans

# A JSON Pointer (RFC 6901) to a part of a document, not to the whole document.
POINTER_PATTERN = "^(/([^~/]|~[01])*)+$"


class PayloadIdentity(NamedTuple):
    """The type and source for a payload without an envelope, or JSON Pointers to its type and its id."""

    type: str | None = None
    source: str | None = None
    type_at: str | None = None
    id_at: str | None = None

    @property
    def has_type(self) -> bool:
        """Whether payloads can become events: their type, or the pointer to it, is known."""
        return self.type is not None or self.type_at is not None


# Not named Error: the caller turns it into a finding.
class IdentityProblem(ValueError):  # noqa: N818
    """A type or id is not in the payload, or has a wrong type. `pointer` leads to the place."""

    def __init__(self, message: str, pointer: str, hint: str | None = None):
        super().__init__(message)
        self.message, self.pointer, self.hint = message, pointer, hint


def read_type(document: Mapping[str, Any], pointer: str) -> str:
    """Returns the type at a pointer, which is a string that is not empty. Raises IdentityProblem."""
    value = _find_value(document, pointer, "type")
    return _check_string(value, pointer, "type", "a string")


def read_id(document: Mapping[str, Any], raw: bytes, pointer: str) -> str:
    """Returns the id at a pointer: a string, or a number in decimal digits. Raises IdentityProblem.

    `raw` is the text of the document. A number with a fraction or an exponent is read from it, so that it is exact.
    """
    value = _find_value(document, pointer, "id")
    if isinstance(value, float):
        # Imported late: it takes 2 ms, and few ids have a fraction.
        from decimal import Decimal  # noqa: PLC0415

        span = find_spans(raw)[pointer]
        return format(Decimal(raw[span.start : span.end].decode()), "f")
    is_integer = isinstance(value, int) and not isinstance(value, bool)
    if is_integer:
        return str(value)
    return _check_string(value, pointer, "id", "a string or a number")


def suggest_pointer(text: str) -> str | None:
    """Returns a hint for a path that is not a JSON Pointer, or None."""
    pointer = "/" + text.removeprefix("$").strip("./").replace(".", "/")
    if re.fullmatch(POINTER_PATTERN, pointer):
        return f'did you mean "{pointer}"?'
    return None


def _find_value(document: Any, pointer: str, name: str) -> Any:
    # Imported late: few payloads contain their identity.
    from evtool.readers.field_paths import split_pointer  # noqa: PLC0415

    value = document
    parent = ""
    for step in split_pointer(pointer):
        if isinstance(value, list) and step.isdecimal() and len(step) < 10 and int(step) < len(value):
            value = value[int(step)]
        elif isinstance(value, dict) and step in value:
            value = value[step]
        else:
            message = f"the payload has no {pointer}, where its {name} should be"
            raise IdentityProblem(message, parent, _suggest_name(step, value))
        parent += "/" + step.replace("~", "~0").replace("/", "~1")
    return value


def _suggest_name(step: str, value: Any) -> str | None:
    if not isinstance(value, dict):
        return None
    similar = find_similar(step, value)
    if similar:
        return f'the payload has "{similar}" there'
    return None


def _check_string(value: Any, pointer: str, name: str, expected: str) -> str:
    if isinstance(value, str) and value and "\0" not in value:
        return value
    # SQLite ends a text at a NUL character.
    kind = describe_type(value)
    if isinstance(value, str) and value:
        kind = "one with a NUL character"
    raise IdentityProblem(f"the {name} at {pointer} must be {expected}, not {kind}", pointer)
