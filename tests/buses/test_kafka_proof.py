"""Delivery from three brokers while a worker and a broker are killed: proofs/kafka.py in its short form."""

from pathlib import Path

import pytest

from proofs.kafka import prove
from tests.support.kafka import Cluster, require_kafka

pytestmark = pytest.mark.buses


def test_nothing_is_lost_when_a_worker_and_a_broker_are_killed(tmp_path: Path) -> None:
    """2,000 orders and poison among them: all are delivered, and few calls are made twice."""
    require_kafka()
    cluster = Cluster(tmp_path / "cluster", brokers=3)
    try:
        figures = prove(tmp_path, cluster, 2000)
    finally:
        cluster.run("stop", "--now")

    assert figures.calls >= 4000
    assert figures.poison > 0
    assert figures.duplicates <= figures.allowed
