"""Measures the commands that use Kafka against a bare loop of the client library, and against files.

    python bench/buses.py [EVENTS] [RUNS]

Starts a broker (Java; Maven fetches it once). The bare loop calls `consume(500)` and reads `value()` and `headers()` of
each message. Its client is new, and its clock starts with the assignment of the partitions, before the first fetch.
From the time of a command the time of the same command on a topic with one event is subtracted. The runs alternate, so
that all have the same load.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from confluent_kafka import Consumer, TopicPartition  # noqa: E402

from tests.support.kafka import Cluster  # noqa: E402

PARTITIONS = 8
BATCH = 500


def run(folder: Path, *arguments: str) -> float:
    """Returns the seconds of a run of evtool with a new store."""
    for file in folder.glob("store.db*"):
        file.unlink()
    command = [sys.executable, "-m", "evtool", *arguments, "--store", str(folder / "store.db")]
    start = time.perf_counter()
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return time.perf_counter() - start


def consume(servers: str, topic: str, *, reads: bool = True) -> float:
    """Returns the seconds of a bare loop from the assignment on. Without `reads` it only counts the messages."""
    consumer = Consumer({"bootstrap.servers": servers, "group.id": "bare", "enable.auto.commit": False})
    bounds = [consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=60) for number in range(PARTITIONS)]
    left = sum(high - low for low, high in bounds)
    consumer.assign([TopicPartition(topic, number, low) for number, (low, _) in enumerate(bounds)])
    start = time.perf_counter()
    size = 0
    while left:
        batch = consumer.consume(BATCH, 1.0)
        left -= len(batch)
        if reads:
            for message in batch:
                size += len(message.value() or b"") + len(message.headers() or ())
    seconds = time.perf_counter() - start
    consumer.close()
    return seconds


def write_events(file: Path, count: int) -> None:
    """Writes orders of the shop with different ids."""
    order = json.loads((ROOT / "samples/events/order-created.json").read_text())
    with file.open("w") as stream:
        for number in range(count):
            stream.write(json.dumps(order | {"id": f"order-{number}"}) + "\n")


def main() -> None:
    """Prints a line for each run, and the medians of the ratios."""
    parser = argparse.ArgumentParser()
    parser.add_argument("events", nargs="?", type=int, default=200_000)
    parser.add_argument("runs", nargs="?", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cluster = Cluster(folder / "kafka")
        try:
            measure(cluster, folder, arguments.events, arguments.runs)
        finally:
            cluster.run("stop", "--now")


def measure(cluster: Cluster, folder: Path, count: int, runs: int) -> None:
    """Sends the events, then measures."""
    topic, one = cluster.create_topic(PARTITIONS), cluster.create_topic()
    events, single = folder / "events.jsonl", folder / "single.jsonl"
    write_events(events, count)
    write_events(single, 1)
    seconds = run(folder, "publish", str(events), "--bus", f"kafka://{cluster.servers}/{topic}?key=id")
    print(f"publish --bus: {count / seconds:,.0f} events/s, start included")
    run(folder, "publish", str(single), "--bus", f"kafka://{cluster.servers}/{one}")
    plans, pulls = [], []
    for number in range(runs):
        counting = consume(cluster.servers, topic, reads=False)
        bare = consume(cluster.servers, topic)
        start_up = run(folder, "replay", "--from", f"kafka://{cluster.servers}/{one}")
        plan = run(folder, "replay", "--from", f"kafka://{cluster.servers}/{topic}") - start_up
        stored = run(folder, "publish", "--no-deliver", str(events))
        pulled = run(folder, "pull", f"kafka://{cluster.servers}/{topic}")
        plans.append(bare / plan)
        pulls.append(pulled / stored)
        print(
            f"run {number + 1}: bare {count / bare:,.0f}/s ({count / counting:,.0f}/s if it only counts), "
            f"replay --from {count / plan:,.0f}/s ({plans[-1]:.2f}); "
            f"publish --no-deliver {stored:.1f} s, pull {pulled:.1f} s ({pulls[-1]:.2f})"
        )
    print(f"replay --from: {statistics.median(plans):.2f} of the bare loop")
    print(f"pull: {statistics.median(pulls):.2f} times publish --no-deliver")


if __name__ == "__main__":
    main()
