"""`deliver --bus` and `dlq --bus` with a real broker: calls, commits, retries and dead letters."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from referencing import Registry

from tests.conftest import ROOT, Evtool, Ran
from tests.support.kafka import Cluster

pytestmark = pytest.mark.buses

PATIENCE = 300  # seconds; it only matters if a test fails
ROUTES = """
version: 1
handlers:
  pay: {python: "h.py:pay", emits: [paid]}
  pack: {python: "h.py:pack"}
  fail: {python: "h.py:fail"}
  down: {python: "h.py:down"}
  loop: {python: "h.py:loop"}
routes:
  pay-order: {pattern: {detail-type: [order]}, to: [pay]}
  pack-paid: {pattern: {detail-type: [paid]}, to: [pack]}
  pack-both: {pattern: {detail-type: [both]}, to: [pack, fail], retry: {max_attempts: 2}}
  down-one: {pattern: {detail-type: [down]}, to: [down], retry: {max_attempts: 1}}
  loop-one: {pattern: {detail-type: [again]}, to: [loop]}
  large: {pattern: {detail-type: [large]}, to: [loop]}
"""
HANDLERS = """
import os
CALLS = os.open("calls.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

def log(event, handler):
    os.write(CALLS, f"{event['id']} {handler}\\n".encode())

def pay(event, context):
    log(event, "pay")
    context.emit("paid", {"order": event["id"]})

def pack(event, context):
    log(event, "pack")

def fail(event, context):
    log(event, "fail")
    if not os.path.exists("mended"):
        raise ValueError("no paper")

def down(event, context):
    log(event, "down")
    context.unavailable("the printer is off")

def loop(event, context):
    log(event, "loop")
    size = event["detail"].get("size", 0)
    context.emit("again", {"text": "x" * size})
"""


@pytest.fixture(autouse=True)
def project(tmp_path: Path) -> None:
    """A project whose handlers log their calls."""
    (tmp_path / "routes.yaml").write_text(ROUTES)
    (tmp_path / "h.py").write_text(HANDLERS)


def encode(kind: str, name: str = "1", **detail: Any) -> bytes:
    """The value of a message."""
    return json.dumps({"id": name, "source": "s", "detail-type": kind, "detail": detail}).encode()


class Place:
    """A topic of a cluster, and evtool to deliver from it."""

    def __init__(self, cluster: Cluster, evtool: Evtool, folder: Path):
        self.cluster, self.evtool, self.folder = cluster, evtool, folder
        self.topic = cluster.create_topic(2)
        self.retry = "100ms,200ms"

    @property
    def bus(self) -> str:
        return f"kafka://{self.cluster.servers}/{self.topic}?group=g&retry={self.retry}"

    def send(self, *values: bytes | None, headers: list[tuple[str, bytes | None]] | None = None) -> None:
        self.cluster.produce(self.topic, [(b"key", value, headers or []) for value in values])

    def deliver(self, *options: str) -> Ran:
        ran = self.evtool("deliver", "--bus", self.bus, "-o", "json", *options)
        assert "Traceback" not in ran.err
        if ran.code in (0, 1):
            check_shape(ran.json, "deliver")
        return ran

    def dlq(self, *words: str) -> Ran:
        ran = self.evtool("dlq", *words, "--bus", self.bus, "-o", "json")
        if ran.code == 0:
            check_shape(ran.json, f"dlq-{words[0]}")
        return ran

    @property
    def calls(self) -> Counter[str]:
        file = self.folder / "calls.log"
        return Counter(file.read_text().splitlines() if file.exists() else [])

    @property
    def dead(self) -> list[Any]:
        """The messages of the dead topic."""
        return self.cluster.consume(f"{self.topic}.g.dead")

    @property
    def committed(self) -> int:
        """How many messages of the topic are committed."""
        return self.cluster.count_committed("g", self.topic)

    @contextmanager
    def watching(self, *options: str) -> Iterator["subprocess.Popen[bytes]"]:
        """A worker that keeps running."""
        command = [sys.executable, "-m", "evtool", "deliver", "--watch", "--bus", self.bus, *options]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        with (self.folder / "worker.err").open("wb") as errors:
            process = subprocess.Popen(
                command, cwd=self.folder, env=environment, stdout=subprocess.DEVNULL, stderr=errors
            )
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def check_shape(document: Any, name: str) -> None:
    """The output has the shape that docs/output describes."""
    schemas = {file.name: json.loads(file.read_text()) for file in (ROOT / "docs/output").glob("*.schema.json")}
    registry = Registry().with_contents(schemas.items())
    Draft202012Validator(schemas[f"{name}.schema.json"], registry=registry).validate(document)


@pytest.fixture
def place(cluster: Cluster, evtool: Evtool, tmp_path: Path) -> Place:
    """A new topic."""
    return Place(cluster, evtool, tmp_path)


def wait_for(condition: Callable[[], object]) -> None:
    """Waits until something is so."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.1)


def headers_of(message: Any) -> dict[str, str]:
    """The headers of evtool."""
    return {name: value.decode() for name, value in message.headers() if name.startswith("evtool-")}


# --- done ------------------------------------------------------------------------------------------------------------


def test_deliveries_are_made_and_emitted_events_are_sent(place: Place) -> None:
    """A run ends at the offsets that existed at its start; the next one delivers the emitted events."""
    place.send(*[encode("order", str(number)) for number in range(20)], encode("nobody"))

    first = place.deliver()
    assert first.code == 0
    summary = {"deliveries": 20, "done": 20, "waiting": 0, "ready": 0, "leased": 0, "dead": 0}
    assert first.json["summary"] == {**summary, "unreadable": 0, "skipped": 0}
    assert place.calls == {f"{number} pay": 1 for number in range(20)}
    assert place.committed == 21
    emitted = {entry["emitted"][0] for entry in first.json["deliveries"]}
    sent = [message for message in place.cluster.consume(place.topic) if json.loads(message.value())["id"] in emitted]
    assert len(sent) == 20
    assert {headers_of(message)["evtool-depth"] for message in sent} == {"1"}

    assert place.deliver().json["summary"]["done"] == 20
    assert place.deliver().json["deliveries"] == []


def test_repeated_delivery_emits_the_same_ids(place: Place) -> None:
    """The ids of emitted events are derived from their cause."""
    place.send(encode("order"), encode("order"))
    entries = place.deliver().json["deliveries"]

    assert len(entries) == 2
    assert entries[0]["emitted"] == entries[1]["emitted"]


def test_event_without_an_id_has_that_of_its_position(place: Place) -> None:
    """A message without an id has the same id each time."""
    place.send(b'{"Source": "s", "DetailType": "order", "Detail": "{}"}')
    event_id = place.deliver().json["deliveries"][0]["event"]

    assert event_id in {f"{place.topic}-0-0", f"{place.topic}-1-0"}


def test_text_report_has_a_line_for_each_delivery(place: Place) -> None:
    """People see a line for each delivery."""
    place.send(encode("order"))
    ran = place.evtool("deliver", "--bus", place.bus)

    assert ran.code == 0
    assert ran.out.splitlines()[-1] == "1 delivery, 1 done"


# --- tried again, and given up ---------------------------------------------------------------------------------------


def test_only_the_failed_handler_is_tried_again(place: Place) -> None:
    """A failed delivery goes to a retry topic, then to the dead topic with its history; a done one is not repeated."""
    place.send(encode("both"), headers=[("odd", None), ("odd", b"\xff")])
    first = place.deliver()
    assert first.code == 0
    assert first.json["summary"]["ready"] == 1
    assert place.committed == 1
    wait_for(lambda: place.deliver().json["summary"]["dead"])

    assert place.calls == {"1 pack": 1, "1 fail": 2}
    (letter,) = place.dead
    assert (letter.key(), letter.value()) == (b"key", encode("both"))
    assert letter.headers()[:2] == [("odd", None), ("odd", b"\xff")]
    headers = headers_of(letter)
    assert headers["evtool-origin"] in {f"{place.topic}-0-0", f"{place.topic}-1-0"}
    assert (headers["evtool-route"], headers["evtool-handler"]) == ("pack-both", "fail")
    assert (headers["evtool-attempt"], headers["evtool-condition"]) == ("2", "MaximumRetryAttempts")
    assert "no paper" in headers["evtool-reason"]
    assert [attempt[3] for attempt in json.loads(headers["evtool-history"])] == ["failed", "failed"]


def test_dead_delivery_is_exit_code_1(place: Place) -> None:
    """A delivery that is given up is a finding."""
    place.topic = place.cluster.create_topic(2, max_message_bytes="20000")
    place.send(encode("large", size=30_000))
    ran = place.deliver()

    assert ran.code == 1
    (entry,) = ran.json["deliveries"]
    assert entry["state"] == "dead"
    assert "emitted an event that the bus refuses: the message is too large" in entry["error"]
    assert place.committed == 1


def test_unavailable_handler_uses_no_attempt(place: Place) -> None:
    """A handler that is not available is asked again and again, although one attempt is all that it has."""
    place.send(encode("down"))
    while place.calls["1 down"] < 3:
        (entry,) = place.deliver().json["deliveries"] or [None]
        assert entry is None or (entry["state"], entry["attempts"]) == ("waiting", 0)


def test_loop_is_given_up(place: Place) -> None:
    """A chain of events that never ends is a dead letter after ten events."""
    place.send(encode("again"))
    with place.watching("-q"):
        wait_for(lambda: place.calls)
        wait_for(lambda: place.dead)

    assert headers_of(place.dead[0])["evtool-condition"] == "Loop"
    assert place.calls.total() == 11


def test_without_retry_topics_the_message_stays(place: Place) -> None:
    """`retry=none` commits nothing until the delivery is over, and needs no retry topic."""
    place.retry = "none"
    place.send(encode("both"))
    ran = place.deliver()
    assert (ran.code, ran.json["summary"]["ready"], place.committed) == (0, 1, 0)
    (place.folder / "mended").touch()
    with place.watching():
        wait_for(lambda: place.committed == 1)

    assert place.calls["1 fail"] >= 2
    topics = place.evtool("dlq", "list", "--bus", place.bus)
    assert topics.out == "no dead letters\n"


# --- messages that are not events ------------------------------------------------------------------------------------

POISON: list[tuple[bytes | None, list[tuple[str, bytes | None]]]] = [
    (b"\xff\xfe", []),
    (b"", [("", b""), ("x", None), ("x", b"\xff")]),
    (None, []),
    (None, [("content-type", b"application/json")]),
    (b'{"a": 1}', [("ce_id", b"\xff"), ("ce_type", b"t")]),
    (b"[1]", [("content-type", b"application/cloudevents-batch+json")]),
]


def test_an_unreadable_message_goes_to_the_dead_topic_with_its_bytes(place: Place) -> None:
    """The messages after it are delivered."""
    for value, headers in POISON:
        place.send(value, headers=headers)
    place.send(encode("order"))
    ran = place.deliver()

    assert ran.code == 1
    assert ran.json["summary"]["unreadable"] == len(POISON)
    assert len(ran.json["findings"]) == len(POISON)
    assert place.calls == {"1 pay": 1}
    assert place.committed == len(POISON) + 1
    dead = [
        (message.value(), [header for header in message.headers() if not header[0].startswith("evtool-")])
        for message in place.dead
    ]
    assert sorted(map(repr, dead)) == sorted(map(repr, POISON))
    assert place.deliver().code == 0


def test_tombstones_can_be_skipped(place: Place) -> None:
    """A compacted topic has tombstones, which should not become dead letters."""
    place.send(None, encode("order"), None)
    ran = place.evtool("deliver", "--bus", f"{place.bus}&tombstones=skip", "-o", "json")

    assert ran.code == 0
    assert (ran.json["summary"]["skipped"], ran.json["summary"]["done"]) == (2, 1)
    assert place.dead == []


# --- dead letters ----------------------------------------------------------------------------------------------------


def test_dead_letter_is_shown_and_redriven_to_its_handler(place: Place) -> None:
    """Only the handler that failed is called again; the dead letter is listed no more."""
    place.send(encode("both"))
    wait_for(lambda: place.deliver().json["summary"]["dead"])
    (listed,) = place.dlq("list").json["deliveries"]
    assert (listed["event"], listed["handler"], listed["attempts"]) == ("1", "fail", 2)
    (shown,) = place.dlq("show", "1").json["deliveries"]
    assert (shown["document"]["id"], len(shown["history"])) == ("1", 2)
    groups = place.cluster.list_groups()
    (place.folder / "mended").touch()

    assert place.dlq("redrive", "--handler", "pack").json["summary"]["deliveries"] == 0
    assert place.dlq("redrive", "--dry-run").json["summary"] == {"deliveries": 1, "dry_run": True}
    assert place.dlq("redrive").json["summary"]["deliveries"] == 1
    assert place.dlq("redrive").json["summary"]["deliveries"] == 0
    assert place.cluster.list_groups() == groups
    wait_for(lambda: place.deliver().json["summary"]["done"])
    assert place.calls == {"1 pack": 1, "1 fail": 3}
    assert place.dlq("list").json["deliveries"] == []


def test_redrive_without_retry_topics_uses_the_topic_itself(place: Place) -> None:
    """The message goes to its topic again, where other groups and other handlers leave it alone."""
    place.retry = "none"
    place.send(encode("both"))
    with place.watching():
        wait_for(lambda: place.calls)
        wait_for(lambda: place.dead)
    (place.folder / "mended").touch()
    assert place.dlq("redrive").json["summary"]["deliveries"] == 1
    other = place.evtool("deliver", "--bus", place.bus.replace("group=g", "group=other"), "-o", "json")
    assert {entry["handler"] for entry in other.json["deliveries"]} == {"pack", "fail"}
    before = place.calls

    assert place.deliver().json["summary"]["done"] == 1
    assert place.calls - before == {"1 fail": 1}


def test_poison_is_redriven_as_it_was(place: Place) -> None:
    """A message that could not be read comes to its topic again with its bytes and headers."""
    place.send(b"\xff", headers=[("x", None)])
    place.deliver()
    (listed,) = place.dlq("list").json["deliveries"]
    assert listed["condition"] == "Unreadable"
    assert place.dlq("redrive", listed["event"]).json["summary"]["deliveries"] == 1

    again = place.cluster.consume(place.topic)[-1]
    assert (again.key(), again.value(), again.headers()) == (b"key", b"\xff", [("x", None)])


def test_purged_dead_letter_is_gone(place: Place) -> None:
    """Purging writes a marker: nothing lists the dead letter any more."""
    place.send(None, b"{")
    place.deliver()
    assert place.dlq("purge").code == 2
    assert place.dlq("purge", "--all").json["summary"]["deliveries"] == 2

    assert place.dlq("list").json["deliveries"] == []


# --- ends and refusals -----------------------------------------------------------------------------------------------


def test_signal_ends_a_worker_cleanly(place: Place) -> None:
    """After Ctrl-C everything that was done is committed, and the next worker repeats nothing."""
    place.send(*[encode("order", str(number)) for number in range(2000)])
    with place.watching("-q") as process:
        wait_for(lambda: place.calls.total() > 200)
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 130
    done = sum(name.endswith("pay") for name in place.calls)
    assert done < 2000
    place.deliver()

    assert [name for name, count in place.calls.items() if count > 1] == []
    assert sum(name.endswith("pay") for name in place.calls) == 2000


def refused(ran: Ran, *parts: str) -> None:
    """Asserts exit code 2 and a message with the reason and the remedy."""
    assert ran.code == 2, ran.err
    assert "Traceback" not in ran.err
    for part in parts:
        assert part in ran.err


def test_missing_topic_is_an_error_and_is_not_created(place: Place) -> None:
    """A typo creates no topic."""
    place.topic = "nowhere"
    refused(place.deliver(), "there is no topic nowhere")
    refused(place.dlq("list"), "there is no topic nowhere.g.dead")


def test_options_without_a_meaning_for_a_bus_are_refused(place: Place) -> None:
    """`deliver` reports them before it connects."""
    refused(place.deliver("--now"), "--now is for the store")
    refused(place.evtool("deliver", "--bus", "file:x.jsonl"), "`deliver` consumes from Kafka and Event Hubs only")
    refused(place.evtool("dlq", "list", "--bus", "file:x.jsonl"), "dead letters are in topics")


def test_missing_hubs_are_listed(cluster: Cluster, evtool: Evtool, tmp_path: Path) -> None:
    """Event Hubs lets no client create hubs: the message lists those to create, and then it works."""
    hub = cluster.create_topic(1)
    port = cluster.info["sasl_bootstrap"].split(":")[1]
    connection_string = cluster.info["connection_string"].replace("127.0.0.1/", f"127.0.0.1:{port}/")
    env = {"EVENTHUBS_CONNECTION_STRING": connection_string}
    words = ("deliver", "--bus", f"eventhubs://{hub}?group=g&retry=5s&ca={cluster.info['ca']}")
    cluster.produce(hub, [(None, encode("order"), [])])

    ran = evtool(*words, env=env)
    refused(ran, f"create these hubs: {hub}.g.retry.5s, {hub}.g.dead")
    for name in (f"{hub}.g.retry.5s", f"{hub}.g.dead"):
        cluster.create_topic(1, name)
    ran = evtool(*words, env=env)

    assert (ran.code, ran.out.splitlines()[-1]) == (0, "1 delivery, 1 done")
    assert connection_string not in ran.out + ran.err


# --- the shop --------------------------------------------------------------------------------------------------------


def test_shop_runs_on_kafka(cluster: Cluster, evtool: Evtool, shop: Path) -> None:
    """The same routes and handlers, with `--bus` added: every order is paid for, confirmed and packed."""
    bus = f"kafka://{cluster.servers}/{cluster.create_topic(3)}?key=$.detail.orderId"
    env = {"SHOP_DATA": str(shop / "data")}
    sent = evtool("publish", "samples/events/orders.jsonl", "--bus", bus, cwd=shop)
    assert sent.code == 0

    orders = evtool("deliver", "--bus", bus, "-o", "json", cwd=shop, env=env)
    effects = evtool("deliver", "--bus", bus, "-o", "json", cwd=shop, env=env)

    assert (orders.code, effects.code) == (0, 0)
    assert Counter(entry["handler"] for entry in orders.json["deliveries"]) == {"charge-card": 5}
    handlers = Counter(entry["handler"] for entry in effects.json["deliveries"])
    assert handlers == {"confirmation-email": 4, "warehouse": 4, "declined-email": 1}
    assert {entry["state"] for entry in effects.json["deliveries"]} == {"done"}
