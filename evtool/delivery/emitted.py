"""Builds events from what a handler emitted; their ids are derived from the delivery that emitted them."""

import json
import uuid

from evtool.events.envelopes import build_envelope, parse_event
from evtool.events.event import Event
from evtool.events.timestamps import format_timestamp, normalize_time
from evtool.handlers.base import Emitted
from evtool.readers.files import MAX_BYTES
from evtool.readers.json_text import parse_json
from evtool.schemas.validation import Rules
from evtool.store.queue import Claim

EMITTED_IDS = uuid.UUID("7f0b5b0e-6a0c-4c55-9d43-0d1f9a3c2e11")  # the name space of the ids of emitted events
TYPE_LIMIT = 200  # characters of a type that a message shows


def build_event(emitted: Emitted, number: int, claim: Claim, rules: Rules, now: int) -> Event | str:
    """The event that a handler told, or why it cannot enter: that is the handler's mistake, and trying again would only
    repeat its work. The id is derived from the cause: the same delivery tells the same event."""
    delivery, cause = claim
    shown_type = emitted.type[:TYPE_LIMIT]
    id_source = json.dumps([cause.source, cause.id, delivery.route, delivery.handler, delivery.replay, number])
    try:
        raw = build_envelope(
            emitted.detail,
            type=emitted.type,
            source=emitted.source or delivery.handler,
            id=str(uuid.uuid5(EMITTED_IDS, id_source)),
            time=format_timestamp(now) if emitted.time is None else normalize_time(emitted.time),
            resources=emitted.resources,
            replay=delivery.replay or None,
        )
        parse_json(raw)  # no deeper than any other event
        event = parse_event(raw)._replace(bus=emitted.bus or cause.bus)
    except (ValueError, RecursionError) as error:
        return f"emitted {shown_type}, which is no event: {error}"
    if len(raw) > MAX_BYTES:
        return f"emitted {shown_type}, which is too long: {len(raw)} bytes; {MAX_BYTES} are allowed"
    errors = [finding for finding in rules.check(event) if finding.severity == "error"]
    if not errors:
        return event
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return f"emitted {shown_type}, which is not valid: {errors[0].code} {errors[0].message}{more}"
