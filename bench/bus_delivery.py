"""How fast `deliver --bus` is: relative to a bare loop of the Kafka client, and with 1, 2 and 4 workers that wait.

`python bench/bus_delivery.py` starts a broker. The bare loop is `consume(500)` with a commit for each batch, timed from
its assignment. `deliver` calls a warm Python worker, timed from its first call. Both read the same messages of 1 KB, in
three runs, of which the median counts. The curve has handlers that wait for 5 ms, as for a database, and one call at a
time each.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import median
from typing import Any

from confluent_kafka import Consumer, KafkaException
from confluent_kafka.admin import AdminClient

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from tests.support.kafka import Cluster  # noqa: E402

EVENTS = 60_000
PARTITIONS = 8
RUNS = 3
WAITING_EVENTS = 1_500  # for each worker
PATIENCE = 600  # seconds
ROUTES = """
version: 1
handlers:
  count: {python: "handlers.py:count"}
routes:
  all: {pattern: {source: [bench]}, to: [count]}
"""
HANDLERS = """
import os, time
CALLS = os.open("calls", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
SECONDS = float(os.environ["SECONDS"])

def count(event, context):
    if SECONDS:
        time.sleep(SECONDS)
    os.write(CALLS, b".")
"""


def main() -> None:
    """Prints the rates and their ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=EVENTS)
    parser.add_argument("--curve", action="store_true", help="only the curve")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder)
        (project / "routes.yaml").write_text(ROUTES, encoding="utf-8")
        (project / "handlers.py").write_text(HANDLERS, encoding="utf-8")
        cluster = Cluster(project / "cluster")
        try:
            if not wanted.curve:
                compare(project, cluster, wanted.events)
            for workers in (1, 2, 4):
                rate = measure_waiting(project, cluster, workers)
                print(f"{workers} workers, handlers that wait 5 ms: {rate:,.0f}/s")
        finally:
            cluster.run("stop", "--now")


def compare(project: Path, cluster: Cluster, events: int) -> None:
    """Prints the rates of a bare loop and of `deliver`."""
    topic = cluster.create_topic(PARTITIONS)
    send(cluster, topic, events)
    bare = median(measure_bare(cluster, topic, events, run) for run in range(RUNS))
    rate = median(measure_deliver(project, cluster, topic, events, run) for run in range(RUNS))
    print(f"bare consume(500): {bare:,.0f}/s")
    print(f"deliver, warm Python worker: {rate:,.0f}/s, {rate / bare:.3f} of it")


def send(cluster: Cluster, topic: str, count: int) -> None:
    """Writes events of 1 KB."""
    filling = "x" * 900
    messages: list[Any] = []
    for number in range(count):
        event = {"id": f"e{number}", "source": "bench", "detail-type": "t", "detail": {"n": number, "text": filling}}
        messages.append((str(number).encode(), json.dumps(event).encode(), []))
    for start in range(0, count, 10_000):
        cluster.produce(topic, messages[start : start + 10_000])


def measure_bare(cluster: Cluster, topic: str, count: int, run: int) -> float:
    """Messages a second of a loop that does nothing with them."""
    settings = {"bootstrap.servers": cluster.servers, "group.id": f"bare-{topic}-{run}", "enable.auto.commit": False}
    consumer = Consumer({**settings, "auto.offset.reset": "earliest"})
    assigned: list[object] = []
    consumer.subscribe([topic], on_assign=lambda _consumer, partitions: assigned.extend(partitions))
    received = 0
    while not assigned:
        received += len(consumer.consume(1, 0.1))
    start = time.perf_counter()
    while received < count:
        batch = consumer.consume(500, 1.0)
        received += len(batch)
        if batch:
            consumer.commit(asynchronous=True)
    seconds = time.perf_counter() - start
    consumer.close()
    return count / seconds


def measure_deliver(project: Path, cluster: Cluster, topic: str, count: int, run: int) -> float:
    """Deliveries a second of one worker, from its first call to its last."""
    with calls_log(project) as calls, worker(project, f"kafka://{cluster.servers}/{topic}?group=g{run}", 0):
        await_size(calls, 1)
        start = time.perf_counter()
        await_size(calls, count)
        return count / (time.perf_counter() - start)


def measure_waiting(project: Path, cluster: Cluster, workers: int) -> float:
    """Deliveries a second of some workers that are in their group before the first event is sent."""
    topic, count = cluster.create_topic(PARTITIONS), WAITING_EVENTS * workers
    bus = f"kafka://{cluster.servers}/{topic}?group=waiting-{topic}"
    with calls_log(project) as calls:
        processes = [worker(project, bus, 0.005) for _ in range(workers)]
        for process in processes:
            process.__enter__()
        try:
            await_members(cluster, f"waiting-{topic}", workers)
            send(cluster, topic, count)
            await_size(calls, 1)
            start = time.perf_counter()
            await_size(calls, count)
            return count / (time.perf_counter() - start)
        finally:
            for process in processes:
                process.__exit__(None, None, None)


@contextmanager
def calls_log(project: Path) -> Iterator[Path]:
    """The file to which handlers append a byte for each call."""
    calls = project / "calls"
    calls.write_bytes(b"")
    yield calls
    calls.unlink()


@contextmanager
def worker(project: Path, bus: str, seconds: float) -> Iterator[None]:
    """A worker whose handlers wait."""
    command = [sys.executable, "-m", "evtool", "deliver", "--watch", "-q", "--bus", bus]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "SECONDS": str(seconds)}
    process = subprocess.Popen(command, cwd=project, env=environment, stdout=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def await_size(calls: Path, size: int) -> None:
    """Waits until the handlers were called so often."""
    deadline = time.monotonic() + PATIENCE
    while calls.stat().st_size < size:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{calls.stat().st_size} of {size} calls")
        time.sleep(0.005)


def await_members(cluster: Cluster, group: str, count: int) -> None:
    """Waits until a group has so many workers, each with a member for the topic and one for its retry topics."""
    admin = AdminClient({"bootstrap.servers": cluster.servers})
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with suppress(KafkaException):  # the coordinator of a new group may not be known yet
            members = admin.describe_consumer_groups([group])[group].result(30).members
            if len(members) == 2 * count and all(member.assignment.topic_partitions for member in members):
                return
        time.sleep(0.2)


if __name__ == "__main__":
    main()
