"""Messages of buses as events, and events as messages: plain JSON, and CloudEvents in all content modes."""

import json
from typing import Any

import pytest
from cloudevents.core.bindings.kafka import KafkaMessage, from_kafka_event

from evtool.buses.base import Message
from evtool.buses.decoding import decode_message, decode_messages, is_tombstone
from evtool.buses.encoding import encode_event
from evtool.events.envelopes import parse_event
from evtool.events.event import Event
from evtool.findings.finding import Finding
from evtool.readers.field_paths import parse_path

TIME = 1_767_225_600_000  # 2026-01-01
ENVELOPE = {
    "id": "1",
    "detail-type": "order.created",
    "source": "shop",
    "time": "2020-01-01T00:00:00Z",
    "detail": {"n": 1},
}
CLOUDEVENT = {"specversion": "1.0", "id": "1", "type": "order.created", "source": "/shop", "data": {"n": 1}}
STRUCTURED = ("content-type", b"application/cloudevents+json; charset=UTF-8")
BINARY = [("ce_specversion", b"1.0"), ("ce_id", b"1"), ("ce_type", b"order.created"), ("ce_source", b"/shop")]
JSON = ("content-type", b"application/json")


def message(value: Any, headers: Any = (), offset: int = 7) -> Message:
    raw = value if isinstance(value, bytes) or value is None else json.dumps(value).encode()
    return Message("orders", 2, offset, TIME, b"k", raw, headers)


def decode(value: Any, headers: Any = ()) -> Event:
    (item,) = decode_message(message(value, headers))
    assert isinstance(item, Event), item
    return item


def problem(value: Any, headers: Any = ()) -> Finding:
    (item,) = decode_message(message(value, headers))
    assert isinstance(item, Finding), item
    assert item.file == "orders-2-7"
    return item


def test_an_event_keeps_its_bytes() -> None:
    raw = b'{"id": "1", "detail-type": "t", "source": "s", "detail": {"total": 1.10}}'

    assert decode(raw).raw == raw
    assert decode(json.dumps(CLOUDEVENT).encode()).raw == json.dumps(CLOUDEVENT).encode()


def test_a_message_without_an_id_has_the_id_of_its_position_and_its_time() -> None:
    without_id = {key: value for key, value in ENVELOPE.items() if key not in ("id", "time")}
    event = decode(without_id)

    assert event.id == "orders-2-7"
    assert event.time == "2026-01-01T00:00:00.000Z"
    assert decode(without_id).raw == event.raw


def test_a_put_events_request_has_several_events() -> None:
    entry = {"Source": "s", "DetailType": "t", "Detail": "{}", "EventBusName": "orders"}
    events = list(decode_message(message({"Entries": [entry, entry]})))

    assert [event.id for event in events if isinstance(event, Event)] == ["orders-2-7", "orders-2-7.1"]
    assert [event.bus for event in events if isinstance(event, Event)] == ["orders", "orders"]


def test_binary_mode_keeps_the_bytes_of_the_data() -> None:
    event = decode(b'{"total": 1.10}', [*BINARY, JSON, ("ce_subject", b"x"), ("traceparent", b"\xff")])

    assert b'"data": {"total": 1.10}' in event.raw
    assert event.document["subject"] == "x"
    assert event.document["datacontenttype"] == "application/json"
    assert "time" not in event.document  # none is invented
    assert event.time is None


def test_binary_message_without_an_id_gets_that_of_its_position() -> None:
    assert decode({}, [header for header in BINARY if header[0] != "ce_id"]).id == "orders-2-7"


@pytest.mark.parametrize("missing", ["ce_specversion", "ce_type", "ce_source"])
def test_binary_message_without_a_required_attribute_is_a_finding(missing: str) -> None:
    finding = problem({}, [header for header in BINARY if header[0] != missing])

    assert finding.code in ("EV108", "EV009")


def test_binary_data_becomes_a_string_or_base64_unless_it_is_json() -> None:
    text = decode(b"hello", [*BINARY, ("content-type", b"text/plain")])
    image = decode(b"\x89PNG", [*BINARY, ("content-type", b"image/png")])
    unknown = decode(b"\x89PNG", BINARY)

    assert text.document["data"] == "hello"
    assert image.document["data_base64"] == unknown.document["data_base64"] == "iVBORw=="
    assert problem(b"hello", [*BINARY, JSON]).code == "EV002"


def test_binary_message_without_data_has_no_data_member() -> None:
    for value in (None, b""):
        assert "data" not in decode(value, [*BINARY, JSON]).document


def test_the_content_type_decides_not_a_stray_header() -> None:
    assert decode(CLOUDEVENT, [STRUCTURED, ("ce_id", b"another"), ("ce_type", b"another")]).id == "1"
    event = decode({"n": 1}, [*BINARY, JSON, ("ce_datacontenttype", b"image/png")])
    assert event.document["datacontenttype"] == "application/json"


