"""Events in records of queues, topics and logs: extracted with --unwrap, recognized without it."""

import base64
import gzip
import io
import json
from typing import Any

import pytest

from evtool.events.envelopes import read_events
from evtool.events.event import Event, EventDefaults
from evtool.events.wrappers import unwrap_texts
from evtool.findings.finding import Finding
from evtool.readers.files import read_texts

DEFAULTS = EventDefaults(lambda: "new", lambda: "2026-01-01T00:00:00Z")
EVENT = {"id": "1", "source": "s", "detail-type": "t", "detail": {"total": 1.50}}
TEXT = json.dumps(EVENT)
NOTIFICATION = {"Type": "Notification", "TopicArn": "arn", "Message": TEXT}


def packed(text: str) -> str:
    """Returns a text in Base64."""
    return base64.b64encode(text.encode()).decode()


LOGS = {"messageType": "DATA_MESSAGE", "logEvents": [{"id": "1", "timestamp": 1, "message": TEXT}]}
WRAPPED: dict[str, Any] = {
    "Records[].body": {"Records": [{"messageId": "m", "body": TEXT, "eventSource": "aws:sqs"}]},
    "Records[].Sns.Message": {"Records": [{"EventSource": "aws:sns", "Sns": NOTIFICATION}]},
    "Message": NOTIFICATION,
    "Messages[].Body": {"Messages": [{"MessageId": "m", "Body": TEXT}]},
    "events[].message": {"events": [{"logStreamName": "l", "message": TEXT}], "searchedLogStreams": []},
    "logEvents[].message": LOGS,
    "awslogs.data": {"awslogs": {"data": base64.b64encode(gzip.compress(json.dumps(LOGS).encode())).decode()}},
    "Records[].kinesis.data": {"Records": [{"kinesis": {"data": packed(TEXT)}}]},
    "Records[].Data": {"Records": [{"SequenceNumber": "1", "Data": packed(TEXT)}]},
    "records[].data": {"invocationId": "i", "records": [{"recordId": "r", "data": packed(TEXT)}]},
    "records[][].value": {"eventSource": "aws:kafka", "records": {"t-0": [{"value": packed(TEXT)}, {"value": None}]}},
    "records[].value": {"records": [{"value": EVENT}]},
    "value": {"topic": "t", "partition": 0, "offset": 1, "value": packed(TEXT)},
    "payload": {"topic": "t", "partition": 0, "offset": 1, "payload": TEXT},
    "body": {"messageId": "m", "receiptHandle": "r", "body": TEXT},
    "Body": {"MessageId": "m", "Body": TEXT},
    "message": {"timestamp": 1, "ingestionTime": 2, "message": TEXT},
    "data": {"sequenceNumber": "1", "partitionKey": "k", "data": packed(TEXT)},
}


def read(document: Any, *, unwrap: bool = True) -> list[Event | Finding]:
    """Returns the events and findings of a document."""
    raw = document if isinstance(document, str) else json.dumps(document, indent=1)
    texts = read_texts(["-"], stdin=io.BytesIO(raw.encode()))
    items: list[Event | Finding] = []
    for text in unwrap_texts(texts) if unwrap else texts:
        items += [text] if isinstance(text, Finding) else read_events(text, DEFAULTS)
    return items


@pytest.mark.parametrize("place", WRAPPED)
def test_the_event_in_a_wrapper_is_read(place: str) -> None:
    """In a single record, in a message of SQS, and several in an array."""
    queued = {"Records": [{"body": json.dumps(WRAPPED[place])}]}
    for document, count in ((WRAPPED[place], 1), (queued, 1), ([WRAPPED[place], EVENT], 2)):
        events = read(document)
        assert len(events) == count
        assert [event.document for event in events if isinstance(event, Event)] == [EVENT] * count


@pytest.mark.parametrize("place", WRAPPED)
def test_without_the_option_the_wrapper_is_named(place: str) -> None:
    """With the path of its events, and the option that extracts them."""
    [finding] = read(WRAPPED[place], unwrap=False)

    assert isinstance(finding, Finding)
    assert (finding.code, finding.suggestion) == ("EV009", "--unwrap takes the events out of it")
    assert finding.message.endswith(f"with its events in {place}")


def test_findings_have_the_location_of_the_record() -> None:
    """Also for text that is not JSON, for nested wrappers, and for a value that is not a string."""
    bad = json.dumps({**EVENT, "source": 5})
    nested = json.dumps({**NOTIFICATION, "Message": bad})
    lines = [
        '{"Records": [',
        f'  {{"body": {json.dumps(bad)}}},',
        f'  {{"body": "plain"}}, {{"body": {json.dumps(TEXT[:-3])}}},',
        f'  {{"body": {json.dumps(nested)}}},',
        '  {"body": {"id": "1",',
        '    "source": 5, "detail-type": "t", "detail": {}}}',
        "]}",
    ]
    findings = read("\n".join(lines))

    assert [(f.line, f.column, f.code, f.pointer) for f in findings if isinstance(f, Finding)] == [
        (2, 12, "EV108", "/source"),
        (3, 12, "EV009", "/Records/1/body"),
        (3, 31, "EV002", None),
        (4, 12, "EV108", "/source"),
        (6, 15, "EV108", "/source"),
    ]
    assert len(findings) == 5


def test_other_documents_are_unchanged() -> None:
    """Events, also with members of such names, and PutEvents requests."""
    entry = {"Source": "s", "DetailType": "t", "Detail": "{}"}
    named = {**EVENT, "Records": [{"body": "{}"}], "message": "{}"}

    assert [event.id for event in read([EVENT, named]) if isinstance(event, Event)] == ["1", "1"]
    assert len([event for event in read({"Entries": [entry, entry]}) if isinstance(event, Event)]) == 2
    assert [item.code for item in read({"Records": [{"s3": {}}]}) if isinstance(item, Finding)] == ["EV009"]
    assert read({"Messages": []}) == []
