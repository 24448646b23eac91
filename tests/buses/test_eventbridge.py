"""Sending to EventBridge: valid batches, reported failures, and retries of temporary errors only."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import ANY, Stubber

from evtool.buses.eventbridge import CLOUDEVENT_NOTE, EventBridgeBus, build_entry
from evtool.errors import UsageError
from evtool.events.envelopes import parse_event
from evtool.events.event import Event
from tests.conftest import Evtool
from tests.support.server import make_project, start_process

KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_EC2_METADATA_DISABLED": "true"}
CLOUDEVENT = {"specversion": "1.0", "id": "1", "source": "/shop", "type": "paid", "data": {"total": 1}}


@pytest.fixture(scope="module")
def client() -> Any:
    """A client of EventBridge with the models of AWS; it connects to nothing."""
    return boto3.client("events", region_name="eu-west-1", aws_access_key_id="a", aws_secret_access_key="b")


@pytest.fixture
def stub(client: Any) -> Iterator[Stubber]:
    """Responses of EventBridge, which are checked against its model; all have to be used."""
    with Stubber(client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def make_event(number: int, detail: str = "{}", **members: Any) -> Event:
    start = json.dumps({"id": str(number), "source": "shop", "detail-type": "paid", **members})
    return parse_event(f'{start[:-1]}, "detail": {detail}}}'.encode())


def open_bus(stub: Stubber, pauses: list[float] | None = None, *, checks_bus: bool = False) -> EventBridgeBus:
    sleep = (pauses if pauses is not None else []).append
    return EventBridgeBus("eventbridge://orders", "orders", lambda: stub.client, checks_bus=checks_bus, sleep=sleep)


def respond(stub: Stubber, *results: str) -> None:
    """The response to a batch: an id, or a code of an error, for each entry."""
    entries = [{"ErrorCode": r, "ErrorMessage": "m"} if r[0].isupper() else {"EventId": r} for r in results]
    failed = sum("ErrorCode" in entry for entry in entries)
    stub.add_response("put_events", {"FailedEntryCount": failed, "Entries": entries}, {"Entries": [ANY] * len(results)})


def test_batches_have_ten_entries(stub: Stubber) -> None:
    """23 events are three requests, and each result belongs to the event in its place."""
    respond(stub, *["id"] * 9, "InvalidArgument")
    respond(stub, *["id"] * 10)
    respond(stub, "id", "MalformedDetail", "id")
    reports = list(open_bus(stub).send(map(make_event, range(23))))

    assert [report.event.id for report in reports] == [str(number) for number in range(23)]
    assert {report.event.id: report.error for report in reports if report.error} == {
        "9": "InvalidArgument: m",
        "21": "MalformedDetail: m",
    }


def test_batches_have_a_megabyte(stub: Stubber) -> None:
    """Bytes of source, type, detail and resources count, and 14 for a time; a larger event is not sent."""
    base = len('shoppaid{"x": ""}')
    half = make_event(1, json.dumps({"x": "a" * (500_000 - base)}))
    timed = make_event(2, json.dumps({"x": "a" * (500_000 - base - 13)}), time="2026-11-23T10:00:00Z")
    huge = make_event(3, json.dumps({"x": "é" * 500_000}, ensure_ascii=False))
    respond(stub, "id", "id")
    respond(stub, "id")
    reports = list(open_bus(stub).send([half, half, timed, huge]))

    assert [report.error is None for report in reports] == [True, True, False, True]
    assert "too large: 1,000,017 bytes" in str(reports[2].error)


def test_only_failed_entries_are_retried(stub: Stubber) -> None:
    """Only temporary codes are retried, with growing pauses. Accepted entries are not sent again."""
    pauses: list[float] = []
    respond(stub, "id", "ThrottlingException", "InternalFailure", "InvalidArgument")
    respond(stub, "ThrottlingException", "id")
    respond(stub, "id")
    reports = list(open_bus(stub, pauses).send(map(make_event, range(4))))

    assert {report.event.id: report.error for report in reports} == {
        "0": None,
        "1": None,
        "2": None,
        "3": "InvalidArgument: m",
    }
    assert len(pauses) == 2


def test_retries_end_after_the_last_attempt(stub: Stubber) -> None:
    """After five retries the entry has failed."""
    for _ in range(6):
        respond(stub, "InternalFailure")
    (report,) = open_bus(stub).send([make_event(1)])

    assert report.error == "InternalFailure: m"


@pytest.mark.parametrize(
    "response",
    [{}, {"FailedEntryCount": 0}, {"Entries": []}, {"Entries": [{"EventId": "1"}] * 3}, {"Entries": [{}, {}]}],
)
def test_a_response_without_results_is_a_failure(stub: Stubber, response: Any) -> None:
    """An empty response, or one of another length, confirms nothing."""
    stub.add_response("put_events", response, {"Entries": [ANY, ANY]})
    reports = list(open_bus(stub).send(map(make_event, range(2))))

    assert len(reports) == 2
    assert all("the response has" in str(report.error) for report in reports)


def test_a_refused_request_fails_its_entries(stub: Stubber) -> None:
    """The other batches are sent."""
    stub.add_client_error("put_events", "ValidationException", "over the limit", 400)
    respond(stub, "id")
    reports = list(open_bus(stub).send(map(make_event, range(11))))

    assert [report.error for report in reports] == ["ValidationException: over the limit"] * 10 + [None]


def test_credentials_that_expire_on_the_way_fail_the_rest(stub: Stubber) -> None:
    """Confirmed events are reported as sent. Before the first confirmation, expired credentials are a usage error."""
    respond(stub, *["id"] * 10)
    stub.add_client_error("put_events", "ExpiredTokenException", "old", 400)
    reports = list(open_bus(stub).send(map(make_event, range(11))))
    stub.add_client_error("put_events", "ExpiredTokenException", "old", 400)

    assert [report.error is None for report in reports] == [True] * 10 + [False]
    assert "run `aws sso login`" in str(reports[-1].error)
    with pytest.raises(UsageError, match="they have expired"):
        list(open_bus(stub).send([make_event(1)]))


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("ResourceNotFoundException", "there is no event bus orders in eu-west-1"),
        ("ExpiredTokenException", "they have expired; run `aws sso login`"),
        ("UnrecognizedClientException", "AWS refuses the credentials"),
        ("AccessDeniedException", "cannot check that the bus exists (events:DescribeEventBus)"),
        ("InternalException", "cannot check that the bus exists: InternalException"),
    ],
)
def test_the_bus_is_checked_first(stub: Stubber, code: str, message: str) -> None:
    """For an unknown bus AWS accepts events and drops them, so nothing is sent."""
    stub.add_client_error("describe_event_bus", code, "no", 400, expected_params={"Name": "orders"})

    with pytest.raises(UsageError) as raised:
        list(open_bus(stub, checks_bus=True).send([make_event(1)]))
    assert message in str(raised.value)


def test_the_detail_is_the_text_of_the_event() -> None:
    """Numbers keep their form; time and resources are sent, and a time that was not in the event is not."""
    event = make_event(1, '{"n": 1.50, "e": 1E3}', time="2026-11-23T10:00:00.5Z", resources=["arn:x"])
    entry = build_entry(event, "orders")
    assert isinstance(entry, dict)

    assert entry["Detail"] == '{"n": 1.50, "e": 1E3}'
    assert entry["Resources"] == ["arn:x"]
    assert entry["Time"].timestamp() == 1795428000.5
    assert "Time" not in build_entry(make_event(1), "orders")


@pytest.mark.parametrize(
    ("members", "detail"),
    [({}, '{"total":1}'), ({"data": None, "data_base64": "eyJhIjogMX0="}, '{"a":1}'), ({"data": None}, "{}")],
)
def test_a_cloudevent_is_sent_as_an_entry(stub: Stubber, members: Any, detail: str) -> None:
    """Type, source and data; a note says that the id is another."""
    fields = {key: value for key, value in {**CLOUDEVENT, **members}.items() if value is not None}
    event = parse_event(json.dumps(fields, separators=(",", ":")).encode())
    entry = {"Source": "/shop", "DetailType": "paid", "Detail": detail, "EventBusName": "orders"}
    stub.add_response("put_events", {"FailedEntryCount": 0, "Entries": [{"EventId": "x"}]}, {"Entries": [entry]})
    (report,) = open_bus(stub).send([event])

    assert (report.error, report.note) == (None, CLOUDEVENT_NOTE)


@pytest.mark.parametrize("data", ["text", [1], 3])
def test_data_that_is_not_an_object_is_not_sent(stub: Stubber, data: Any) -> None:
    """EventBridge would refuse it."""
    (report,) = open_bus(stub).send([parse_event(json.dumps({**CLOUDEVENT, "data": data}).encode())])

    assert report.error == "its data is not a JSON object, which EventBridge requires"


def test_push_and_publish_to_a_local_endpoint(evtool: Evtool, tmp_path: Path, loopback: None) -> None:
    """`evtool serve` receives the events on the bus of the URL, with unchanged numbers."""
    make_project(tmp_path)
    (tmp_path / "e.json").write_text(
        '{"id": "1", "source": "shop", "detail-type": "order.created", "detail": {"n": 1.50}}'
    )
    (tmp_path / "c.json").write_text(json.dumps({**CLOUDEVENT, "type": "order.created"}))
    with start_process(tmp_path) as server:
        url = f"eventbridge://vip?endpoint=http://127.0.0.1:{server.port}"
        pushed = evtool("push", url, "e.json", "c.json", "-o", "json", env=KEYS)
        published = evtool("publish", "e.json", "--bus", url, env=KEYS)
        server.end()
    stored = [json.loads(line) for line in evtool("events", "-o", "jsonl").out.splitlines()[:3]]
    shown = evtool("events", stored[0]["id"], "-o", "json")

    assert (pushed.code, published.code) == (0, 0), pushed.err + published.err
    assert pushed.json["summary"]["sent"] == 2
    assert CLOUDEVENT_NOTE in pushed.err
    assert "1 event sent to eventbridge://vip" in published.out
    assert sorted(event["source"] for event in stored) == ["/shop", "shop", "shop"]
    assert "vip" in shown.out


@pytest.mark.parametrize(
    ("url", "env", "message"),
    [
        ("eventbridge://", KEYS, "name the event bus: eventbridge://BUS?region=REGION"),
        ("eventbridge://a b", KEYS, "name the event bus"),
        ("eventbridge://b?regoin=x", KEYS, 'did you mean "region"?'),
        ("eventbridge://b?endpoint=localhost", KEYS, "endpoint is a URL such as"),
        ("eventbridge://b", KEYS, "no region is configured: add ?region=REGION"),
        ("eventbridge://b?region=eu-west-1", {"AWS_EC2_METADATA_DISABLED": "true"}, "AWS_ACCESS_KEY_ID"),
        ("eventbridge://b?region=eu-west-1&profile=nope", KEYS, "AWS_PROFILE"),
        ("eventbridge://b?region=eu-west-1&client.nope=1", KEYS, "settings of AWS's client cannot be used"),
    ],
)
def test_wrong_settings_are_explained(evtool: Evtool, tmp_path: Path, url: str, env: Any, message: str) -> None:
    """Missing credentials, region and wrong parameters are exit code 2 with advice."""
    (tmp_path / "e.json").write_text('{"id": "1", "source": "s", "detail-type": "t", "detail": {}}')
    ran = evtool("push", url, "e.json", env={**env, "HOME": str(tmp_path)})

    assert ran.code == 2
    assert message in ran.err
    assert "Traceback" not in ran.err


def test_eventbridge_cannot_be_read(evtool: Evtool) -> None:
    """The error of `pull` says what to do instead."""
    ran = evtool("pull", "eventbridge://b?region=eu-west-1", "--to", "x.jsonl", env=KEYS)

    assert ran.code == 2
    assert "EventBridge cannot be read" in ran.err
