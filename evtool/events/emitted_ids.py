"""Derives the ids of emitted events from their cause, so that a repeated attempt emits the same events."""

import json
import uuid

EMITTED_IDS = uuid.UUID("7f0b5b0e-6a0c-4c55-9d43-0d1f9a3c2e11")  # the name space of the ids of emitted events


def derive_emitted_id(source: str, event_id: str, *, route: str, handler: str, replay: str, number: int) -> str:
    """The id of an emitted event: from the source and id of the event that the handler got, and its place from 0."""
    return str(uuid.uuid5(EMITTED_IDS, json.dumps([source, event_id, route, handler, replay, number])))
