"""Builds events from what a handler emitted; their ids are derived from the delivery that emitted them."""

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

TYPE_LIMIT = 200  # characters of a type that a message shows


def build_event(emitted: Emitted, number: int, cause: Cause, rules: Rules, now: int) -> Event | str:
    """The event that a handler told, or why it cannot enter: that is the handler's mistake, and trying again would only
    repeat its work. The id is derived from the cause: the same delivery tells the same event."""
    shown_type = emitted.type[:TYPE_LIMIT]
    event_id, replay = derive_emitted_id(cause, number), cause.replay or None
    try:
        raw = build_envelope(
            emitted.detail,
            type=emitted.type,
            source=emitted.source or cause.handler,
            id=event_id,
            time=format_timestamp(now) if emitted.time is None else normalize_time(emitted.time),
            resources=emitted.resources,
            replay=replay,
        )
        if emitted.envelope is not None:
            raw = _keep_envelope(emitted.envelope, raw, event_id, replay)
        parse_json(raw)  # no deeper than any other event
        event = parse_event(raw)._replace(bus=emitted.bus or cause.bus or None)
    except (ValueError, RecursionError) as error:
        return f"emitted {shown_type}, which is no event: {error}"
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
    """An envelope as it is written, with an id of evtool. A CloudEvent stays one, that of EventBridge is completed."""
    members = json.loads(default)
    if is_cloudevent(envelope):
        members = {"source": members["source"]}
    if is_cloudevent(envelope) and replay:
        mark = {"replayname": replay}
    else:
        mark = {}
    return json.dumps({**members, **envelope, **mark, "id": event_id}, ensure_ascii=False).encode()
