"""CloudEvents over HTTP in every mode, and any form of events at /events."""

import gzip
import json
from typing import Any

import pytest

from evtool.readers.files import SourceText
from evtool.server.cloudevents import read_cloudevents
from tests.support.server import RunningServer

JSON = "application/json"
STRUCTURED = {"Content-Type": "application/cloudevents+json; charset=utf-8"}
BATCH = {"Content-Type": "application/cloudevents-batch+json"}


def cloudevent(name: str = "1", **members: Any) -> dict[str, Any]:
    return {"specversion": "1.0", "id": name, "source": "shop", "type": "order.created", "data": {}, **members}


def binary(**headers: str) -> dict[str, str]:
    required = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "shop", "ce-type": "order.created"}
    return required | {name.replace("_", "-"): value for name, value in headers.items()}


@pytest.mark.parametrize("path", ["/", "/events"])
def test_structured_event_is_stored_as_it_is(server: RunningServer, path: str) -> None:
    """A new event is 202, the same again 200, the same in other bytes 200, other content under its key 409."""
    event = cloudevent(f"structured {path}", data={"total": 1})
    raw = json.dumps(event).encode()

    first = server.send("POST", path, raw, STRUCTURED)
    assert first.status == 202
    assert first.json == {
        "events": [{"id": event["id"], "type": "order.created", "source": "shop", "status": "stored"}]
    }
    again = server.send("POST", path, raw, STRUCTURED)
    assert (again.status, again.json["events"][0]["status"]) == (200, "duplicate")
    assert server.send("POST", path, json.dumps(event, indent=1).encode(), STRUCTURED).status == 200
    conflict = server.send("POST", path, {**event, "data": {"total": 2}}, STRUCTURED)
    assert (conflict.status, conflict.json["__type"]) == (409, "ConflictException")
    assert conflict.json["findings"][0]["code"] == "EV010"
    assert [stored.raw for stored in server.read_events()] == [raw]


@pytest.mark.parametrize(
    ("body", "headers", "status", "message"),
    [
        (b"", STRUCTURED, 400, "EV002"),
        (b"{", STRUCTURED, 400, "EV002"),
        (b"[]", STRUCTURED, 400, "EV009 an event is a JSON object, this is an array"),
        (b"\xff", STRUCTURED, 400, "EV004"),
        (cloudevent(specversion="0.3"), STRUCTURED, 400, 'EV108 CloudEvents "0.3" is not supported'),
        ({**cloudevent(), "id": ""}, STRUCTURED, 400, "EV108"),
        (cloudevent(time="now"), STRUCTURED, 400, "EV108"),
        (cloudevent(data_base64="eA=="), STRUCTURED, 400, "EV108"),
        ({"detail-type": "a", "source": "b", "detail": {}}, STRUCTURED, 400, "EV108 this is not a CloudEvent"),
        (cloudevent(data={"total": "1"}), STRUCTURED, 422, "EV104 data.total should be number"),
        (cloudevent(type="unknown"), STRUCTURED, 422, "EV101"),
        (b"<e/>", {"Content-Type": "application/cloudevents+xml"}, 400, "CloudEvents are read as JSON"),
        (cloudevent(), BATCH, 400, "a batch of CloudEvents is a JSON array"),
        (b"[{]", BATCH, 400, "EV002"),
        ([cloudevent("new"), cloudevent(data={"total": "1"})], BATCH, 422, "EV104 data.total should be number"),
        (b"{}", binary(ce_id="") | {"Content-Type": JSON}, 400, "EV108"),
        (b"{", binary() | {"Content-Type": JSON}, 400, "the body is not well-formed JSON, as Content-Type says"),
        (b"{}", binary(ce_data="x"), 400, "the header ce-data is not allowed"),
        (b"{}", binary(ce_datacontenttype=JSON), 400, "the header ce-datacontenttype is not allowed"),
        (b"{}", binary(ce_subject="%ff"), 400, "the header ce-subject is not UTF-8"),
        (
            b"{}",
            {"ce-id": "1"},
            400,
            "this request has no ce-specversion and no ce-source and no ce-type: a CloudEvent",
        ),
        (b'{"total": "1"}', binary() | {"Content-Type": JSON}, 422, "EV104 data.total should be number"),
    ],
)
def test_bad_cloudevent_is_refused(
    server: RunningServer, body: Any, headers: dict[str, str], status: int, message: str
) -> None:
    """Unreadable text is 400 and an event that does not fit its schema 422, with the problems. Nothing is stored."""
    reply = server.send("POST", "/events", body, headers)

    assert reply.status == status
    assert reply.json["__type"] == ("ValidationException" if status == 422 else reply.json["__type"])
    assert message in reply.json["message"]
    assert server.read_events() == []


