"""Finds or creates the retry topics and dead topics of a consumer group, and the offsets at which its work ends."""

import time
from collections.abc import Iterable, Mapping
from typing import Any

from evtool.buses.kafka.client import (
    CONNECT_TIMEOUT,
    ClientErrors,
    clean_reason,
    import_library,
    open_admin,
    open_consumer,
    read_partitions,
    request_metadata,
)
from evtool.buses.kafka.connection import KafkaConnection
from evtool.buses.worker.tiers import GroupTopics
from evtool.buses.worker.window import PartitionKey
from evtool.errors import UsageError

# Bytes for the headers of messages in a retry or dead topic.
HEADER_ROOM = 65_536
# Kafka's value for messages that are never deleted.
FOREVER = -1
# Milliseconds.
MIN_RETENTION = 7 * 86_400_000
_SIZE = "max.message.bytes"
# Seconds.
_REQUEST_TIMEOUT = 15.0


def ensure_topics(connection: KafkaConnection, topics: GroupTopics, max_age: float) -> None:
    """Creates the topics of the group that do not exist. `max_age`: seconds after which a delivery is given up.

    Raises UsageError within seconds if the cluster cannot be reached, a topic with events does not exist, or a topic
    of the group cannot be created.
    """
    topics.check_names()
    errors = ClientErrors(connection)
    consumer = open_consumer(connection, errors)
    try:
        partitions = read_partitions(consumer, connection, errors, topics.topics)
        existing = request_metadata(connection, errors, consumer).topics
        missing = topics.find_missing(existing)
        if missing and connection.is_event_hubs:
            raise UsageError(_describe_missing(connection, missing, "Event Hubs does not let a client create them"))
        if missing:
            _create(connection, errors, topics, missing, {name: existing[name] for name in partitions}, max_age)
            _await_topics(connection, errors, consumer, missing)
    finally:
        consumer.close()


def find_ends(connection: KafkaConnection, topics: Iterable[str]) -> dict[PartitionKey, int]:
    """Returns the offset after the last message of each partition; 0 for a partition without messages."""
    library = import_library()
    errors = ClientErrors(connection)
    consumer = open_consumer(connection, errors)
    try:
        ends = {}
        for topic, count in read_partitions(consumer, connection, errors, topics).items():
            for number in range(count):
                low, high = _read_range(consumer, library.TopicPartition(topic, number))
                if low >= high:
                    high = 0
                ends[PartitionKey(topic, number)] = high
        return ends
    except library.KafkaException as error:
        reason = clean_reason(error.args[0])
        raise UsageError(f"{connection.name}: the offsets cannot be read: {reason}") from None
    finally:
        consumer.close()


def _read_range(consumer: Any, partition: Any) -> tuple[int, int]:
    """Returns the first offset of a partition and the one after the last message. Waits for the leader of a new one."""
    deadline = time.monotonic() + CONNECT_TIMEOUT
    while True:
        try:
            offsets: tuple[int, int] = consumer.get_watermark_offsets(partition, timeout=_REQUEST_TIMEOUT)
        except import_library().KafkaException:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return offsets


def import_admin() -> Any:
    """Returns the module `confluent_kafka.admin`."""
    import_library()
    import confluent_kafka.admin  # noqa: PLC0415  (an extra)

    return confluent_kafka.admin


def _create(
    connection: KafkaConnection,
    errors: ClientErrors,
    topics: GroupTopics,
    missing: list[str],
    originals: Mapping[str, Any],
    max_age: float,
) -> None:
    """Creates topics like those that they belong to. One that another worker has just created counts as created."""
    admin = open_admin(connection, errors)
    sizes = _read_size_limits(admin, topics.topics)
    new_topics = []
    for topic in topics.topics:
        partitions = originals[topic].partitions
        copies = max((len(partition.replicas) for partition in partitions.values()), default=1)
        # A message may wait for as long as `max_age`, and its retry topic must not delete it before.
        retention = max(MIN_RETENTION, round(2000 * max_age))
        settings = [(topics.retry_topic(topic, tier), len(partitions), retention) for tier in topics.tiers]
        settings.append((topics.dead_topic(topic), 1, FOREVER))
        for name, count, kept in settings:
            config = {"retention.ms": str(kept), "cleanup.policy": "delete"}
            if topic in sizes:
                config[_SIZE] = str(sizes[topic] + HEADER_ROOM)
            if name in missing:
                new_topics.append(import_admin().NewTopic(name, count, copies, config=config))
    failures = {}
    for name, future in admin.create_topics(new_topics, request_timeout=_REQUEST_TIMEOUT).items():
        try:
            future.result()
        except import_library().KafkaException as error:
            if error.args[0].name() != "TOPIC_ALREADY_EXISTS":
                failures[name] = clean_reason(error.args[0])
    if failures:
        raise UsageError(_describe_missing(connection, list(failures), next(iter(failures.values()))))


def _read_size_limits(admin: Any, topics: Iterable[str]) -> dict[str, int]:
    """Returns the longest message of each topic in bytes, as far as the user may read it."""
    library, admin_library = import_library(), import_admin()
    resources = [admin_library.ConfigResource(admin_library.ResourceType.TOPIC, topic) for topic in topics]
    limits = {}
    for resource, future in admin.describe_configs(resources, request_timeout=_REQUEST_TIMEOUT).items():
        try:
            limits[resource.name] = int(future.result()[_SIZE].value)
        except (library.KafkaException, KeyError, ValueError, TypeError):
            continue
    return limits


def _await_topics(connection: KafkaConnection, errors: ClientErrors, consumer: Any, names: list[str]) -> None:
    """Waits until the cluster knows topics that were just created."""
    deadline = time.monotonic() + CONNECT_TIMEOUT
    while True:
        known = request_metadata(connection, errors, consumer).topics
        waiting = []
        for name in names:
            if name not in known or known[name].error or not known[name].partitions:
                waiting.append(name)
        if not waiting:
            return
        if time.monotonic() > deadline:
            raise UsageError(f"{connection.name}: the topic {waiting[0]} was created, but the cluster does not know it")
        time.sleep(0.1)


def _describe_missing(connection: KafkaConnection, missing: list[str], reason: str) -> str:
    """Returns a message about missing topics, and what to do."""
    hint = ""
    if any(".retry." in name for name in missing):
        hint = " (with ?retry=none, only the dead ones)"
    return f"{connection.name}: {reason}; create these {connection.topic_word}s: {', '.join(missing)}{hint}"
