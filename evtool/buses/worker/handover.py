"""Handover messages: a delivery that failed, as a message of a retry topic or of the dead topic.

Such a message has the key, the value and all headers of the original one. Headers of evtool are added, which say which
delivery this is: only the handler that failed is called again.
"""

import json
from collections.abc import Sequence
from typing import NamedTuple

from evtool.buses.base import Header, Message
from evtool.buses.worker.window import PartitionKey
from evtool.store.rows import Attempt
from evtool.terminal.sanitize import sanitize

GROUP = "evtool-group"
# TOPIC-PARTITION-OFFSET of the original message.
ORIGIN = "evtool-origin"
# The timestamp of the original message.
ORIGIN_TIME = "evtool-origin-time"
ROUTE = "evtool-route"
HANDLER = "evtool-handler"
# The number of the event in a message with several events, from 0.
ENTRY = "evtool-entry"
# The number of attempts that were made.
ATTEMPT = "evtool-attempt"
# The time of the first attempt. All times are in milliseconds since 1970.
FIRST = "evtool-first"
DUE = "evtool-due"
REASON = "evtool-reason"
# The limit that was reached, with the name that the store uses.
CONDITION = "evtool-condition"
DIED = "evtool-died"
# The last attempts, as JSON.
HISTORY = "evtool-history"
# Says that the value is left out.
VALUE = "evtool-value"
# Markers of the dead topic have PARTITION-OFFSET of the dead letter in these headers.
REDRIVEN = "evtool-redriven"
PURGED = "evtool-purged"
OWN_HEADERS = frozenset(
    (GROUP, ORIGIN, ORIGIN_TIME, ROUTE, HANDLER, ENTRY, ATTEMPT, FIRST, DUE, REASON, CONDITION, DIED, HISTORY, VALUE)
)
# Characters.
MAX_REASON = 500
# Attempts.
MAX_HISTORY = 20
# Characters.
MAX_HISTORY_ERROR = 200


class Origin(NamedTuple):
    """Where a message was read first, and when it was written there, in milliseconds since 1970."""

    topic: str
    partition: int
    offset: int
    timestamp: int | None

    @property
    def position(self) -> str:
        """The origin in a header."""
        return f"{self.topic}-{self.partition}-{self.offset}"


class Handover(NamedTuple):
    """The delivery that a handover message carries. `attempts` were made, the first one at `first`."""

    origin: Origin
    # A message that could not be read has neither a route nor a handler.
    route: str = ""
    handler: str = ""
    entry: int = 0
    attempts: int = 0
    first: int = 0
    history: tuple[Attempt, ...] = ()


class Death(NamedTuple):
    """Why and when a delivery was given up."""

    reason: str
    condition: str
    died: int


