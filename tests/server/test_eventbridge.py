"""The endpoint of EventBridge: SDKs get AWS's responses, and acknowledged events are stored."""

import json
import uuid
from pathlib import Path
from typing import Any

import pytest

from evtool.server.context import Settings
from tests.support.server import RunningServer, make_project, run_server

GOOD = {"Source": "shop", "DetailType": "order.created", "Detail": '{"total": 1.50}'}
INVALID = "InvalidArgument"
EVENT = {
    "id": "1",
    "account": "1",
    "source": "shop",
    "time": "2026-11-30T10:00:00Z",
    "region": "us-east-1",
    "resources": [],
    "detail-type": "x",
    "detail": {"items": [{"sku": "a", "q": 1}, {"sku": "b", "q": 2}]},
}


def missing(name: str) -> str:
    return f"Parameter {name} is not valid. Reason: {name} is a required argument."


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        ({"Source": None}, INVALID, missing("Source")),
        ({"Source": ""}, INVALID, missing("Source")),
        ({"DetailType": None}, INVALID, missing("DetailType")),
        ({"Detail": None}, INVALID, missing("Detail")),
        ({"Detail": ""}, INVALID, missing("Detail")),
        ({"Detail": "{"}, "MalformedDetail", "Detail is malformed."),
        ({"Detail": "[]"}, "MalformedDetail", "Detail is malformed."),
        ({"Detail": "null"}, "MalformedDetail", "Detail is malformed."),
        ({"Detail": '"x"'}, "MalformedDetail", "Detail is malformed."),
        ({"Detail": '{"a": NaN}'}, "MalformedDetail", "Detail is malformed."),
        ({"DetailType": "x" * 129}, INVALID, "Parameter DetailType is not valid. Reason: "),
        ({"Source": "x" * 257}, INVALID, "Parameter Source is not valid. Reason: "),
        ({"Source": "a\0b"}, INVALID, "Parameter Source is not valid. Reason: "),
        ({"Resources": ["x" * 2049]}, INVALID, "Parameter Resources is not valid. Reason: "),
        ({"Source": "aws.s3"}, "NotAuthorizedForSourceException", "Not authorized for the source."),
    ],
)
def test_bad_entry_fails_in_its_place(server: RunningServer, change: dict[str, Any], code: str, message: str) -> None:
    """A bad entry fails with AWS's code; the ones beside it are stored."""
    reply = server.call("PutEvents", {"Entries": [GOOD, {**GOOD, **change}, GOOD]})

    assert reply.status == 200
    assert reply.json["FailedEntryCount"] == 1
    first, bad, last = reply.json["Entries"]
    assert bad["ErrorCode"] == code
    assert bad["ErrorMessage"].startswith(message)
    assert [event.id for event in server.read_events()] == [first["EventId"], last["EventId"]]


def test_only_entry_fails(server: RunningServer) -> None:
    """An entry fails alone also when it is the only one: the response is 200."""
    reply = server.call("PutEvents", {"Entries": [{}]})

    assert (reply.status, reply.json["FailedEntryCount"]) == (200, 1)
    assert server.read_events() == []


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        ({"Entries": []}, "ValidationException", "1 validation error detected: Value '[]' at 'entries'"),
        ({}, "ValidationException", "1 validation error detected: Value null at 'entries'"),
        (
            {"Entries": [GOOD] * 11},
            "ValidationException",
            "1 validation error detected: Value '[PutEventsRequestEntry(...)]' at 'entries' failed to satisfy"
            " constraint: Member must have length less than or equal to 10",
        ),
        (
            {"Entries": [{**GOOD, "Detail": json.dumps({"x": "y" * 120_000})}] * 9},
            "ValidationException",
            "Total size of the entries in the request is over the limit.",
        ),
        ({"Entries": [{**GOOD, "Detail": {}}]}, "SerializationException", "Entries[0].Detail is not a string"),
        ({"Entries": [GOOD, "x"]}, "SerializationException", "Entries[1] is not an object"),
        ({"Entries": {}}, "SerializationException", "Entries is not a list"),
        ([], "SerializationException", "the body of the request is not a JSON object"),
        (b"", "SerializationException", "the body of the request is not well-formed JSON"),
        (b'{"Entries": [', "SerializationException", "the body of the request is not well-formed JSON"),
        (b'{"Entries": "\\ud800"}', "SerializationException", "the body of the request is not well-formed JSON"),
        (b'{"Entries": "\xed\xa0\x80"}', "SerializationException", "the body of the request is not well-formed JSON"),
        (b"[" * 100_000, "SerializationException", "the body of the request is not well-formed JSON"),
    ],
)
def test_bad_request_is_refused_as_a_whole(server: RunningServer, body: Any, code: str, message: str) -> None:
    """A request that AWS refuses is 400, with the name of the error in `__type`, and nothing is stored."""
    reply = server.call("PutEvents", body)

    assert (reply.status, reply.json["__type"]) == (400, code)
    assert reply.json["message"].startswith(message)
    assert reply.headers["content-type"] == "application/x-amz-json-1.1"
    assert server.read_events() == []


