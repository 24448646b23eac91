"""Retention: chains of events that are old and came to their end are deleted, and the disk gets its space back."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from evtool.store.store import Store

PAGE = 100  # chains that are deleted in one transaction
PAGES_BACK = 500  # of the file that are given back in one transaction


class Old(NamedTuple):
    """Which chains may go: nothing of them came since `before` (ms since 1970), and all deliveries are in `states`."""

    before: int
    states: tuple[str, ...] = ("done",)


class Pruned(NamedTuple):
    """What was deleted, or would be: of one type of event in one transaction."""

    type: str
    events: int
    bytes: int  # of the events as they came
    deliveries: int


def prune(store: Store, old: Old, *, dry_run: bool = False) -> Iterator[Pruned]:
    """Deletes old chains with all their events, deliveries and attempts; tells what is gone after each transaction.

    What is still to come is looked at again inside the transaction: a chain that came to life meanwhile stays.
    """
    after = 0
    while found := _chains(store, old, after):
        if dry_run:
            gone = _held(store, found)
        else:
            with store.transaction():
                chains = _chains(store, old, after, among=found)
                gone = _held(store, chains)
                _delete(store, chains)
        yield from gone
        after = found[-1]


def give_back(store: Store) -> int:
    """Gives the space of what was deleted back to the disk; how many bytes the store is shorter."""
    before = _length(store)
    while store.rows("PRAGMA freelist_count")[0][0]:
        length = _length(store)
        store.rows(f"PRAGMA incremental_vacuum({PAGES_BACK})")
        if _length(store) == length:  # a store that was made without auto_vacuum uses the space again itself
            break
    store.rows("PRAGMA wal_checkpoint(PASSIVE)")  # waits for nobody
    return before - _length(store)


def _length(store: Store) -> int:
    pages, size = store.rows("SELECT page_count, page_size FROM pragma_page_count, pragma_page_size")[0]
    return int(pages * size)


def _chains(store: Store, old: Old, after: int, *, among: Sequence[int] = ()) -> list[int]:
    """The roots of chains that may go, of those that are given, a page of them."""
    query = (
        "SELECT seq FROM event AS first WHERE seq > ?1 AND coalesce(root, seq) = seq AND stored_at < ?2"
        " AND NOT EXISTS (SELECT 1 FROM event LEFT JOIN delivery ON delivery.event = event.seq"
        " WHERE (event.seq = first.seq OR event.root = first.seq) AND (event.stored_at >= ?2 OR delivery.created >= ?2"
        f" OR delivery.state NOT IN ({','.join('?' * len(old.states))})))"
        f" AND {_among(among) if among else '1'} ORDER BY seq LIMIT {PAGE}"
    )
    return [seq for (seq,) in store.rows(query, after, old.before, *old.states)]


def _held(store: Store, chains: Sequence[int]) -> list[Pruned]:
    """What chains hold, by type."""
    query = (
        "SELECT type, count(*), sum(length(raw)),"
        " sum((SELECT count(*) FROM delivery WHERE delivery.event = event.seq))"
        f" FROM event WHERE {_among(chains)} OR {_among(chains, 'root')} GROUP BY type"
    )
    return [Pruned(*row) for row in store.rows(query)]


def _delete(store: Store, chains: Sequence[int]) -> None:
    events = f"SELECT seq FROM event WHERE {_among(chains)} OR {_among(chains, 'root')}"
    deliveries = f"SELECT seq FROM delivery WHERE event IN ({events})"
    store.rows("PRAGMA defer_foreign_keys = ON")  # for this transaction: events and deliveries name each other
    store.rows(f"DELETE FROM attempt WHERE delivery IN ({deliveries})")
    store.rows(f"DELETE FROM delivery WHERE event IN ({events})")
    store.rows(f"DELETE FROM event WHERE seq IN ({events})")


def _among(numbers: Sequence[int], column: str = "seq") -> str:
    return f"{column} IN ({','.join(map(str, numbers))})"
