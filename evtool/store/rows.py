"""The rows of a store as values (events, deliveries, attempts), and the filter that selects events."""

import json
from collections.abc import Sequence
from functools import cache, lru_cache
from hashlib import blake2b, sha256
from typing import NamedTuple, Protocol

from evtool.events.buses import DEFAULT_BUS
from evtool.events.event import Event
from evtool.events.timestamps import to_milliseconds

SOURCE_RANGE = 0xFFFFFFFF  # how far the keys of events with the same id lie apart at most
STATES = ("done", "ready", "waiting", "leased", "dead")  # of a delivery
OUTCOMES = ("done", "failed", "timeout", "crashed", "bad-result", "interrupted", None)  # of an attempt; None: no end
VALID_TIMES = range(-62_135_596_800_000, 253_402_300_800_000)  # milliseconds since 1970, in the years 1 to 9999


def parse_event_time(event: Event) -> int | None:
    """When an event happened, in milliseconds since 1970, if its envelope says so."""
    if event.time is not None:
        return to_milliseconds(event.time)
    return None


def compute_event_key(id: str, source: str = "") -> int:  # noqa: A002  (the column's name)
    """A number by which an event is found: 32 bits of its id's hash, then 32 of its source's.

    An index of numbers stays small enough to be held in memory when ids are random, and serves the id alone, too: its
    events lie between the key without a source and `SOURCE_RANGE` beyond. What is found must be compared.
    """
    low = b"\0\0\0\0"
    if source:
        low = _hash_source(source)
    return int.from_bytes(_hash_text(id) + low, "big", signed=True)


def _hash_text(text: str) -> bytes:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=4).digest()


_hash_source = lru_cache(maxsize=1000)(_hash_text)  # many events have the same source


@cache
def _mistyped_field(kind: type, types: tuple[type, ...]) -> str | None:
    """The first field of a kind that a value of such a type does not fit: damage can turn a column into anything."""
    fields = zip(kind.__annotations__.items(), types, strict=True)
    return next((field for (field, expected), actual in fields if not issubclass(actual, expected)), None)


def has_expected_types(value: tuple[object, ...]) -> bool:
    """Whether the fields of a value that was read have the types that are written."""
    return _mistyped_field(type(value), (*map(type, value),)) is None


class Row(Protocol):
    """A value that was read from the store."""

    def damage(self) -> str | None:
        """What shows that evtool has not written it so, in words; None if nothing does."""


class NewDelivery(NamedTuple):
    """A delivery that is to be made: to a handler, by a route. With `error` it is a dead letter from the start."""

    route: str
    handler: str
    error: str | None = None
    condition: str | None = None


class NewEvent(NamedTuple):
    """An event that is to be stored, and the deliveries that are to be made of it."""

    event: Event
    deliveries: Sequence[NewDelivery]


class Cause(NamedTuple):
    """What an event comes from: the delivery that emitted it, and its place in the chain."""

    delivery: int
    root: int
    depth: int
    replay: str | None = None


class StoreResult(NamedTuple):
    """What became of an event at the store's door."""

    seq: int
    status: str  # stored | duplicate | conflict
    stored_sha256: str  # of the bytes that are in the store
    sha256: str  # of the bytes that came


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
        """What shows that evtool has not stored it so; None if nothing does."""
        problem = self.content_damage() or self.column_damage()
        return problem and f"event number {self.seq}: {problem}"

    def content_damage(self) -> str | None:
        """What is wrong with its bytes."""
        if not isinstance(self.raw, bytes):
            return "its bytes are not there"
        digest = sha256(self.raw).hexdigest()
        if digest == self.sha256:
            return None
        return f"its bytes have sha256 {digest}, and {self.sha256} was stored"

    def column_damage(self) -> str | None:
        """What is wrong with its columns, as far as they can be judged alone."""
        field = _mistyped_field(StoredEvent, (*map(type, self),))
        if field:
            return f"its {field} is {getattr(self, field)!r}"
        if self.stored_at not in VALID_TIMES or (self.time is not None and self.time not in VALID_TIMES):
            return f"it is of no time that there is: {self.time}, stored at {self.stored_at}"
        return None


class FiredDelivery(NamedTuple):
    """A delivery of an event when it was published, in short."""

    route: str
    handler: str
    state: str


@lru_cache(maxsize=1000)
def parse_fired_deliveries(text: str) -> tuple[FiredDelivery, ...]:
    """A JSON array of deliveries as values: most events fire what many others fired."""
    return tuple(FiredDelivery(*fields) for fields in json.loads(text))


class PublishedEvent(NamedTuple):
    """An event of the log, and what it fired when it was published."""

    seq: int
    raw: bytes
    digest: bytes  # their SHA-256, as it was stored
    bus: str
    has_chain: bool  # whether it has a cause or effects
    deliveries: tuple[FiredDelivery, ...]

    def damage(self) -> str | None:
        """What shows that evtool has not stored it so; None if nothing does."""
        if isinstance(self.raw, bytes) and sha256(self.raw).digest() == self.digest:
            return None
        return f"event number {self.seq}: its bytes are not those that were stored"


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
        """What shows that evtool has not stored it so: the CHECKs of tables.sql, and more. None if nothing does."""
        field = _mistyped_field(Delivery, (*map(type, self),))
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
            problem = f"of its {self.attempts} attempts {self.forgiven} are forgiven"
        elif self.created not in VALID_TIMES or (self.due is not None and self.due not in VALID_TIMES):
            problem = f"it is of no time that there is: created {self.created}, due {self.due}"
        else:
            return None
        return f"delivery number {self.seq}: {problem}"


class DeliveryCount(NamedTuple):
    """How many deliveries are in a state; of one handler by one route, or of all."""

    state: str
    deliveries: int
    route: str = ""
    handler: str = ""

    def damage(self) -> str | None:
        """What shows that evtool has not stored it so; None if nothing does."""
        if has_expected_types(self) and self.state in STATES:
            return None
        return f"deliveries to {self.handler!r} by {self.route!r} are in the state {self.state!r}"


class Attempt(NamedTuple):
    """One try of a delivery."""

    number: int
    started: int
    duration_ms: int | None
    outcome: str | None
    error: str | None
    output: str | None
    code: str | None = None  # an exit code, a signal, the class of an exception

    def damage(self) -> str | None:
        """What shows that evtool has not stored it so; None if nothing does."""
        field = _mistyped_field(Attempt, (*map(type, self),))
        if field:
            return f"attempt {self.number}: its {field} is {getattr(self, field)!r}"
        if self.outcome not in OUTCOMES:
            return f"attempt {self.number}: its outcome is {self.outcome!r}"
        if self.number < 1 or self.started not in VALID_TIMES:
            return f"attempt {self.number}: it began at {self.started}, a time that there is not"
        return None


class Filter(NamedTuple):
    """Which events of the log are meant; what is None does not count."""

    since: int | None = None  # milliseconds; the event's own time, or when it was stored if it has none
    until: int | None = None
    last: int | None = None  # seq of the last event that is meant
    type: str | None = None
    source: str | None = None
    route: str | None = None
    state: str | None = None
    ids: tuple[str, ...] = ()
    published: bool | None = None  # True: only events that no replay stored

    def matches(self, event: Event) -> bool:
        """The same for an event that is not in the store, as far as it can be told from the event."""
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
