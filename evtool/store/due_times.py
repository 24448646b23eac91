"""When deliveries are due: makes some due now, and says when the first is."""

from evtool.store.store import Store


def repair_due_times(store: Store, *, now: int, max_lease: int, max_pause: int) -> None:
    """Makes due now what would be so earlier if the clock had not been set back since.

    That are leases that last longer than any would, `max_lease` ms, pauses that are longer than any, `max_pause` ms,
    and what no attempt that counts was made of.
    """
    with store.transaction():
        store.execute(
            "UPDATE delivery SET due = ?1 WHERE due > ?1 AND (state = 'leased' AND due > ?1 + ?2"
            " OR state = 'ready' AND (attempts = forgiven OR due > ?1 + ?3))",
            now,
            max_lease,
            max_pause,
        )


def make_due_now(store: Store, *, now: int, include_failed: bool = False) -> None:
    """Makes what waits for its handler due now: the handler may be back, and looking costs no attempt.

    With `include_failed` also what is to be tried again later.
    """
    states = "('waiting')"
    if include_failed:
        states = "('waiting', 'ready')"
    with store.transaction():
        store.execute(f"UPDATE delivery SET due = ?1 WHERE state IN {states} AND due IS NOT NULL AND due > ?1", now)


def next_due(store: Store, state: str) -> tuple[int, int]:
    """How many deliveries in a state are due some time, and when the first is, if there is one."""
    rows = store.execute("SELECT count(*), min(due) FROM delivery WHERE due IS NOT NULL AND state = ?", state)
    count, first = rows[0]
    return count, first or 0