@pytest.mark.parametrize(
    "time", ["NaN", "Infinity", "-6795364578.871", "1e999", '"nope"', '"2026-11-30"', "true", "{}"]
)
def test_bad_time_is_400(server: RunningServer, time: str) -> None:
    """A time that is neither a number nor a timestamp is a SerializationException, as JavaScript sends for no date."""
    body = json.dumps({"Entries": [GOOD]})[:-3] + f', "Time": {time}' + "}]}"
    reply = server.call("PutEvents", body.encode())

    assert (reply.status, reply.json["__type"]) == (400, "SerializationException")


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        ("1795953600", "2026-11-29T12:00:00.000Z"),
        ("1795953600.123456", "2026-11-29T12:00:00.123Z"),
        ("1.7959536E9", "2026-11-29T12:00:00.000Z"),
        ('"2026-11-29T13:00:00+01:00"', "2026-11-29T13:00:00+01:00"),
    ],
)
def test_times_of_all_sdks_are_taken(server: RunningServer, time: str, expected: str) -> None:
    """A time is an integer, a fraction, in exponent form, or a text."""
    body = json.dumps({"Entries": [GOOD]})[:-3] + f', "Time": {time}' + "}]}"

    assert server.call("PutEvents", body.encode()).status == 200
    (event,) = server.read_events()
    assert json.loads(event.raw)["time"] == expected


def test_entry_is_stored_with_all_members(server: RunningServer) -> None:
    """The id in the response is that of the stored event; number forms, resources and the bus are kept."""
    bus = "arn:aws:events:us-east-1:123456789012:event-bus/vip"
    entry = {**GOOD, "Detail": '{"total": 1.50, "vip": true}', "Resources": ["arn:a"], "EventBusName": bus}
    reply = server.call("PutEvents", {"Entries": [entry]})

    (event,) = server.read_events()
    assert reply.json == {"FailedEntryCount": 0, "Entries": [{"EventId": event.id}]}
    assert uuid.UUID(event.id)
    assert b'"detail": {"total": 1.50, "vip": true}' in event.raw
    assert (json.loads(event.raw)["resources"], event.bus) == (["arn:a"], "vip")
    assert uuid.UUID(reply.headers["x-amzn-requestid"])
    assert "content-encoding" not in reply.headers


def test_unknown_bus_is_accepted_and_noted_once(server: RunningServer) -> None:
    """As on AWS an event for an unknown bus is accepted; the log says that no route names the bus."""
    for _ in range(2):
        reply = server.call("PutEvents", {"Entries": [{**GOOD, "EventBusName": "nope"}]})
        assert reply.json["FailedEntryCount"] == 0

    server.call("PutEvents", {"Entries": [{**GOOD, "EventBusName": "vip"}, {**GOOD, "EventBusName": "default"}]})
    assert [event.bus for event in server.read_events()] == ["nope", "nope", "vip", "default"]
    assert [message for message in server.read_log() if "event-bus" in message] == [
        "no route has `event-bus: nope`: only routes without event-bus take the events of this bus"
    ]


def test_findings_are_logged(server: RunningServer) -> None:
    """EventBridge knows no schemas: an event that does not fit its schema is stored, and the log has the finding."""
    reply = server.call("PutEvents", {"Entries": [{**GOOD, "Detail": '{"total": "1"}'}]})

    assert reply.json["FailedEntryCount"] == 0
    assert len(server.read_events()) == 1
    assert "EV104 detail.total should be number" in "".join(server.read_log())


