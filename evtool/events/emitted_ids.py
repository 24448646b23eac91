"""Derives the ids of deliveries and of emitted events from their cause, so that a repeated attempt has the same ids.

attempt 1    the handler emits payment.authorized with the id 5f2c...; then evtool is killed
attempt 2    the handler emits it again, with the same id: the store keeps it once
"""

import json
import uuid
from typing import NamedTuple

# The name spaces of the two kinds of ids (RFC 9562, UUID version 5). Changing one changes all ids, and an event that
# was emitted before would be emitted again.
DELIVERY_IDS = uuid.UUID("b1c7b8d2-3d0e-4a7e-8c57-52f1d3c0a6e4")
EMITTED_IDS = uuid.UUID("7f0b5b0e-6a0c-4c55-9d43-0d1f9a3c2e11")


class Cause(NamedTuple):
    """The event that a handler received, identified by source and id, and the delivery of the event."""

    source: str
    id: str
    route: str
    handler: str
    replay: str = ""
    bus: str = ""


def derive_emitted_id(cause: Cause, number: int) -> str:
    """Returns the id of an emitted event. `number` is its position, from 0, among the events of the delivery."""
    key = [cause.source, cause.id, cause.route, cause.handler, cause.replay, number]
    return str(uuid.uuid5(EMITTED_IDS, json.dumps(key)))


def derive_delivery_id(cause: Cause) -> str:
    """Returns the id of a delivery. It is the same in all attempts, so that a receiver can recognize a repeated one."""
    key = [cause.source, cause.id, cause.route, cause.handler, cause.replay]
    return f"msg_{uuid.uuid5(DELIVERY_IDS, json.dumps(key)).hex}"