class Outgoing(NamedTuple):
    """A message that is to be sent."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: list[Header]


class NotHandoverError(ValueError):
    """A message of a retry or dead topic that evtool has not written."""


def origin_of(message: Message) -> Origin:
    """Returns the origin of a message that was not handed over yet."""
    return Origin(message.topic, message.partition, message.offset, message.timestamp)


def strip_headers(headers: Sequence[Header]) -> list[Header]:
    """Returns the headers of the original message."""
    return [header for header in headers if header[0] not in OWN_HEADERS]


def find_header(headers: Sequence[Header], name: str) -> str | None:
    """Returns the text of the last header of a name; None without one."""
    for key, value in reversed(headers):
        if key == name and value:
            return value.decode(errors="replace")
    return None


def find_number(headers: Sequence[Header], name: str) -> int | None:
    """Returns the number in a header, or None."""
    text = find_header(headers, name)
    if text and text.isascii() and text.isdigit() and len(text) < 20:
        return int(text)
    return None


def build_retry(topic: str, message: Message, handover: Handover, group: str, *, due: int, reason: str) -> Outgoing:
    """Returns the message of a retry topic for a delivery that is to be tried again at `due`."""
    headers = _describe(handover, group)
    headers += [(DUE, _encode(due)), (REASON, _shorten(reason))]
    return Outgoing(topic, message.key, message.value, strip_headers(message.headers) + headers)


def build_dead(topic: str, message: Message, handover: Handover, group: str, death: Death) -> Outgoing:
    """Returns the message of the dead topic for a delivery that is given up, or for a message that cannot be read."""
    headers = _describe(handover, group)
    headers += [
        (REASON, _shorten(death.reason)),
        (CONDITION, _encode(death.condition)),
        (DIED, _encode(death.died)),
    ]
    return Outgoing(topic, message.key, message.value, strip_headers(message.headers) + headers)


def leave_value_out(outgoing: Outgoing) -> Outgoing:
    """Returns a dead letter without its value, for a bus that takes no message as long as that."""
    length = len(outgoing.value or b"")
    headers = [header for header in outgoing.headers if header[0] in OWN_HEADERS - {HISTORY}]
    note = f"left out: its {length} bytes are too long for this bus; the original message may still be in its topic"
    return outgoing._replace(value=None, headers=headers + [(VALUE, note.encode())])


def parse_handover(message: Message) -> Handover:
    """Returns the delivery of a handover message. Raises NotHandoverError."""
    headers = message.headers
    origin = parse_origin(find_header(headers, ORIGIN) or "")
    if origin is None:
        raise NotHandoverError("this message has no header evtool-origin: another program wrote it into this topic")
    return Handover(
        origin._replace(timestamp=find_number(headers, ORIGIN_TIME)),
        find_header(headers, ROUTE) or "",
        find_header(headers, HANDLER) or "",
        find_number(headers, ENTRY) or 0,
        find_number(headers, ATTEMPT) or 0,
        find_number(headers, FIRST) or 0,
        _parse_history(find_header(headers, HISTORY)),
    )


def parse_origin(text: str) -> Origin | None:
    """TOPIC-PARTITION-OFFSET as an origin; None if it is something else."""
    parts = text.rsplit("-", 2)
    if len(parts) != 3 or not parts[0] or not all(part.isascii() and part.isdigit() for part in parts[1:]):
        return None
    return Origin(parts[0], int(parts[1]), int(parts[2]), None)


def restore_origin(message: Message, origin: Origin) -> Message:
    """Returns the message as it was read first, which decides what its event has as default id and time."""
    key = PartitionKey(origin.topic, origin.partition)
    return message._replace(
        topic=key.topic,
        partition=key.partition,
        offset=origin.offset,
        timestamp=origin.timestamp,
        headers=strip_headers(message.headers),
    )


def _describe(handover: Handover, group: str) -> list[Header]:
    origin = handover.origin
    described: list[Header] = [(GROUP, _encode(group)), (ORIGIN, _encode(origin.position))]
    if origin.timestamp is not None:
        described.append((ORIGIN_TIME, _encode(origin.timestamp)))
    if not handover.handler:
        return described
    described += [
        (ROUTE, _encode(handover.route)),
        (HANDLER, _encode(handover.handler)),
        (ATTEMPT, _encode(handover.attempts)),
        (FIRST, _encode(handover.first)),
    ]
    if handover.entry:
        described.append((ENTRY, _encode(handover.entry)))
    if handover.history:
        described.append((HISTORY, _format_history(handover.history)))
    return described


def _format_history(history: Sequence[Attempt]) -> bytes:
    """Returns the last attempts without what they printed."""
    rows = [
        attempt._replace(error=attempt.error and sanitize(attempt.error)[:MAX_HISTORY_ERROR], output=None)
        for attempt in history[-MAX_HISTORY:]
    ]
    return json.dumps(rows).encode()


def _parse_history(text: str | None) -> tuple[Attempt, ...]:
    try:
        attempts = tuple(Attempt(*row) for row in json.loads(text or "[]"))
    except (ValueError, TypeError):
        return ()
    if any(attempt.damage() for attempt in attempts):
        return ()
    return attempts


def _encode(value: object) -> bytes:
    return str(value).encode(errors="backslashreplace")


def _shorten(reason: str) -> bytes:
    text = sanitize(reason)
    if len(text) > MAX_REASON:
        text = text[: MAX_REASON - 1] + "…"
    return _encode(text)
