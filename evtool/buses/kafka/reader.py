"""Reads the messages of topics up to the end that they have at the start, without joining a group or writing."""

import time
from collections.abc import Generator
from typing import Any

from evtool.buses.base import ALWAYS, Message, TimeRange
from evtool.buses.kafka.client import ClientErrors, clean_reason, import_library, open_consumer, read_partitions
from evtool.buses.kafka.connection import KafkaConnection
from evtool.buses.kafka.messages import convert_message
from evtool.errors import UsageError

# Messages. Reading them one by one takes two to three times as long.
BATCH = 500
# Seconds for a batch. A signal is noticed after this time at the latest.
WAIT = 0.5
# Seconds without an answer until reading ends with an error.
STALL = 60.0
# Seconds.
REQUEST_TIMEOUT = 30.0
_REFUSALS = ("TOPIC_AUTHORIZATION_FAILED", "UNKNOWN_TOPIC_OR_PART", "_UNKNOWN_TOPIC", "_UNKNOWN_PARTITION")

Partition = tuple[str, int]


def read_messages(
    connection: KafkaConnection, times: TimeRange = ALWAYS, topics: tuple[str, ...] | None = None
) -> Generator[list[Message]]:
    """Yields the messages of topics in batches, in order within a partition: those written before the start of reading.

    Raises UsageError if the cluster or a topic cannot be used, or if it stops answering.
    """
    errors = ClientErrors(connection)
    consumer = open_consumer(connection, errors, enable_partition_eof=True)
    try:
        partitions = read_partitions(consumer, connection, errors, topics or connection.topics)
        reading = _Reading(connection, consumer, partitions, times)
        last_answer = time.monotonic()
        while reading.is_unfinished:
            batch = consumer.consume(BATCH, WAIT)
            errors.check()
            messages = reading.take(batch)
            if messages:
                yield messages
            if batch:
                last_answer = time.monotonic()
            elif time.monotonic() - last_answer > STALL:
                raise UsageError(f"{connection.name}: no answer for {STALL:.0f} s: {errors.describe()}")
    finally:
        consumer.close()


class _Reading:
    """The partitions that are read, each up to its end."""

    def __init__(self, connection: KafkaConnection, consumer: Any, partitions: dict[str, int], times: TimeRange):
        """Assigns the partitions to the consumer, at the first message of the range of times."""
        self._library = import_library()
        self._connection, self._consumer, self._times = connection, consumer, times
        # The offset after the last message that is read.
        self._ends: dict[Partition, int] = {}
        try:
            starts = self._find_starts(partitions)
        except self._library.KafkaException as error:
            reason = clean_reason(error.args[0])
            raise UsageError(f"{connection.name}: the offsets cannot be read: {reason}") from None
        self._open = {(start.topic, start.partition) for start in starts}
        consumer.assign(starts)

    @property
    def is_unfinished(self) -> bool:
        """Whether the end of a partition is not reached."""
        return bool(self._open)

    def take(self, batch: list[Any]) -> list[Message]:
        """Returns the messages of a batch that are in the range and before the end."""
        messages = []
        is_always = self._times == ALWAYS
        for record in batch:
            if record.error():
                self._handle_error(record)
                continue
            message = convert_message(record)
            partition = (message.topic, message.partition)
            end = self._ends[partition]
            if message.offset >= end - 1:
                self._finish(partition)
            if message.offset < end and (is_always or self._times.includes(message.timestamp)):
                messages.append(message)
        return messages

    def _find_starts(self, partitions: dict[str, int]) -> list[Any]:
        """Notes the end of each partition. Where reading starts in those that have messages to read."""
        starts = []
        for topic, count in partitions.items():
            for number in range(count):
                partition = self._library.TopicPartition(topic, number)
                low, high = self._consumer.get_watermark_offsets(partition, timeout=REQUEST_TIMEOUT)
                self._ends[(topic, number)] = high
                if low < high:
                    starts.append(self._library.TopicPartition(topic, number, low))
        if self._times.since is None or not starts:
            return starts
        for start in starts:
            # This request has the time in place of the offset.
            start.offset = self._times.since
        found: list[Any] = self._consumer.offsets_for_times(starts, timeout=REQUEST_TIMEOUT)
        # Without such an offset, no message is as late as that.
        return [start for start in found if start.offset >= 0]

    def _handle_error(self, record: Any) -> None:
        error = record.error()
        if error.name() == "_PARTITION_EOF":
            self._finish((record.topic(), record.partition()))
        elif error.name() in _REFUSALS:
            raise UsageError(f"{self._connection.name}: reading stopped: {clean_reason(error)}")

    def _finish(self, partition: Partition) -> None:
        """Fetches nothing more of a partition whose end is reached."""
        if partition in self._open:
            self._open.discard(partition)
            self._consumer.pause([self._library.TopicPartition(*partition)])
