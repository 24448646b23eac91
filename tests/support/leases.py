"""Claims and settles deliveries, for tests that need deliveries in every state without calling handlers."""

from evtool.store.queue import Chains, DeliveryUpdate, claim, find_lanes, settle
from evtool.store.rows import Attempt, Delivery
from evtool.store.store import Store

OUTCOMES = {"done": "done", "dead": "failed", "ready": "failed"}


def claimed(
    store: Store,
    *,
    now: int,
    owner: str = "me",
    lease: int = 1000,
    begun: int | None = None,
    root: int | None = None,
    most: int = 1,
    last: int = 185,
) -> list[Delivery]:
    """Leases up to `most` deliveries of the first lane with a due delivery, and returns them."""
    begun, chains = now if begun is None else begun, Chains([root]) if root else None
    with store.transaction():
        for lane in find_lanes(store, chains, run_start=begun):
            if lane.due <= now:
                options = {"now": now, "run_start": begun, "lease_ms": lease, "limit": most, "max_attempts": last}
                return [candidate.delivery for candidate in claim(store, lane, owner=owner, **options)]
    return []


def ended(
    store: Store,
    delivery: Delivery,
    state: str,
    *,
    due: int | None = None,
    error: str | None = None,
    condition: str | None = None,
) -> bool:
    """Settles a delivery. Returns False if its lease was lost. A delivery that waits has no attempt."""
    made = state in OUTCOMES
    if state == "dead":
        error, condition = error or "broken", condition or "MaximumRetryAttempts"
    attempt = Attempt(delivery.attempts, 0, 5, OUTCOMES[state], error, None) if made else None
    return bool(settle(store, [DeliveryUpdate(delivery, state, due, error, condition, attempt)]))
