"""The rows of a store as values (events, deliveries, attempts), and the filter that selects events."""

import json
from collections.abc import Sequence
from functools import cache, lru_cache
from hashlib import blake2b, sha256
from typing import NamedTuple, Protocol

from evtool.events.buses import DEFAULT_BUS
from evtool.events.event import Event
from evtool.events.timestamps import to_milliseconds

# The keys of events with the same id differ by this much at most.
SOURCE_RANGE = 0xFFFFFFFF
# The states of a delivery.
STATES = ("done", "ready", "waiting", "leased", "dead")
# The outcomes of an attempt. None: it did not finish.
OUTCOMES = ("done", "failed", "timeout", "crashed", "bad-result", "interrupted", None)
# Milliseconds since 1970 in the years 1 to 9999.
VALID_TIMES = range(-62_135_596_800_000, 253_402_300_800_000)


def parse_event_time(event: Event) -> int | None:
    """Returns the time of an event in milliseconds since 1970; None if its envelope has none."""
    if event.time is not None:
        return to_milliseconds(event.time)
    return None


def compute_event_key(id: str, source: str = "") -> int:  # noqa: A002  (the column's name)
    """Returns the number by which an event is found: 32 bits of the hash of its id, then 32 of that of its source.

    An index of numbers fits into memory also when ids are random. It also finds an id alone: the events with this id
    have keys between the key without a source and `SOURCE_RANGE` above it. Two events may have the same key, so the
    caller compares id and source.
    """
    low = b"\0\0\0\0"
    if source:
        low = _hash_source(source)
    return int.from_bytes(_hash_text(id) + low, "big", signed=True)


def _hash_text(text: str) -> bytes:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=4).digest()


# Many events have the same source.
_hash_source = lru_cache(maxsize=1000)(_hash_text)


@cache
def _find_mistyped_field(kind: type, types: tuple[type, ...]) -> str | None:
    """Returns the first field that cannot have a value of the given type. A damaged column can have any type."""
    for (field, expected), actual in zip(kind.__annotations__.items(), types, strict=True):
        if not issubclass(actual, expected):
            return field
    return None


def has_expected_types(value: tuple[object, ...]) -> bool:
    """Whether the fields of a value from the store have the types that evtool writes."""
    return _mistyped_field(value) is None


def _mistyped_field(value: tuple[object, ...]) -> str | None:
    return _find_mistyped_field(type(value), tuple(map(type, value)))


class Row(Protocol):
    """A value that was read from the store."""

    def damage(self) -> str | None:
        """Returns what is wrong with it; None if it is as evtool writes it."""


class NewDelivery(NamedTuple):
    """A delivery to create, of a route to a handler. With `error` it is a dead letter from the start."""

    route: str
    handler: str
    error: str | None = None
    condition: str | None = None


class NewEvent(NamedTuple):
    """An event to store, and the deliveries to create for it."""

    event: Event
    deliveries: Sequence[NewDelivery]


class Cause(NamedTuple):
    """The delivery that emitted an event, and the place of the event in the chain."""

    delivery: int
    root: int
    depth: int
    replay: str | None = None


class StoreResult(NamedTuple):
    """The result of storing an event.

    `status` is stored, duplicate or conflict. `stored_sha256` is the hash of the bytes in the store, `sha256` that of
    the event that was to be stored: they differ for a conflict.
    """

    seq: int
    status: str
    stored_sha256: str
    sha256: str


class StoredEvent(NamedTuple):
    """An event of the log."""

    seq: int
    id: str
    type: str
    source: str
    time: int | None
    stored_at: int
    sha256: str
    raw: bytes
    root: int
    depth: int
    cause: int | None
    replay: str | None
    bus: str = DEFAULT_BUS

    def damage(self) -> str | None:
        """Returns what is wrong with it; None if it is as evtool writes it."""
        problem = self.content_damage() or self.column_damage()
        return problem and f"event number {self.seq}: {problem}"

    def content_damage(self) -> str | None:
        """Returns what is wrong with its bytes."""
        if not isinstance(self.raw, bytes):
            return "its bytes are missing"
        digest = sha256(self.raw).hexdigest()
        if digest == self.sha256:
            return None
        return f"its bytes have sha256 {digest}, and {self.sha256} was stored"

    def column_damage(self) -> str | None:
        """Returns what is wrong with its columns, as far as they show it without its bytes."""
        field = _mistyped_field(self)
        if field:
            return f"its {field} is {getattr(self, field)!r}"
        if self.stored_at not in VALID_TIMES or (self.time is not None and self.time not in VALID_TIMES):
            return f"its time {self.time} or its stored_at {self.stored_at} is outside the years 1 to 9999"
        return None