def test_a_batch_has_an_event_or_a_finding_for_each_element() -> None:
    headers = [("content-type", b"application/cloudevents-batch+json")]
    items = list(decode_message(message([CLOUDEVENT, {**CLOUDEVENT, "id": "2"}, 3], headers)))

    assert [item.id for item in items if isinstance(item, Event)] == ["1", "2"]
    assert [item.code for item in items if isinstance(item, Finding)] == ["EV009"]
    assert problem(CLOUDEVENT, headers).message == "a batch of CloudEvents is a JSON array"


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ([*BINARY, ("ce_id", b"2")], "EV108"),  # twice, with different values
        ([*BINARY, ("ce_subject", b"\xff")], "EV004"),
        ([*BINARY, ("ce_data", b"x")], "EV108"),
        ([*BINARY, ("ce_Bad Name", b"x")], "EV108"),
        ([*BINARY, ("ce_time", b"yesterday")], "EV108"),
    ],
)
def test_invalid_attribute_headers_are_findings(headers: Any, code: str) -> None:
    assert problem({}, headers).code == code


def test_odd_headers_of_other_programs_are_ignored() -> None:
    odd = [("", b"x"), ("a", None), ("a", b"\xff"), ("a", b"1"), ("content-type", None)]

    assert decode(ENVELOPE, odd).id == "1"
    assert decode({"n": 1}, [*odd, *BINARY, ("ce_subject", None), ("ce_id", b"1")]).id == "1"


@pytest.mark.parametrize("value", [b"", b"{", b"\xff\xfe", b"[]", b"42", b'{"a": 1, "a": 2}', {"some": "object"}])
def test_a_value_that_is_not_an_event_is_a_finding(value: Any) -> None:
    assert problem(value).code.startswith("EV0")


def test_tombstones() -> None:
    assert "tombstone" in problem(None).message
    assert "tombstone" in problem(None, [JSON]).message
    assert is_tombstone(message(None, [JSON]))
    assert not is_tombstone(message(None, BINARY))
    assert not is_tombstone(message(b""))


def test_many_messages_are_decoded_as_one_by_one() -> None:
    values = [
        ENVELOPE,
        {**ENVELOPE, "id": "2", "time": None},
        {**ENVELOPE, "id": 'with "quotes"'},
        {**ENVELOPE, "time": "yesterday"},
        {**ENVELOPE, "resources": [1]},
        {**ENVELOPE, "more": 1},
        {key: value for key, value in ENVELOPE.items() if key != "id"},
        CLOUDEVENT,
        json.dumps(ENVELOPE, indent=1).encode(),
        json.dumps(ENVELOPE).encode() + b"\r\n",
        b'{"id": "1", "id": "2", "detail-type": "t", "source": "s", "detail": {}}',
        b'{"id": "1", "detail-type": "t", "source": "s", "detail": {"a": 1, "a": 1}}',
        b"",
        None,
    ]
    headers: list[Any] = [(), [JSON], [STRUCTURED], BINARY, [("evtool-event-bus", b"orders")], [("a", None)]]
    messages = [message(value, header, offset) for offset, value in enumerate(values) for header in headers]

    def shape(item: Event | Finding) -> Any:
        if isinstance(item, Finding):
            return item
        return (*item[:5], dict(item.document), item.payload_key, item.has_own_id, item.bus)

    for batch in (messages, messages[:1], [messages[0]] * 5, [messages[0], messages[1]]):
        one_by_one = [(entry.position, shape(item)) for entry in batch for item in decode_message(entry)]
        assert [(entry.position, shape(item)) for entry, item in decode_messages(batch)] == one_by_one


# --- encoding --------------------------------------------------------------------------------------------------------


def test_an_event_becomes_its_bytes_and_its_key() -> None:
    event = parse_event(json.dumps(ENVELOPE).encode())

    content = encode_event(event._replace(bus="orders"), parse_path("$.detail.n"))

    assert content.value == event.raw
    assert content.key == b"1"
    assert content.headers == [JSON, ("evtool-event-bus", b"orders")]
    (decoded,) = decode_message(message(content.value, content.headers))
    assert isinstance(decoded, Event)
    assert decoded.bus == "orders"
    assert encode_event(event, parse_path("id")).key == b"1"
    assert encode_event(event, parse_path("detail.missing")).key is None
    assert encode_event(event, parse_path("detail")).key == b'{"n":1}'
    assert encode_event(event, None).key is None


def test_a_cloudevent_is_sent_in_structured_mode() -> None:
    event = parse_event(json.dumps(CLOUDEVENT).encode())
    content = encode_event(event, None)

    received = from_kafka_event(KafkaMessage(headers=dict(content.headers), key=None, value=content.value))

    assert received.get_id() == "1"
    assert received.get_data() == {"n": 1}
