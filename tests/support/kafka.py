"""Real Kafka clusters for tests, started by tests/buses/broker, and an own client for them."""

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Sequence
from pathlib import Path
from shutil import which
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from tests.conftest import ORIGINAL_ENVIRONMENT, ROOT

BROKER = ROOT / "tests" / "buses" / "broker"
INSTALL = "apt install default-jre-headless maven"
START_LIMIT = 600  # seconds; the first start fetches the jars
Messages = Sequence[tuple[bytes | None, bytes | None, list[tuple[str, bytes | None]]]]


class Cluster:
    """A cluster of brokers on 127.0.0.1 that runs until it is stopped."""

    def __init__(self, folder: Path, *, brokers: int = 1, sasl: bool = False):
        """Starts the brokers. With `sasl` they also listen with TLS and credentials."""
        self.folder = folder
        self.run("start", "--brokers", str(brokers), *(["--sasl"] if sasl else []))
        self.info: dict[str, Any] = json.loads((folder / "cluster.json").read_text())
        self.servers: str = self.info["bootstrap"]

    def run(self, verb: str, *arguments: str) -> None:
        """Runs a command of tests/buses/broker: stop, kill NODE, up NODE, pause NODE, resume NODE."""
        nodes = [argument for argument in arguments if argument.isdigit() and verb != "start"]
        options = [argument for argument in arguments if argument not in nodes]
        subprocess.run(
            [sys.executable, str(BROKER), verb, str(self.folder), *nodes, *options],
            env={**ORIGINAL_ENVIRONMENT, "PATH": os.environ["PATH"]},
            stdout=subprocess.DEVNULL,
            timeout=START_LIMIT,
            check=True,
        )

    def create_topic(self, partitions: int = 1, name: str | None = None, **config: str) -> str:
        """A topic that no other test uses; `config` with `_` for `.`."""
        name = name or f"test-{uuid.uuid4().hex[:12]}"
        settings = {key.replace("_", "."): value for key, value in config.items()}
        admin = AdminClient({"bootstrap.servers": self.servers})
        created = admin.create_topics([NewTopic(name, partitions, config=settings)])
        created[name].result(60)
        return name

    def produce(self, topic: str, messages: Messages, **settings: Any) -> None:
        """Writes messages: key, value and headers of each."""
        problems = []
        producer = Producer({"bootstrap.servers": self.servers, "acks": "all"})
        for key, value, headers in messages:
            producer.produce(
                topic, value, key, headers=headers, on_delivery=lambda e, _: problems.append(e), **settings
            )
        producer.flush(60)
        assert problems == [None] * len(messages)

    def consume(self, topic: str) -> list[Any]:
        """All messages of a topic as the library gives them, partition by partition."""
        consumer = Consumer({"bootstrap.servers": self.servers, "group.id": "test", "enable.auto.commit": False})
        count = len(consumer.list_topics(topic, timeout=60).topics[topic].partitions)
        messages: list[Any] = []
        for number in range(count):
            low, high = consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=60)
            consumer.assign([TopicPartition(topic, number, low)])
            end = len(messages) + high - low
            while len(messages) < end:
                messages += [message for message in consumer.consume(500, 1.0) if not message.error()]
        consumer.close()
        return messages

    def list_topics(self) -> list[str]:
        """The names of the topics that exist."""
        admin = AdminClient({"bootstrap.servers": self.servers})
        return list(admin.list_topics(timeout=60).topics)

    def count_committed(self, group: str, topic: str) -> int:
        """How many messages of a topic a group has committed."""
        consumer = Consumer({"bootstrap.servers": self.servers, "group.id": group})
        count = len(consumer.list_topics(topic, timeout=60).topics[topic].partitions)
        entries = consumer.committed([TopicPartition(topic, number) for number in range(count)], timeout=60)
        consumer.close()
        return sum(max(entry.offset, 0) for entry in entries)

    def list_groups(self) -> list[str]:
        """The names of the consumer groups that exist."""
        admin = AdminClient({"bootstrap.servers": self.servers})
        return [group.group_id for group in admin.list_consumer_groups().result(60).valid]


def require_kafka() -> None:
    """Skips the test if brokers cannot be started here; fails it in CI."""
    missing = [program for program in ("java", "mvn") if which(program) is None]
    if not missing:
        return
    reason = f"{', '.join(missing)} is missing: {INSTALL}"
    if ORIGINAL_ENVIRONMENT.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