class FiredDelivery(NamedTuple):
    """A delivery that an event caused when it was published, with three of its columns."""

    route: str
    handler: str
    state: str


@lru_cache(maxsize=1000)
def parse_fired_deliveries(text: str) -> tuple[FiredDelivery, ...]:
    """Parses a JSON array of deliveries. It is cached, since most events cause the same deliveries as others."""
    return tuple(FiredDelivery(*fields) for fields in json.loads(text))


# of an event of the log: its number, bytes and bus, whether it has a cause or effects, and as JSON the deliveries that
# it caused when it was published
PublishedRow = tuple[int, bytes, str, bool, str]


class Delivery(NamedTuple):
    """One event on its way to one handler by one route."""

    seq: int
    event: int
    route: str
    handler: str
    replay: str
    state: str
    attempts: int
    forgiven: int
    created: int
    due: int | None
    owner: str | None
    duration_ms: int | None
    error: str | None
    condition: str | None

    def damage(self) -> str | None:
        """Returns what is wrong with it, by the CHECKs of tables.sql and more; None if it is as evtool writes it."""
        field = _mistyped_field(self)
        if field:
            problem = f"its {field} is {getattr(self, field)!r}"
        elif not (self.route and self.handler):
            problem = f"it goes to {self.handler!r} by {self.route!r}"
        elif self.state not in STATES:
            problem = f"its state is {self.state!r}"
        elif (self.state == "leased") != (self.owner is not None):
            problem = f"it is {self.state}, and its owner is {self.owner!r}"
        elif (self.state in ("done", "dead")) != (self.due is None):
            problem = f"it is {self.state}, and due {self.due}"
        elif (self.state == "dead") != (self.condition is not None) or (self.state == "dead" and self.error is None):
            problem = f"it is {self.state}, its condition {self.condition!r}, its error {self.error!r}"
        elif not 0 <= self.forgiven <= self.attempts:
            problem = f"it has {self.attempts} attempts, of which {self.forgiven} are forgiven"
        elif self.created not in VALID_TIMES or (self.due is not None and self.due not in VALID_TIMES):
            problem = f"its created {self.created} or its due {self.due} is outside the years 1 to 9999"
        else:
            return None
        return f"delivery number {self.seq}: {problem}"


class DeliveryCount(NamedTuple):
    """The number of deliveries in a state, of one route to one handler or of all."""

    state: str
    deliveries: int
    route: str = ""
    handler: str = ""

    def damage(self) -> str | None:
        """Returns what is wrong with it; None if it is as evtool writes it."""
        if has_expected_types(self) and self.state in STATES:
            return None
        return f"deliveries to {self.handler!r} by {self.route!r} are in the state {self.state!r}"


class Attempt(NamedTuple):
    """One attempt at a delivery. `code` is an exit code, a signal, or the class of an exception."""

    number: int
    started: int
    duration_ms: int | None
    outcome: str | None
    error: str | None
    output: str | None
    code: str | None = None

    def damage(self) -> str | None:
        """Returns what is wrong with it; None if it is as evtool writes it."""
        field = _mistyped_field(self)
        if field:
            return f"attempt {self.number}: its {field} is {getattr(self, field)!r}"
        if self.outcome not in OUTCOMES:
            return f"attempt {self.number}: its outcome is {self.outcome!r}"
        if self.number < 1 or self.started not in VALID_TIMES:
            return f"attempt {self.number}: its number or its start {self.started} is not possible"
        return None


class Filter(NamedTuple):
    """Selects events of the log. A field that is None selects all.

    `since` and `until` are milliseconds since 1970 and apply to the event's own time, or to the time when it was stored
    if it has none. `last` is the number of the last event. `published` excludes (True) the events that a replay stored,
    or all others (False).
    """

    since: int | None = None
    until: int | None = None
    last: int | None = None
    type: str | None = None
    source: str | None = None
    route: str | None = None
    state: str | None = None
    ids: tuple[str, ...] = ()
    published: bool | None = None

    def matches(self, event: Event) -> bool:
        """Whether it selects an event that is not in the store, by type, source, ids and time."""
        has_names = (
            (self.type is None or event.type == self.type)
            and (self.source is None or event.source == self.source)
            and (not self.ids or event.id in self.ids)
        )
        if not has_names or (self.since is None and self.until is None):
            return has_names
        time = parse_event_time(event)
        return (
            time is not None
            and (self.since is None or time >= self.since)
            and (self.until is None or time < self.until)
        )
