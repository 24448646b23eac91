"""Proof: delivery from Kafka loses nothing while workers and a broker are killed. Every call is counted.

`python -m proofs.kafka [EVENTS]` starts three brokers. Three workers share a topic of orders and poisonous messages.
During the run the proof kills and replaces a worker, kills and restarts the broker that leads a partition, and ends a
worker by SIGTERM. In the end every order must be paid and packed, every poisonous message must be a dead letter with
the same bytes, and the group must have committed everything. A repeated call is a duplicate; a kill may cause LIMIT
duplicates for each worker.
"""

import argparse
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from evtool.buses.worker.window import LIMIT
from proofs.trial import Broken
from tests.conftest import ROOT
from tests.support.kafka import Cluster

EVENTS = 50_000
PARTITIONS = 6
WORKERS = 3
GROUP = "proof"
# Seconds between two measurements of the progress.
LOOK_INTERVAL = 1.0
# Seconds that a run may take.
PATIENCE = 7200
# The share of orders whose first attempt fails, and the share of poisonous messages.
FLAKY = 0.005
POISONOUS = 0.002
EXIT_TERMINATED = 143
# Seconds to wait for a database that a handler writes.
BUSY_TIMEOUT = 60.0
# The handlers charge-card, confirmation-email and warehouse.
CALLS_PER_ORDER = 3
CHARGES = "SELECT count(*) FROM charges WHERE declined IS NULL"
ROUTES = """
version: 1
handlers:
  pay: {python: "handlers.py:pay", concurrency: 2}
  pack: {python: "handlers.py:pack"}
  flaky: {python: "handlers.py:flaky"}
routes:
  pay-order: {pattern: {detail-type: [order]}, to: [pay]}
  pack-paid: {pattern: {detail-type: [paid]}, to: [pack]}
  flaky-order: {pattern: {detail-type: [order], detail: {flaky: [true]}}, to: [flaky]}
"""
HANDLERS = """
import os, time
from pathlib import Path

CALLS = os.open(Path(__file__).with_name("calls.log"), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
FOLDER = Path(__file__).with_name("seen")
FOLDER.mkdir(exist_ok=True)

def log(order, handler):
    os.write(CALLS, f"{order} {handler}\\n".encode())

def pay(event, context):
    time.sleep(0.001)
    log(event["id"], "pay")
    context.emit("paid", {"order": event["id"]})

def pack(event, context):
    log(event["detail"]["order"], "pack")

def flaky(event, context):
    try:
        (FOLDER / event["id"]).touch(exist_ok=False)
    except FileExistsError:
        log(event["id"], "flaky")
        return
    raise ValueError("the first attempt fails")
"""
POISON: Sequence[tuple[bytes | None, list[tuple[str, bytes | None]]]] = (
    (b"\xff\xfe not JSON", []),
    (None, []),
    (b"", [("odd", None), ("odd", b"\xff"), ("", b"x")]),
    (b'{"specversion": "1.0", "id": "1"', [("content-type", b"application/cloudevents+json")]),
    (b"[]", [("ce_id", b"\xff"), ("ce_type", None)]),
)


class Sent(NamedTuple):
    """The content of the topic: the calls (order, handler) that must happen, and the poisonous messages."""

    calls: set[tuple[str, str]]
    poison: list[tuple[bytes | None, list[tuple[str, bytes | None]]]]


class Figures(NamedTuple):
    """The figures of a run."""

    events: int
    poison: int
    calls: int
    duplicates: int
    allowed: int
    seconds: float


