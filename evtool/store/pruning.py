"""Deletes old chains of events whose deliveries have ended, and returns the free space to the disk."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from evtool.store.store import Store

PAGE = 100  # chains that are deleted in one transaction
RECLAIM_PAGES = 500  # of the file that are given back in one transaction


class PruneFilter(NamedTuple):
    """Which chains may go: nothing of them came since `before` (ms since 1970), and all deliveries are in `states`."""

    before: int
    states: tuple[str, ...] = ("done",)


class PruneCount(NamedTuple):
    """What was deleted, or would be: of one type of event in one transaction."""

    type: str
    events: int
    bytes: int  # of the events as they came
    deliveries: int


def prune(store: Store, prune_filter: PruneFilter, *, dry_run: bool = False) -> Iterator[PruneCount]:
    """Deletes old chains with all their events, deliveries and attempts; tells what is gone after each transaction.

    What is still to come is looked at again inside the transaction: a chain that came to life meanwhile stays.
    """
    after = 0
    while candidates := _find_chains(store, prune_filter, after):
        if dry_run:
            counts = _count_by_type(store, candidates)
        else:
            with store.transaction():
                chains = _find_chains(store, prune_filter, after, candidates=candidates)
                counts = _count_by_type(store, chains)
                _delete_chains(store, chains)
        yield from counts
        after = candidates[-1]


def reclaim_space(store: Store) -> int:
    """Gives the space of what was deleted back to the disk; how many bytes the store is shorter."""
    initial_size = _file_size(store)
    while store.execute("PRAGMA freelist_count")[0][0]:
        previous_size = _file_size(store)
        store.execute(f"PRAGMA incremental_vacuum({RECLAIM_PAGES})")
        if _file_size(store) == previous_size:  # a store that was made without auto_vacuum uses the space again itself
            break
    store.execute("PRAGMA wal_checkpoint(PASSIVE)")  # waits for nobody
    return initial_size - _file_size(store)


def _file_size(store: Store) -> int:
    pages, size = store.execute("SELECT page_count, page_size FROM pragma_page_count, pragma_page_size")[0]
    return int(pages * size)


def _find_chains(store: Store, prune_filter: PruneFilter, after: int, *, candidates: Sequence[int] = ()) -> list[int]:
    """The roots of chains that may go, of those that are given, a page of them."""
    query = (
        "SELECT seq FROM event AS first WHERE seq > ?1 AND coalesce(root, seq) = seq AND stored_at < ?2"
        " AND NOT EXISTS (SELECT 1 FROM event LEFT JOIN delivery ON delivery.event = event.seq"
        " WHERE (event.seq = first.seq OR event.root = first.seq) AND (event.stored_at >= ?2 OR delivery.created >= ?2"
        f" OR delivery.state NOT IN ({','.join('?' * len(prune_filter.states))})))"
        f" AND {_in_list(candidates) if candidates else '1'} ORDER BY seq LIMIT {PAGE}"
    )
    return [seq for (seq,) in store.execute(query, after, prune_filter.before, *prune_filter.states)]


def _count_by_type(store: Store, chains: Sequence[int]) -> list[PruneCount]:
    """What chains hold, by type."""
    query = (
        "SELECT type, count(*), sum(length(raw)),"
        " sum((SELECT count(*) FROM delivery WHERE delivery.event = event.seq))"
        f" FROM event WHERE {_in_list(chains)} OR {_in_list(chains, 'root')} GROUP BY type"
    )
    return [PruneCount(*row) for row in store.execute(query)]


def _delete_chains(store: Store, chains: Sequence[int]) -> None:
    events = f"SELECT seq FROM event WHERE {_in_list(chains)} OR {_in_list(chains, 'root')}"
    deliveries = f"SELECT seq FROM delivery WHERE event IN ({events})"
    store.execute("PRAGMA defer_foreign_keys = ON")  # for this transaction: events and deliveries name each other
    store.execute(f"DELETE FROM attempt WHERE delivery IN ({deliveries})")
    store.execute(f"DELETE FROM delivery WHERE event IN ({events})")
    store.execute(f"DELETE FROM event WHERE seq IN ({events})")


def _in_list(numbers: Sequence[int], column: str = "seq") -> str:
    return f"{column} IN ({','.join(map(str, numbers))})"
