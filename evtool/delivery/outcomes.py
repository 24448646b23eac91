"""Computes the call that a delivery needs, and from its outcome the new state of the delivery, with what it emitted."""

from collections.abc import Sequence
from typing import NamedTuple

from evtool.delivery.emitted import build_event
from evtool.delivery.retry import GiveUp, delay_after_failure, delay_while_unavailable, last_attempt
from evtool.delivery.runtime import Environment
from evtool.events.emitted_ids import Cause
from evtool.events.envelopes import mark_replayed, parse_event
from evtool.events.event import Event
from evtool.events.input_transformer import transform_event
from evtool.handlers.base import Answer, Call, Done, Failed, Outcome, Unavailable
from evtool.routes.models import Retry
from evtool.routes.routes import Routes
from evtool.store.queue import Claim, DeliveryUpdate
from evtool.store.rows import Attempt, Delivery

INTERRUPTED = "evtool was ended meanwhile"
UNFINISHED = "no attempt came to an end"


class AttemptResult(NamedTuple):
    """What comes of an attempt: the end of the delivery's lease, and the events that it emitted."""

    update: DeliveryUpdate
    events: tuple[Event, ...] = ()


def policy_of(route: str, routes: Routes) -> Retry:
    """The retry policy of a route; the default policy if the route is no longer in routes.yaml."""
    if route in routes.routes:
        return routes.routes[route].retry
    return Retry()


def prepare_call(claim: Claim, routes: Routes) -> Call | Answer:
    """The call that a delivery needs, or its answer if no call is needed."""
    (delivery, stored), raw = claim, claim.event.raw
    if is_exhausted(delivery, policy_of(delivery.route, routes)):
        return Answer(None)
    if delivery.handler not in routes.handlers:
        return Answer(Unavailable(f"there is no handler {delivery.handler} in routes.yaml"))
    route = routes.routes.get(delivery.route)
    if not route:  # it may have had an input
        return Answer(Unavailable(f"there is no route {delivery.route} in routes.yaml"))
    if delivery.replay:
        raw = mark_replayed(raw, parse_event(raw).document, delivery.replay)
    if route.input:
        try:
            raw = transform_event(route.input, parse_event(raw), route=route.name, received=stored.stored_at)
        except ValueError as reason:
            return Answer(Failed(f"the input cannot be made: {reason}", final=True))
    attempt = (delivery.route, delivery.attempts, delivery.seq)
    return Call(raw, stored.id, stored.type, *attempt, stored.source, delivery.replay)


def result_of(claim: Claim, answer: Answer, policy: Retry, environment: Environment) -> AttemptResult:
    """What an answer makes of a delivery, by the retry policy of its route."""
    delivery, outcome, now = claim.delivery, _escape_outcome(answer.outcome), environment.now()
    if outcome is None:
        return AttemptResult(released(claim, now))
    age = (now - delivery.created) / 1000
    delay: float | GiveUp | None = None
    if isinstance(outcome, Unavailable):
        delay = delay_while_unavailable(policy, age=age)
        if not isinstance(delay, GiveUp):
            return AttemptResult(DeliveryUpdate(delivery, "waiting", now + round(delay * 1000), outcome.reason))
        outcome = Failed(outcome.reason)  # and given up for its age, however many attempts there were
    duration = round(answer.seconds * 1000)
    if isinstance(outcome, Done):
        event = claim.event
        cause = Cause(event.source, event.id, delivery.route, delivery.handler, delivery.replay, event.bus)
        events = [
            build_event(emitted, number, cause, environment.rules, now)
            for number, emitted in enumerate(outcome.emitted)
        ]
        error = next((event for event in events if isinstance(event, str)), None)
        if error is None:
            attempt = Attempt(delivery.attempts, now, duration, "done", None, outcome.output or None)
            valid_events = tuple(event for event in events if isinstance(event, Event))
            return AttemptResult(DeliveryUpdate(delivery, "done", None, attempt=attempt), valid_events)
        outcome = Failed(error, "bad-result", outcome.output, final=True)
    attempt = Attempt(
        delivery.attempts, now, duration, outcome.outcome, outcome.error, outcome.output or None, outcome.code
    )
    attempts = delivery.attempts - delivery.forgiven
    delay = delay or delay_after_failure(
        policy,
        attempts=attempts,
        age=age,
        final=outcome.final,
        random=environment.random,
        retry_after=outcome.retry_after,
    )
    if isinstance(delay, GiveUp):
        return AttemptResult(DeliveryUpdate(delivery, "dead", None, outcome.error, delay.condition, attempt))
    return AttemptResult(DeliveryUpdate(delivery, "ready", now + round(delay * 1000), outcome.error, attempt=attempt))


def is_exhausted(delivery: Delivery, policy: Retry) -> bool:
    """Whether this would be an attempt too many: those before had no end, or the policy has changed since."""
    return delivery.attempts - delivery.forgiven > last_attempt(policy)


def given_up(claim: Claim, attempts: Sequence[Attempt]) -> DeliveryUpdate:
    """The end of a delivery that gets no further attempt: its error is that of the last attempt that had an end."""
    errors = [attempt.error for attempt in attempts if attempt.outcome not in (None, "interrupted")]
    return DeliveryUpdate(claim.delivery, "dead", None, [UNFINISHED, *errors][-1], "MaximumRetryAttempts")


def released(claim: Claim, now: int) -> DeliveryUpdate:
    """The end of the lease of a delivery whose handler was not called: it is due, and no attempt was made."""
    return DeliveryUpdate(claim.delivery, "ready", now, claim.delivery.error)


def interrupted(claim: Claim, now: int) -> DeliveryUpdate:
    """The end of the lease of a delivery whose call was ended by us: it is due, and the attempt counts for no limit."""
    attempt = Attempt(claim.delivery.attempts, now, None, "interrupted", INTERRUPTED, None)
    return DeliveryUpdate(claim.delivery, "ready", now, INTERRUPTED, attempt=attempt, forgiven=True)


def _escape_outcome(outcome: Outcome | None) -> Outcome | None:
    """The outcome as it can be written down."""
    if isinstance(outcome, Unavailable):
        return Unavailable(_escape_surrogates(outcome.reason), outcome.code)
    if isinstance(outcome, Failed):
        return outcome._replace(
            error=_escape_surrogates(outcome.error),
            output=_escape_surrogates(outcome.output),
            code=outcome.code and _escape_surrogates(outcome.code),
        )
    return outcome


def _escape_surrogates(text: str) -> str:
    """A text without halves of surrogate pairs, which no store and no report can write: names of files have them."""
    return text.encode(errors="backslashreplace").decode()
