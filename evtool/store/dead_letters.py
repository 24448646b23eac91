"""Dead letters: deliveries that were given up are found, made ready again, or deleted for ever."""

from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeVar

from evtool.store.rows import Delivery
from evtool.store.store import DELIVERY, WITH_ID, Store, with_id

T = TypeVar("T")
PAGE = 200  # dead letters that are changed in one transaction


class Wanted(NamedTuple):
    """Which dead letters are meant; what is None or empty does not count."""

    ids: tuple[str, ...] = ()  # of their events
    type: str | None = None  # of their events
    route: str | None = None
    handler: str | None = None
    before: int | None = None  # died before this time, in milliseconds since 1970


def dead(store: Store, wanted: Wanted, tell: Callable[[Delivery], T]) -> Iterator[T]:
    """What is to be told of each dead letter, in the order in which their deliveries were made."""
    return _changed(store, wanted, tell)


def redrive(store: Store, wanted: Wanted, tell: Callable[[Delivery], T], *, now: int) -> Iterator[T]:
    """Makes dead letters ready again, with their age and attempts counted anew; tells of each as it then stands.

    Whoever comes second finds no dead letter, and changes nothing.
    """

    def ready(letter: Delivery) -> T:
        store.rows(
            "UPDATE delivery SET state = 'ready', due = ?1, created = ?1, forgiven = attempts, error = NULL,"
            " condition = NULL WHERE seq = ?2",
            now,
            letter.seq,
        )
        return tell(store.delivery(letter.seq))

    return _changed(store, wanted, ready, "IMMEDIATE")


def purge(store: Store, wanted: Wanted, tell: Callable[[Delivery], T]) -> Iterator[T]:
    """Deletes dead letters with their attempts for ever; tells of each as it was. Their events stay."""

    def delete(letter: Delivery) -> T:
        told = tell(letter)
        store.rows("DELETE FROM attempt WHERE delivery = ?", letter.seq)
        store.rows("DELETE FROM delivery WHERE seq = ?", letter.seq)
        return told

    return _changed(store, wanted, delete, "IMMEDIATE")


def _changed(store: Store, wanted: Wanted, change: Callable[[Delivery], T], kind: str = "DEFERRED") -> Iterator[T]:
    """Changes dead letters, a page in one transaction, and yields what is told of them when that is on the disk."""
    after = 0
    while True:
        with store.transaction(kind):
            page = _page(store, wanted, after)
            told = [change(letter) for letter in page]
        if not page:
            return
        yield from told
        after = page[-1].seq


def _page(store: Store, wanted: Wanted, after: int) -> list[Delivery]:
    ended = "(SELECT max(started + coalesce(duration_ms, 0)) FROM attempt WHERE attempt.delivery = delivery.seq)"
    tests = {
        "(SELECT type FROM event WHERE event.seq = delivery.event) = ?": wanted.type,
        "route = ?": wanted.route,
        "handler = ?": wanted.handler,
        f"coalesce({ended}, created) < ?": wanted.before,
        f"event IN ({WITH_ID})": with_id(wanted.ids) if wanted.ids else None,
    }
    used = {test: value for test, value in tests.items() if value is not None}
    query = (
        f"SELECT {DELIVERY} FROM delivery WHERE state = 'dead' AND seq > ? AND {' AND '.join(used) or '1'}"
        " ORDER BY seq LIMIT ?"
    )
    return store.read(Delivery, store.rows(query, after, *used.values(), PAGE))
