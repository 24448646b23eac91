"""Outcomes: what an attempt came to decides what becomes of its delivery, and which events enter because of it."""

import json
import uuid
from collections.abc import Callable
from random import Random
from typing import NamedTuple

from evtool.delivery.retry import GiveUp, Retry, after_failure, while_unavailable
from evtool.events.event import Event, envelope, identify, rfc3339, written
from evtool.handlers.base import Answer, Done, Emitted, Failed, Outcome, Unavailable
from evtool.readers.files import MAX_BYTES
from evtool.readers.json_text import parse
from evtool.schemas.validation import Rules
from evtool.store.queue import Claim, Ending
from evtool.store.rows import Attempt

EMITTED_IDS = uuid.UUID("7f0b5b0e-6a0c-4c55-9d43-0d1f9a3c2e11")  # the name space of the ids of emitted events
INTERRUPTED = "evtool was ended meanwhile"
SHOWN = 200  # characters of a type that a message shows


class World(NamedTuple):
    """What delivery needs from outside: the time (ms), randomness, who is working, and what emitted events must be."""

    now: Callable[[], int]
    random: Random
    owner: str
    rules: Rules


class Came(NamedTuple):
    """What comes of an attempt: the end of the delivery's lease, and the events that it emitted."""

    ending: Ending
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
            return Came(Ending(claimed, "waiting", now + round(pause * 1000), outcome.reason))
        outcome = Failed(outcome.reason)  # and given up for its age, however many attempts there were
    duration = round(answer.seconds * 1000)
    if isinstance(outcome, Done):
        events = [_event(emitted, number, claim, world.rules, now) for number, emitted in enumerate(outcome.emitted)]
        wrong = next((event for event in events if isinstance(event, str)), None)
        if wrong is None:
            attempt = Attempt(claimed.attempts, now, duration, "done", None, outcome.output or None)
            entering = tuple(event for event in events if isinstance(event, Event))
            return Came(Ending(claimed, "done", None, attempt=attempt), entering)
        outcome = Failed(wrong, "bad-result", outcome.output, final=True)
    attempt = Attempt(
        claimed.attempts, now, duration, outcome.outcome, outcome.error, outcome.output or None, outcome.code
    )
    used = claimed.attempts - claimed.forgiven
    pause = pause or after_failure(policy, attempts=used, age=age, final=outcome.final, random=world.random)
    if isinstance(pause, GiveUp):
        return Came(Ending(claimed, "dead", None, outcome.error, pause.condition, attempt))
    return Came(Ending(claimed, "ready", now + round(pause * 1000), outcome.error, attempt=attempt))


def given_back(claim: Claim, now: int) -> Ending:
    """The end of the lease of a delivery whose handler was not called: it is due, and no attempt was made."""
    return Ending(claim.delivery, "ready", now, claim.delivery.error)


def interrupted(claim: Claim, now: int) -> Ending:
    """The end of the lease of a delivery whose call was ended by us: it is due, and the attempt counts for no limit."""
    attempt = Attempt(claim.delivery.attempts, now, None, "interrupted", INTERRUPTED, None)
    return Ending(claim.delivery, "ready", now, INTERRUPTED, attempt=attempt, forgiven=True)


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


def _event(emitted: Emitted, number: int, claim: Claim, rules: Rules, now: int) -> Event | str:
    """The event that a handler told, or why it cannot enter: that is the handler's mistake, and trying again would only
    repeat its work. The id is derived from the cause: the same delivery tells the same event."""
    claimed, cause = claim
    named = emitted.type[:SHOWN]
    name = json.dumps([cause.source, cause.id, claimed.route, claimed.handler, claimed.replay, number])
    try:
        raw = envelope(
            emitted.detail,
            type=emitted.type,
            source=emitted.source or claimed.handler,
            id=str(uuid.uuid5(EMITTED_IDS, name)),
            time=rfc3339(now) if emitted.time is None else written(emitted.time),
            resources=emitted.resources,
            replay=claimed.replay or None,
        )
        parse(raw)  # no deeper than any other event
        event = identify(raw)
    except (ValueError, RecursionError) as error:
        return f"emitted {named}, which is no event: {error}"
    if len(raw) > MAX_BYTES:
        return f"emitted {named}, which is too long: {len(raw)} bytes; {MAX_BYTES} are allowed"
    wrong = [finding for finding in rules.check(event) if finding.severity == "error"]
    if not wrong:
        return event
    more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
    return f"emitted {named}, which is not valid: {wrong[0].code} {wrong[0].message}{more}"
