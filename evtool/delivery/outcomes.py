"""Outcomes: what an attempt came to decides what becomes of its delivery, and which events enter because of it."""

from collections.abc import Callable
from random import Random
from typing import NamedTuple

from evtool.delivery.emitted import event_of
from evtool.delivery.retry import GiveUp, after_failure, while_unavailable
from evtool.events.event import Event
from evtool.handlers.base import Answer, Done, Failed, Outcome, Unavailable
from evtool.routes.models import Retry
from evtool.schemas.validation import Rules
from evtool.store.queue import Claim, DeliveryUpdate
from evtool.store.rows import Attempt

INTERRUPTED = "evtool was ended meanwhile"


class World(NamedTuple):
    """What delivery needs from outside: the time (ms), randomness, who is working, and what emitted events must be."""

    now: Callable[[], int]
    random: Random
    owner: str
    rules: Rules


class Came(NamedTuple):
    """What comes of an attempt: the end of the delivery's lease, and the events that it emitted."""

    ending: DeliveryUpdate
    events: tuple[Event, ...] = ()


def came_of(claim: Claim, answer: Answer, policy: Retry, world: World) -> Came:
    """What an answer makes of a delivery, by the retry policy of its route."""
    claimed, outcome, now = claim.delivery, _written(answer.outcome), world.now()
    if outcome is None:
        return Came(given_back(claim, now))
    age = (now - claimed.created) / 1000
    pause: float | GiveUp | None = None
    if isinstance(outcome, Unavailable):
        pause = while_unavailable(policy, age=age)
        if not isinstance(pause, GiveUp):
            return Came(DeliveryUpdate(claimed, "waiting", now + round(pause * 1000), outcome.reason))
        outcome = Failed(outcome.reason)  # and given up for its age, however many attempts there were
    duration = round(answer.seconds * 1000)
    if isinstance(outcome, Done):
        events = [event_of(emitted, number, claim, world.rules, now) for number, emitted in enumerate(outcome.emitted)]
        wrong = next((event for event in events if isinstance(event, str)), None)
        if wrong is None:
            attempt = Attempt(claimed.attempts, now, duration, "done", None, outcome.output or None)
            entering = tuple(event for event in events if isinstance(event, Event))
            return Came(DeliveryUpdate(claimed, "done", None, attempt=attempt), entering)
        outcome = Failed(wrong, "bad-result", outcome.output, final=True)
    attempt = Attempt(
        claimed.attempts, now, duration, outcome.outcome, outcome.error, outcome.output or None, outcome.code
    )
    used = claimed.attempts - claimed.forgiven
    pause = pause or after_failure(policy, attempts=used, age=age, final=outcome.final, random=world.random)
    if isinstance(pause, GiveUp):
        return Came(DeliveryUpdate(claimed, "dead", None, outcome.error, pause.condition, attempt))
    return Came(DeliveryUpdate(claimed, "ready", now + round(pause * 1000), outcome.error, attempt=attempt))


def given_back(claim: Claim, now: int) -> DeliveryUpdate:
    """The end of the lease of a delivery whose handler was not called: it is due, and no attempt was made."""
    return DeliveryUpdate(claim.delivery, "ready", now, claim.delivery.error)


def interrupted(claim: Claim, now: int) -> DeliveryUpdate:
    """The end of the lease of a delivery whose call was ended by us: it is due, and the attempt counts for no limit."""
    attempt = Attempt(claim.delivery.attempts, now, None, "interrupted", INTERRUPTED, None)
    return DeliveryUpdate(claim.delivery, "ready", now, INTERRUPTED, attempt=attempt, forgiven=True)


def _written(outcome: Outcome | None) -> Outcome | None:
    """The outcome as it can be written down."""
    if isinstance(outcome, Unavailable):
        return Unavailable(_whole(outcome.reason))
    if isinstance(outcome, Failed):
        return outcome._replace(
            error=_whole(outcome.error), output=_whole(outcome.output), code=outcome.code and _whole(outcome.code)
        )
    return outcome


def _whole(text: str) -> str:
    """A text without halves of surrogate pairs, which no store and no report can write: names of files have them."""
    return text.encode(errors="backslashreplace").decode()
