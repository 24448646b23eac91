"""What the store holds, as values: events, deliveries, attempts."""

from hashlib import blake2b
from typing import NamedTuple

from evtool.event import Event, milliseconds

SOURCES = 0xFFFFFFFF  # how far the keys of events with the same id lie apart at most
STATES = ("done", "ready", "waiting", "leased", "dead")  # of a delivery


def event_time(event: Event) -> int | None:
    """When an event happened, in milliseconds since 1970, if its envelope says so."""
    return milliseconds(event.time) if event.time is not None else None


def event_key(id: str, source: str = "") -> int:  # noqa: A002  (the column's name)
    """A number by which an event is found: 32 bits of its id's hash, then 32 of its source's.

    An index of numbers stays small enough to be held in memory when ids are random, and serves the id alone, too: its
    events lie between the key without a source and `SOURCES` beyond. What is found must be compared.
    """
    low = _hash(source) if source else b"\0\0\0\0"
    return int.from_bytes(_hash(id) + low, "big", signed=True)


def _hash(text: str) -> bytes:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=4).digest()


class Planned(NamedTuple):
    """A delivery that is to be made: to a handler, by a route. With `error` it is a dead letter from the start."""

    route: str
    handler: str
    error: str | None = None
    condition: str | None = None


class Cause(NamedTuple):
    """What an event comes from: the delivery that emitted it, and its place in the chain."""

    delivery: int
    root: int
    depth: int
    replay: str | None = None


class Kept(NamedTuple):
    """What became of an event at the store's door."""

    seq: int
    status: str  # stored | duplicate | conflict
    stored_sha256: str  # of the bytes that are in the store
    sha256: str  # of the bytes that came


class Stored(NamedTuple):
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


class Fired(NamedTuple):
    """A delivery of an event when it was published, in short."""

    route: str
    handler: str
    state: str


class Published(NamedTuple):
    """An event of the log, and what it fired when it was published."""

    seq: int
    raw: bytes
    fired: tuple[Fired, ...]


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


class Attempt(NamedTuple):
    """One try of a delivery."""

    number: int
    started: int
    duration_ms: int | None
    outcome: str | None
    error: str | None
    output: str | None
    code: str | None = None  # an exit code, a signal, the class of an exception


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

    def takes(self, event: Event) -> bool:
        """The same for an event that is not in the store, as far as it can be told from the event."""
        time = event_time(event)
        return (
            (self.type is None or event.type == self.type)
            and (self.source is None or event.source == self.source)
            and (not self.ids or event.id in self.ids)
            and (self.since is None or (time is not None and time >= self.since))
            and (self.until is None or (time is not None and time < self.until))
        )
