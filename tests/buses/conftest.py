"""What the tests of buses share: one broker for all of them, which listens with and without TLS and credentials."""

from collections.abc import Iterator

import pytest

from tests.support.kafka import Cluster, require_kafka


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster of one broker."""
    require_kafka()
    started = Cluster(tmp_path_factory.mktemp("kafka") / "cluster", sasl=True)
    yield started
    started.run("stop", "--now")
