"""Lists, redrives and purges dead letters: deliveries that evtool no longer attempts."""

from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeVar

from evtool.store.filters import WITH_ID, encode_ids
from evtool.store.rows import Delivery
from evtool.store.store import DELIVERY, Store

T = TypeVar("T")
PAGE = 200  # dead letters that are changed in one transaction


class DeadLetterFilter(NamedTuple):
    """Which dead letters are meant; what is None or empty does not count."""

    ids: tuple[str, ...] = ()  # of their events
    type: str | None = None  # of their events
    route: str | None = None
    handler: str | None = None
    before: int | None = None  # died before this time, in milliseconds since 1970
    delivery: int | None = None  # its number


def list_dead_letters(
    store: Store, selection: DeadLetterFilter, convert: Callable[[Delivery], T], *, after: int = 0
) -> Iterator[T]:
    """What is to be told of each dead letter whose number is beyond `after`, in the order of their numbers."""
    return _map_pages(store, selection, convert, after=after)


def count_dead_letters(store: Store, limit: int) -> int:
    """How many dead letters there are; at most `limit` are counted."""
    query = "SELECT count(*) FROM (SELECT 1 FROM delivery WHERE state = 'dead' LIMIT ?)"
    count: int = store.execute(query, limit)[0][0]
    return count


def redrive(store: Store, selection: DeadLetterFilter, convert: Callable[[Delivery], T], *, now: int) -> Iterator[T]:
    """Makes dead letters ready again, with their age and attempts counted anew; tells of each as it then stands.

    Whoever comes second finds no dead letter, and changes nothing.
    """

    def make_ready(delivery: Delivery) -> T:
        store.execute(
            "UPDATE delivery SET state = 'ready', due = ?1, created = ?1, forgiven = attempts, error = NULL,"
            " condition = NULL WHERE seq = ?2",
            now,
            delivery.seq,
        )
        return convert(store.get_delivery(delivery.seq))

    return _map_pages(store, selection, make_ready, "IMMEDIATE")


def purge(store: Store, selection: DeadLetterFilter, convert: Callable[[Delivery], T]) -> Iterator[T]:
    """Deletes dead letters with their attempts for ever; tells of each as it was. Their events stay."""

    def delete(delivery: Delivery) -> T:
        result = convert(delivery)
        store.execute("DELETE FROM attempt WHERE delivery = ?", delivery.seq)
        store.execute("DELETE FROM delivery WHERE seq = ?", delivery.seq)
        return result

    return _map_pages(store, selection, delete, "IMMEDIATE")


def _map_pages(
    store: Store,
    selection: DeadLetterFilter,
    change: Callable[[Delivery], T],
    kind: str = "DEFERRED",
    *,
    after: int = 0,
) -> Iterator[T]:
    """Changes dead letters, a page in one transaction, and yields what is told of them when that is on the disk."""
    while True:
        with store.transaction(kind):
            page = _read_page(store, selection, after)
            results = [change(delivery) for delivery in page]
        if not page:
            return
        yield from results
        after = page[-1].seq


def _read_page(store: Store, selection: DeadLetterFilter, after: int) -> list[Delivery]:
    end_time = "(SELECT max(started + coalesce(duration_ms, 0)) FROM attempt WHERE attempt.delivery = delivery.seq)"
    tests = {
        "(SELECT type FROM event WHERE event.seq = delivery.event) = ?": selection.type,
        "seq = ?": selection.delivery,
        "route = ?": selection.route,
        "handler = ?": selection.handler,
        f"coalesce({end_time}, created) < ?": selection.before,
        f"event IN ({WITH_ID})": encode_ids(selection.ids) if selection.ids else None,
    }
    used = {test: value for test, value in tests.items() if value is not None}
    query = (
        f"SELECT {DELIVERY} FROM delivery WHERE state = 'dead' AND seq > ? AND {' AND '.join(used) or '1'}"
        " ORDER BY seq LIMIT ?"
    )
    return store.decode(Delivery, store.execute(query, after, *used.values(), PAGE))
