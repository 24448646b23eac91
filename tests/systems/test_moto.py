"""Events are sent to EventBridge as moto emulates it, and rules are read from it.

moto is asked only where it answers as AWS does: buses, rules, targets, archives, and entries that lack a member. It is
not asked for patterns (its TestEventPattern has no result), for sizes, or for PutEvents to a bus that does not exist.
"""

import json
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml

from evtool.aws.put_events import put_events
from tests.conftest import ROOT, Evtool

pytestmark = pytest.mark.systems

REGION = "eu-central-1"
ACCOUNT = "123456789012"  # moto's
KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_EC2_METADATA_DISABLED": "true"}
ORDER = ROOT / "samples/events/order-created.json"
ORDERS = {"source": ["shop.checkout"]}
LARGE = {"source": ["shop.checkout"], "detail": {"orderTotal": [{"numeric": [">", 1000]}]}}
GOOD = {"Source": "shop", "DetailType": "paid", "Detail": "{}"}


@pytest.fixture
def connect(moto: str) -> Callable[[str], Any]:
    """Opens a client of a service of moto, which has nothing but the default bus at the start of a test."""
    urllib.request.urlopen(urllib.request.Request(f"{moto}/moto-api/reset", method="POST")).close()

    def open_client(service: str) -> Any:
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        return boto3.client(service, REGION, endpoint_url=moto, **keys)

    return open_client


@pytest.fixture
def events(connect: Callable[[str], Any]) -> Any:
    """A client of EventBridge, which has the bus `orders`."""
    client = connect("events")
    client.create_event_bus(Name="orders")
    return client


def put_rule(client: Any, name: str, pattern: Any, *arns: str, bus: str = "orders", **members: Any) -> None:
    """A rule with a target for each ARN."""
    client.put_rule(Name=name, EventPattern=json.dumps(pattern), EventBusName=bus, **members)
    targets = [{"Id": str(number), "Arn": arn} for number, arn in enumerate(arns)]
    if targets:
        client.put_targets(Rule=name, EventBusName=bus, Targets=targets)


def test_pushed_events_reach_the_targets_of_rules(
    evtool: Evtool, moto: str, events: Any, connect: Callable[[str], Any]
) -> None:
    """An event that is sent fires the rule of its bus, and its target gets the type, the source and the detail."""
    queues = connect("sqs")
    url = queues.create_queue(QueueName="orders")["QueueUrl"]
    put_rule(events, "all", ORDERS, f"arn:aws:sqs:{REGION}:{ACCOUNT}:orders")

    ran = evtool("push", f"eventbridge://orders?region={REGION}&endpoint={moto}", ORDER, env=KEYS)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("1 event sent to eventbridge://orders")

    (message,) = queues.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    received, sent = json.loads(message["Body"]), json.loads(ORDER.read_text(encoding="utf-8"))
    kept = ("detail-type", "source", "resources", "detail")
    assert {name: received[name] for name in kept} == {name: sent.get(name, []) for name in kept}
    assert received["id"] != sent["id"]


def test_unknown_bus_is_refused_before_anything_is_sent(evtool: Evtool, moto: str, events: Any) -> None:
    """AWS would accept the events and drop them, so the bus is looked for first."""
    ran = evtool("push", f"eventbridge://nope?region={REGION}&endpoint={moto}", ORDER, env=KEYS)

    assert ran.code == 2
    assert f"there is no event bus nope in {REGION}" in ran.err


def test_rules_of_an_account_are_imported(evtool: Evtool, moto: str, events: Any, tmp_path: Path) -> None:
    """Rules of all buses with their targets, and the buses; schedules, archives and missing schemas are notes."""
    queue = f"arn:aws:sqs:{REGION}:{ACCOUNT}:review"
    put_rule(events, "large", LARGE, queue, f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:charge", Description="by hand")
    put_rule(events, "off", {"source": ["shop"]}, queue, bus="default", State="DISABLED")
    events.put_rule(Name="nightly", ScheduleExpression="rate(1 day)")
    events.create_archive(ArchiveName="all", EventSourceArn=f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/orders")

    ran = evtool("import", "aws", "--region", REGION, "--endpoint", moto, "-v", env=KEYS)
    assert ran.code == 0
    for note in ("nightly runs on a schedule", "the archive all", "schemas are not imported"):
        assert note in ran.err

    project = yaml.safe_load((tmp_path / "routes.yaml").read_text(encoding="utf-8"))
    assert project["buses"] == {"orders": {"url": f"eventbridge://orders?region={REGION}"}}
    assert project["handlers"]["review"] == {"external": queue}
    assert project["routes"]["large"] == {
        "pattern": LARGE,
        "to": ["review", "charge"],
        "event-bus": "orders",
        "description": "by hand",
    }
    off = project["routes"]["off"]
    assert (off["pattern"], off["to"], off["state"]) == ({"source": ["shop"]}, ["review"], "disabled")
    assert evtool("check", "routes.yaml").code == 0


def _describe(response: Mapping[str, Any]) -> Any:
    """How many entries failed, and the code and message of each that did."""
    results = [(entry.get("ErrorCode"), entry.get("ErrorMessage")) for entry in response["Entries"]]
    return response["FailedEntryCount"], results


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"Source": ""},
        {"Source": None, "DetailType": None},
        {"DetailType": None, "Detail": None},
        {"Detail": None},
        {"Detail": "{"},
    ],
)
def test_entries_are_answered_as_moto_does(events: Any, change: dict[str, Any]) -> None:
    """An entry that lacks a member, or has a broken detail, has the same code and message; the others succeed."""
    entries = [{name: value for name, value in {**GOOD, **change}.items() if value is not None}, GOOD]
    theirs = events.put_events(Entries=entries)
    ours = put_events({"Entries": entries}, lambda _entry: "id")

    assert _describe(ours) == _describe(theirs)
