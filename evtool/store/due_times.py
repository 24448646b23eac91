"""Changes and reads the times when deliveries are due."""

from evtool.store.store import Store


def repair_due_times(store: Store, *, now: int, max_lease: int, max_pause: int) -> None:
    """Makes deliveries due that would be due earlier if the clock had not been set back.

    These are leases longer than `max_lease` ms, pauses longer than `max_pause` ms, and ready deliveries without an
    attempt that counts: nothing but the clock can have put them off.
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
    """Makes deliveries due that wait for their handler: it may be back, and looking for it uses no attempt.

    With `include_failed` also failed deliveries that wait for their next attempt.
    """
    states = "('waiting')"
    if include_failed:
        states = "('waiting', 'ready')"
    with store.transaction():
        store.execute(f"UPDATE delivery SET due = ?1 WHERE state IN {states} AND due IS NOT NULL AND due > ?1", now)


def next_due(store: Store, state: str) -> tuple[int, int]:
    """Counts the deliveries in a state, and returns also the time in ms when the first is due (0 for none)."""
    rows = store.execute("SELECT count(*), min(due) FROM delivery WHERE due IS NOT NULL AND state = ?", state)
    count, first = rows[0]
    return count, first or 0
