"""Envelopes: which members are accepted and which are not, and what a hint proposes.

The corpus is tests/cases/envelopes: y_*.json is an event, n_CODE_LINE-COLUMN_*.json has one finding, that code there.
"""

from collections.abc import Sequence
from pathlib import Path

import pytest

from evtool.events.envelopes import parse_event, read_events
from evtool.events.event import Event, EventDefaults
from evtool.events.timestamps import to_milliseconds
from evtool.findings.finding import Finding
from evtool.readers.files import SourceText
from tests.conftest import ROOT

CASES = sorted((ROOT / "tests/cases/envelopes").iterdir())
GOOD = [case for case in CASES if case.name.startswith("y_")]
BAD = [case for case in CASES if case.name.startswith("n_")]
DEFAULTS = EventDefaults(lambda: "new", lambda: "2026-11-23T10:00:00Z")


def read(text: str | bytes) -> Sequence[Event | Finding]:
    """What a text holds."""
    raw = text.encode() if isinstance(text, str) else text
    return list(read_events(SourceText("e.json", 1, 1, raw), DEFAULTS))


def read_finding(text: str) -> Finding:
    """The one finding of a text."""
    [finding] = read(text)
    assert isinstance(finding, Finding)
    return finding


def read_event(text: str) -> Event:
    """The one event of a text."""
    [event] = read(text)
    assert isinstance(event, Event)
    return event


@pytest.mark.parametrize("case", GOOD, ids=lambda case: case.stem)
def test_an_accepted_envelope_keeps_its_bytes(case: Path) -> None:
    """An envelope with an id is the event, byte for byte."""
    raw = case.read_bytes().strip()
    [event] = read(raw)

    assert isinstance(event, Event)
    assert event.raw == raw


@pytest.mark.parametrize("case", BAD, ids=lambda case: case.stem)
def test_a_refused_envelope_is_a_finding_at_its_place(case: Path) -> None:
    """The file name has the code, the line and the column."""
    _, code, place, _ = case.stem.split("_")
    finding = read_finding(case.read_text("utf-8").strip())

    assert f"{finding.code} {finding.line}-{finding.column}" == f"{code} {place}"


def test_a_stored_event_with_a_wrong_member_can_still_be_read() -> None:
    """The checks are for what comes in: an event that an earlier version stored is not lost."""
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
    """Only a near spelling is taken for a member: a valid member of the form is none of another."""
    suggestion = read_finding(text).suggestion

    assert suggestion == hint if hint is None else (suggestion or "").startswith(hint)


def test_json_in_base64_is_the_payload() -> None:
    """Its findings are placed at the text that was decoded."""
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
    """datacontenttype decides what a string is."""
    text = f'{{"specversion": "1.0", "id": "1", "source": "s", "type": "t", {members}}}'

    assert read_event(text).has_json_payload == is_json


def test_a_leap_second_is_the_second_after() -> None:
    """It counts as POSIX time counts it, with its fraction and its offset."""
    assert to_milliseconds("2016-12-31T23:59:60.25Z") == to_milliseconds("2017-01-01T00:00:00.25Z")
    assert to_milliseconds("2016-12-31t15:59:60-08:00") == to_milliseconds("2017-01-01T00:00:00Z")
