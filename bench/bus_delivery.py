"""Measures `deliver --bus` against bare loops of the Kafka client, and 1, 2 and 4 workers with handlers that wait.

    python bench/bus_delivery.py [--events N] [--curve]

Starts a broker (Java; Maven fetches it once). All read the same messages of 1 KB from 8 partitions:

- the bare loop calls `consume(500)`, reads the `value()` and `headers()` of each message, and commits each batch
  without waiting for the commit. Its clock starts with the assignment of its partitions, before the first fetch.
- the careful loop has at most 100 uncommitted messages, as `deliver` promises: it calls `consume(100)` and waits for a
  commit of each batch.
- `deliver` calls a warm Python worker for each message. Its clock starts with the first call.

The runs alternate, so that all have the same load; the medians count. Then the curve: each handler waits for 5 ms, as
for a database, and each worker makes one call at a time. On two cores it takes about two minutes.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from statistics import median
from typing import Any

from confluent_kafka import Consumer, KafkaException
from confluent_kafka.admin import AdminClient

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from tests.support.kafka import Cluster  # noqa: E402

EVENTS = 30_000
PARTITIONS = 8
RUNS = 3
# The number of events for each worker of the curve.
WAITING_EVENTS = 1_500
# Seconds until a run that does not end fails.
PATIENCE = 300
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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=EVENTS)
    parser.add_argument("--curve", action="store_true", help="only the curve")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder)
        (project / "routes.yaml").write_text(ROUTES, encoding="utf-8")
        (project / "handlers.py").write_text(HANDLERS, encoding="utf-8")
        cluster = Cluster(project / "cluster")
        try:
            if not arguments.curve:
                compare(project, cluster, arguments.events)
            for workers in (1, 2, 4):
                rate = measure_waiting(project, cluster, workers)
                print(f"{workers} workers, handlers that wait 5 ms: {rate:,.0f}/s")
        finally:
            cluster.run("stop", "--now")


def compare(project: Path, cluster: Cluster, events: int) -> None:
    """Prints the rates of the bare loops and of `deliver`."""
    topic = cluster.create_topic(PARTITIONS)
    send(cluster, topic, events)
    bare, careful, delivered = [], [], []
    for run in range(RUNS):
        bare.append(measure_loop(cluster, topic, events, f"bare-{topic}-{run}"))
        careful.append(measure_loop(cluster, topic, events, f"careful-{topic}-{run}", is_careful=True))
        delivered.append(measure_deliver(project, cluster, topic, events, run))
    rate = median(delivered)
    print(f"deliver, warm Python worker: {rate:,.0f}/s")
    print(f"bare loop, consume(500): {median(bare):,.0f}/s, of which deliver has {rate / median(bare):.3f}")
    print(f"careful loop, at most 100 uncommitted: {median(careful):,.0f}/s, {rate / median(careful):.2f}")


def send(cluster: Cluster, topic: str, count: int) -> None:
    """Writes events of 1 KB."""
    filling = "x" * 900
    messages: list[Any] = []
    for number in range(count):
        event = {"id": f"e{number}", "source": "bench", "detail-type": "t", "detail": {"n": number, "text": filling}}
        messages.append((str(number).encode(), json.dumps(event).encode(), []))
    for start in range(0, count, 10_000):
        cluster.produce(topic, messages[start : start + 10_000])


def measure_loop(cluster: Cluster, topic: str, count: int, group: str, *, is_careful: bool = False) -> float:
    """Returns the messages per second of a loop that reads messages and commits them."""
    settings = {"bootstrap.servers": cluster.servers, "group.id": group, "enable.auto.commit": False}
    consumer = Consumer(settings | {"auto.offset.reset": "earliest"})
    starts: list[float] = []

    def assign(consumer: Consumer, partitions: list[Any]) -> None:
        consumer.assign(partitions)
        starts.append(time.perf_counter())

    consumer.subscribe([topic], on_assign=assign)
    most = 500
    if is_careful:
        most = 100
    received = size = 0
    while received < count:
        batch = consumer.consume(most, 1.0)
        received += len(batch)
        for message in batch:
            size += len(message.value() or b"") + len(message.headers() or ())
        if batch:
            consumer.commit(asynchronous=not is_careful)
    seconds = time.perf_counter() - starts[0]
    consumer.close()
    return count / seconds


def measure_deliver(project: Path, cluster: Cluster, topic: str, count: int, run: int) -> float:
    """Returns the deliveries per second of one worker, from its first call to its last."""
    with calls_log(project) as calls, worker(project, f"kafka://{cluster.servers}/{topic}?group=g{run}", 0):
        await_size(calls, 1)
        start = time.perf_counter()
        await_size(calls, count)
        return count / (time.perf_counter() - start)


def measure_waiting(project: Path, cluster: Cluster, workers: int) -> float:
    """Returns the deliveries per second of several workers, which join their group before the first event."""
    topic, count = cluster.create_topic(PARTITIONS), WAITING_EVENTS * workers
    bus = f"kafka://{cluster.servers}/{topic}?group=waiting-{topic}"
    with calls_log(project) as calls, ExitStack() as stack:
        for _ in range(workers):
            stack.enter_context(worker(project, bus, 0.005))
        await_members(cluster, f"waiting-{topic}", workers)
        send(cluster, topic, count)
        await_size(calls, 1)
        start = time.perf_counter()
        await_size(calls, count)
        return count / (time.perf_counter() - start)


@contextmanager
def calls_log(project: Path) -> Iterator[Path]:
    """Provides the file to which handlers append a byte for each call."""
    calls = project / "calls"
    calls.write_bytes(b"")
    yield calls
    calls.unlink()


@contextmanager
def worker(project: Path, bus: str, seconds: float) -> Iterator[None]:
    """Runs a worker whose handlers wait."""
    command = [sys.executable, "-m", "evtool", "deliver", "--watch", "-q", "--bus", bus]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "SECONDS": str(seconds)}
    process = subprocess.Popen(command, cwd=project, env=environment, stdout=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def await_size(calls: Path, size: int) -> None:
    """Waits until the handlers have had this number of calls."""
    deadline = time.monotonic() + PATIENCE
    while calls.stat().st_size < size:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{calls.stat().st_size} of {size} calls")
        time.sleep(0.005)


def await_members(cluster: Cluster, group: str, count: int) -> None:
    """Waits until a group has all workers, each with a member for the topic and one for its retry topics."""
    admin = AdminClient({"bootstrap.servers": cluster.servers})
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        # The coordinator of a new group may not be known yet.
        with suppress(KafkaException):
            members = admin.describe_consumer_groups([group])[group].result(30).members
            if len(members) == 2 * count and all(member.assignment.topic_partitions for member in members):
                return
        time.sleep(0.2)


if __name__ == "__main__":
    main()
