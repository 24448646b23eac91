"""Lists, redrives and purges dead letters: deliveries that evtool no longer attempts."""

from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeVar

from evtool.store.filters import WITH_ID, encode_ids, join_tests
from evtool.store.rows import Delivery
from evtool.store.store import DELIVERY, Store

T = TypeVar("T")
# Dead letters that are changed in one transaction.
PAGE = 200


class DeadLetterFilter(NamedTuple):
    """Selects dead letters. A field that is None or empty selects all.

    `ids` and `type` are those of the events. `before` is a time in ms since 1970: it selects those whose last attempt
    ended earlier. `delivery` is the number of one delivery.
    """

    ids: tuple[str, ...] = ()
    type: str | None = None
    route: str | None = None
    handler: str | None = None
    before: int | None = None
    delivery: int | None = None


def list_dead_letters(
    store: Store, selection: DeadLetterFilter, convert: Callable[[Delivery], T], *, after: int = 0
) -> Iterator[T]:
    """Yields what `convert` returns for each dead letter with a number above `after`, in the order of numbers."""
    return _map_pages(store, selection, convert, after=after)


def count_dead_letters(store: Store, limit: int) -> int:
    """Counts the dead letters, up to `limit`."""
    query = "SELECT count(*) FROM (SELECT 1 FROM delivery WHERE state = 'dead' LIMIT ?)"
    count: int = store.execute(query, limit)[0][0]
    return count


def redrive(store: Store, selection: DeadLetterFilter, convert: Callable[[Delivery], T], *, now: int) -> Iterator[T]:
    """Makes dead letters ready again, and yields what `convert` returns for each of the new deliveries.

    Their age and their attempts start at zero. If two processes redrive the same dead letter, the second one finds it
    ready already and does nothing.
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
    """Deletes dead letters with their attempts, and yields what `convert` returns for each. Their events stay."""

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
    """Calls `change` for each dead letter, a page in one transaction, and yields its results after the commit."""
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
    condition, values = join_tests(
        {
            "(SELECT type FROM event WHERE event.seq = delivery.event) = ?": selection.type,
            "seq = ?": selection.delivery,
            "route = ?": selection.route,
            "handler = ?": selection.handler,
            f"coalesce({end_time}, created) < ?": selection.before,
            f"event IN ({WITH_ID})": encode_ids(selection.ids),
        }
    )
    query = f"SELECT {DELIVERY} FROM delivery WHERE state = 'dead' AND seq > ? AND {condition} ORDER BY seq LIMIT ?"
    return store.decode(Delivery, store.execute(query, after, *values, PAGE))
