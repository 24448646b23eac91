"""Kafka as a bus, with a real broker: sending, reading and errors."""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Evtool, Ran
from tests.support.kafka import Cluster

pytestmark = pytest.mark.buses

QUICK = 30  # seconds; evtool itself gives up after 10, and the machine may be slow


@pytest.fixture(autouse=True)
def project(tmp_path: Path) -> None:
    """A project with one route, for events of one source."""
    handlers = 'handlers:\n  h: {command: ["true"]}\n'
    (tmp_path / "routes.yaml").write_text(
        f"version: 1\n{handlers}routes:\n  all: {{pattern: {{source: [s]}}, to: [h]}}\n"
    )


def build_event(number: int, **members: Any) -> dict[str, Any]:
    """An event of 2020."""
    header = {"id": str(number), "detail-type": "t", "source": "s", "time": "2020-01-01T00:00:00Z"}
    return {**header, "detail": {"n": number}, **members}


def write_events(file: Path, numbers: Sequence[int], **members: Any) -> str:
    """A JSON Lines file of events."""
    file.write_text("".join(json.dumps(build_event(number, **members)) + "\n" for number in numbers))
    return file.name


def encode(number: int) -> bytes:
    """The value of a message."""
    return json.dumps(build_event(number)).encode()


def refused(ran: Ran, *parts: str) -> None:
    """Asserts exit code 2 and a message with the reason and the remedy."""
    assert ran.code == 2, ran.err
    assert "Traceback" not in ran.err
    for part in parts:
        assert part in ran.err


# --- sending ---------------------------------------------------------------------------------------------------------


def test_publish_sends_events_with_key_headers_and_the_current_time(
    cluster: Cluster, evtool: Evtool, tmp_path: Path
) -> None:
    topic, start = cluster.create_topic(3), time.time() * 1000
    file = write_events(tmp_path / "events.jsonl", range(100))

    ran = evtool("publish", file, "--bus", f"kafka://{cluster.servers}/{topic}?key=$.detail.n")

    assert ran.code == 0
    assert ran.out == f"100 events sent to kafka://{cluster.servers}/{topic}?key=$.detail.n\n"
    messages = cluster.consume(topic)
    assert sorted(int(message.key()) for message in messages) == list(range(100))
    assert {message.partition() for message in messages} == {0, 1, 2}
    assert all(json.loads(message.value()) == build_event(int(message.key())) for message in messages)
    assert {message.headers()[0] for message in messages} == {("content-type", b"application/json")}
    assert all(start - 60_000 < message.timestamp()[1] < time.time() * 1000 + 60_000 for message in messages)


def test_events_with_one_key_keep_their_order(cluster: Cluster, evtool: Evtool, tmp_path: Path) -> None:
    topic = cluster.create_topic(3)
    file = write_events(tmp_path / "events.jsonl", range(2000))

    assert evtool("publish", file, "--bus", f"kafka://{cluster.servers}/{topic}?key=source").code == 0

    assert [json.loads(message.value())["id"] for message in cluster.consume(topic)] == [*map(str, range(2000))]


def test_an_event_that_is_too_large_fails_and_the_others_are_sent(
    cluster: Cluster, evtool: Evtool, tmp_path: Path
) -> None:
    topic = cluster.create_topic(max_message_bytes="10000")
    with (tmp_path / "events.jsonl").open("w") as file:
        for number, size in enumerate((1, 50_000, 1_100_000, *[500] * 100)):  # these fit alone, but not in one batch
            file.write(json.dumps(build_event(number, detail={"pad": "x" * size})) + "\n")
    target = f"kafka://{cluster.servers}/{topic}"

    ran = evtool("publish", "events.jsonl", "--bus", target, "--max-bytes", "2000000", "-o", "json")

    assert ran.code == 1
    failed = {event["id"]: event["error"] for event in ran.json["events"] if event["status"] == "failed"}
    assert failed.keys() == {"1", "2"}
    assert all("too large" in error for error in failed.values())
    assert ran.json["summary"]["sent"] == len(cluster.consume(topic)) == 101


