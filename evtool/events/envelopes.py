"""Converts the four input forms of events to Event values.

    form                      recognized by                        text of the event
    EventBridge envelope      detail-type or detail                the input
    CloudEvent                specversion                          the input
    PutEvents entry           DetailType or Detail                 a new envelope around Detail
    payload                   --type, or a pointer to the type     a new envelope around the input

Findings have the location in the input. For a new envelope, the source map leads from `/detail/total` of the event to
`/total` of the payload, or to `/Entries/0/Detail` of the request.
"""

import json
from codecs import BOM_UTF8
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from evtool.events.buses import parse_bus_name
from evtool.events.event import Event, EventDefaults
from evtool.events.members import (
    REQUIRED_ATTRIBUTES,
    describe_other_document,
    describe_type,
    find_member_problem,
    make_member_finding,
)
from evtool.events.payload_identity import IdentityProblem, PayloadIdentity, read_id, read_type
from evtool.events.timestamps import is_timestamp, normalize_time
from evtool.findings.finding import Finding
from evtool.readers.files import SourceText
from evtool.readers.json_text import JsonProblem, parse_json
from evtool.readers.locations import NOWHERE, SourceMap, location_of, problem_to_finding

# The account and region in new envelopes.
ACCOUNT = "000000000000"
REGION = "us-east-1"
# The source of a payload if the caller names no source.
BARE_SOURCE = "evtool"
# The keys of a PutEvents entry, by the member of the envelope.
_ENTRY_KEYS = {
    "detail-type": "DetailType",
    "source": "Source",
    "time": "Time",
    "resources": "Resources",
    "detail": "Detail",
}
NO_IDENTITY = PayloadIdentity()


def build_envelope(
    detail: bytes,
    *,
    type: str,  # noqa: A002  (the field's word)
    source: str,
    id: str,  # noqa: A002
    time: str,
    resources: Sequence[str] = (),
    replay: str | None = None,
) -> bytes:
    """Returns an EventBridge envelope around the JSON text of a payload."""
    header: dict[str, Any] = {
        "version": "0",
        "id": id,
        "detail-type": type,
        "source": source,
        "account": ACCOUNT,
        "time": time,
        "region": REGION,
        "resources": list(resources),
    }
    if replay is not None:
        header["replay-name"] = replay
    # The payload is inserted as text: a parsed number such as 1.10 would lose its form.
    return json.dumps(header, ensure_ascii=False).encode()[:-1] + b', "detail": ' + detail + b"}"


def prepend_member(raw: bytes, key: str, value: object) -> bytes:
    """Inserts a member at the beginning of the text of a JSON object. The rest of the text is unchanged."""
    return _insert_first(raw, _format_member(key, value))


def mark_replayed(raw: bytes, document: Mapping[str, Any], name: str) -> bytes:
    """Adds the name of a replay to the text of an event, as EventBridge does with `replay-name`.

    `document` may be the envelope without the payload.
    """
    key = "replay-name"
    # The names of CloudEvents attributes have letters and digits only.
    if "specversion" in document:
        key = "replayname"
    if key in document:
        return raw
    return _insert_first(raw, _format_mark(key, name))


def read_events(
    text: SourceText,
    defaults: EventDefaults,
    *,
    identity: PayloadIdentity = NO_IDENTITY,
    max_depth: int = 200,
) -> Iterator[Event | Finding]:
    """Yields the event in a text, the events of a PutEvents request, or a finding with the problem.

    `identity` gives a payload its type, source and id; an envelope keeps its own. With an identity, a document is only
    an envelope if it has all required members: a payload may have some of their names.
    """
    # A byte order mark must not get into the middle of a new envelope.
    text = text._replace(raw=text.raw.removeprefix(BOM_UTF8))
    try:
        document = parse_json(text.raw, max_depth=max_depth)
    except JsonProblem as error:
        yield problem_to_finding(text, error)
        return
    if not isinstance(document, dict):
        yield Finding(
            "EV009",
            f"an event is a JSON object, this is {describe_type(document)}",
            **location_of(SourceMap(text), ""),
        )
        return
    is_partial_allowed = not identity.has_type
    if _is_envelope(document, is_partial_allowed=is_partial_allowed):
        yield _read_envelope(text, document, defaults)
    elif _is_request(document, is_partial_allowed=is_partial_allowed):
        for index, entry in enumerate(document["Entries"]):
            yield _read_entry(text, entry, f"/Entries/{index}", defaults)
    elif _is_entry(document, is_partial_allowed=is_partial_allowed):
        yield _read_entry(text, document, "", defaults)
    elif identity.has_type:
        yield _read_payload(text, document, identity, defaults, max_depth)
    else:
        yield describe_other_document(text, document)