class Workers:
    """The workers: evtool processes that consume in a group."""

    def __init__(self, folder: Path, bus: str):
        self._folder, self._bus = folder, bus
        self._running: list[subprocess.Popen[bytes]] = []

    def start(self, count: int = 1) -> None:
        """Starts more workers."""
        command = [sys.executable, "-m", "evtool", "deliver", "--bus", self._bus, "--watch", "-q"]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        for _ in range(count):
            with (self._folder / "workers.err").open("ab") as errors:
                process = subprocess.Popen(
                    command, cwd=self._folder, env=environment, stdout=subprocess.DEVNULL, stderr=errors
                )
            self._running.append(process)

    def kill(self) -> None:
        """Kills the oldest worker."""
        process = self._running.pop(0)
        process.kill()
        process.wait()

    def end(self) -> None:
        """Ends the oldest worker by SIGTERM. Raises Broken if it ends with another exit code."""
        process = self._running.pop(0)
        process.terminate()
        code = process.wait(PATIENCE)
        if code != EXIT_TERMINATED:
            raise Broken(f"a worker ended with {code}: {self._read_errors()}")

    def check(self) -> None:
        """Raises Broken if a worker has ended by itself."""
        for process in self._running:
            if process.poll() is not None:
                raise Broken(f"a worker ended: {self._read_errors()}")

    def kill_all(self) -> None:
        """Kills all workers."""
        while self._running:
            self.kill()

    def end_all(self) -> None:
        """Ends all workers by SIGTERM."""
        while self._running:
            self.end()

    def _read_errors(self) -> str:
        return (self._folder / "workers.err").read_text(encoding="utf-8")[-2000:]


class Run(NamedTuple):
    """A run: its folder, its cluster, its topic and the content of the topic."""

    folder: Path
    cluster: Cluster
    topic: str
    sent: Sent

    @property
    def group(self) -> str:
        """The consumer group of the workers."""
        return f"{GROUP}-{self.topic}"

    @property
    def bus(self) -> str:
        """The value of evtool's option --bus."""
        return f"kafka://{self.cluster.servers}/{self.topic}?group={self.group}&retry=1s,2s"

    def read_calls(self) -> Counter[tuple[str, str]]:
        """Returns how many calls each handler has had for each order: (order, handler)."""
        file = self.folder / "calls.log"
        calls = Counter[tuple[str, str]]()
        if file.exists():
            for line in file.read_text(encoding="utf-8").splitlines():
                order, _, handler = line.partition(" ")
                calls[order, handler] += 1
        return calls

    def measure_progress(self) -> float:
        """Returns the share of the calls that have happened."""
        return len(self.read_calls().keys() & self.sent.calls) / len(self.sent.calls)

    def read_dead(self) -> list[Any]:
        """Returns the dead letters."""
        return self.cluster.consume(f"{self.topic}.{self.group}.dead")

    def find_leader(self) -> int:
        """Returns the number of the broker that leads the first partition."""
        # The package is an extra, and the tests import this module without it.
        from confluent_kafka.admin import AdminClient  # noqa: PLC0415

        admin = AdminClient({"bootstrap.servers": self.cluster.servers})
        leader: int = admin.list_topics(self.topic, timeout=30).topics[self.topic].partitions[0].leader
        return leader

    def count_uncommitted(self) -> int:
        """Returns how many messages of the topic the group has not committed, or -1 if the cluster does not answer."""
        from confluent_kafka import Consumer, KafkaException, TopicPartition  # noqa: PLC0415

        consumer = Consumer({"bootstrap.servers": self.cluster.servers, "group.id": self.group})
        try:
            partitions = [TopicPartition(self.topic, number) for number in range(PARTITIONS)]
            committed = consumer.committed(partitions, timeout=30)
            ends = [consumer.get_watermark_offsets(partition, timeout=30)[1] for partition in partitions]
            return sum(end - max(entry.offset, 0) for entry, end in zip(committed, ends, strict=True))
        except KafkaException:
            return -1
        finally:
            consumer.close()


