"""Proves that many events at once are valid, at a fraction of the time that one takes by itself.

A proof says "valid" or nothing. An event without a proof is read and validated as usual, so messages and locations come
from the slow path only. Proven are events in an EventBridge or CloudEvents envelope without unusual members, in text
without escapes, whose type has a schema for the payload that an earlier event has already used. The rules of the slow
path, and the proof of each for a block of lines, or of elements of an array:

- strict JSON, UTF-8, finite numbers: msgspec decodes the block.
- the members of the envelope: their types are those of a msgspec struct.
- one event in each line: the decoder accepts any whitespace between events. There are as many events as lines, and each
  line break is between "}" and "{", as it never is inside an event.
- no key twice: a decoder keeps the last one, so the events, encoded again, have fewer quotes than the block. This also
  finds members that the struct does not have. Without a backslash in the block, each string has two quotes in both.
- the depth of nesting: a line has at most as many levels as opening brackets.
- the time: a regular expression that accepts only RFC 3339 times that exist, and most of them.
- the schema: the validator that the slow path uses.

Example: the line `{"id":"1","detail-type":"t","source":"s","detail":{"a":1,"a":2}}` decodes to one event. The line has
18 quotes. The event, encoded again with the detail {"a":2}, has 16, so the line is not proven. The slow path reports
the duplicate key.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import UNSET, UnsetType

from evtool.events.event import Event, LazyDocument
from evtool.events.timestamps import COMMON_TIME
from evtool.readers.files import SourceText
from evtool.readers.json_text import MAX_DEPTH, UNDECODABLE, refuses_long_integers
from evtool.readers.locations import SourceMap

# Decides whether a payload fits its schema.
Check = Callable[[Any], bool]

_Text = Annotated[str, msgspec.Meta(min_length=1)]
_Optional = str | UnsetType | None
_NOT_OPENING = bytes(byte for byte in range(256) if byte not in b"[{\n")


# The payload is decoded as a plain dict, which is faster than dict[str, Any]. Without `gc`, the garbage collector does
# not look at the events, of which a block has thousands.
class _EventBridge(msgspec.Struct, rename={"type": "detail-type", "payload": "detail"}, omit_defaults=True, gc=False):
    id: _Text
    type: _Text
    source: _Text
    payload: dict  # type: ignore[type-arg]
    version: _Optional = UNSET
    account: _Optional = UNSET
    time: _Optional = UNSET
    region: _Optional = UNSET
    resources: list[str] | UnsetType | None = UNSET


class _CloudEvent(msgspec.Struct, rename={"payload": "data"}, omit_defaults=True, gc=False):
    id: _Text
    type: _Text
    source: _Text
    payload: dict  # type: ignore[type-arg]
    specversion: Annotated[str, msgspec.Meta(pattern=r"\A1\.0\Z")]
    time: _Optional = UNSET
    datacontenttype: Annotated[str, msgspec.Meta(pattern=r"\Aapplication/json\Z")] | UnsetType = UNSET
    dataschema: _Optional = UNSET
    subject: _Optional = UNSET


class _Envelope(NamedTuple):
    decode_lines: Callable[[bytes], list[Any]]
    decode_array: Callable[[bytes], list[Any]]
    payload_key: str


def _make_envelope(struct: Any, payload_key: str) -> _Envelope:
    decode_lines = msgspec.json.Decoder(struct).decode_lines
    return _Envelope(decode_lines, msgspec.json.Decoder(list[struct]).decode, payload_key)


_ENVELOPES = [_make_envelope(_EventBridge, "detail"), _make_envelope(_CloudEvent, "data")]
_encode_lines = msgspec.json.Encoder().encode_lines


def _ignore(number: int) -> None:
    pass


class FastPath:
    """Proves that events are valid.

    `find_check` returns the check of a type, source and payload key, None if it is not known yet. `proven` counts the
    events that were proven; `on_proven` is called with the number of each block.
    """

    # It works in the calling thread, so a second block cannot begin before the first one ends.
    most_begun = 1

    def __init__(self, find_check: Callable[[str, str, str], Check | None], on_proven: Callable[[int], None] = _ignore):
        self._find_check, self._on_proven = find_check, on_proven
        self.proven = 0

    def close(self) -> None:
        """Does nothing: nothing is open."""

    def begin_lines(self, block: bytes) -> Callable[[], list[bool]]:
        """Returns a function that returns the result of `prove_lines`. The work starts with its call."""
        return partial(self.prove_lines, block)

    def prove_lines(self, block: bytes) -> list[bool]:
        """Proves the lines of a block: for each line, whether it is proven to be a valid event."""
        proven = [event is not None for event in self._prove_each(block, block.removesuffix(b"\n").split(b"\n"))]
        self._count(sum(proven))
        return proven

    def read_events(self, texts: Sequence[SourceText]) -> list[Event | None]:
        """The events of texts; None for each that is not proven to be valid."""
        events = self.decode_events([text.raw for text in texts])
        return [event and _build_event(event, text) for event, text in zip(events, texts, strict=True)]

    def decode_events(self, texts: Sequence[bytes]) -> list[Any]:
        """Like `read_events`, with decoded events: `id`, `type`, `source`, `payload`, and `time` or UNSET."""
        # Each text has to be on one line. JSON allows a carriage return exactly where it allows a line feed.
        lines = [text.replace(b"\n", b"\r") for text in texts]
        return self._prove_each(b"\n".join(lines), lines)

    def prove_block(self, block: bytes) -> bool:
        """Whether all lines of a block are proven to be valid events."""
        lines = block.removesuffix(b"\n").split(b"\n")
        proven = None
        if refuses_long_integers():
            proven = self._prove(block, lines)
        if not proven or None in proven:
            return False
        self._count(len(proven))
        return True

    def prove_document(self, text: bytes) -> bool:
        """Whether a text is proven to be one valid event, on however many lines."""
        return self._prove_elements(text, range(1, 2))

    def prove_elements(self, elements: bytes) -> bool:
        """Whether all elements of an array, with the commas between them, are proven to be valid events."""
        return self._prove_elements(elements, range(len(elements)))

    def _prove_elements(self, elements: bytes, numbers: range) -> bool:
        if not refuses_long_integers() or b"\\" in elements:
            return False
        for envelope in _ENVELOPES:
            try:
                events = envelope.decode_array(b"[" + elements + b"]")
            except UNDECODABLE:
                continue
            if len(events) not in numbers or not _has_form(elements, events):
                return False
            if None in self._check_payloads(events, envelope.payload_key):
                return False
            self._count(len(events))
            return True
        return False

    def _count(self, number: int) -> None:
        self.proven += number
        self._on_proven(number)

    def _prove_each(self, block: bytes, lines: list[bytes]) -> list[Any]:
        """The events of the lines of a block; None for each that is not proven."""
        if not refuses_long_integers():
            return [None] * len(lines)
        proven = self._prove(block, lines)
        if proven is not None:
            return proven
        if len(lines) <= 1:
            return [None]
        # One bad line spoils the proof of the whole block, so each line is proven by itself.
        events: list[Any] = []
        for line in lines:
            events += self._prove(line, [line]) or [None]
        return events

    def _prove(self, block: bytes, lines: list[bytes]) -> list[Any] | None:
        """The events of the lines, None for each that does not fit its schema; None unless all lines are events."""
        decoded = _decode_lines(block, lines)
        if decoded is None:
            return None
        return self._check_payloads(*decoded)

    def _check_payloads(self, events: list[Any], payload_key: str) -> list[Any]:
        checks: dict[tuple[str, str], Check | None] = {}
        results = []
        for event in events:
            key = (event.type, event.source)
            if key not in checks:
                checks[key] = self._find_check(*key, payload_key)
            check = checks[key]
            if check is not None and _has_plain_time(event) and check(event.payload):
                results.append(event)
            else:
                results.append(None)
        return results


def decode_proven(texts: Sequence[bytes]) -> list[Event] | None:
    """The events in texts of one event each, as the slow path reads them; None if that is not proven for all.

    They are proven to be events with an id, not to fit their schemas.
    """
    block = b"\n".join(texts)
    if not refuses_long_integers() or block.count(b"\n") != len(texts) - 1:
        return None
    decoded = _decode_lines(block, texts)
    if decoded is None or not all(map(_has_plain_time, decoded[0])):
        return None
    events, payload_key = decoded
    # A time that is UNSET is false.
    return [
        Event(event.id, event.type, event.source, event.time or None, text, LazyDocument(text), payload_key)
        for event, text in zip(events, texts, strict=True)
    ]


def _decode_lines(block: bytes, lines: Sequence[bytes]) -> tuple[list[Any], str] | None:
    """The events of a block and the key of their payloads, if all lines are events; None if that is not proven."""
    if b"\\" in block or not all(line[:1] == b"{" and line.rstrip(b"\r")[-1:] == b"}" for line in lines):
        return None
    for envelope in _ENVELOPES:
        try:
            events = envelope.decode_lines(block)
        except UNDECODABLE:
            continue
        if len(events) == len(lines) and _has_form(block, events):
            return events, envelope.payload_key
        return None
    return None


def _has_form(text: bytes, events: list[Any]) -> bool:
    """Whether decoding a text lost nothing of it, and nothing is nested too deeply."""
    encoded = _encode_lines(events)
    return text.count(b'"') == encoded.count(b'"') and not _is_deep(encoded)


def _has_plain_time(event: Any) -> bool:
    time = event.time
    return time is UNSET or time is None or COMMON_TIME.fullmatch(time) is not None


def _build_event(event: _EventBridge | _CloudEvent, text: SourceText) -> Event:
    payload_key = "data"
    if isinstance(event, _EventBridge):
        payload_key = "detail"
    time = None
    if event.time is not UNSET:
        time = event.time
    document = LazyDocument(text.raw)
    return Event(event.id, event.type, event.source, time, text.raw, document, payload_key, SourceMap(text))


def _is_deep(lines: bytes) -> bool:
    return max(map(len, lines.translate(None, _NOT_OPENING).split(b"\n"))) > MAX_DEPTH