def parse_event(raw: bytes) -> Event:
    """Returns the event in a text that evtool made or stored. Raises ValueError if the text is not an event."""
    event = _build_event(raw, parse_json(raw, max_depth=1000), None)
    if isinstance(event, Finding):
        raise ValueError(event.message)
    return event


def _format_member(key: str, value: object) -> bytes:
    return (json.dumps(key) + ": " + json.dumps(value, ensure_ascii=False)).encode()


# A replay marks all events with the same name. The cache holds the member for both kinds of envelopes.
_format_mark = lru_cache(maxsize=2)(_format_member)


def _insert_first(raw: bytes, member: bytes) -> bytes:
    rest = raw.lstrip()[1:].lstrip()
    if rest.startswith(b"}"):
        return b"{" + member + rest
    return b"{" + member + b", " + rest


def _is_envelope(document: dict[str, Any], *, is_partial_allowed: bool) -> bool:
    if is_partial_allowed:
        return not document.keys().isdisjoint(("specversion", "detail-type", "detail"))
    return document.keys() >= {"detail-type", "source", "detail"} or document.keys() >= REQUIRED_ATTRIBUTES


def _is_entry(entry: Any, *, is_partial_allowed: bool) -> bool:
    if not isinstance(entry, dict):
        return False
    if is_partial_allowed:
        return "DetailType" in entry or "Detail" in entry
    return entry.keys() >= {"Source", "DetailType", "Detail"}


def _is_request(document: dict[str, Any], *, is_partial_allowed: bool) -> bool:
    entries = document.get("Entries")
    if not isinstance(entries, list):
        return False
    if is_partial_allowed:
        return True
    return bool(entries) and all(_is_entry(entry, is_partial_allowed=False) for entry in entries)


def _read_payload(
    text: SourceText, document: dict[str, Any], identity: PayloadIdentity, defaults: EventDefaults, max_depth: int
) -> Event | Finding:
    """Returns the event of a payload without an envelope, or a finding."""
    type_at, id_at = identity.type_at, identity.id_at
    try:
        event_type = identity.type
        if type_at is not None:
            event_type = read_type(document, type_at)
        if id_at is None:
            event_id = defaults.new_id()
        else:
            event_id = read_id(document, text.raw, id_at)
    except IdentityProblem as problem:
        location = location_of(SourceMap(text), problem.pointer)
        return Finding("EV108", problem.message, suggestion=problem.hint, **location)
    assert event_type is not None
    source = identity.source or BARE_SOURCE
    raw = build_envelope(text.raw, type=event_type, source=source, id=event_id, time=defaults.now())
    # The location of a member that is not in the text is the beginning of the text.
    prefixes = (("/id", id_at or NOWHERE), ("/detail-type", type_at or NOWHERE), ("/detail", ""), ("", NOWHERE))
    event = _build_event(
        raw, parse_json(raw, max_depth=max_depth + 1), SourceMap(text, prefixes), has_own_id=id_at is not None
    )
    # A webhook may be sent again. Its time is then another one, although the event is the same.
    if isinstance(event, Event):
        return event._replace(has_own_time=False)
    return event


def _read_envelope(text: SourceText, document: dict[str, Any], defaults: EventDefaults) -> Event | Finding:
    if "id" in document or "specversion" in document:
        return _check_members(_build_event(text.raw, document, SourceMap(text)))
    raw = prepend_member(text.raw, "id", defaults.new_id())
    if "time" not in document:
        raw = prepend_member(raw, "time", defaults.now())
    return _check_members(_build_event(raw, parse_json(raw, max_depth=1000), SourceMap(text), has_own_id=False))


