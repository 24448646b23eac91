"""Decodes the envelope of a stored event without its payload, which is much faster than the whole event."""

from typing import Any, TypedDict

import msgspec

# The members for messages, and those that decide how a replay marks the event. The decoder skips all others.
EventHeader = TypedDict(
    "EventHeader",
    {
        "id": str,
        "time": str | None,
        "type": Any,
        "detail-type": Any,
        "specversion": Any,
        "replay-name": Any,
        "replayname": Any,
    },
    total=False,
)

decode_header = msgspec.json.Decoder(EventHeader).decode


class _Key(msgspec.Struct, rename={"detail_type": "detail-type"}, gc=False):
    source: str
    type: str | msgspec.UnsetType = msgspec.UNSET
    detail_type: str | msgspec.UnsetType = msgspec.UNSET
    specversion: Any = msgspec.UNSET


_decode_key = msgspec.json.Decoder(_Key).decode


def read_key(raw: bytes) -> tuple[str, str, str] | None:
    """The payload key, the type and the source of a stored event; None if only the whole event can tell them."""
    try:
        key = _decode_key(raw)
    except (msgspec.MsgspecError, UnicodeError):
        return None
    payload_key, event_type = "data", key.type
    if key.specversion is msgspec.UNSET:
        payload_key, event_type = "detail", key.detail_type
    if isinstance(event_type, str):
        return payload_key, event_type, key.source
    return None