def test_content_encoding_that_cannot_be_read_is_refused(server: RunningServer) -> None:
    """The message is about the coding, not about the bytes, and nothing is stored."""
    reply = server.send("POST", "/events", b"\x1b\x00", {"Content-Encoding": "br"})

    assert reply.status == 415
    assert "Content-Encoding: br cannot be read" in reply.json["message"]
    assert server.read_events() == []


def test_batch_is_stored_whole_or_not_at_all(server: RunningServer) -> None:
    """A conflict in a batch undoes the rest of it; the same event twice in a batch is one event."""
    assert server.send("POST", "/", [cloudevent("a"), cloudevent("b"), cloudevent("a")], BATCH).status == 202
    assert server.send("POST", "/", [cloudevent("a"), cloudevent("b")], BATCH).status == 200
    assert server.send("POST", "/", [cloudevent("c"), cloudevent("b", data={"total": 1})], BATCH).status == 409
    assert server.send("POST", "/", [cloudevent("d"), cloudevent("d", data={"total": 1})], BATCH).status == 409
    assert [event.id for event in server.read_events()] == ["a", "b"]

    mixed = server.send("POST", "/", [cloudevent("a"), cloudevent("e")], BATCH)
    assert mixed.status == 202
    assert [event["status"] for event in mixed.json["events"]] == ["duplicate", "stored"]
    assert server.send("POST", "/", [], BATCH).status == 200


def test_binary_event_has_its_attributes(server: RunningServer) -> None:
    """Attributes are unquoted and percent-decoded; JSON data keeps its bytes; nothing is invented."""
    headers = binary(ce_id="binary", ce_subject='"a\\"b\\\\"', ce_myextension="Euro%20%E2%82%AC%20%F0%9F%98%80")
    reply = server.send("POST", "/", b' {"total": 1.50} \n', {**headers, "Content-Type": "application/JSON"})

    assert reply.status == 202
    (event,) = server.read_events()
    assert event.raw.endswith(b'"data": {"total": 1.50}}')
    assert json.loads(event.raw) == cloudevent(
        "binary", subject='a"b\\', myextension="Euro € 😀", datacontenttype="application/JSON", data={"total": 1.5}
    )
    assert (
        server.send("POST", "/", b' {"total": 1.50} \n', {**headers, "Content-Type": "application/JSON"}).status == 200
    )


@pytest.mark.parametrize(
    ("content_type", "body", "member"),
    [
        ("text/plain", "é".encode(), {"data": "é"}),
        ("text/plain", b"\xff", {"data_base64": "/w=="}),
        ("application/octet-stream", b"abc", {"data_base64": "YWJj"}),
        ("application/vnd.shop+json", b"1.50", {"data": 1.5}),
        (None, b'{"a": 1}', {"data": {"a": 1}}),
        (None, b"\x00", {"data_base64": "AA=="}),
        (JSON, b"", {}),
    ],
)
def test_binary_data(content_type: str | None, body: bytes, member: dict[str, Any]) -> None:
    """Data is JSON, text or bytes by its content type."""
    headers = [(name.encode(), value.encode()) for name, value in binary().items()]
    (text,) = read_cloudevents("binary", headers, content_type, body)

    assert isinstance(text, SourceText)
    document = json.loads(text.raw)
    assert {key: value for key, value in document.items() if key in ("data", "data_base64")} == member
    assert document.get("datacontenttype") == content_type


EVENT = {"id": "e1", "detail-type": "order.created", "source": "shop", "detail": {}}
ENTRY = {"Source": "shop", "DetailType": "order.created", "Detail": "{}", "EventBusName": "vip"}


@pytest.mark.parametrize(
    ("path", "body", "stored"),
    [
        ("/events", {**EVENT, "id": "one"}, ["one"]),
        ("/events", [{**EVENT, "id": "array 1"}, {**EVENT, "id": "array 2"}], ["array 1", "array 2"]),
        (
            "/events",
            json.dumps({**EVENT, "id": "l1"}).encode() + b"\n" + json.dumps({**EVENT, "id": "l2"}).encode(),
            None,
        ),
        ("/events", gzip.compress(json.dumps({**EVENT, "id": "packed"}).encode(), mtime=0), ["packed"]),
        ("/events", {"Entries": [ENTRY, ENTRY]}, None),
        ("/events?type=order.created&source=shop", {"total": 1}, None),
        ("/events?type-at=/type&id-at=/id&source=x", {"type": "invoice.paid", "id": "inv_1"}, ["inv_1"]),
        ("/events?intake=stripe", {"type": "invoice.paid", "id": "inv_2"}, ["inv_2"]),
        ("/events?unwrap=true", {"Records": [{"eventSource": "aws:sqs", "body": json.dumps(EVENT)}]}, ["e1"]),
    ],
)
def test_events_accepts_all_forms_that_publish_reads(
    server: RunningServer, path: str, body: Any, stored: list[str] | None
) -> None:
    """Each event is stored, and the response has the ids."""
    reply = server.send("POST", path, body)

    assert reply.status == 202
    ids = [event.id for event in server.read_events()]
    assert [event["id"] for event in reply.json["events"]] == ids
    assert ids
    if stored:
        assert ids == stored