def test_validate_refuses_entries(tmp_path: Path, loopback: None) -> None:
    """With --validate an entry that does not fit its schema fails with the first finding."""
    with run_server(make_project(tmp_path), Settings(validates=True)) as server:
        reply = server.call("PutEvents", {"Entries": [{**GOOD, "Detail": '{"total": "1"}'}, GOOD]})

        bad, good = reply.json["Entries"]
        assert bad["ErrorCode"] == "InvalidArgument"
        assert bad["ErrorMessage"].startswith("EV104 detail.total should be number")
        assert [event.id for event in server.read_events()] == [good["EventId"]]


def test_any_path_is_answered(server: RunningServer) -> None:
    """An SDK whose endpoint URL has a path sends its calls there."""
    headers = {"x-amz-target": "AWSEvents.PutEvents"}

    assert server.send("POST", "/base/path/", {"Entries": [GOOD]}, headers).status == 200


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("POST", "/", {"X-Amz-Target": "AWSEvents.PutRule"}),
        ("POST", "/", {"X-Amz-Target": "DynamoDB_20120810.PutItem"}),
        ("POST", "/", {"X-Amz-Target": "AWSEvents.putevents"}),
        ("GET", "/", {"X-Amz-Target": "AWSEvents.PutEvents"}),
        ("POST", "/", {"Content-Type": "application/x-www-form-urlencoded"}),
    ],
)
def test_other_operations_are_refused(server: RunningServer, method: str, path: str, headers: dict[str, str]) -> None:
    """Every other operation and protocol gets AWS's error shape with the names of the supported ones."""
    reply = server.send(method, path, b"Action=Publish", headers)

    assert (reply.status, reply.json["__type"]) == (400, "UnknownOperationException")
    assert "PutEvents" in reply.json["message"]
    assert "TestEventPattern" in reply.json["message"]


@pytest.mark.parametrize(
    ("pattern", "result"),
    [
        ({"source": ["shop"]}, True),
        ({"source": ["other"]}, False),
        ({"detail": {"items": {"sku": ["a"], "q": [2]}}}, False),
        ({"detail": {"items": {"sku": ["b"], "q": [2.0]}}}, True),
    ],
)
def test_event_pattern_is_tested(server: RunningServer, pattern: dict[str, Any], result: bool) -> None:
    """TestEventPattern answers as AWS, where values of an array must be in one element."""
    reply = server.call("TestEventPattern", {"EventPattern": json.dumps(pattern), "Event": json.dumps(EVENT)})

    assert (reply.status, reply.json) == (200, {"Result": result})


@pytest.mark.parametrize(
    ("pattern", "event", "code", "message"),
    [
        ('{"source": "shop"}', EVENT, "InvalidEventPatternException", "Event pattern is not valid. Reason: "),
        ("{}", EVENT, "InvalidEventPatternException", "Event pattern is not valid. Reason: "),
        ("{", EVENT, "InvalidEventPatternException", "Event pattern is not valid. Reason: "),
        ('{"source": [{"foo": 1}]}', EVENT, "InvalidEventPatternException", "Event pattern is not valid. Reason: "),
        ('{"source": ["shop"]}', {}, "ValidationException", "Parameter Event is not valid."),
        ('{"source": ["shop"]}', [], "ValidationException", "Parameter Event is not valid."),
        ('{"source": ["shop"]}', {**EVENT, "id": ...}, "ValidationException", "Parameter Event is not valid."),
        ('{"source": ["' + "x" * 5000 + '"]}', EVENT, "ValidationException", "1 validation error detected: Value '"),
        (None, EVENT, "ValidationException", "1 validation error detected: Value null at 'eventPattern'"),
        (1, EVENT, "SerializationException", "EventPattern is not a string"),
    ],
)
def test_bad_pattern_or_event_is_refused(
    server: RunningServer, pattern: Any, event: Any, code: str, message: str
) -> None:
    """TestEventPattern refuses the same input as AWS, with the same codes."""
    document = {key: value for key, value in event.items() if value is not ...} if isinstance(event, dict) else event
    reply = server.call("TestEventPattern", {"EventPattern": pattern, "Event": json.dumps(document)})

    assert (reply.status, reply.json["__type"]) == (400, code)
    assert reply.json["message"].startswith(message)
