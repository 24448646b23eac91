"""Builds the events that a handler emits. Their ids are derived from the delivery that emits them."""

import json
from collections.abc import Mapping
from typing import Any

from evtool.events.emitted_ids import Cause, derive_emitted_id
from evtool.events.envelopes import build_envelope, parse_event
from evtool.events.event import Event
from evtool.events.members import is_cloudevent
from evtool.events.timestamps import format_timestamp, normalize_time
from evtool.handlers.base import Emitted
from evtool.readers.files import MAX_BYTES
from evtool.readers.json_text import parse_json
from evtool.schemas.validation import Rules

# How many characters of a type a message shows.
TYPE_LIMIT = 200


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
