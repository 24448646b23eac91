"""Converts messages of the Kafka library to values and back: keys, headers and nulls stay as they are."""

from typing import Any

from evtool.buses.base import Header, Message
from evtool.buses.encoding import Content

# When a message was written first, in milliseconds since 1970, if it is sent again.
TIME_HEADER = "evtool-kafka-time"
# The library's TIMESTAMP_NOT_AVAILABLE.
_NO_TIME = 0


def convert_message(message: Any) -> Message:
    """Returns a `confluent_kafka.Message` that was read, as a value."""
    kind, timestamp = message.timestamp()
    if kind == _NO_TIME:
        timestamp = None
    return Message(
        message.topic(),
        message.partition(),
        message.offset(),
        timestamp,
        message.key(),
        message.value(),
        message.headers() or (),
    )


def copy_content(message: Message, extra: list[Header]) -> Content:
    """Returns the content of a message that is sent again: its bytes, its headers, its first time and more headers.

    Headers of evtool with the same names are replaced.
    """
    replaced = {name for name, _ in extra}
    headers = [(name, value) for name, value in message.headers if name not in replaced]
    has_time = any(name == TIME_HEADER for name, _ in headers)
    if not has_time and message.timestamp is not None:
        headers.append((TIME_HEADER, str(message.timestamp).encode()))
    return Content(message.key, message.value, headers + extra)
