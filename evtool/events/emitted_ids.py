"""Derives the ids of deliveries and of what they emit from their cause, so that a repeated attempt has the same ids."""

import json
import uuid
from typing import NamedTuple

DELIVERY_IDS = uuid.UUID("b1c7b8d2-3d0e-4a7e-8c57-52f1d3c0a6e4")  # the name space of the ids of deliveries
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


def derive_delivery_id(cause: Cause) -> str:
    """The id of a delivery, the same in all its attempts, by which a receiver recognizes what it has handled."""
    key = [cause.source, cause.id, cause.route, cause.handler, cause.replay]
    return f"msg_{uuid.uuid5(DELIVERY_IDS, json.dumps(key)).hex}"
