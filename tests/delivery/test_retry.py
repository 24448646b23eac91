"""When a failed delivery is tried again."""

from random import Random

import pytest

from evtool.delivery.retry import GiveUp, delay_after_failure, delay_while_unavailable
from evtool.routes.models import Retry


def pauses(policy: Retry, seed: int) -> tuple[list[float], GiveUp]:
    """Every pause of a delivery that always fails at once, and why it is given up."""
    random, age, found = Random(seed), 0.0, []
    while not isinstance(
        pause := delay_after_failure(policy, attempts=len(found) + 1, age=age, final=False, random=random), GiveUp
    ):
        found.append(pause)
        age += pause
    return found, pause


def test_the_default_limits_are_those_of_eventbridge() -> None:
    """185 attempts, 24 hours; the first pause is a second, the longest 15 minutes."""
    assert Retry() == Retry(max_attempts=185, max_age=86_400.0, first_delay=1.0, max_delay=900.0)


@pytest.mark.parametrize("seed", range(20))
def test_the_default_schedule_ends_at_one_of_its_two_limits(seed: int) -> None:
    """A delivery is given up after 185 attempts or 24 hours, whichever comes first, and not long before."""
    found, why = pauses(Retry(), seed)

    assert len(found) + 1 <= 185
    assert sum(found) <= 86_400
    assert why.condition == ("MaximumRetryAttempts" if len(found) + 1 == 185 else "MaximumEventAgeInSeconds")
    assert sum(found) > 86_400 - 900 or len(found) + 1 == 185


@pytest.mark.parametrize("seed", range(20))
def test_pauses_double_up_to_max_delay_and_half_is_random(seed: int) -> None:
    """Pause n lies between a half and the whole of first_delay * 2^n, and never above max_delay."""
    found, _ = pauses(Retry(max_attempts=12, first_delay=1.0, max_delay=60.0), seed)

    for number, pause in enumerate(found):
        whole = min(60.0, 2.0**number)
        assert whole / 2 <= pause <= whole


class Fixed(Random):
    """Randomness that is always the same share."""

    def __init__(self, share: float):
        super().__init__()
        self.share = share

    def random(self) -> float:
        """The share."""
        return self.share


@pytest.mark.parametrize(("share", "wanted"), [(0.0, 4.0), (0.25, 5.0), (1.0, 8.0)])
def test_half_of_each_pause_is_random(share: float, wanted: float) -> None:
    """The fourth pause of 8 seconds lasts between 4 and 8 seconds."""
    assert delay_after_failure(Retry(), attempts=4, age=0, final=False, random=Fixed(share)) == wanted


def test_an_attempt_at_max_age_is_still_made() -> None:
    """One a moment later is not."""
    policy = Retry(max_age=10.0)

    assert delay_after_failure(policy, attempts=1, age=9.0, final=False, random=Fixed(1.0)) == 1.0
    late = delay_after_failure(policy, attempts=1, age=9.001, final=False, random=Fixed(1.0))
    assert late == GiveUp("MaximumEventAgeInSeconds")


def test_a_single_attempt_is_never_repeated() -> None:
    """With max_attempts 1 the first failure is the last."""
    found, why = pauses(Retry(max_attempts=1), 0)

    assert found == []
    assert why == GiveUp("MaximumRetryAttempts")


def test_a_final_failure_is_not_attempted_again() -> None:
    """The delivery is given up at once under any policy."""
    assert delay_after_failure(Retry(), attempts=1, age=0, final=True, random=Random(0)) == GiveUp("NotRetriable")


def test_pauses_for_an_unavailable_handler_double_until_max_age() -> None:
    """The handler is tried less and less often until the delivery is too old."""
    policy = Retry(max_attempts=1, first_delay=1.0, max_delay=900.0, max_age=86_400.0)

    assert [delay_while_unavailable(policy, age=age) for age in (0, 5, 5_000)] == [1.0, 5, 900.0]
    assert delay_while_unavailable(policy, age=86_400) == GiveUp("MaximumEventAgeInSeconds")
