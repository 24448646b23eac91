"""The HTTP binding of CloudEvents 1.0: finds the content mode of a request, and the JSON texts of its events.

Nothing is invented: an attribute that a request does not have is missing in the event, too.
"""

import json
from binascii import b2a_base64
from collections.abc import Iterable, Iterator
from io import BytesIO
from typing import Literal
from urllib.parse import unquote

from evtool.events.cloudevents import DATA_MEMBERS, has_json_data
from evtool.findings.finding import Finding
from evtool.readers.files import SourceText
from evtool.readers.json_documents import read_documents
from evtool.readers.json_text import JsonProblem, parse_json
from evtool.readers.streams import WHITESPACE
from evtool.server.http.bodies import MAX_BODY_BYTES
from evtool.server.http.errors import HttpError

NAME = "<request>"  # of the body, in findings
PREFIX = "ce-"
_REQUIRED_ATTRIBUTES = ("specversion", "id", "source", "type")
# One of these headers shows binary mode.
_REQUIRED_HEADERS = ("ce-specversion", "ce-id", "ce-source", "ce-type")

Mode = Literal["structured", "batch", "binary", "plain"]
Headers = Iterable[tuple[bytes, bytes]]  # names in lower case


def find_mode(headers: Headers, content_type: str) -> Mode:
    """Returns the content mode of a request. Raises HttpError for a format of CloudEvents that is not JSON."""
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type.startswith("application/cloudevents"):
        name, _, form = media_type.partition("+")
        if form not in ("json", ""):
            message = f"CloudEvents are read as JSON (application/cloudevents+json), not as {media_type[:100]}"
            raise HttpError(400, message, code="SerializationException")
        if name == "application/cloudevents-batch":
            return "batch"
        return "structured"
    names = {name.decode("latin-1") for name, _ in headers}
    if names.isdisjoint(_REQUIRED_HEADERS):
        return "plain"
    missing = [name for name in _REQUIRED_HEADERS if name not in names]
    if missing:
        required = f"a CloudEvent in binary mode has the headers {', '.join(_REQUIRED_HEADERS)}"
        message = f"this request has no {' and no '.join(missing)}: {required}"
        raise HttpError(400, message, code="SerializationException")
    return "binary"


def read_cloudevents(
    mode: Mode, headers: Headers, content_type: str | None, body: bytes
) -> Iterator[SourceText | Finding]:
    """Yields the structured JSON of the events of a request, and what cannot be read. Raises HttpError."""
    if mode == "binary":
        yield SourceText(NAME, 1, 1, _build_structured(headers, content_type, body))
    elif mode == "structured":
        yield SourceText(NAME, 1, 1, body.strip(WHITESPACE))
    else:
        yield from _read_batch(body)


def _read_batch(body: bytes) -> Iterator[SourceText | Finding]:
    if not body.lstrip(WHITESPACE).startswith(b"["):
        raise HttpError(400, "a batch of CloudEvents is a JSON array of events", code="SerializationException")
    for item in read_documents(BytesIO(body), max_bytes=MAX_BODY_BYTES):
        if isinstance(item, JsonProblem):
            yield Finding(item.code, item.message, file=NAME, line=item.line, column=item.column, suggestion=item.hint)
        else:
            yield SourceText(NAME, item.line, item.column, item.raw)


def _build_structured(headers: Headers, content_type: str | None, body: bytes) -> bytes:
    """Returns the structured JSON of an event in binary mode, with its data byte for byte if it is JSON."""
    attributes = _read_attributes(headers)
    if content_type is not None:
        attributes["datacontenttype"] = content_type
    member = _build_data_member(body, content_type)
    envelope = json.dumps(attributes, ensure_ascii=False).encode()
    if member:
        return envelope[:-1] + b", " + member + b"}"
    return envelope


def _read_attributes(headers: Headers) -> dict[str, str]:
    """Returns the attributes in the headers, in an order that gives the same bytes for the same event."""
    attributes: dict[str, str] = {}
    for header, value in headers:
        name = header.decode("latin-1")
        if not name.startswith(PREFIX):
            continue
        attribute = name.removeprefix(PREFIX)
        if attribute in DATA_MEMBERS + ("datacontenttype",):
            raise HttpError(400, f"the header {name} is not allowed: data is the body, and its type is Content-Type")
        if attribute in attributes:
            raise HttpError(400, f"the header {name} is there twice")
        attributes[attribute] = _decode_value(name, value)
    # The required attributes come first and the others by name, whatever the order of the headers.
    required = {name: attributes.pop(name) for name in sorted(_REQUIRED_ATTRIBUTES) if name in attributes}
    return required | dict(sorted(attributes.items()))


def _decode_value(name: str, value: bytes) -> str:
    """Returns the value of a header: a quoted string without its quotes, then with one round of percent-decoding."""
    try:
        text = value.decode().strip()
        if len(text) > 1 and text[0] == text[-1] == '"':
            text = _unquote_string(text[1:-1])
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise HttpError(400, f"the header {name} is not UTF-8", code="SerializationException") from None


def _unquote_string(text: str) -> str:
    # A backslash that is escaped does not escape the next character.
    parts = text.split("\\\\")
    return "\\".join(part.replace("\\", "") for part in parts)


def _build_data_member(body: bytes, content_type: str | None) -> bytes:
    """Returns the member `data` or `data_base64`; nothing without a body."""
    if not body:
        return b""
    if has_json_data({"data": "", "datacontenttype": content_type}):
        try:
            parse_json(body)
        except JsonProblem as problem:
            if content_type is not None:
                message = f"the body is not well-formed JSON, as Content-Type says: {problem}"
                message += f" (line {problem.line}, column {problem.column})"
                raise HttpError(400, message, code="SerializationException") from None
        else:
            return b'"data": ' + body.strip(WHITESPACE)
    if content_type is not None and content_type.strip().lower().startswith("text/"):
        try:
            return b'"data": ' + json.dumps(body.decode(), ensure_ascii=False).encode()
        except UnicodeDecodeError:
            pass
    return b'"data_base64": "' + b2a_base64(body, newline=False) + b'"'