def test_push_sends_stored_events_and_pull_gets_them_back(cluster: Cluster, evtool: Evtool, tmp_path: Path) -> None:
    topic = cluster.create_topic(2)
    evtool("publish", write_events(tmp_path / "events.jsonl", range(20)), "--no-deliver", "-q")

    assert evtool("push", f"kafka://{cluster.servers}/{topic}", "-q").code == 0
    ran = evtool("pull", f"kafka://{cluster.servers}/{topic}", "--store", "other.db", "-o", "json")

    assert ran.json["summary"]["stored"] == 20
    original = evtool("events", "-o", "json").json["events"]
    copies = evtool("events", "-o", "json", "--store", "other.db").json["events"]
    assert sorted((e["id"], e["time"]) for e in copies) == sorted((e["id"], e["time"]) for e in original)


# --- reading ---------------------------------------------------------------------------------------------------------


def test_pull_is_idempotent_and_joins_no_group(cluster: Cluster, evtool: Evtool) -> None:
    topic = cluster.create_topic(4)
    cluster.produce(topic, [(None, encode(number), []) for number in range(500)])
    groups = cluster.list_groups()

    first = evtool("pull", f"kafka://{cluster.servers}/{topic}", "-o", "json")
    cluster.produce(topic, [(None, encode(number), []) for number in range(500, 510)])
    second = evtool("pull", f"kafka://{cluster.servers}/{topic}", "-o", "json")

    assert first.json["summary"]["stored"] == 500
    assert (second.json["summary"]["stored"], second.json["summary"]["duplicates"]) == (10, 500)
    assert cluster.list_groups() == groups


def test_pull_reads_empty_topics_and_several_topics(cluster: Cluster, evtool: Evtool) -> None:
    empty, full = cluster.create_topic(3), cluster.create_topic()
    cluster.produce(full, [(None, encode(1), [])])

    assert evtool("pull", f"kafka://{cluster.servers}/{empty}", "-o", "json").json["summary"]["read"] == 0
    assert evtool("pull", f"kafka://{cluster.servers}/{empty},{full}", "-o", "json").json["summary"]["read"] == 1


def test_poison_tombstones_and_odd_headers_do_not_stop_reading(cluster: Cluster, evtool: Evtool) -> None:
    topic = cluster.create_topic()
    attributes = [("ce_specversion", b"1.0"), ("ce_id", b"b"), ("ce_type", b"t"), ("ce_source", b"s")]
    cluster.produce(
        topic,
        [
            (None, encode(1), [("", b""), ("odd", None), ("odd", b"\xff"), ("odd", b"2")]),
            (b"k", None, []),
            (None, b"\xff\xfe", []),
            (b"", b"", []),
            (None, b'{"n": 1}', [*attributes, ("content-type", b"application/json")]),
            (None, b'{"Source": "s", "DetailType": "t", "Detail": "{}"}', []),
        ],
    )

    ran = evtool("pull", f"kafka://{cluster.servers}/{topic}", "-o", "json")

    assert ran.code == 1
    assert ran.json["summary"] == {"read": 6, "stored": 3, "duplicates": 0, "sent": 0, "failed": 0, "invalid": 3}
    assert [finding["file"] for finding in ran.json["findings"]] == [f"{topic}-0-{offset}" for offset in (1, 2, 3)]
    assert [e["id"] for e in evtool("events", "-o", "json").json["events"]] == ["1", "b", f"{topic}-0-5"]
    again = evtool("pull", f"kafka://{cluster.servers}/{topic}?tombstones=skip", "-o", "json").json["summary"]
    assert (again["duplicates"], again["invalid"]) == (3, 2)


def test_times_are_those_of_the_messages(cluster: Cluster, evtool: Evtool, tmp_path: Path) -> None:
    topic = cluster.create_topic(2)
    now = round(time.time() * 1000)
    for number, minutes in enumerate((50, 10, 30, 20)):
        cluster.produce(topic, [(None, encode(number), [])], timestamp=now - minutes * 60_000)

    def pulled(*options: str) -> list[str]:
        assert evtool("pull", f"kafka://{cluster.servers}/{topic}", "--to", "out.jsonl", *options).code == 0
        return sorted(json.loads(line)["id"] for line in (tmp_path / "out.jsonl").read_text().splitlines())

    assert pulled("--since", "40m") == ["1", "2", "3"]
    assert pulled("--since", "40m", "--until", "15m") == ["2", "3"]
    assert pulled("--until", "25m") == ["0", "2"]
    assert pulled("--since", "1m") == []