def prove(folder: Path, cluster: Cluster, events: int = EVENTS, *, seed: int = 1) -> Figures:
    """Attacks a run with `events` orders. Raises Broken for a lost message, and for too many duplicates."""
    started = time.monotonic()
    (folder / "routes.yaml").write_text(ROUTES, encoding="utf-8")
    (folder / "handlers.py").write_text(HANDLERS, encoding="utf-8")
    topic = cluster.create_topic(PARTITIONS)
    run = Run(folder, cluster, topic, _send(cluster, topic, events, Random(seed)))
    workers = Workers(folder, run.bus)
    try:
        allowed = _attack(run, workers)
        duplicates = _check(run, allowed)
    finally:
        workers.kill_all()
    sent = run.sent
    return Figures(events, len(sent.poison), len(sent.calls), duplicates, allowed, time.monotonic() - started)


class ShopRun(Run):
    """A run of the sample shop: in the end every order has one charge, one confirmation and one pick list."""

    def measure_progress(self) -> float:
        """Returns the share of charges, confirmations and pick lists that exist."""
        done = self.count_charges() + len(self.list_files("outbox")) + len(self.list_files("picks"))
        return done / (3 * len(self.sent.calls))

    def count_charges(self) -> int:
        """Returns how many orders were charged. The event is the key of a charge, so an order cannot have two."""
        file = self.folder / "samples/.data/processor.db"
        if not file.exists():
            return 0
        with closing(sqlite3.connect(file, timeout=BUSY_TIMEOUT)) as processor:
            try:
                (charges,) = processor.execute(CHARGES).fetchone()
            # The first handler has created the file but not yet the table.
            except sqlite3.OperationalError:
                return 0
        return int(charges)

    def list_files(self, name: str) -> list[str]:
        """Returns the finished files of a folder of the shop."""
        folder = self.folder / "samples/.data" / name
        if not folder.exists():
            return []
        return [file.name for file in folder.iterdir() if not file.name.startswith(".")]

    def count_duplicates(self) -> int:
        """Returns the repeated payments of the topic: a handler that is called again emits its event again."""
        payments = len(self.cluster.consume(self.topic)) - len(self.sent.calls)
        return payments - len(self.sent.calls)


def prove_shop(folder: Path, cluster: Cluster, orders: int) -> Figures:
    """Attacks a run of the shop. Raises Broken if an order is not charged once, confirmed and packed."""
    started = time.monotonic()
    shutil.copytree(ROOT / "samples", folder / "samples", ignore=shutil.ignore_patterns(".data", "__pycache__"))
    shutil.copy(ROOT / "routes.yaml", folder)
    topic = cluster.create_topic(PARTITIONS)
    template = json.loads((ROOT / "samples/events/order-created.json").read_text(encoding="utf-8"))
    sent = Sent(set(), [])
    messages: list[Any] = []
    for number in range(orders):
        order = f"{number:024x}"
        detail = template["detail"] | {"orderId": order, "cartId": order}
        event = template | {"id": order, "detail": detail}
        messages.append((order.encode(), json.dumps(event).encode(), []))
        sent.calls.add((order, "order"))
    cluster.produce(topic, messages)
    run = ShopRun(folder, cluster, topic, sent)
    workers = Workers(folder, run.bus)
    try:
        allowed = _attack(run, workers)
    finally:
        workers.kill_all()
    if run.count_charges() != orders:
        raise Broken(f"{run.count_charges()} charges; {orders} orders were placed")
    if run.read_dead():
        raise Broken(f"{len(run.read_dead())} dead letters")
    duplicates = run.count_duplicates()
    if duplicates > allowed:
        raise Broken(f"{duplicates} orders were charged again; {allowed} are allowed")
    return Figures(orders, 0, CALLS_PER_ORDER * orders, duplicates, allowed, time.monotonic() - started)


def _check(run: Run, allowed: int) -> int:
    """Counts the duplicates. Raises Broken for a lost or changed dead letter, and for too many duplicates."""
    calls = run.read_calls()
    unexpected = calls.keys() - run.sent.calls
    if unexpected:
        raise Broken(f"unexpected calls: {sorted(unexpected)[:5]}")
    duplicates = sum(calls.values()) - len(run.sent.calls)
    if duplicates > allowed:
        raise Broken(f"{duplicates} calls were made twice; {allowed} are allowed")
    # Sets, because a kill may duplicate a dead letter. The header "number" makes every poisonous message unique.
    letters = {_describe(message.value(), _strip(message.headers() or [])) for message in run.read_dead()}
    poison = {_describe(value, headers) for value, headers in run.sent.poison}
    if letters != poison:
        raise Broken(f"dead letters: {len(letters)} for {len(poison)} poisonous messages")
    return duplicates


