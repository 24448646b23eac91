"""Decides when a failed delivery is attempted again, from retry policy, attempt, age and randomness."""

from random import Random
from typing import NamedTuple

from evtool.routes.models import Retry

# Unfinished attempts that each delivery may have, whatever its policy: evtool may have been killed before the call.
MIN_ATTEMPTS = 3
# Seconds between two searches for an unavailable handler at least. With 0, a clock that was stopped would hang evtool.
MIN_DELAY = 0.001


class GiveUp(NamedTuple):
    """The decision to give up, with EventBridge's name of the exhausted limit or of the reason."""

    condition: str


def last_attempt(policy: Retry) -> int:
    """Returns the number of the last attempt."""
    return max(policy.max_attempts, MIN_ATTEMPTS)


def delay_after_failure(
    policy: Retry, *, attempts: int, age: float, final: bool, random: Random, retry_after: float = 0.0
) -> float | GiveUp:
    """Returns the seconds until the next attempt, or GiveUp. `age` is that of the delivery, in seconds.

    The pause doubles with each attempt up to `max_delay`. A random part of up to a half is subtracted, so that
    deliveries that failed together are not retried together ("equal jitter"). `retry_after` is the pause in seconds
    that the handler asks for: it may be longer than `max_delay`, but no attempt is later than `max_age`.
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
    """Returns the seconds until an unavailable handler is tried again: as long as the delivery has waited so far."""
    if age >= policy.max_age:
        return GiveUp("MaximumEventAgeInSeconds")
    return max(MIN_DELAY, min(max(age, policy.first_delay), policy.max_delay))