def test_replay_plans_over_a_topic(cluster: Cluster, evtool: Evtool) -> None:
    topic = cluster.create_topic(3)
    other = json.dumps(build_event(900, source="other")).encode()
    cluster.produce(topic, [*[(None, encode(number), []) for number in range(300)], (None, other, [])])
    source = f"kafka://{cluster.servers}/{topic}"

    ran = evtool("replay", "--from", source, "-o", "json")

    assert ran.code == 0
    assert ran.json["handlers"] == {"h": 300}
    assert ran.json["summary"]["events"] == 301
    assert "300" in evtool("replay", "--from", source).out
    assert evtool("replay", "--from", source, "--limit", "5", "-o", "json").json["summary"]["events"] == 5
    assert evtool("replay", "--from", source, "--source", "other", "-o", "json").json["summary"]["events"] == 1
    assert evtool("replay", "--from", source, "--since", "2021-01-01", "-o", "json").json["summary"]["events"] == 301
    assert "no event in the bus has this type" in evtool("replay", "--from", source, "--type", "x").err


def test_counts_alone_are_those_of_the_detailed_plan(cluster: Cluster, evtool: Evtool) -> None:
    """Without -v and without a store, evtool only counts. The messages are of many forms, some of them unreadable."""
    topic = cluster.create_topic(2)
    entry = b'{"Source": "s", "DetailType": "t", "Detail": "{}"}'
    odd = [b"{", b"", None, entry, json.dumps(build_event(1, detail={"text": 'with "quotes"'})).encode()]
    messages = [encode(number) if number % 50 else odd[number // 50 % len(odd)] for number in range(3000)]
    cluster.produce(topic, [(None, message, []) for message in messages])
    source = f"kafka://{cluster.servers}/{topic}"

    counts, detailed = evtool("replay", "--from", source), evtool("replay", "--from", source, "-v")

    assert counts.code == detailed.code == 1
    assert counts.out.splitlines() == [line for line in detailed.out.splitlines() if line in counts.out.splitlines()]
    assert "2,964 events, a plan: nothing was called" in counts.out
    assert sorted(counts.err.splitlines()) == sorted(detailed.err.splitlines())
    selected = evtool("replay", "--from", source, "--type", "x")
    assert "0 events, a plan" in selected.out
    assert "no event in the bus has this type" in selected.err


def test_replay_delivers_events_of_a_topic(cluster: Cluster, evtool: Evtool) -> None:
    topic = cluster.create_topic()
    cluster.produce(topic, [(None, encode(number), []) for number in range(3)])

    ran = evtool("replay", "--from", f"kafka://{cluster.servers}/{topic}", "--deliver", "-o", "json")

    assert [event["fires"][0]["action"] for event in ran.json["events"]] == ["done"] * 3


# --- credentials and mistakes ----------------------------------------------------------------------------------------


def secure_url(cluster: Cluster, topic: str, parameters: str) -> str:
    """The URL of a topic with TLS."""
    return f"kafkas://{cluster.info['sasl_bootstrap']}/{topic}?ca={cluster.info['ca']}&{parameters}"


UNSECURED = "&client.enable.sasl.oauthbearer.unsecure.jwt=true&client.sasl.oauthbearer.config=principal%3Dalice"


@pytest.mark.parametrize(
    "parameters",
    [
        "sasl=plain&user=alice",
        "sasl=scram-sha-256&user=bob",
        "sasl=scram-sha-512&user=bob",
        f"sasl=oauthbearer{UNSECURED}",
    ],
)
def test_tls_and_each_mechanism_of_credentials_work(
    parameters: str, cluster: Cluster, evtool: Evtool, tmp_path: Path
) -> None:
    topic, file = cluster.create_topic(), write_events(tmp_path / "events.jsonl", range(3))
    passwords = {**cluster.info["users"], **cluster.info["scram"]}
    env = {"KAFKA_PASSWORD": passwords["bob" if "bob" in parameters else "alice"]}
    env = {} if "oauth" in parameters else env

    assert evtool("publish", file, "--bus", secure_url(cluster, topic, parameters), env=env).code == 0
    assert evtool("pull", secure_url(cluster, topic, parameters), env=env).code == 0
    assert len(cluster.consume(topic)) == 3


@pytest.mark.parametrize("mechanism", ["plain", "scram-sha-256"])
def test_a_wrong_password_ends_within_seconds(mechanism: str, cluster: Cluster, evtool: Evtool, tmp_path: Path) -> None:
    topic, file = cluster.create_topic(), write_events(tmp_path / "events.jsonl", range(3))
    url, env = secure_url(cluster, topic, f"sasl={mechanism}&user=alice"), {"KAFKA_PASSWORD": "hunter2"}

    for command in (["publish", file, "--bus", url], ["pull", url], ["replay", "--from", url], ["push", url, file]):
        start = time.monotonic()
        ran = evtool(*command, env=env)
        assert time.monotonic() - start < QUICK
        refused(ran, "uthentication failed", "check the user and the password")
        assert "hunter2" not in ran.err


def test_wrong_certificates_and_ports_are_explained(cluster: Cluster, evtool: Evtool) -> None:
    secure = cluster.info["sasl_bootstrap"]
    env = {"KAFKA_PASSWORD": "x"}

    refused(evtool("pull", f"kafkas://{secure}/t?sasl=plain&user=alice", env=env), "SSL", "check ca in the URL")
    refused(evtool("pull", f"kafkas://{cluster.servers}/t"), "SSL")
    refused(evtool("pull", f"kafka://{secure}/t"), "no answer from", "whether the port expects TLS")


def test_missing_servers_topics_and_settings_are_explained(cluster: Cluster, evtool: Evtool, tmp_path: Path) -> None:
    file = write_events(tmp_path / "events.jsonl", range(1))
    topic = cluster.create_topic()
    start = time.monotonic()

    refused(evtool("pull", "kafka://127.0.0.1:1/t"), "no answer from 127.0.0.1:1", "Connection refused")
    refused(evtool("publish", file, "--bus", "kafka://kafka.invalid:9092/t"), "Failed to resolve")
    near = f"{topic[:-1]}_"
    refused(evtool("publish", file, "--bus", f"kafka://{cluster.servers}/{near}"), f"there is no topic {near}", topic)
    refused(evtool("pull", f"kafka://{cluster.servers}/orders"), "there is no topic orders; create it first")
    refused(evtool("pull", f"kafka://{cluster.servers}/{topic}?client.foo=1"), 'No such configuration property: "foo"')

    assert time.monotonic() - start < 5 * QUICK
    assert near not in cluster.list_topics()  # asking does not create it


# --- Event Hubs ------------------------------------------------------------------------------------------------------


def test_event_hubs_need_nothing_but_a_connection_string(cluster: Cluster, evtool: Evtool, tmp_path: Path) -> None:
    hub, file = cluster.create_topic(2), write_events(tmp_path / "events.jsonl", range(10))
    string = cluster.info["connection_string"]
    env = {"EVENTHUBS_CONNECTION_STRING": string, "SSL_CERT_FILE": cluster.info["ca"]}
    url = f"eventhubs://{hub}?ca={cluster.info['ca']}"

    sent = evtool("publish", file, "--bus", url, env=env)
    pulled = evtool("pull", url, "-o", "json", env={**env, "EVENTHUBS_CONNECTION_STRING": f"{string};EntityPath={hub}"})

    assert sent.code == 0, sent.err
    assert sent.out == f"10 events sent to {url}\n"
    assert pulled.code == 2  # the broker takes the string without EntityPath only, as Event Hubs takes both
    assert evtool("pull", url, "-o", "json", env=env).json["summary"]["stored"] == 10


def test_mistakes_with_event_hubs_are_explained(cluster: Cluster, evtool: Evtool, tmp_path: Path) -> None:
    hub, file = cluster.create_topic(), write_events(tmp_path / "events.jsonl", range(1))
    string, ca = cluster.info["connection_string"], cluster.info["ca"]
    wrong = {"EVENTHUBS_CONNECTION_STRING": string.replace("SharedAccessKey=", "SharedAccessKey=x")}

    ran = evtool("publish", file, "--bus", f"eventhubs://{hub}?ca={ca}", env=wrong)
    refused(ran, "EVENTHUBS_CONNECTION_STRING")
    assert "SharedAccessKey" not in ran.err
    right = {"EVENTHUBS_CONNECTION_STRING": string}
    refused(
        evtool("pull", f"eventhubs://nothing?ca={ca}", env=right), "there is no hub nothing; create it in Azure first"
    )
    refused(evtool("pull", f"eventhubs://{hub}?ca={ca}&client.compression.type=lz4", env=right), "gzip or without")
