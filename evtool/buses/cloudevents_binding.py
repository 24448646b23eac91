"""The Kafka protocol binding of CloudEvents 1.0: finds the content mode of a message and builds structured JSON of it.

Nothing is invented: an attribute that a message does not have is missing in the event, too.
"""

import json
import re
from binascii import b2a_base64
from collections.abc import Iterable, Mapping
from typing import Literal

from evtool.buses.base import Header
from evtool.events.cloudevents import DATA_MEMBERS, declares_json
from evtool.readers.json_text import JsonProblem, parse_json

PREFIX = "ce_"
CONTENT_TYPE = "content-type"
STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
# one of these headers shows binary mode
_REQUIRED_HEADERS = {f"{PREFIX}{name}" for name in ("specversion", "id", "source", "type")}
_TEXT = re.compile(r"\s*text/", re.IGNORECASE)

Mode = Literal["structured", "batch", "binary", "plain"]


class BindingProblem(ValueError):  # noqa: N818  (also carried about as a value)
    """Why the headers and the value of a message are not a CloudEvent. `code` is that of a finding."""

    def __init__(self, code: str, message: str, hint: str | None = None):
        super().__init__(message)
        self.code, self.hint = code, hint


def find_content_type(headers: Iterable[Header]) -> str | None:
    """Returns the content type of a message: the first header of that name, in any case, that has a value."""
    for name, value in headers:
        if value is not None and name.lower() == CONTENT_TYPE:
            return value.decode("utf-8", "replace")
    return None


def find_mode(headers: Iterable[Header], content_type: str | None) -> Mode:
    """Returns the content mode. The content type decides. Without one of CloudEvents, the headers decide."""
    media_type = (content_type or "").partition(";")[0].strip().lower()
    if media_type.startswith("application/cloudevents-batch"):
        return "batch"
    if media_type.startswith("application/cloudevents"):
        return "structured"
    if _REQUIRED_HEADERS.isdisjoint(name.lower() for name, _ in headers):
        return "plain"
    return "binary"


def build_structured(
    headers: Iterable[Header], value: bytes | None, content_type: str | None, default_id: str
) -> bytes:
    """Returns the structured JSON of a message in binary mode, with its data byte for byte if it is JSON.

    `default_id` is the id of a message without one. Raises BindingProblem.
    """
    attributes = read_attributes(headers)
    attributes.setdefault("id", default_id)
    if content_type is None:
        # In binary mode the content type of the message is this attribute, and nothing else.
        attributes.pop("datacontenttype", None)
    else:
        attributes["datacontenttype"] = content_type
    envelope = json.dumps(attributes, ensure_ascii=False).encode()
    member = _build_data_member(value, content_type, attributes)
    if not member:
        return envelope
    return envelope[:-1] + b", " + member + b"}"


def read_attributes(headers: Iterable[Header]) -> dict[str, str]:
    """Returns the attributes in the headers of a message in binary mode. Null is an attribute that is not set.

    Raises BindingProblem for an attribute that is there twice with different values, or is not UTF-8.
    """
    attributes: dict[str, str] = {}
    for header, value in headers:
        if value is None or header[: len(PREFIX)].lower() != PREFIX:
            continue
        name = header[len(PREFIX) :].lower()
        try:
            text = value.decode()
        except UnicodeDecodeError:
            raise BindingProblem("EV004", f"the header {header} is not UTF-8") from None
        if attributes.setdefault(name, text) != text:
            raise BindingProblem("EV108", f"the header {header} is there twice, with different values")
        if name in DATA_MEMBERS:
            raise BindingProblem("EV108", f"the header {header}: {name} is the value of a message, not an attribute")
    return attributes


def _build_data_member(value: bytes | None, content_type: str | None, attributes: Mapping[str, str]) -> bytes:
    """Returns the member `data` or `data_base64` of an event, or nothing for a message without a value."""
    if not value:
        return b""
    if declares_json(attributes):
        try:
            parse_json(value)
        except JsonProblem as problem:
            if content_type is not None:
                message = f"the value is not well-formed JSON, which the content type {content_type} requires"
                raise BindingProblem(problem.code, f"{message}: {problem}", problem.hint) from None
        else:
            return b'"data": ' + value
    if content_type is not None and _TEXT.match(content_type):
        try:
            return b'"data": ' + json.dumps(value.decode(), ensure_ascii=False).encode()
        except UnicodeDecodeError:
            pass
    return b'"data_base64": "' + b2a_base64(value, newline=False) + b'"'
