"""Heads: what the envelope of a stored event says, read without its payload and many times as fast as all of it."""

from typing import Any, TypedDict

import msgspec

Head = TypedDict(  # what is told of an event, and what decides how a replay marks it; other members are passed over
    "Head",
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

head_of = msgspec.json.Decoder(Head).decode
