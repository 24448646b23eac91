"""Encodes events as messages of a bus: the document byte for byte as value, and the key at a path into it."""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from evtool.buses.base import Header
from evtool.buses.cloudevents_binding import CONTENT_TYPE, STRUCTURED
from evtool.buses.decoding import EVENT_BUS_HEADER
from evtool.events.buses import DEFAULT_BUS
from evtool.events.event import Event
from evtool.readers.field_paths import Steps

_JSON = (CONTENT_TYPE, b"application/json")
_CLOUDEVENT = (CONTENT_TYPE, f"{STRUCTURED}; charset=UTF-8".encode())


class Content(NamedTuple):
    """The content of a message that is to be sent."""

    key: bytes | None
    value: bytes | None
    headers: Sequence[Header]


def encode_event(event: Event, key_path: Steps | None) -> Content:
    """Returns the content of the message of an event. The client adds the time at which it sends the message."""
    headers: list[Header] = [_JSON]
    if "specversion" in event.document:
        headers = [_CLOUDEVENT]
    if event.bus and event.bus != DEFAULT_BUS:
        headers.append((EVENT_BUS_HEADER, event.bus.encode()))
    key = None
    if key_path is not None:
        key = read_key(event.document, key_path)
    return Content(key, event.raw, headers)


def read_key(document: Any, path: Steps) -> bytes | None:
    """Returns the value at a path as a key: a string as it is, other values as JSON; None without a value."""
    value = document
    for step in path:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            return None
    if value is None:
        return None
    if isinstance(value, str):
        return value.encode()
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
