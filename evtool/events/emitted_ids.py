"""Derives the ids of emitted events from their cause, so that a repeated attempt emits the same events."""

import json
import uuid
from typing import NamedTuple

EMITTED_IDS = uuid.UUID("7f0b5b0e-6a0c-4c55-9d43-0d1f9a3c2e11")  # the name space of the ids of emitted events


class Cause(NamedTuple):
    """The event that a handler got, identified by source and id, and the delivery that brought it."""

    source: str
    id: str
    route: str
    handler: str
    replay: str = ""
    bus: str = ""


def derive_emitted_id(cause: Cause, number: int) -> str:
    """The id of an emitted event: from its cause, and its place from 0 among those of the delivery."""
    key = [cause.source, cause.id, cause.route, cause.handler, cause.replay, number]
    return str(uuid.uuid5(EMITTED_IDS, json.dumps(key)))
