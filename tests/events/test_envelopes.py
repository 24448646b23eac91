"""Envelopes: which members are accepted, which are refused, and the hints.

The corpus is tests/cases/envelopes: y_*.json is an event, n_CODE_LINE-COLUMN_*.json has one finding, this code there.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from evtool.events.envelopes import parse_event, read_events
from evtool.events.event import Event, EventDefaults
from evtool.events.payload_identity import PayloadIdentity
from evtool.events.timestamps import to_milliseconds
from evtool.findings.finding import Finding
from evtool.readers.files import SourceText
from tests.conftest import ROOT

CASES = sorted((ROOT / "tests/cases/envelopes").iterdir())
GOOD = [case for case in CASES if case.name.startswith("y_")]
BAD = [case for case in CASES if case.name.startswith("n_")]
DEFAULTS = EventDefaults(lambda: "new", lambda: "2026-11-23T10:00:00Z")


def read(text: str | bytes, identity: PayloadIdentity = PayloadIdentity()) -> Sequence[Event | Finding]:  # noqa: B008
    """Returns the events and findings of a text."""
    raw = text.encode() if isinstance(text, str) else text
    return list(read_events(SourceText("e.json", 1, 1, raw), DEFAULTS, identity=identity))


def read_finding(text: str, identity: PayloadIdentity = PayloadIdentity()) -> Finding:  # noqa: B008
    """Returns the only finding of a text."""
    [finding] = read(text, identity)
    assert isinstance(finding, Finding)
    return finding


def read_event(text: str, identity: PayloadIdentity = PayloadIdentity()) -> Event:  # noqa: B008
    """Returns the only event of a text."""
    [event] = read(text, identity)
    assert isinstance(event, Event)
    return event


@pytest.mark.parametrize("case", GOOD, ids=lambda case: case.stem)
def test_an_accepted_envelope_keeps_its_bytes(case: Path) -> None:
    """The event is the envelope with its id, byte for byte."""
    raw = case.read_bytes().strip()
    [event] = read(raw)

    assert isinstance(event, Event)
    assert event.raw == raw


@pytest.mark.parametrize("case", BAD, ids=lambda case: case.stem)
def test_a_refused_envelope_is_a_finding_with_its_location(case: Path) -> None:
    """The file name has the code, the line and the column."""
    _, code, place, _ = case.stem.split("_")
    finding = read_finding(case.read_text("utf-8").strip())

    assert f"{finding.code} {finding.line}-{finding.column}" == f"{code} {place}"


def test_a_stored_event_with_a_wrong_member_can_still_be_read() -> None:
    """Only input is checked, so that events of earlier versions are not lost."""
    assert parse_event(b'{"id": "1", "source": "s", "detail-type": "t", "account": 5, "detail": {}}').id == "1"


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ('{"id": "1", "source": "s", "detail": {}}', None),
        ('{"id": "1", "detail-type": "t", "resources": [], "detail": {}}', None),
        ('{"id": "1", "source": "s", "detail_type": "t", "detail": {}}', 'did you mean "detail-type"?'),
        ('{"id": "1", "suorce": "s", "detail-type": "t", "detail": {}}', 'did you mean "source"?'),
        ('{"specversion": "1.0", "id": "1", "source": "s", "typ": "t"}', 'did you mean "type"?'),
        ('{"specversion": "1.0", "ID": "1", "source": "s", "type": "t"}', 'did you mean "id"?'),
        ('{"id": "1", "source": "s", "type": "t", "data": {}, "specVersion": "1.0"}', '"specversion" is written'),
        ('{"id": "1", "source": "s", "type": "t", "data": {}}', 'a CloudEvent has "specversion": "1.0"'),
        ('{"specversion": "1.0", "id": "1", "source": "s", "type": "t", "Time": "x"}', 'did you mean "time"?'),
        ('{"id": "1", "source": "s", "detail-type": "t", "account": 5, "detail": {}}', 'put it in quotes: "5"'),
        ('{"id": "1", "detailKind": "t", "payload": {}}', "name its type with --type"),
    ],
)
def test_a_hint_names_the_member_that_was_meant(text: str, hint: str | None) -> None:
    """Only for a similar name that is not another member of the envelope."""
    suggestion = read_finding(text).suggestion

    assert suggestion == hint if hint is None else (suggestion or "").startswith(hint)


def test_json_in_base64_is_the_payload() -> None:
    """Findings have the location of the Base64 text."""
    event = read_event('{"specversion": "1.0", "id": "1", "source": "s", "type": "t", "data_base64": "eyJhIjogMX0="}')

    assert (event.detail, event.has_json_payload) == ({"a": 1}, True)


@pytest.mark.parametrize(
    ("members", "is_json"),
    [
        ('"data": "text"', True),
        ('"data": "text", "datacontenttype": "text/plain"', False),
        ('"data": {}, "datacontenttype": "text/plain"', True),
        ('"data": "text", "datacontenttype": "Application/JSON;charset=utf-8"', True),
        ('"data": "text", "datacontenttype": "application/vnd.shop+json"', True),
        ('"data_base64": "aGVsbG8="', False),
        ('"data_base64": "aGVsbG8=", "datacontenttype": "application/avro"', False),
    ],
)
def test_data_may_be_text_or_bytes(members: str, is_json: bool) -> None:
    """For a string, datacontenttype decides."""
    text = f'{{"specversion": "1.0", "id": "1", "source": "s", "type": "t", {members}}}'

    assert read_event(text).has_json_payload == is_json


def test_a_leap_second_becomes_the_next_second() -> None:
    """As in POSIX time, with its fraction and its offset."""
    assert to_milliseconds("2016-12-31T23:59:60.25Z") == to_milliseconds("2017-01-01T00:00:00.25Z")
    assert to_milliseconds("2016-12-31t15:59:60-08:00") == to_milliseconds("2017-01-01T00:00:00Z")


# --- payloads with their identity inside -----------------------------------------------------------------------------

WEBHOOK = '{"id": "evt_1", "type": "charge.succeeded", "data": {"object": {"n": 820982911946154508, "x": 1.50}}}'


def test_a_payload_may_contain_its_type_and_id() -> None:
    """The whole payload is the detail."""
    event = read_event(WEBHOOK, PayloadIdentity(source="stripe.com", type_at="/type", id_at="/id"))

    assert (event.id, event.type, event.source) == ("evt_1", "charge.succeeded", "stripe.com")
    assert event.detail == json.loads(WEBHOOK)
    assert (event.has_own_id, event.has_own_time) == (True, False)


@pytest.mark.parametrize(
    ("pointer", "expected"), [("/data/object/n", "820982911946154508"), ("/data/object/x", "1.50")]
)
def test_a_number_as_id_becomes_its_decimal_text(pointer: str, expected: str) -> None:
    """Exactly as it is written, of any length."""
    assert read_event(WEBHOOK, PayloadIdentity(type="t", id_at=pointer)).id == expected


@pytest.mark.parametrize(
    ("type_at", "id_at", "marked", "message", "hint"),
    [
        ("/typ", "/id", WEBHOOK, "the payload has no /typ, where its type should be", '"type"'),
        ("/data", "/id", '{"object"', "the type at /data must be a string, not an object", ""),
        ("/data/object/n", "/id", "820", "the type at /data/object/n must be a string, not a number", ""),
        ("/type", "/data/object/id", '{"n"', "the payload has no /data/object/id, where its id should be", ""),
        ("/type", "/data/object", '{"n"', "the id at /data/object must be a string or a number, not an object", ""),
        ("/type", "/id/0", '"evt_1"', "the payload has no /id/0, where its id should be", ""),
    ],
)
def test_a_missing_identity_is_a_finding(type_at: str, id_at: str, marked: str, message: str, hint: str) -> None:
    """Its location is that of the value in its place, or of the object around it."""
    finding = read_finding(WEBHOOK, PayloadIdentity(type_at=type_at, id_at=id_at))

    assert (finding.code, finding.message) == ("EV108", message)
    assert WEBHOOK[(finding.column or 0) - 1 :].startswith(marked)
    assert hint in (finding.suggestion or "")


@pytest.mark.parametrize(
    "text",
    [
        '{"detail": {"a": 1}}',
        '{"detail-type": "x", "a": 1}',
        '{"detail-type": "x", "detail": {}}',
        '{"specversion": "1.0", "type": "x"}',
        '{"Detail": "words", "DetailType": "x"}',
        '{"Entries": []}',
        '{"Entries": [{"Title": "a"}]}',
    ],
)
def test_with_a_type_only_a_complete_envelope_is_one(text: str) -> None:
    """A payload may have some names of an envelope."""
    event = read_event(text, PayloadIdentity(type="t", source="s"))

    assert (event.type, event.source, event.detail) == ("t", "s", json.loads(text))


@pytest.mark.parametrize(
    "text",
    [
        '{"detail-type": "own", "source": "s", "detail": {}}',
        '{"specversion": "1.0", "id": "1", "type": "own", "source": "s"}',
        '{"DetailType": "own", "Source": "s", "Detail": "{}"}',
        '{"Entries": [{"DetailType": "own", "Source": "s", "Detail": "{}"}]}',
    ],
)
def test_a_complete_envelope_keeps_its_type(text: str) -> None:
    """In every form, also if an option names a type."""
    assert read_event(text, PayloadIdentity(type="t")).type == "own"
