"""The store: the durable log of events, their deliveries and what came of them. Attempting these is for the queue.

Every change is one BEGIN IMMEDIATE transaction that is on the disk when it returns. An event and its deliveries are
kept together; an outcome and the events that it emitted, too.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeVar

from evtool.errors import DamageError
from evtool.events.event import Event
from evtool.store.rows import (
    SOURCES,
    Attempt,
    Cause,
    Counted,
    Delivery,
    Filter,
    Fired,
    Kept,
    Planned,
    Published,
    Row,
    Stored,
    event_key,
    event_time,
)
from evtool.store.sqlite.database import Database
from evtool.store.sqlite.errors import damage

R = TypeVar("R", bound=Row)
T = TypeVar("T")
PAGE = 500  # rows read at a time: no cursor stays open while somebody works with them

EVENT = "seq, id, type, source, time, stored_at, lower(hex(sha256)), raw, coalesce(root, seq), depth, cause, replay"
KEYED = (  # two questions cost less than one of both
    "SELECT event FROM event_key WHERE merged = 0 AND key = ?1 UNION ALL"
    " SELECT event FROM event_key WHERE merged = 1 AND key = ?1"
)
WITH_ID = (  # of pairs of id and key; CROSS keeps the order, so that of the keys only those wanted are read
    "SELECT event.seq FROM json_each(?) AS wanted CROSS JOIN event_key ON event_key.merged IN (0, 1)"
    f" AND event_key.key BETWEEN wanted.value ->> 1 AND (wanted.value ->> 1) + {SOURCES}"
    " JOIN event ON event.seq = event_key.event AND event.id = wanted.value ->> 0"
)
FIRED = (  # of an event: what it fired when it was published
    "(SELECT json_group_array(json_array(route, handler, state) ORDER BY delivery.seq) FROM delivery"
    " WHERE event = event.seq AND delivery.replay = coalesce(event.replay, ''))"
)
DELIVERY = (  # the columns of Delivery
    "seq, event, route, handler, replay, state, attempts, forgiven, created, due, owner, duration_ms, error, condition"
)
ATTEMPT = "number, started, duration_ms, outcome, error, output, code"
INSERT_EVENT = (
    "INSERT INTO event (key, source, id, type, time, stored_at, sha256, raw, root, depth, cause, replay)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
INSERT_DELIVERY = (
    "INSERT INTO delivery (event, route, handler, replay, state, created, due, error, condition)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
)


@lru_cache(maxsize=1000)
def _fired(text: str) -> tuple[Fired, ...]:
    """What FIRED gives, as values: most events fire what many others fired."""
    return tuple(Fired(*each) for each in json.loads(text))


class Store(Database):
    """The database with its words: events, deliveries, attempts."""

    def read(self, kind: type[R], rows: Iterable[Sequence[Any]], of: str = "") -> list[R]:
        """Rows as values of a kind. Raises DamageError for what evtool has not stored so: nothing is made of it."""
        values = [kind(*row) for row in rows]
        for value in values:
            if wrong := value.wrong():
                raise damage(self.file, f"{of}{wrong}")
        return values

    def _only(self, kind: type[R], rows: Sequence[Sequence[Any]], name: str) -> R:
        """The one value that must be there."""
        if not rows:
            told = "it was deleted meanwhile, or the store is damaged, which `evtool doctor` would say"
            raise DamageError(f"{self.file}: {name} is not there: {told}")
        return self.read(kind, rows)[0]

    # --- events ------------------------------------------------------------------------------------------------------

    def keep(self, event: Event, deliveries: Sequence[Planned], *, now: int, cause: Cause | None = None) -> Kept:
        """Keeps an event once, with its deliveries. The same (source, id) again changes nothing."""
        digest = hashlib.sha256(event.raw).digest()
        key = event_key(event.id, event.source)
        with self.transaction():
            if there := self._keyed(key, event.id, event.source):
                status = "duplicate" if there.sha256 == digest.hex() else "conflict"
                return Kept(there.seq, status, there.sha256, digest.hex())
            delivery, root, depth, replay = cause or (None, None, 0, None)
            happened = event_time(event)
            values = (key, event.source, event.id, event.type, happened, now, digest, event.raw)
            self.rows(INSERT_EVENT, *values, root, depth, delivery, replay)
            seq = self.connection.last_insert_rowid()
            self._plan(seq, deliveries, now, replay or "")
            return Kept(seq, "stored", digest.hex(), digest.hex())

    def plan(self, event: int, deliveries: Sequence[Planned], *, now: int, replay: str = "") -> None:
        """Adds deliveries of a stored event, due now. One that is there already stays as it is."""
        with self.transaction():
            self._plan(event, deliveries, now, replay)

    def _plan(self, event: int, deliveries: Sequence[Planned], now: int, replay: str) -> None:
        for route, handler, error, condition in deliveries:
            state, due = ("ready", now) if error is None else ("dead", None)
            self.rows(INSERT_DELIVERY, event, route, handler, replay, state, now, due, error, condition)

    def event(self, seq: int) -> Stored:
        """A stored event by its number."""
        rows = self.rows(f"SELECT {EVENT} FROM event WHERE seq = ?", seq)
        return self._only(Stored, rows, f"event number {seq}")

    def events(self, wanted: Filter = Filter(), *, newest: int | None = None) -> Iterator[Stored]:  # noqa: B008
        """The events that a filter lets through, in the order in which they were stored, read in pages.

        With `newest` only that many of the last ones.
        """
        return self.told(lambda event: event, wanted, newest=newest)

    def told(self, tell: Callable[[Stored], T], wanted: Filter, *, newest: int | None = None) -> Iterator[T]:
        """What is to be told of each of these events, asked at the moment at which its page is read: what others delete
        meanwhile is told whole, or not at all.
        """
        after = 0
        if newest is not None:
            where, values = clause(wanted)
            query = f"SELECT seq FROM event WHERE {where} ORDER BY seq DESC LIMIT 1 OFFSET ?"
            last = self.rows(query, *values, newest)
            after = last[0][0] if last else 0
        return self._pages(EVENT, wanted, lambda page: [*map(tell, self.read(Stored, page))], after)

    def published(self, wanted: Filter) -> Iterator[Published]:
        """The same events with what each fired when it was published: for those who go through many."""

        def made(page: list[Any]) -> list[Published]:
            return self.read(Published, ((seq, raw, digest, _fired(fired)) for seq, raw, digest, fired in page))

        return self._pages(f"seq, raw, sha256, {FIRED}", wanted, made)

    def _pages(self, columns: str, wanted: Filter, made: Callable[[list[Any]], list[T]], after: int = 0) -> Iterator[T]:
        """What is made of columns of the events that a filter lets through, page by page, each in one transaction.

        The first column is `seq`, of which those beyond `after` count.
        """
        where, values = clause(wanted)
        query = f"SELECT {columns} FROM event WHERE {where} AND seq > ? ORDER BY seq LIMIT ?"
        while True:
            with self.transaction("DEFERRED"):
                page = self.rows(query, *values, after, PAGE)
                told = made(page)
            if not page:
                return
            yield from told
            after = page[-1][0]

    def last(self) -> int:
        """The number of the event that was stored last; 0 when there is none."""
        found: int = self.rows("SELECT coalesce(max(seq), 0) FROM event")[0][0]
        return found

    def find(self, source: str, id: str) -> Stored | None:  # noqa: A002  (the column's name)
        """The event with this id and source."""
        return self._keyed(event_key(id, source), id, source)

    def _keyed(self, key: int, id: str, source: str) -> Stored | None:  # noqa: A002
        """The event with this id and source, of those whose key they have."""
        for (seq,) in self.rows(KEYED, key):
            query = f"SELECT {EVENT} FROM event WHERE seq = ? AND id = ? AND source = ?"
            for event in self.read(Stored, self.rows(query, seq, id, source)):
                return event
        return None

    def effects(self, event: int) -> list[Stored]:
        """The events that the deliveries of an event emitted."""
        query = f"SELECT {EVENT} FROM event WHERE cause IN (SELECT seq FROM delivery WHERE event = ?) ORDER BY seq"
        return self.read(Stored, self.rows(query, event))

    def emitted_by(self, delivery: int) -> list[Stored]:
        """The events that one delivery emitted."""
        return self.read(Stored, self.rows(f"SELECT {EVENT} FROM event WHERE cause = ? ORDER BY seq", delivery))

    def chain(self, root: int) -> list[Stored]:
        """A root event and everything it led to, in the order in which it was stored."""
        query = f"SELECT {EVENT} FROM event WHERE seq = ?1 OR root = ?1 ORDER BY seq"
        return self.read(Stored, self.rows(query, root))

    # --- deliveries --------------------------------------------------------------------------------------------------

    def deliveries(self, event: int, *, replay: str | None = None) -> list[Delivery]:
        """The deliveries of an event; with `replay` only those of that replay ('' is the first publication)."""
        query = f"SELECT {DELIVERY} FROM delivery WHERE event = ?1 AND (?2 IS NULL OR replay = ?2) ORDER BY seq"
        return self.read(Delivery, self.rows(query, event, replay))

    def delivery(self, seq: int) -> Delivery:
        """A delivery by its number."""
        rows = self.rows(f"SELECT {DELIVERY} FROM delivery WHERE seq = ?", seq)
        return self._only(Delivery, rows, f"delivery number {seq}")

    def knows_replay(self, name: str) -> bool:
        """Whether a replay of this name has made deliveries before."""
        return bool(self.rows("SELECT 1 FROM delivery WHERE replay = ? LIMIT 1", name))

    def attempts(self, delivery: int) -> list[Attempt]:
        """The history of a delivery."""
        query = f"SELECT {ATTEMPT} FROM attempt WHERE delivery = ? ORDER BY number"
        return self.read(Attempt, self.rows(query, delivery), f"delivery number {delivery}, ")

    def states(self, event: int) -> dict[str, int]:
        """How many deliveries of an event are in which state."""
        rows = self.rows("SELECT state, count(*) FROM delivery WHERE event = ? GROUP BY state ORDER BY 1", event)
        return {state: count for state, count, _, _ in self.read(Counted, rows, f"event number {event}: ")}


def with_id(ids: Sequence[str]) -> str:
    """The value that WITH_ID takes."""
    return json.dumps([(id, event_key(id)) for id in ids])  # noqa: A001


def clause(wanted: Filter) -> tuple[str, list[Any]]:
    """A filter as the condition of a query and its values."""
    tests = {
        "coalesce(time, stored_at) >= ?": wanted.since,
        "coalesce(time, stored_at) < ?": wanted.until,
        "seq <= ?": wanted.last,
        "type = ?": wanted.type,
        "source = ?": wanted.source,
        f"seq IN ({WITH_ID})": with_id(wanted.ids) if wanted.ids else None,
    }
    condition, values = _all_of(tests)
    of_delivery, asked = _all_of({"delivery.route = ?": wanted.route, "delivery.state = ?": wanted.state})
    if asked:  # of one delivery, not of one for each
        condition += f" AND EXISTS (SELECT 1 FROM delivery WHERE delivery.event = event.seq AND {of_delivery})"
    return condition, values + asked


def _all_of(tests: Mapping[str, Any]) -> tuple[str, list[Any]]:
    """The tests that have a value, as one condition."""
    used = {test: value for test, value in tests.items() if value is not None}
    return " AND ".join(used) or "1", [*used.values()]