def _describe(value: bytes | None, headers: list[tuple[str, bytes | None]]) -> str:
    return repr((value, headers))


def _strip(headers: Iterable[tuple[str, bytes | None]]) -> list[tuple[str, bytes | None]]:
    return [(name, value) for name, value in headers if not name.startswith("evtool-")]


def _send(cluster: Cluster, topic: str, events: int, random: Random) -> Sent:
    """Writes orders, some of which need two attempts, and poisonous messages between them."""
    sent = Sent(set(), [])
    messages: list[Any] = []
    for number in range(events):
        order = f"o{number}"
        is_flaky = random.random() < FLAKY
        document = {"id": order, "source": "proof", "detail-type": "order", "detail": {"flaky": is_flaky}}
        messages.append((order.encode(), json.dumps(document).encode(), []))
        sent.calls.update([(order, "pay"), (order, "pack")])
        if is_flaky:
            sent.calls.add((order, "flaky"))
        if random.random() < POISONOUS:
            value, headers = random.choice(POISON)
            headers = headers + [("number", str(number).encode())]
            messages.append((None, value, headers))
            sent.poison.append((value, headers))
    cluster.produce(topic, messages)
    return sent


def _attack(run: Run, workers: Workers) -> int:
    """Runs the workers with the attacks. Returns how many duplicates the attacks may have caused."""
    workers.start(WORKERS)
    node = run.find_leader()
    # The progress at which each attack happens.
    attacks: deque[tuple[float, Callable[[], object]]] = deque()
    attacks.append((0.15, workers.kill))
    attacks.append((0.15, workers.start))
    attacks.append((0.35, partial(run.cluster.run, "kill", str(node))))
    attacks.append((0.60, partial(run.cluster.run, "up", str(node))))
    attacks.append((0.75, workers.end))
    deadline = time.monotonic() + PATIENCE
    while True:
        workers.check()
        done = run.measure_progress()
        while attacks and done >= attacks[0][0]:
            _, attack = attacks.popleft()
            attack()
        if done == 1 and not attacks and run.count_uncommitted() == 0:
            workers.end_all()
            return LIMIT + LIMIT * WORKERS
        if time.monotonic() > deadline:
            raise Broken(
                f"after {PATIENCE} s {done:.1%} of the calls have happened, {run.count_uncommitted()} uncommitted"
            )
        time.sleep(LOOK_INTERVAL)


def main() -> int:
    """Starts a cluster and attacks a run. Returns 1 if the promise does not hold."""
    parser = argparse.ArgumentParser(prog="python -m proofs.kafka", description=__doc__)
    parser.add_argument("events", nargs="?", type=int, default=EVENTS)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--shop", action="store_true", help="run the sample shop with its orders")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="proof-kafka-", ignore_cleanup_errors=True) as folder:
        cluster = Cluster(Path(folder) / "cluster", brokers=3)
        try:
            if arguments.shop:
                figures = prove_shop(Path(folder), cluster, arguments.events)
            else:
                figures = prove(Path(folder), cluster, arguments.events, seed=arguments.seed)
        except Broken as broken:
            print(f"kafka BROKEN: {broken}", flush=True)
            return 1
        finally:
            cluster.run("stop", "--now")
        # The removal of the folder at the end of this block takes minutes for the shop, so the figures come first.
        print(
            f"kafka holds: {figures.events:,} events, {figures.poison} poisonous, {figures.calls:,} calls, 0 lost,"
            f" {figures.duplicates} duplicates of {figures.allowed} allowed ({figures.seconds:.0f} s)",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
