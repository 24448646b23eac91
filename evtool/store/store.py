"""The store: inserts and reads events, their deliveries and the attempts. Claiming deliveries is in queue.py.

Every change is one BEGIN IMMEDIATE transaction that is on the disk when it returns. An event and its deliveries are
stored in one transaction, and so are an outcome and the events that it emitted.
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
from evtool.store.sqlite.new_rows import INSERT_DELIVERY, INSERT_EVENT, DeliveryRow, EventRow

R = TypeVar("R", bound=Row)
T = TypeVar("T")
# Rows that are read at a time. No cursor stays open while the caller works with them.
PAGE = 500

BUS = f"coalesce(bus, '{DEFAULT_BUS}')"
EVENT = (
    f"seq, id, type, source, time, stored_at, lower(hex(sha256)), raw, coalesce(root, seq), depth, cause, replay, {BUS}"
)
# The events with a key. Two queries are faster than one with `merged IN (0, 1)`.
KEYED = (
    "SELECT event FROM event_key WHERE merged = 0 AND key = ?1 UNION ALL"
    " SELECT event FROM event_key WHERE merged = 1 AND key = ?1"
)
# The keys of a list that an event in the store has.
KNOWN_KEYS = (
    "SELECT value FROM json_each(?) AS wanted WHERE"
    " EXISTS (SELECT 1 FROM event_key WHERE merged = 0 AND key = wanted.value)"
    " OR EXISTS (SELECT 1 FROM event_key WHERE merged = 1 AND key = wanted.value)"
)
# The deliveries that an event caused when it was published, as JSON.
FIRED = (
    "(SELECT json_group_array(json_array(route, handler, state) ORDER BY delivery.seq) FROM delivery"
    " WHERE event = event.seq AND delivery.replay = coalesce(event.replay, ''))"
)
# The columns of Delivery.
DELIVERY = (
    "seq, event, route, handler, replay, state, attempts, forgiven, created, due, owner, duration_ms, error, condition"
)
ATTEMPT = "number, started, duration_ms, outcome, error, output, code"


class Store(Database):
    """The database of a project: its events, deliveries and attempts."""

    def decode(self, kind: type[R], rows: Iterable[Sequence[Any]], prefix: str = "") -> list[R]:
        """Turns rows into values of a kind. Raises DamageError for a row that evtool cannot have written."""
        values = [kind(*row) for row in rows]
        for value in values:
            problem = value.damage()
            if problem:
                raise damage_error(self.file, f"{prefix}{problem}")
        return values

    def _decode_one(self, kind: type[R], rows: Sequence[Sequence[Any]], name: str) -> R:
        """Decodes the only row. Raises DamageError if it does not exist."""
        if not rows:
            explanation = "another process deleted it, or the store is damaged; `evtool doctor` checks that"
            raise DamageError(f"{self.file}: {name} does not exist: {explanation}")
        return self.decode(kind, rows)[0]

    def read_routes_file(self) -> Path | None:
        """Returns the routes.yaml of the project that the store belongs to; None if it is not known."""
        rows = self.execute("SELECT routes_file FROM project")
        if rows:
            return Path(os.fsdecode(rows[0][0]))
        return None

    def write_routes_file(self, routes_file: Path) -> None:
        """Sets the routes.yaml of the project that the store belongs to."""
        with self.transaction():
            self.execute("DELETE FROM project")
            self.execute("INSERT INTO project VALUES (?)", os.fsencode(routes_file))

    # --- events ------------------------------------------------------------------------------------------------------

    def insert(
        self, event: Event, deliveries: Sequence[NewDelivery], *, now: int, cause: Cause | None = None
    ) -> StoreResult:
        """Stores an event once, with its deliveries. A second event with the same source and id changes nothing."""
        row = _build_row(event, now, cause)
        digest = row.sha256.hex()
        with self.transaction():
            existing = self._find_by_key(row.key, event.id, event.source)
            if existing:
                status = "conflict"
                if existing.sha256 == digest:
                    status = "duplicate"
                return StoreResult(existing.seq, status, existing.sha256, digest)
            (seq,) = self._insert_rows([row], [deliveries], now, (cause and cause.replay) or "")
            return StoreResult(seq, "stored", digest, digest)

    def insert_new(self, entries: Sequence[NewEvent], *, now: int) -> list[StoreResult | None]:
        """Stores many events with their deliveries, in a fraction of the time that `insert` takes for each.

        The result is None for an event that has the key of a stored event, or of an earlier one of the list: it may be
        a duplicate, a conflict, or another event with an equal key. The caller decides with `insert`.
        """
        rows = [_build_row(event, now) for event, _ in entries]
        places, new_rows, deliveries = [], [], []
        with self.transaction():
            keys = {key for (key,) in self.execute(KNOWN_KEYS, json.dumps([row.key for row in rows]))}
            for place, row in enumerate(rows):
                if row.key not in keys:
                    keys.add(row.key)
                    places.append(place)
                    new_rows.append(row)
                    deliveries.append(entries[place].deliveries)
            seqs = self._insert_rows(new_rows, deliveries, now, "")
        results: list[StoreResult | None] = [None] * len(entries)
        for place, seq in zip(places, seqs, strict=True):
            digest = rows[place].sha256.hex()
            results[place] = StoreResult(seq, "stored", digest, digest)
        return results

    def _insert_rows(
        self, events: Sequence[EventRow], deliveries: Sequence[Sequence[NewDelivery]], now: int, replay: str
    ) -> range:
        """Inserts events and their deliveries, and returns the numbers of the events.

        Only this transaction inserts now, so SQLite numbers the events without gaps.
        """
        self.execute_many(INSERT_EVENT, events)
        last = self.connection.last_insert_rowid()
        seqs = range(last - len(events) + 1, last + 1)
        self._insert_deliveries(zip(seqs, deliveries, strict=True), now, replay)
        return seqs

    def add_deliveries(self, event: int, deliveries: Sequence[NewDelivery], *, now: int, replay: str = "") -> None:
        """Adds deliveries of a stored event, which are due now. A delivery that exists already is not changed."""
        with self.transaction():
            self._insert_deliveries([(event, deliveries)], now, replay)

    def _insert_deliveries(self, entries: Iterable[tuple[int, Sequence[NewDelivery]]], now: int, replay: str) -> None:
        rows = []
        for event, deliveries in entries:
            for route, handler, error, condition in deliveries:
                if error is None:
                    row = DeliveryRow(event, route, handler, replay, "ready", now, now, None, None)
                else:
                    row = DeliveryRow(event, route, handler, replay, "dead", now, None, error, condition)
                rows.append(row)
        self.execute_many(INSERT_DELIVERY, rows)

    def get_event(self, seq: int) -> StoredEvent:
        """Returns a stored event by its number."""
        rows = self.execute(f"SELECT {EVENT} FROM event WHERE seq = ?", seq)
        return self._decode_one(StoredEvent, rows, f"event number {seq}")

    def read_events(self, event_filter: Filter = Filter(), *, newest: int | None = None) -> Iterator[StoredEvent]:  # noqa: B008
        """Yields the events that a filter selects, in the order in which they were stored.

        With `newest` only that many of the last ones.
        """
        return self._map_pages(EVENT, event_filter, self._decode_events, newest)

    def _decode_events(self, page: list[Any]) -> list[StoredEvent]:
        return self.decode(StoredEvent, page)

    def map_events(
        self, convert: Callable[[StoredEvent], T], event_filter: Filter, *, newest: int | None = None
    ) -> Iterator[T]:
        """Yields what `convert` returns for each of these events.

        `convert` runs in the transaction that reads the page, so it sees all rows of an event, or none if another
        process has deleted it.
        """

        def convert_page(page: list[Any]) -> list[T]:
            return list(map(convert, self._decode_events(page)))

        return self._map_pages(EVENT, event_filter, convert_page, newest)

    def list_newest_events(self, event_filter: Filter, limit: int) -> list[StoredEvent]:
        """Returns the last events that a filter selects, the newest first."""
        where, values = build_condition(event_filter)
        query = f"SELECT {EVENT} FROM event WHERE {where} ORDER BY seq DESC LIMIT ?"
        return self.decode(StoredEvent, self.execute(query, *values, limit))

    def read_published_events(self, event_filter: Filter, *, newest: int | None = None) -> Iterator[list[PublishedRow]]:
        """Yields these events in pages, each with the deliveries that it caused when it was published.

        It makes no value for each event, since a replay may read a million of them.
        """

        def check_page(page: list[Any]) -> list[list[PublishedRow]]:
            roots = self._find_roots(page)
            rows = []
            for seq, raw, digest, bus, root, fired in page:
                if not isinstance(raw, bytes) or hashlib.sha256(raw).digest() != digest:
                    raise damage_error(self.file, f"event number {seq}: its bytes have changed since they were stored")
                rows.append((seq, raw, bus, root is not None or seq in roots, fired))
            return [rows]

        return self._map_pages(f"seq, raw, sha256, {BUS}, root, {FIRED}", event_filter, check_page, newest)

    def _find_roots(self, page: Sequence[Any]) -> frozenset[int]:
        """Returns the events of a page whose deliveries emitted events."""
        if not page:
            return frozenset()
        rows = self.execute("SELECT DISTINCT root FROM event WHERE root BETWEEN ? AND ?", page[0][0], page[-1][0])
        return frozenset(root for (root,) in rows)

    def _map_pages(
        self, columns: str, event_filter: Filter, convert: Callable[[list[Any]], list[T]], newest: int | None
    ) -> Iterator[T]:
        """Reads columns of the events that a filter selects, in pages, and yields what `convert` makes of each page.

        Each page is read and converted in one transaction. The first column is `seq`.
        """
        where, values = build_condition(event_filter)
        after = 0
        if newest is not None:
            query = f"SELECT seq FROM event WHERE {where} ORDER BY seq DESC LIMIT 1 OFFSET ?"
            for (seq,) in self.execute(query, *values, newest):
                after = seq
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
        """Whether a filter selects a stored event."""
        where, values = build_condition(event_filter)
        return bool(self.execute(f"SELECT 1 FROM event WHERE seq = ? AND {where}", event, *values))

    def last_seq(self) -> int:
        """Returns the number of the event that was stored last; 0 for an empty store."""
        seq: int = self.execute("SELECT coalesce(max(seq), 0) FROM event")[0][0]
        return seq

    def find_event(self, source: str, id: str) -> StoredEvent | None:  # noqa: A002  (the column's name)
        """Returns the event with this id and source; None if the store does not have it."""
        return self._find_by_key(compute_event_key(id, source), id, source)

    def _find_by_key(self, key: int, id: str, source: str) -> StoredEvent | None:  # noqa: A002
        """Returns the event with this id and source among those with the key."""
        for (seq,) in self.execute(KEYED, key):
            query = f"SELECT {EVENT} FROM event WHERE seq = ? AND id = ? AND source = ?"
            for event in self.decode(StoredEvent, self.execute(query, seq, id, source)):
                return event
        return None

    def list_effects(self, event: int) -> list[StoredEvent]:
        """Returns the events that the deliveries of an event emitted."""
        query = f"SELECT {EVENT} FROM event WHERE cause IN (SELECT seq FROM delivery WHERE event = ?) ORDER BY seq"
        return self.decode(StoredEvent, self.execute(query, event))

    def list_emitted_events(self, delivery: int) -> list[StoredEvent]:
        """Returns the events that one delivery emitted."""
        query = f"SELECT {EVENT} FROM event WHERE cause = ? ORDER BY seq"
        return self.decode(StoredEvent, self.execute(query, delivery))

    def list_chain(self, root: int, limit: int = -1) -> list[StoredEvent]:
        """Returns the events of a chain, from its root, in the order in which they were stored; at most `limit`."""
        query = f"SELECT {EVENT} FROM event WHERE seq = ?1 OR root = ?1 ORDER BY seq LIMIT ?2"
        return self.decode(StoredEvent, self.execute(query, root, limit))

    # --- deliveries --------------------------------------------------------------------------------------------------

    def list_deliveries(self, event: int, *, replay: str | None = None) -> list[Delivery]:
        """Returns the deliveries of an event; with `replay` only those of that replay ('' is the publication)."""
        query = f"SELECT {DELIVERY} FROM delivery WHERE event = ?1 AND (?2 IS NULL OR replay = ?2) ORDER BY seq"
        return self.decode(Delivery, self.execute(query, event, replay))

    def get_delivery(self, seq: int) -> Delivery:
        """Returns a delivery by its number."""
        rows = self.execute(f"SELECT {DELIVERY} FROM delivery WHERE seq = ?", seq)
        return self._decode_one(Delivery, rows, f"delivery number {seq}")

    def has_replay(self, name: str) -> bool:
        """Whether a replay with this name has made deliveries."""
        return bool(self.execute("SELECT 1 FROM delivery WHERE replay = ? LIMIT 1", name))

    def list_attempts(self, delivery: int) -> list[Attempt]:
        """Returns the attempts at a delivery, the first one first."""
        query = f"SELECT {ATTEMPT} FROM attempt WHERE delivery = ? ORDER BY number"
        return self.decode(Attempt, self.execute(query, delivery), f"delivery number {delivery}, ")

    def count_states(self, event: int) -> dict[str, int]:
        """Counts the deliveries of an event by state."""
        rows = self.execute("SELECT state, count(*) FROM delivery WHERE event = ? GROUP BY state ORDER BY 1", event)
        return {state: count for state, count, _, _ in self.decode(DeliveryCount, rows, f"event number {event}: ")}


def _build_row(event: Event, now: int, cause: Cause | None = None) -> EventRow:
    delivery, root, depth, replay = cause or (None, None, 0, None)
    bus = event.bus
    # The default bus is stored as NULL.
    if bus == DEFAULT_BUS:
        bus = None
    return EventRow(
        compute_event_key(event.id, event.source),
        event.source,
        event.id,
        event.type,
        parse_event_time(event),
        now,
        hashlib.sha256(event.raw).digest(),
        event.raw,
        root,
        depth,
        delivery,
        replay,
        bus,
    )
