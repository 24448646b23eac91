"""When a failed delivery is tried again: a pure decision from policy, attempt, age and randomness."""

from random import Random
from typing import NamedTuple

from evtool.routes.models import Retry

SHORTEST = 0.001  # seconds between two looks for a handler: a clock that stands still must not hold evtool


class GiveUp(NamedTuple):
    """No more attempts: the limit that is exhausted, in EventBridge's words, or why none can help."""

    condition: str


def after_failure(policy: Retry, *, attempts: int, age: float, final: bool, random: Random) -> float | GiveUp:
    """Seconds until the next attempt, or GiveUp. `age` is the delivery's, in seconds.

    The pause doubles with each attempt up to `max_delay`, of which a random half is taken away, so that deliveries
    that failed together do not come back together ("equal jitter").
    """
    if final:
        return GiveUp("NotRetriable")
    if attempts >= policy.max_attempts:
        return GiveUp("MaximumRetryAttempts")
    pause = min(policy.max_delay, policy.first_delay * 2.0 ** min(attempts - 1, 60))
    pause = pause / 2 + random.random() * pause / 2
    return GiveUp("MaximumEventAgeInSeconds") if age + pause > policy.max_age else pause


def while_unavailable(policy: Retry, *, age: float) -> float | GiveUp:
    """Seconds until a handler that is not available is looked for again: as long as it has waited already."""
    if age >= policy.max_age:
        return GiveUp("MaximumEventAgeInSeconds")
    return max(SHORTEST, min(max(age, policy.first_delay), policy.max_delay))
