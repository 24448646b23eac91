"""Kafka as a bus, with a real broker."""

import json
from pathlib import Path

import pytest

from tests.support.kafka import Cluster

pytestmark = pytest.mark.buses


def event(number: int) -> bytes:
    return json.dumps(
        {"id": str(number), "detail-type": "order.created", "source": "shop", "detail": {"n": number}}
    ).encode()


def test_connection(cluster: Cluster, tmp_path: Path) -> None:
    topic = cluster.create_topic()
    cluster.produce(topic, [(b"k", event(1), [])])
    assert [m.value() for m in cluster.consume(topic)] == [event(1)]
