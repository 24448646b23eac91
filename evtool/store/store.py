"""The store: inserts and reads events, their deliveries and the attempts. Claiming deliveries is in queue.py.

Every change is one BEGIN IMMEDIATE transaction that is on the disk when it returns. An event and its deliveries are
kept together; an outcome and the events that it emitted, too.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from evtool.errors import DamageError
from evtool.events.buses import DEFAULT_BUS
from evtool.events.event import Event
from evtool.store.filters import build_condition
from evtool.store.rows import (
    Attempt,
    Cause,
    Delivery,
    DeliveryCount,
    Filter,
    NewDelivery,
    NewEvent,
    PublishedRow,
    Row,
    StoredEvent,
    StoreResult,
    compute_event_key,
    parse_event_time,
)
from evtool.store.sqlite.database import Database
from evtool.store.sqlite.errors import damage_error

R = TypeVar("R", bound=Row)
T = TypeVar("T")
PAGE = 500  # rows read at a time: no cursor stays open while somebody works with them

BUS = f"coalesce(bus, '{DEFAULT_BUS}')"
EVENT = (
    f"seq, id, type, source, time, stored_at, lower(hex(sha256)), raw, coalesce(root, seq), depth, cause, replay, {BUS}"
)
KEYED = (  # two questions cost less than one of both
    "SELECT event FROM event_key WHERE merged = 0 AND key = ?1 UNION ALL"
    " SELECT event FROM event_key WHERE merged = 1 AND key = ?1"
)
KNOWN_KEYS = (  # of a list of keys, those that an event has
    "SELECT value FROM json_each(?) AS wanted WHERE"
    " EXISTS (SELECT 1 FROM event_key WHERE merged = 0 AND key = wanted.value)"
    " OR EXISTS (SELECT 1 FROM event_key WHERE merged = 1 AND key = wanted.value)"
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
    "INSERT INTO event (key, source, id, type, time, stored_at, sha256, raw, root, depth, cause, replay, bus)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
KEY, DIGEST = 0, 6  # of the values of INSERT_EVENT
INSERT_DELIVERY = (
    "INSERT INTO delivery (event, route, handler, replay, state, created, due, error, condition)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
)


class Store(Database):
    """The database with its words: events, deliveries, attempts."""

    def decode(self, kind: type[R], rows: Iterable[Sequence[Any]], prefix: str = "") -> list[R]:
        """Rows as values of a kind. Raises DamageError for what evtool has not stored so: nothing is made of it."""
        values = [kind(*row) for row in rows]
        for value in values:
            problem = value.damage()
            if problem:
                raise damage_error(self.file, f"{prefix}{problem}")
        return values

    def _decode_one(self, kind: type[R], rows: Sequence[Sequence[Any]], name: str) -> R:
        """The one value that must be there."""
        if not rows:
            explanation = "it was deleted meanwhile, or the store is damaged, which `evtool doctor` would say"
            raise DamageError(f"{self.file}: {name} is not there: {explanation}")
        return self.decode(kind, rows)[0]

    def read_routes_file(self) -> Path | None:
        """The routes.yaml of the project that the store belongs to; None if that is not known."""
        rows = self.execute("SELECT routes_file FROM project")
        if rows:
            return Path(os.fsdecode(rows[0][0]))
        return None

    def write_routes_file(self, routes_file: Path) -> None:
        """Says which project the store belongs to from now on."""
        with self.transaction():
            self.execute("DELETE FROM project")
            self.execute("INSERT INTO project VALUES (?)", os.fsencode(routes_file))

    # --- events ------------------------------------------------------------------------------------------------------

    def insert(
        self, event: Event, deliveries: Sequence[NewDelivery], *, now: int, cause: Cause | None = None
    ) -> StoreResult:
        """Keeps an event once, with its deliveries. The same (source, id) again changes nothing."""
        row = _build_row(event, now, cause)
        digest = row[DIGEST].hex()
        with self.transaction():
            existing = self._find_by_key(row[KEY], event.id, event.source)
            if existing:
                status = "conflict"
                if existing.sha256 == digest:
                    status = "duplicate"
                return StoreResult(existing.seq, status, existing.sha256, digest)
            (seq,) = self._insert_rows([row], [deliveries], now, (cause and cause.replay) or "")
            return StoreResult(seq, "stored", digest, digest)

    def insert_new(self, entries: Sequence[NewEvent], *, now: int) -> list[StoreResult | None]:
        """Keeps many events, with their deliveries, at a fraction of the time that `insert` takes for each.

        None for an event that has the key of a stored one, or of one before it: `insert` has to look at that.
        """
        rows = [_build_row(event, now) for event, _ in entries]
        with self.transaction():
            stored_keys = {key for (key,) in self.execute(KNOWN_KEYS, json.dumps([row[KEY] for row in rows]))}
            first_places = {row[KEY]: place for place, row in reversed([*enumerate(rows)])}
            places = [place for place, row in enumerate(rows) if first_places[row[KEY]] == place]
            places = [place for place in places if rows[place][KEY] not in stored_keys]
            seqs = self._insert_rows([rows[at] for at in places], [entries[at].deliveries for at in places], now, "")
        results: list[StoreResult | None] = [None] * len(entries)
        for place, seq in zip(places, seqs, strict=True):
            digest = rows[place][DIGEST].hex()
            results[place] = StoreResult(seq, "stored", digest, digest)
        return results

    def _insert_rows(
        self, events: Sequence[Sequence[Any]], deliveries: Sequence[Sequence[NewDelivery]], now: int, replay: str
    ) -> range:
        """Inserts the rows of events and their deliveries. SQLite numbers the rows of a transaction without gaps."""
        self.execute_many(INSERT_EVENT, events)
        last = self.connection.last_insert_rowid()
        seqs = range(last - len(events) + 1, last + 1)
        self._insert_deliveries(zip(seqs, deliveries, strict=True), now, replay)
        return seqs

    def add_deliveries(self, event: int, deliveries: Sequence[NewDelivery], *, now: int, replay: str = "") -> None:
        """Adds deliveries of a stored event, due now. One that is there already stays as it is."""
        with self.transaction():
            self._insert_deliveries([(event, deliveries)], now, replay)

    def _insert_deliveries(self, entries: Iterable[tuple[int, Sequence[NewDelivery]]], now: int, replay: str) -> None:
        rows = [
            (event, route, handler, replay, "ready", now, now, None, None)
            if error is None
            else (event, route, handler, replay, "dead", now, None, error, condition)
            for event, deliveries in entries
            for route, handler, error, condition in deliveries
        ]
        self.execute_many(INSERT_DELIVERY, rows)

    def get_event(self, seq: int) -> StoredEvent:
        """A stored event by its number."""
        rows = self.execute(f"SELECT {EVENT} FROM event WHERE seq = ?", seq)
        return self._decode_one(StoredEvent, rows, f"event number {seq}")

    def read_events(self, event_filter: Filter = Filter(), *, newest: int | None = None) -> Iterator[StoredEvent]:  # noqa: B008
        """The events that a filter lets through, in the order in which they were stored, read in pages.

        With `newest` only that many of the last ones.
        """
        return self.map_events(lambda event: event, event_filter, newest=newest)

    def map_events(
        self, convert: Callable[[StoredEvent], T], event_filter: Filter, *, newest: int | None = None
    ) -> Iterator[T]:
        """What is to be told of each of these events, asked at the moment at which its page is read: what others delete
        meanwhile is told whole, or not at all.
        """
        return self._map_pages(
            EVENT, event_filter, lambda page: [*map(convert, self.decode(StoredEvent, page))], newest
        )

    def list_newest_events(self, event_filter: Filter, limit: int) -> list[StoredEvent]:
        """The last events that a filter lets through, the newest first."""
        where, values = build_condition(event_filter)
        query = f"SELECT {EVENT} FROM event WHERE {where} ORDER BY seq DESC LIMIT ?"
        return self.decode(StoredEvent, self.execute(query, *values, limit))

    def read_published_events(self, event_filter: Filter, *, newest: int | None = None) -> Iterator[list[PublishedRow]]:
        """The same events in pages, with what each fired when it was published: for those who go through many."""

        def check_page(page: list[Any]) -> list[list[PublishedRow]]:
            roots = self._find_roots(page)
            rows = []
            for seq, raw, digest, bus, root, fired in page:
                if not isinstance(raw, bytes) or hashlib.sha256(raw).digest() != digest:
                    raise damage_error(self.file, f"event number {seq}: its bytes are not those that were stored")
                rows.append((seq, raw, bus, root is not None or seq in roots, fired))
            return [rows]

        return self._map_pages(f"seq, raw, sha256, {BUS}, root, {FIRED}", event_filter, check_page, newest)

    def _find_roots(self, page: Sequence[Any]) -> frozenset[int]:
        """The events from the first to the last of a page that have effects."""
        if not page:
            return frozenset()
        rows = self.execute("SELECT DISTINCT root FROM event WHERE root BETWEEN ? AND ?", page[0][0], page[-1][0])
        return frozenset(root for (root,) in rows)

    def _map_pages(
        self, columns: str, event_filter: Filter, convert: Callable[[list[Any]], list[T]], newest: int | None
    ) -> Iterator[T]:
        """What is made of columns of the events that a filter lets through, page by page, each in one transaction.

        The first column is `seq`. With `newest` only that many of the last ones.
        """
        where, values = build_condition(event_filter)
        after = 0
        if newest is not None:
            query = f"SELECT seq FROM event WHERE {where} ORDER BY seq DESC LIMIT 1 OFFSET ?"
            boundary = self.execute(query, *values, newest)
            after = 0
            if boundary:
                after = boundary[0][0]
        query = f"SELECT {columns} FROM event WHERE {where} AND seq > ? ORDER BY seq LIMIT ?"
        while True:
            with self.transaction("DEFERRED"):
                page = self.execute(query, *values, after, PAGE)
                results = convert(page)
            if not page:
                return
            yield from results
            after = page[-1][0]

    def is_selected(self, event: int, event_filter: Filter) -> bool:
        """Whether a filter lets a stored event through."""
        where, values = build_condition(event_filter)
        return bool(self.execute(f"SELECT 1 FROM event WHERE seq = ? AND {where}", event, *values))

    def last_seq(self) -> int:
        """The number of the event that was stored last; 0 when there is none."""
        seq: int = self.execute("SELECT coalesce(max(seq), 0) FROM event")[0][0]
        return seq

    def find_event(self, source: str, id: str) -> StoredEvent | None:  # noqa: A002  (the column's name)
        """The event with this id and source."""
        return self._find_by_key(compute_event_key(id, source), id, source)

    def _find_by_key(self, key: int, id: str, source: str) -> StoredEvent | None:  # noqa: A002
        """The event with this id and source, of those whose key they have."""
        for (seq,) in self.execute(KEYED, key):
            query = f"SELECT {EVENT} FROM event WHERE seq = ? AND id = ? AND source = ?"
            for event in self.decode(StoredEvent, self.execute(query, seq, id, source)):
                return event
        return None

    def list_effects(self, event: int) -> list[StoredEvent]:
        """The events that the deliveries of an event emitted."""
        query = f"SELECT {EVENT} FROM event WHERE cause IN (SELECT seq FROM delivery WHERE event = ?) ORDER BY seq"
        return self.decode(StoredEvent, self.execute(query, event))

    def list_emitted_events(self, delivery: int) -> list[StoredEvent]:
        """The events that one delivery emitted."""
        return self.decode(
            StoredEvent, self.execute(f"SELECT {EVENT} FROM event WHERE cause = ? ORDER BY seq", delivery)
        )

    def list_chain(self, root: int, limit: int = -1) -> list[StoredEvent]:
        """A root event and everything it led to, or the first `limit` of it, in the order in which it was stored."""
        query = f"SELECT {EVENT} FROM event WHERE seq = ?1 OR root = ?1 ORDER BY seq LIMIT ?2"
        return self.decode(StoredEvent, self.execute(query, root, limit))

    # --- deliveries --------------------------------------------------------------------------------------------------

    def list_deliveries(self, event: int, *, replay: str | None = None) -> list[Delivery]:
        """The deliveries of an event; with `replay` only those of that replay ('' is the first publication)."""
        query = f"SELECT {DELIVERY} FROM delivery WHERE event = ?1 AND (?2 IS NULL OR replay = ?2) ORDER BY seq"
        return self.decode(Delivery, self.execute(query, event, replay))

    def get_delivery(self, seq: int) -> Delivery:
        """A delivery by its number."""
        rows = self.execute(f"SELECT {DELIVERY} FROM delivery WHERE seq = ?", seq)
        return self._decode_one(Delivery, rows, f"delivery number {seq}")

    def has_replay(self, name: str) -> bool:
        """Whether a replay of this name has made deliveries before."""
        return bool(self.execute("SELECT 1 FROM delivery WHERE replay = ? LIMIT 1", name))

    def list_attempts(self, delivery: int) -> list[Attempt]:
        """The history of a delivery."""
        query = f"SELECT {ATTEMPT} FROM attempt WHERE delivery = ? ORDER BY number"
        return self.decode(Attempt, self.execute(query, delivery), f"delivery number {delivery}, ")

    def count_states(self, event: int) -> dict[str, int]:
        """How many deliveries of an event are in which state."""
        rows = self.execute("SELECT state, count(*) FROM delivery WHERE event = ? GROUP BY state ORDER BY 1", event)
        return {state: count for state, count, _, _ in self.decode(DeliveryCount, rows, f"event number {event}: ")}


def _build_row(event: Event, now: int, cause: Cause | None = None) -> tuple[Any, ...]:
    """The values of INSERT_EVENT."""
    delivery, root, depth, replay = cause or (None, None, 0, None)
    key, digest, bus = compute_event_key(event.id, event.source), hashlib.sha256(event.raw).digest(), event.bus
    values = (key, event.source, event.id, event.type, parse_event_time(event), now, digest, event.raw)
    return (*values, root, depth, delivery, replay, None if bus == DEFAULT_BUS else bus)
