"""Decides when a failed delivery is tried again, from retry policy, attempt, age and randomness."""

from random import Random
from typing import NamedTuple

from evtool.routes.models import Retry

MIN_ATTEMPTS = 3  # attempts without an end that a delivery gets at least: evtool may have ended before the call
MIN_DELAY = 0.001  # seconds between two looks for a handler: a clock that stands still must not hold evtool


class GiveUp(NamedTuple):
    """No more attempts: the limit that is exhausted, in EventBridge's words, or why none can help."""

    condition: str


def last_attempt(policy: Retry) -> int:
    """The last attempt that is made."""
    return max(policy.max_attempts, MIN_ATTEMPTS)


def delay_after_failure(
    policy: Retry, *, attempts: int, age: float, final: bool, random: Random, retry_after: float = 0.0
) -> float | GiveUp:
    """Seconds until the next attempt, or GiveUp. `age` is the delivery's, in seconds.

    The pause doubles with each attempt up to `max_delay`, of which a random half is taken away, so that deliveries
    that failed together do not come back together ("equal jitter"). `retry_after` is the pause that the handler asks
    for: it may be longer than `max_delay`, but the last attempt is not later than `max_age`.
    """
    if final:
        return GiveUp("NotRetriable")
    if attempts >= policy.max_attempts:
        return GiveUp("MaximumRetryAttempts")
    delay = min(policy.max_delay, policy.first_delay * 2.0 ** min(attempts - 1, 60))
    delay = delay / 2 + random.random() * delay / 2
    if age + delay > policy.max_age:
        return GiveUp("MaximumEventAgeInSeconds")
    return max(delay, min(retry_after, policy.max_age - age))


def delay_while_unavailable(policy: Retry, *, age: float) -> float | GiveUp:
    """Seconds until a handler that is not available is looked for again: as long as it has waited already."""
    if age >= policy.max_age:
        return GiveUp("MaximumEventAgeInSeconds")
    return max(MIN_DELAY, min(max(age, policy.first_delay), policy.max_delay))
