"""Computes the call that a delivery needs, and from its outcome the new state and the emitted events."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from evtool.delivery.retry import GiveUp, delay_after_failure, delay_while_unavailable, last_attempt
from evtool.delivery.runtime import Environment
from evtool.events.emitted_ids import Cause, derive_emitted_id
from evtool.events.envelopes import build_envelope, mark_replayed, parse_event
from evtool.events.event import Event
from evtool.events.input_transformer import transform_event
from evtool.events.members import is_cloudevent
from evtool.events.timestamps import format_timestamp, normalize_time
from evtool.handlers.base import Answer, Call, Done, Emitted, Failed, Outcome, Unavailable
from evtool.readers.files import MAX_BYTES
from evtool.readers.json_text import parse_json
from evtool.routes.models import Retry
from evtool.routes.routes import Routes
from evtool.schemas.validation import Rules
from evtool.store.queue import Claim, DeliveryUpdate
from evtool.store.rows import Attempt, Delivery

# How many characters of a type a message shows.
TYPE_LIMIT = 200
INTERRUPTED = "evtool was stopped during the call"
UNFINISHED = "no attempt finished"


class AttemptResult(NamedTuple):
    """The result of an attempt: the new state of the delivery, and the events that the handler emitted."""

    update: DeliveryUpdate
    events: tuple[Event, ...] = ()


def policy_of(route: str, routes: Routes) -> Retry:
    """Returns the retry policy of a route; the default policy if the route is no longer in routes.yaml."""
    if route in routes.routes:
        return routes.routes[route].retry
    return Retry()


def prepare_call(claim: Claim, routes: Routes) -> Call | Answer:
    """Returns the call that a delivery needs, or its answer if no call is needed."""
    (delivery, stored), raw = claim, claim.event.raw
    if is_exhausted(delivery, policy_of(delivery.route, routes)):
        return Answer(None)
    if delivery.handler not in routes.handlers:
        return Answer(Unavailable(f"there is no handler {delivery.handler} in routes.yaml"))
    route = routes.routes.get(delivery.route)
    # The route may have had an input, which is no longer known: a call with the whole event could be wrong.
    if not route:
        return Answer(Unavailable(f"there is no route {delivery.route} in routes.yaml"))
    if delivery.replay:
        raw = mark_replayed(raw, parse_event(raw).document, delivery.replay)
    if route.input:
        try:
            raw = transform_event(route.input, parse_event(raw), route=route.name, received=stored.stored_at)
        except ValueError as reason:
            return Answer(Failed(f"the input cannot be built: {reason}", final=True))
    return Call(
        raw,
        stored.id,
        stored.type,
        delivery.route,
        delivery.attempts,
        delivery.seq,
        stored.source,
        delivery.replay,
    )


def result_of(claim: Claim, answer: Answer, policy: Retry, environment: Environment) -> AttemptResult:
    """Computes the new state of a delivery from the answer to its call, by the retry policy of its route."""
    delivery, outcome, now = claim.delivery, _escape_outcome(answer.outcome), environment.now()
    if outcome is None:
        return AttemptResult(released(claim, now))
    age = (now - delivery.created) / 1000
    delay: float | GiveUp | None = None
    if isinstance(outcome, Unavailable):
        delay = delay_while_unavailable(policy, age=age)
        if not isinstance(delay, GiveUp):
            return AttemptResult(DeliveryUpdate(delivery, "waiting", now + round(delay * 1000), outcome.reason))
        # The delivery is given up because of its age. Its attempts do not matter.
        outcome = Failed(outcome.reason)
    duration = round(answer.seconds * 1000)
    if isinstance(outcome, Done):
        events = _build_events(claim, outcome, environment, now)
        if not isinstance(events, str):
            attempt = Attempt(delivery.attempts, now, duration, "done", None, outcome.output or None)
            return AttemptResult(DeliveryUpdate(delivery, "done", None, attempt=attempt), events)
        outcome = Failed(events, "bad-result", outcome.output, final=True)
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


def _build_events(claim: Claim, outcome: Done, environment: Environment, now: int) -> tuple[Event, ...] | str:
    """Builds the events that a handler emitted; returns the message for the first one that is not valid."""
    delivery, event = claim
    cause = Cause(event.source, event.id, delivery.route, delivery.handler, delivery.replay, event.bus)
    events = []
    for number, emitted in enumerate(outcome.emitted):
        built = build_event(emitted, number, cause, environment.rules, now)
        if isinstance(built, str):
            return built
        events.append(built)
    return tuple(events)


def is_exhausted(delivery: Delivery, policy: Retry) -> bool:
    """Whether this attempt would be one too many: earlier ones did not finish, or the policy has changed since."""
    return delivery.attempts - delivery.forgiven > last_attempt(policy)


def given_up(claim: Claim, attempts: Sequence[Attempt]) -> DeliveryUpdate:
    """The update that gives a delivery up without another attempt. Its error is that of the last finished attempt."""
    error: str | None = UNFINISHED
    for attempt in attempts:
        if attempt.outcome not in (None, "interrupted"):
            error = attempt.error
    return DeliveryUpdate(claim.delivery, "dead", None, error, "MaximumRetryAttempts")


def released(claim: Claim, now: int) -> DeliveryUpdate:
    """The update for a delivery whose handler was not called: it is due again, and no attempt was made."""
    return DeliveryUpdate(claim.delivery, "ready", now, claim.delivery.error)


def interrupted(claim: Claim, now: int) -> DeliveryUpdate:
    """The update for a delivery whose call evtool interrupted: it is due again, and no limit counts the attempt."""
    attempt = Attempt(claim.delivery.attempts, now, None, "interrupted", INTERRUPTED, None)
    return DeliveryUpdate(claim.delivery, "ready", now, INTERRUPTED, attempt=attempt, forgiven=True)


def _escape_outcome(outcome: Outcome | None) -> Outcome | None:
    """Returns the outcome in a form that the store can write."""
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
    """Escapes lone surrogates, which UTF-8 cannot encode. Names of files on Linux may contain them."""
    return text.encode(errors="backslashreplace").decode()


def build_event(emitted: Emitted, number: int, cause: Cause, rules: Rules, now: int) -> Event | str:
    """Builds the event number `number` of a delivery; returns a message if it is not valid.

    An invalid event is a mistake of the handler, so the attempt fails and is not repeated. The id is derived from the
    cause: a second attempt at the same delivery emits events with the same ids, which the store recognises.
    """
    shown_type = emitted.type[:TYPE_LIMIT]
    event_id, replay = derive_emitted_id(cause, number), cause.replay or None
    try:
        if emitted.time is None:
            time = format_timestamp(now)
        else:
            time = normalize_time(emitted.time)
        raw = build_envelope(
            emitted.detail,
            type=emitted.type,
            source=emitted.source or cause.handler,
            id=event_id,
            time=time,
            resources=emitted.resources,
            replay=replay,
        )
        if emitted.envelope is not None:
            raw = _keep_envelope(emitted.envelope, raw, event_id, replay)
        # An emitted event has the limits of every other event, such as the depth of its JSON.
        parse_json(raw)
        event = parse_event(raw)._replace(bus=emitted.bus or cause.bus or None)
    except (ValueError, RecursionError) as error:
        return f"emitted {shown_type}, which is not a valid event: {error}"
    if len(raw) > MAX_BYTES:
        return f"emitted {shown_type}, which is too long: {len(raw)} bytes; {MAX_BYTES} are allowed"
    errors = [finding for finding in rules.check(event) if finding.severity == "error"]
    if not errors:
        return event
    more = ""
    if len(errors) > 1:
        more = f" (and {len(errors) - 1} more)"
    return f"emitted {shown_type}, which is not valid: {errors[0].code} {errors[0].message}{more}"


def _keep_envelope(envelope: Mapping[str, Any], default: bytes, event_id: str, replay: str | None) -> bytes:
    """Returns the envelope that a handler wrote, with evtool's id.

    A CloudEvent stays one. Members that an EventBridge envelope lacks are taken from the default envelope.
    """
    default_members = json.loads(default)
    if not is_cloudevent(envelope):
        members = default_members | dict(envelope)
    else:
        members = {"source": default_members["source"]} | dict(envelope)
        if replay:
            members["replayname"] = replay
    members["id"] = event_id
    return json.dumps(members, ensure_ascii=False).encode()