def test_bus_of_a_request(server: RunningServer) -> None:
    """`event-bus` is the bus of events that name none."""
    server.send("POST", "/events?event-bus=orders", {**EVENT, "id": "bus"})
    server.send("POST", "/events?event-bus=orders", {"Entries": [ENTRY]})

    assert [event.bus for event in server.read_events()] == ["orders", "vip"]


@pytest.mark.parametrize(
    ("path", "body", "status", "message"),
    [
        ("/events", b"", 400, "no event was found"),
        ("/events", b" \n", 400, "no event was found"),
        ("/events", {"a": 1}, 400, "EV009"),
        ("/events", gzip.compress(b"{}", mtime=0)[:-4], 400, ""),
        ("/events", gzip.compress(b" " * (6 << 20) + b"{}", mtime=0), 413, "has more than 6,291,456 bytes"),
        (
            "/events",
            b'{"detail-type": "order.created", "source": "shop", "detail": {}}' * 10_001,
            413,
            "more than 10,000 events",
        ),
        ("/events", b"x" * (7 << 20), 413, "has more than 6,291,456 bytes"),
        ("/events", [EVENT, {**EVENT, "detail": {"total": "1"}}], 422, "none of the events was stored"),
        ("/events?foo=1", EVENT, 400, "there is no parameter 'foo'"),
        ("/events?typ=a", EVENT, 400, 'did you mean "type"?'),
        ("/events?type-at=type", EVENT, 400, 'did you mean "/type"?'),
        ("/events?id-at=/id", EVENT, 400, "the type of the payloads is not known"),
        ("/events?type=a&type-at=/a", EVENT, 400, "give type or type-at, not both"),
        ("/events?intake=strip", EVENT, 400, 'did you mean "stripe"?'),
        ("/events?intake=stripe", {"id": 1}, 400, "EV108 the payload has no /type"),
        ("/events?unwrap=yes", EVENT, 400, "unwrap is true or false"),
        ("/", EVENT, 400, "other events are taken at POST /events"),
    ],
)
def test_bad_events_are_refused(server: RunningServer, path: str, body: Any, status: int, message: str) -> None:
    """The response has the problems as JSON with `__type`."""
    reply = server.send("POST", path, body)

    assert (reply.status, message in reply.json["message"]) == (status, True), reply.body
    assert reply.json["__type"]
    assert server.read_events() == []


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nope", 404), ("POST", "/healthz", 405), ("DELETE", "/events", 405), ("OPTIONS", "/events", 405)],
)
def test_other_paths_are_errors_in_json(server: RunningServer, method: str, path: str, status: int) -> None:
    """Every status has a JSON body with `__type`, since the SDKs read nothing else."""
    reply = server.send(method, path)

    assert (reply.status, reply.headers["content-type"]) == (status, "application/json")
    assert reply.json["__type"]
    assert path in reply.json["message"]


def test_healthz(server: RunningServer) -> None:
    """The server says that it works."""
    reply = server.send("GET", "/healthz")

    assert (reply.status, reply.json) == (200, {"status": "ok"})


def test_many_invalid_events_are_refused_soon(server: RunningServer) -> None:
    """The response describes only the first invalid events."""
    bad = [{**EVENT, "detail": {"total": "1"}}] * 5000
    reply = server.send("POST", "/events", [EVENT, *bad])

    assert reply.status == 422
    assert 0 < len(reply.json["findings"]) <= 100


def test_odd_bus_is_stored(server: RunningServer) -> None:
    """The name of a bus may be any string, as on AWS."""
    for bus in ("a b", "\0", "é", "x" * 1000):
        entry = {**ENTRY, "EventBusName": bus}
        assert server.call("PutEvents", {"Entries": [entry]}).json["FailedEntryCount"] == 0
    assert [event.bus for event in server.read_events()] == ["a b", "\0", "é", "x" * 1000]