def _check_members(event: Event | Finding) -> Event | Finding:
    """Returns the event, or a finding about an optional member. Only input from outside can have such problems."""
    if isinstance(event, Finding):
        return event
    problem = find_member_problem(event.document)
    if problem is None:
        return event
    location = location_of(event.source_map, problem.pointer, key=problem.at_key)
    own_id = None
    if event.has_own_id:
        own_id = event.id
    return Finding(
        "EV108", problem.message, suggestion=problem.hint, event_id=own_id, event_type=event.type, **location
    )


def _read_entry(text: SourceText, entry: Any, base: str, defaults: EventDefaults) -> Event | Finding:
    """Returns the event of an entry of a PutEvents request, or a finding."""
    finding = _check_entry(text, entry, base)
    if finding:
        return finding
    prefixes = [(f"/{name}", f"{base}/{key}") for name, key in _ENTRY_KEYS.items()]
    source_map = SourceMap(text, tuple(prefixes) + (("", base),))
    detail, time = entry.get("Detail", {}), entry.get("Time")
    # AWS requires a string. An object is accepted, since it is easier to write by hand.
    if not isinstance(detail, str):
        detail = json.dumps(detail, ensure_ascii=False)
    try:
        payload = detail.encode().removeprefix(BOM_UTF8)
        parse_json(payload)
    except JsonProblem as error:
        message = f"Detail is not well-formed JSON: {error.message} (line {error.line}, column {error.column} of it)"
        return Finding(error.code, message, suggestion=error.hint, **location_of(source_map, "/detail"))
    event_id = defaults.new_id()
    if time is None:
        time = defaults.now()
    else:
        time = normalize_time(time)
    raw = build_envelope(
        payload,
        type=entry["DetailType"],
        source=entry["Source"],
        id=event_id,
        time=time,
        resources=entry.get("Resources") or [],
    )
    event = _build_event(raw, parse_json(raw, max_depth=1000), source_map, has_own_id=False)
    if isinstance(event, Event):
        return event._replace(bus=parse_bus_name(entry.get("EventBusName")))
    return event


def _check_entry(text: SourceText, entry: Any, base: str) -> Finding | None:
    """Returns the first problem of an entry of a PutEvents request, except those of its Detail."""
    source_map = SourceMap(text)
    if not isinstance(entry, dict):
        message = f"an entry is a JSON object, this is {describe_type(entry)}"
        return Finding("EV009", message, **location_of(source_map, base))
    for key in ("Source", "DetailType"):
        if not isinstance(entry.get(key), str):
            return make_member_finding(source_map, entry, base, key)
    resources = entry.get("Resources") or []
    if not isinstance(resources, list) or not all(isinstance(resource, str) for resource in resources):
        return make_member_finding(source_map, entry, base, "Resources", expected="a list of strings")
    try:
        parse_bus_name(entry.get("EventBusName"))
    except ValueError:
        return make_member_finding(source_map, entry, base, "EventBusName", expected="a string")
    return None


def _build_event(
    raw: bytes, document: dict[str, Any], source_map: SourceMap | None, *, has_own_id: bool = True
) -> Event | Finding:
    is_cloudevent = "specversion" in document
    type_key, payload_key = "detail-type", "detail"
    if is_cloudevent:
        type_key, payload_key = "type", "data"
    for key in ("id", "source", type_key):
        value = document.get(key)
        # SQLite ends a text at a NUL character.
        if not isinstance(value, str) or not value or "\0" in value:
            return make_member_finding(source_map, document, "", key)
    if is_cloudevent and document["specversion"] != "1.0":
        message = f'CloudEvents {json.dumps(document["specversion"])} is not supported, only "1.0"'
        return Finding("EV108", message, **location_of(source_map, "/specversion"))
    if not is_cloudevent and not isinstance(document.get("detail"), dict):
        return make_member_finding(source_map, document, "", "detail", expected="a JSON object")
    if source_map is not None and document.get("data") is None and "data_base64" in document:
        source_map = source_map._replace(prefixes=(("/data", "/data_base64"), *source_map.prefixes))
    time = document.get("time")
    if time is not None and not is_timestamp(time):
        message = f"time is not an RFC 3339 time such as 2026-11-23T10:00:00Z: {json.dumps(time)[:60]}"
        return Finding("EV108", message, **location_of(source_map, "/time"))
    return Event(
        document["id"], document[type_key], document["source"], time, raw, document, payload_key, source_map, has_own_id
    )
