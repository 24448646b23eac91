"""Turns what a handler emitted into events whose ids follow from their cause."""

import json
import uuid

from evtool.events.envelopes import envelope, identify
from evtool.events.event import Event
from evtool.events.timestamps import rfc3339, timestamp_of
from evtool.handlers.base import Emitted
from evtool.readers.files import MAX_BYTES
from evtool.readers.json_text import parse
from evtool.schemas.validation import Rules
from evtool.store.queue import Claim

EMITTED_IDS = uuid.UUID("7f0b5b0e-6a0c-4c55-9d43-0d1f9a3c2e11")  # the name space of the ids of emitted events
SHOWN = 200  # characters of a type that a message shows


def event_of(emitted: Emitted, number: int, claim: Claim, rules: Rules, now: int) -> Event | str:
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
            time=rfc3339(now) if emitted.time is None else timestamp_of(emitted.time),
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
