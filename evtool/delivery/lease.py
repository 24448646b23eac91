"""Computes how long a worker may keep a delivery before another worker takes it over."""

START_WITHIN = 20.0  # seconds after the claim in which a call may begin
# How much longer than the handler's own time limit a lease lasts: a late begin, ending a process that resists, and
# waiting for the store's lock must not let another worker take the delivery over.
LEASE_MARGIN = 40.0 + START_WITHIN
MAX_LEASE = 24 * 3600 * 1000  # ms; a worker with other routes may have longer leases than this one


def lease_of(timeout: float) -> int:
    """The lease of a delivery in milliseconds, for a handler's time limit in seconds."""
    return round((timeout + LEASE_MARGIN) * 1000)
