"""Deletes old chains of events whose deliveries have ended, and returns the free space to the disk."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from evtool.store.store import Store

# Chains that are deleted in one transaction.
PAGE = 100
# Pages of the file that one transaction returns to the disk.
RECLAIM_PAGES = 500


class PruneFilter(NamedTuple):
    """Selects chains: all their events are older than `before` (ms since 1970), and all deliveries are in `states`."""

    before: int
    states: tuple[str, ...] = ("done",)


class PruneCount(NamedTuple):
    """The number of deleted events and deliveries of one event type in one transaction, and the bytes of the events."""

    type: str
    events: int
    bytes: int
    deliveries: int


def prune(store: Store, prune_filter: PruneFilter, *, dry_run: bool = False) -> Iterator[PruneCount]:
    """Deletes old chains with all their events, deliveries and attempts, and yields the counts of each transaction.

    With `dry_run` nothing is deleted.
    """
    after = 0
    while True:
        candidates = _find_chains(store, prune_filter, after)
        if not candidates:
            return
        if dry_run:
            counts = _count_by_type(store, candidates)
        else:
            with store.transaction():
                # Searched again inside the transaction: a chain may have got a new event since.
                chains = _find_chains(store, prune_filter, after, candidates=candidates)
                counts = _count_by_type(store, chains)
                _delete_chains(store, chains)
        yield from counts
        after = candidates[-1]


def reclaim_space(store: Store) -> int:
    """Returns the space of deleted rows to the disk, and the number of bytes by which the file became shorter."""
    initial_size = _file_size(store)
    while store.execute("PRAGMA freelist_count")[0][0]:
        previous_size = _file_size(store)
        store.execute(f"PRAGMA incremental_vacuum({RECLAIM_PAGES})")
        # A store that was created without auto_vacuum does not shrink, but uses the space for new rows.
        if _file_size(store) == previous_size:
            break
    # PASSIVE does not wait for other processes.
    store.execute("PRAGMA wal_checkpoint(PASSIVE)")
    return initial_size - _file_size(store)


def _file_size(store: Store) -> int:
    pages, size = store.execute("SELECT page_count, page_size FROM pragma_page_count, pragma_page_size")[0]
    return int(pages * size)


def _find_chains(store: Store, prune_filter: PruneFilter, after: int, *, candidates: Sequence[int] = ()) -> list[int]:
    """Returns a page of the roots of chains that the filter selects, of the candidates only if there are any."""
    among_candidates = "1"
    if candidates:
        among_candidates = _in_list(candidates)
    query = (
        "SELECT seq FROM event AS first WHERE seq > ?1 AND coalesce(root, seq) = seq AND stored_at < ?2"
        " AND NOT EXISTS (SELECT 1 FROM event LEFT JOIN delivery ON delivery.event = event.seq"
        " WHERE (event.seq = first.seq OR event.root = first.seq) AND (event.stored_at >= ?2 OR delivery.created >= ?2"
        f" OR delivery.state NOT IN ({','.join('?' * len(prune_filter.states))})))"
        f" AND {among_candidates} ORDER BY seq LIMIT {PAGE}"
    )
    return [seq for (seq,) in store.execute(query, after, prune_filter.before, *prune_filter.states)]


def _count_by_type(store: Store, chains: Sequence[int]) -> list[PruneCount]:
    """Counts what these chains contain, by type."""
    query = (
        "SELECT type, count(*), sum(length(raw)),"
        " sum((SELECT count(*) FROM delivery WHERE delivery.event = event.seq))"
        f" FROM event WHERE {_in_list(chains)} OR {_in_list(chains, 'root')} GROUP BY type"
    )
    return [PruneCount(*row) for row in store.execute(query)]


def _delete_chains(store: Store, chains: Sequence[int]) -> None:
    events = f"SELECT seq FROM event WHERE {_in_list(chains)} OR {_in_list(chains, 'root')}"
    deliveries = f"SELECT seq FROM delivery WHERE event IN ({events})"
    # Events and deliveries refer to each other, so the references are checked at the end of the transaction.
    store.execute("PRAGMA defer_foreign_keys = ON")
    store.execute(f"DELETE FROM attempt WHERE delivery IN ({deliveries})")
    store.execute(f"DELETE FROM delivery WHERE event IN ({events})")
    store.execute(f"DELETE FROM event WHERE seq IN ({events})")


def _in_list(numbers: Sequence[int], column: str = "seq") -> str:
    return f"{column} IN ({','.join(map(str, numbers))})"
