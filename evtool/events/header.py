"""Decodes the header of a stored event without its payload, much faster than the whole event."""

from typing import Any, TypedDict

import msgspec

# The members that messages show, and those that decide how a replay marks the event. Other members are skipped.
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
