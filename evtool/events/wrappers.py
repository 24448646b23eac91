"""Extracts events from records of SQS, SNS, Kinesis, Firehose, Kafka and CloudWatch Logs.

A wrapper may contain another one, such as a message of SQS that contains a notification of SNS:

    {"Records": [{"body": "{\\"Type\\": \\"Notification\\", \\"Message\\": \\"{...}\\"}"}]}

    Records.*.body    a batch of SQS: its payload is the text of a JSON object
    Message           that object is a notification of SNS: its payload is the text of the event
"""

import zlib
from binascii import a2b_base64
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from evtool.findings.finding import Finding
from evtool.readers.files import SourceText
from evtool.readers.json_text import JsonProblem, Span, find_spans, parse_json
from evtool.readers.locations import SourceMap, locate, location_of, pointer_of

UNWRAP_HINT = "--unwrap takes the events out of it"

# Levels of nested wrappers.
_MAX_NESTING = 5
# Bytes of one decompressed payload, so that a small record cannot fill the memory.
_MAX_UNPACKED = 1 << 26
# Stands for any key or index in a path.
_EACH = "*"


class Wrapper(NamedTuple):
    """A kind of wrapper: the path of its payloads, and the other members that it is recognized by.

    The value of a member is the one that the document must have, or None for any value.
    """

    name: str
    path: tuple[str, ...]
    is_base64: bool = False
    members: Mapping[str, Any] = {}

    @property
    def description(self) -> str:
        """The name, and the path of the events."""
        path = ".".join(self.path).replace(f".{_EACH}", "[]")
        return f"{self.name}, with its events in {path}"


# The first kind that fits is used. More specific ones come before those whose members they also have.
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
    # Single records, as in JSON Lines and in the batches of EventBridge Pipes.
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
    """Returns the kind of wrapper that a JSON value is; None for an event or another value."""
    if not _may_be_wrapper(document):
        return None
    for wrapper in _WRAPPERS:
        if _is_wrapper(document, wrapper):
            return wrapper
    return None


def unwrap_texts(texts: Iterator[SourceText | Finding]) -> Iterator[SourceText | Finding]:
    """Yields the texts of events in wrappers, other texts unchanged, and a Finding for any other payload."""
    for text in texts:
        if isinstance(text, Finding):
            yield text
        else:
            yield from _unwrap(text, _MAX_NESTING)


def _may_be_wrapper(document: Any) -> bool:
    return isinstance(document, dict) and document.keys().isdisjoint(_ENVELOPE_MEMBERS)


def _is_wrapper(document: dict[str, Any], wrapper: Wrapper) -> bool:
    for key, value in wrapper.members.items():
        if key not in document or value not in (None, document[key]):
            return False
    return next(_list_payloads(document, wrapper.path), None) is not None


def _list_payloads(value: Any, path: tuple[str, ...], pointer: tuple[str | int, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Yields the payloads at a path, each with its JSON Pointer. A record without a payload is skipped."""
    if not path:
        yield pointer_of(pointer), value
        return
    step, rest = path[0], path[1:]
    members: Iterable[tuple[str | int, Any]] = ()
    if step != _EACH:
        if isinstance(value, dict) and step in value:
            members = [(step, value[step])]
    elif isinstance(value, list):
        members = enumerate(value)
    elif isinstance(value, dict) and rest:
        # The records of Kafka are in lists by topic and partition.
        members = [(key, member) for key, member in value.items() if isinstance(member, list)]
    for key, member in members:
        yield from _list_payloads(member, rest, pointer + (key,))


def _unwrap(text: SourceText, nesting: int) -> Iterator[SourceText | Finding]:
    try:
        document = parse_json(text.raw)
    except JsonProblem:
        # The reader of events reports the problem.
        yield text
        return
    wrapper = find_wrapper(document)
    # The payload of a wrapper may be an array of events. An array of the input is read one element at a time before.
    if isinstance(document, list) and nesting < _MAX_NESTING:
        wrapper = Wrapper("an array", (_EACH,))
    if wrapper is None or (nesting == 0 and not isinstance(document, list)):
        if not _is_empty_batch(document):
            yield text
        return
    yield from _unwrap_payloads(text, document, wrapper, nesting)


def _unwrap_payloads(text: SourceText, document: Any, wrapper: Wrapper, nesting: int) -> Iterator[SourceText | Finding]:
    spans = find_spans(text.raw)
    for pointer, payload in _list_payloads(document, wrapper.path):
        # A record of Kafka without a value deletes its key.
        if payload is None:
            continue
        span = spans[pointer]
        if not isinstance(payload, str):
            yield from _unwrap(_cut_text(text, span), nesting - 1)
            continue
        record = locate(text, span.line, span.column, span.width)
        raw = _decode(payload, is_base64=wrapper.is_base64)
        if not raw.lstrip().startswith((b"{", b"[")):
            message = f"the payload of this record is not a JSON object: this is {wrapper.description}"
            yield Finding("EV009", message, **location_of(SourceMap(text), pointer))
            continue
        inner = SourceText(text.file, record["line"], record["column"], raw, text.is_next_buffered, record)
        yield from _unwrap(inner, nesting - 1)


def _cut_text(text: SourceText, span: Span) -> SourceText:
    """Returns the part of a text with a value, and the location of this part in the file."""
    part = text._replace(raw=text.raw[span.start : span.end])
    # The location in a record is that of the record.
    if text.record is not None:
        return part
    column = span.column
    if span.line == 1:
        column += text.column - 1
    return part._replace(line=text.line + span.line - 1, column=column)


def _is_empty_batch(document: Any) -> bool:
    """Returns whether a batch has no records, like the result of a poll that receives no message."""
    if not _may_be_wrapper(document):
        return False
    batch_names = {wrapper.path[0] for wrapper in _WRAPPERS if wrapper.path[1:2] == (_EACH,)}
    return any(document.get(name) in ([], {}) for name in batch_names)


def _decode(payload: str, *, is_base64: bool) -> bytes:
    """Returns the bytes of a payload. Some producers use no Base64; some compress with gzip before they encode."""
    raw = payload.encode()
    if not is_base64 or raw.lstrip().startswith((b"{", b"[")):
        return raw
    try:
        raw = a2b_base64(raw, strict_mode=True)
        if raw.startswith(b"\x1f\x8b"):
            # 31 makes zlib expect the header and the trailer of gzip.
            raw = zlib.decompressobj(31).decompress(raw, _MAX_UNPACKED)
    except (ValueError, zlib.error):
        pass
    return raw
