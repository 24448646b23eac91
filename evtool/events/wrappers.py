"""Takes events out of what carries them: records of SQS, SNS, Kinesis, Firehose, Kafka and CloudWatch Logs.

A wrapper may be inside another one, such as a notification of SNS in a message of SQS.
"""

import zlib
from binascii import a2b_base64
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from evtool.findings.finding import Finding
from evtool.readers.files import SourceText
from evtool.readers.json_text import JsonProblem, find_spans, parse_json
from evtool.readers.locations import SourceMap, locate, location_of, pointer_of

UNWRAP_HINT = "--unwrap takes the events out of it"

_MAX_NESTING = 5  # wrappers in each other
_MAX_UNPACKED = 1 << 26  # bytes of one packed payload
_EACH = "*"  # any key or index


class Wrapper(NamedTuple):
    """A kind of wrapper: where its payloads are, and which members a document of this kind has besides."""

    name: str
    path: tuple[str, ...]
    is_base64: bool = False
    members: Mapping[str, Any] = {}  # with the value that it must have, or None for any

    @property
    def description(self) -> str:
        """The name, and where the events are."""
        path = ".".join(self.path).replace(f".{_EACH}", "[]")
        return f"{self.name}, with its events in {path}"


# the first that fits decides
_WRAPPERS = (
    Wrapper("a batch of SQS", ("Records", _EACH, "body")),
    Wrapper("a batch of SNS", ("Records", _EACH, "Sns", "Message")),
    Wrapper("a batch of Kinesis", ("Records", _EACH, "kinesis", "data"), is_base64=True),
    Wrapper("a list of Kinesis records", ("Records", _EACH, "Data"), is_base64=True),
    Wrapper("a list of SQS messages", ("Messages", _EACH, "Body")),
    Wrapper("a list of CloudWatch log events", ("events", _EACH, "message")),
    Wrapper("a list of CloudWatch log events", ("logEvents", _EACH, "message")),
    Wrapper("a subscription of CloudWatch Logs", ("awslogs", "data"), is_base64=True),
    Wrapper("a list of Firehose records", ("records", _EACH, "data"), is_base64=True),
    Wrapper("a list of Kafka records", ("records", _EACH, _EACH, "value"), is_base64=True),
    Wrapper("a list of Kafka records", ("records", _EACH, "value"), is_base64=True),
    # single ones, as in JSON Lines and in the batches of EventBridge Pipes
    Wrapper("a notification of SNS", ("Message",), members={"Type": "Notification"}),
    Wrapper("a record of SNS", ("Sns", "Message")),
    Wrapper("a record of SQS", ("body",), members={"messageId": None}),
    Wrapper("a message of SQS", ("Body",), members={"MessageId": None}),
    Wrapper("a record of Kinesis", ("kinesis", "data"), is_base64=True),
    Wrapper("a record of Kinesis", ("data",), is_base64=True, members={"sequenceNumber": None}),
    Wrapper("a record of Kinesis", ("Data",), is_base64=True, members={"SequenceNumber": None}),
    Wrapper("a record of Kafka", ("value",), is_base64=True, members={"topic": None, "offset": None}),
    Wrapper("a record of Kafka", ("payload",), members={"topic": None, "offset": None}),
    Wrapper("a log event of CloudWatch Logs", ("message",), members={"timestamp": None, "ingestionTime": None}),
)
_ENVELOPE_MEMBERS = ("detail-type", "specversion", "DetailType", "Entries")


def find_wrapper(document: Any) -> Wrapper | None:
    """The kind of wrapper that a JSON value is; None for an event, and for anything else."""
    if not isinstance(document, dict) or any(member in document for member in _ENVELOPE_MEMBERS):
        return None
    return next((wrapper for wrapper in _WRAPPERS if _is_wrapper(document, wrapper)), None)


def unwrap_texts(texts: Iterator[SourceText | Finding]) -> Iterator[SourceText | Finding]:
    """The texts of the events inside the wrappers; other texts as they are, and a Finding for a payload without one."""
    for text in texts:
        if isinstance(text, Finding):
            yield text
        else:
            yield from _unwrap(text, _MAX_NESTING)


def _is_wrapper(document: dict[str, Any], wrapper: Wrapper) -> bool:
    if any(key not in document or value not in (None, document[key]) for key, value in wrapper.members.items()):
        return False
    return next(_list_payloads(document, wrapper.path), None) is not None


def _list_payloads(value: Any, path: tuple[str, ...], pointer: tuple[str | int, ...] = ()) -> Iterator[tuple[str, Any]]:
    """The payloads at a path, each with its JSON Pointer; a record without one is not among them."""
    if not path:
        yield pointer_of(pointer), value
        return
    step, *rest = path
    members: list[tuple[str | int, Any]] = []
    if step != _EACH:
        if isinstance(value, dict) and step in value:
            members = [(step, value[step])]
        else:
            members = []
    elif isinstance(value, list):
        members = [*enumerate(value)]
    elif isinstance(value, dict) and rest:
        members = [(key, member) for key, member in value.items() if isinstance(member, list)]
    for key, member in members:
        yield from _list_payloads(member, tuple(rest), (*pointer, key))


def _unwrap(text: SourceText, nesting: int) -> Iterator[SourceText | Finding]:
    try:
        document = parse_json(text.raw)
    except JsonProblem:
        yield text  # its parser says what is wrong
        return
    if isinstance(document, list) and nesting < _MAX_NESTING:
        wrapper = Wrapper("an array", (_EACH,))
    elif (found := find_wrapper(document)) and nesting:
        wrapper = found
    else:
        if not _is_empty_batch(document):
            yield text
        return
    spans = find_spans(text.raw)
    for pointer, payload in _list_payloads(document, wrapper.path):
        if payload is None:
            continue  # a record of Kafka that deletes its key
        span = spans[pointer]
        if not isinstance(payload, str):
            part = text._replace(raw=text.raw[span.start : span.end])
            if text.record is None:
                column = span.column + (text.column - 1 if span.line == 1 else 0)
                part = part._replace(line=text.line + span.line - 1, column=column)
            yield from _unwrap(part, nesting - 1)
            continue
        record = locate(text, span.line, span.column, span.width)
        raw = _decode(payload, is_base64=wrapper.is_base64)
        if not raw.lstrip().startswith((b"{", b"[")):
            message = f"the payload of this record is not a JSON object: this is {wrapper.description}"
            yield Finding("EV009", message, **location_of(SourceMap(text), pointer))
            continue
        inner = SourceText(text.file, record["line"], record["column"], raw, text.is_next_buffered, record)
        yield from _unwrap(inner, nesting - 1)


def _is_empty_batch(document: Any) -> bool:
    """Whether a batch of records has none, as a poll without a message gives it."""
    if not isinstance(document, dict) or any(member in document for member in _ENVELOPE_MEMBERS):
        return False
    return any(document.get(wrapper.path[0]) in ([], {}) for wrapper in _WRAPPERS if wrapper.path[1:2] == (_EACH,))


def _decode(payload: str, *, is_base64: bool) -> bytes:
    """The bytes of a payload. Some producers leave out base64; some pack what it holds with gzip."""
    raw = payload.encode()
    if not is_base64 or raw.lstrip().startswith((b"{", b"[")):
        return raw
    try:
        raw = a2b_base64(raw, strict_mode=True)
        if raw.startswith(b"\x1f\x8b"):
            raw = zlib.decompressobj(31).decompress(raw, _MAX_UNPACKED)
    except (ValueError, zlib.error):
        pass
    return raw
