"""Decodes messages of a bus into events: JSON of any form that `publish` reads, and CloudEvents in all content modes.

The same message always gives the same event: without an id of its own it has that of its position, without a time that
at which it was written.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache, partial

from evtool.buses.base import Header, Message
from evtool.buses.cloudevents_binding import BindingProblem, build_structured, find_content_type, find_mode
from evtool.events.envelopes import read_events
from evtool.events.event import Event, EventDefaults
from evtool.events.timestamps import format_timestamp
from evtool.findings.finding import Finding
from evtool.readers.files import SourceText
from evtool.readers.json_text import JsonProblem, find_spans, parse_json
from evtool.readers.locations import problem_to_finding
from evtool.schemas.fast_path import decode_proven

# The number of values that are decoded at once. The objects of more would not fit into the caches of a processor.
CHUNK = 100
# The header with the event bus of an event that names one.
EVENT_BUS_HEADER = "evtool-event-bus"


def decode_message(message: Message) -> Iterator[Event | Finding]:
    """Yields the event, or the events of a batch or a PutEvents request, in a message; or the findings about it.

    The file of a finding is the position of the message. Headers that mean nothing to evtool are ignored.
    """
    if message.value is None and not message.headers:
        yield _build_tombstone_finding(message)
        return
    bus = _find_bus(message)
    defaults = EventDefaults(partial(next, _generate_ids(message.position)), partial(_format_time, message))
    for text in _read_texts(message):
        if isinstance(text, Finding):
            yield text
            continue
        for item in read_events(text, defaults):
            if isinstance(item, Finding) or item.bus or not bus:
                yield item
            else:
                yield item._replace(bus=bus)


def decode_messages(messages: Sequence[Message]) -> Iterator[tuple[Message, Event | Finding]]:
    """Does the same for many messages, in their order and in a third of the time: most are plain events."""
    simple = [message for message in messages if _is_simple(message)]
    events = iter(_decode_simple([message.value or b"" for message in simple]))
    remaining = iter(simple)
    next_simple = next(remaining, None)
    for message in messages:
        event = None
        if message is next_simple:
            event, next_simple = next(events), next(remaining, None)
        if event is not None:
            yield message, event
            continue
        for item in decode_message(message):
            yield message, item


def _is_simple(message: Message) -> bool:
    """Returns whether `_decode_simple` may read a message: one event without escapes, and no event bus."""
    value, headers = message.value, message.headers
    if value is None or value[-1:] != b"}" or b"\\" in value or b"\n" in value:
        return False
    return not headers or _has_plain_headers(tuple(headers))


def _decode_simple(values: Sequence[bytes]) -> list[Event | None]:
    """Returns the events in the values of simple messages; None for each that only `decode_message` can read."""
    events: list[Event | None] = []
    for start in range(0, len(values), CHUNK):
        events += _decode_chunk(values[start : start + CHUNK])
    return events


def _decode_chunk(values: Sequence[bytes]) -> Sequence[Event | None]:
    decoded = decode_proven(values)
    if decoded is not None:
        return decoded
    if len(values) == 1:
        return [None]
    return [event for value in values for event in _decode_chunk([value])]


def is_tombstone(message: Message) -> bool:
    """Returns whether a message has no value and is not a CloudEvent without data: it deletes its key."""
    if message.value is not None:
        return False
    return not message.headers or find_mode(message.headers, find_content_type(message.headers)) != "binary"


@lru_cache(maxsize=1000)
def _has_plain_headers(headers: tuple[Header, ...]) -> bool:
    is_plain = find_mode(headers, find_content_type(headers)) in ("plain", "structured")
    return is_plain and all(name != EVENT_BUS_HEADER for name, _ in headers)


def _read_texts(message: Message) -> Iterator[SourceText | Finding]:
    """Yields the JSON texts of the events of a message."""
    value, headers = message.value, message.headers
    content_type = None
    if headers:
        content_type = find_content_type(headers)
    mode = "plain"
    if headers:
        mode = find_mode(headers, content_type)
    if mode == "binary":
        try:
            value = build_structured(headers, value, content_type, message.position)
        except BindingProblem as problem:
            yield Finding(problem.code, str(problem), file=message.position, line=1, column=1, suggestion=problem.hint)
            return
    if value is None:
        yield _build_tombstone_finding(message)
        return
    text = SourceText(message.position, 1, 1, value.strip(b" \t\r\n"))
    if mode == "batch":
        yield from _split_batch(text)
    else:
        yield text


def _split_batch(text: SourceText) -> Iterator[SourceText | Finding]:
    """Yields the elements of a JSON array of CloudEvents."""
    try:
        elements = parse_json(text.raw)
    except JsonProblem as problem:
        yield problem_to_finding(text, problem)
        return
    if not isinstance(elements, list):
        yield Finding("EV009", "a batch of CloudEvents is a JSON array", file=text.file, line=1, column=1)
        return
    spans = find_spans(text.raw)
    for index in range(len(elements)):
        span = spans[f"/{index}"]
        yield SourceText(text.file, span.line, span.column, text.raw[span.start : span.end])


def _generate_ids(position: str) -> Iterator[str]:
    """Yields the id of the first event of a message that has none, then those of the others."""
    yield position
    number = 1
    while True:
        yield f"{position}.{number}"
        number += 1


def _format_time(message: Message) -> str:
    return format_timestamp(message.timestamp or 0)


def _find_bus(message: Message) -> str | None:
    for name, value in message.headers:
        if name == EVENT_BUS_HEADER and value:
            return value.decode(errors="replace")
    return None


def _build_tombstone_finding(message: Message) -> Finding:
    return Finding("EV009", "this message has no value: it is a tombstone", file=message.position, line=1, column=1)
