"""When a failed delivery is tried again: a pure decision from policy, attempt, age and randomness."""

from random import Random
from typing import Annotated, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from evtool.units import Duration, lasting

SHORTEST = 0.001  # seconds between two looks for a handler: a clock that stands still must not hold evtool


class Retry(BaseModel):
    """The retry policy of a route. The limits are EventBridge's: 185 attempts, 24 hours, whichever comes first."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    max_attempts: Annotated[int, Field(ge=1, le=10_000, description="attempts before a delivery is given up")] = 185
    max_age: Duration = lasting("24h", "age at which a delivery is given up")
    first_delay: Duration = lasting("1s", "pause after the first failure; it doubles from then on")
    max_delay: Duration = lasting("15m", "the longest pause")


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
