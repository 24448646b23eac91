"""Sends messages to Kafka and counts their delivery reports: only a report says that a message was written."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

from evtool.buses.base import Failure
from evtool.buses.encoding import Content
from evtool.buses.kafka.client import ClientErrors, clean_reason, import_library, open_producer
from evtool.buses.kafka.connection import KafkaConnection

if TYPE_CHECKING:
    import confluent_kafka

# Seconds until a message that cannot be written is reported as failed.
DELIVERY_TIMEOUT = 120.0
# Seconds to wait for room in the client's queue.
_FULL_WAIT = 0.1
# of messages that are refused each time: all others may be taken the next time
_FINAL_FAILURES = (
    "MSG_SIZE_TOO_LARGE",
    "INVALID_RECORD",
    "INVALID_MSG",
    "TOPIC_AUTHORIZATION_FAILED",
    "POLICY_VIOLATION",
)
Report = Callable[[Failure | None], None]


class Producer:
    """A producer whose messages are each reported once: with None if all replicas have it, else with the reason.

    A message that was reported as failed may have been written nevertheless. Close it, or use it in `with`.
    """

    def __init__(
        self,
        connection: KafkaConnection,
        *,
        delivery_timeout: float = DELIVERY_TIMEOUT,
        message_limit: int | None = None,
    ):
        """`delivery_timeout` is in seconds; `message_limit` are the most bytes that the topic takes, if known."""
        self._library = import_library()
        self.errors = ClientErrors(connection)
        self._client = open_producer(connection, self.errors, delivery_timeout, message_limit)
        # The number of messages without a report.
        self.pending = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def send(self, topic: str, content: Content, report: Report) -> None:
        """Queues a message. `report` is called in `poll`, `flush`, or here if the client refuses the message."""

        def on_delivery(error: "confluent_kafka.KafkaError | None", _message: Any) -> None:
            self.pending -= 1
            failure = None
            if error is not None:
                failure = describe_failure(error)
            report(failure)

        headers: Any = list(content.headers)
        while True:
            try:
                self._client.produce(topic, content.value, content.key, headers=headers, on_delivery=on_delivery)
            # The queue of the client is full.
            except BufferError:
                self._client.poll(_FULL_WAIT)
                self.errors.check()
                continue
            except self._library.KafkaException as error:
                report(describe_failure(error.args[0]))
                return
            self.pending += 1
            return

    def poll(self, seconds: float = 0.0) -> None:
        """Calls the reports that have come in; waits for the first one up to some seconds. Raises UsageError."""
        self._client.poll(seconds)
        self.errors.check()

    def flush(self, seconds: float | None = None) -> int:
        """Waits until every message has its report, or for some seconds. Returns how many are without one."""
        end = None
        if seconds is not None:
            end = time.monotonic() + seconds
        while self.pending and (end is None or time.monotonic() < end):
            self.poll(_FULL_WAIT)
        return self.pending

    def close(self) -> None:
        """Drops what has no report yet."""
        if self.pending:
            self._client.purge()
            self._client.poll(0)


def describe_failure(error: "confluent_kafka.KafkaError") -> Failure:
    """Returns why a message was not written, and what to do."""
    reason = clean_reason(error)
    if error.name() == "MSG_SIZE_TOO_LARGE":
        reason = "the message is too large for the topic (max.message.bytes)"
    elif error.name() == "_MSG_TIMED_OUT":
        reason = f"not confirmed in time, so it may have been written or not ({reason})"
    elif error.name() == "TOPIC_AUTHORIZATION_FAILED":
        reason = "the user may not write to this topic"
    return Failure(reason, is_final=error.name() in _FINAL_FAILURES)
