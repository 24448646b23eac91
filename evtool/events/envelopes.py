"""Converts the four input forms of events to Event values."""

import json
from codecs import BOM_UTF8
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from evtool.events.buses import parse_bus_name
from evtool.events.event import Event, EventDefaults
from evtool.events.members import CLOUDEVENTS_MEMBERS, EVENTBRIDGE_MEMBERS, describe_type, find_member_problem
from evtool.events.payload_identity import IdentityProblem, PayloadIdentity, read_id, read_type
from evtool.events.timestamps import is_timestamp, normalize_time
from evtool.findings.finding import Finding
from evtool.findings.spelling import find_respelled
from evtool.readers.files import SourceText
from evtool.readers.json_text import JsonProblem, parse_json
from evtool.readers.locations import NOWHERE, SourceMap, location_of, problem_to_finding

ACCOUNT = "000000000000"  # for events that come without an envelope of their own
REGION = "us-east-1"
BARE_SOURCE = "evtool"  # the source of a bare payload when none is named
_REQUIRED_ATTRIBUTES = {"specversion", "type", "source", "id"}
NOT_AN_EVENT = "this is not an event: it has no envelope (detail-type, or CloudEvents' specversion and type)"


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
    """An EventBridge envelope around the JSON text of a payload."""
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
    return json.dumps(header, ensure_ascii=False).encode()[:-1] + b', "detail": ' + detail + b"}"


def prepend_member(raw: bytes, key: str, value: object) -> bytes:
    """The text of a JSON object with one member put first; the rest stays as it is written."""
    return _insert_first(raw, _format_member(key, value))


def mark_replayed(raw: bytes, document: Mapping[str, Any], name: str) -> bytes:
    """The event as a replay delivers it: marked with the replay's name, as EventBridge does with `replay-name`.

    Of the document only the envelope matters.
    """
    # CloudEvents allows letters and digits only
    key = "replay-name"
    if "specversion" in document:
        key = "replayname"
    if key in document:
        return raw
    return _insert_first(raw, _format_mark(key, name))


def read_events(
    text: SourceText,
    defaults: EventDefaults,
    *,
    identity: PayloadIdentity = PayloadIdentity(),  # noqa: B008  (a constant)
    max_depth: int = 200,
) -> Iterator[Event | Finding]:
    """The event, or the events of a PutEvents request, that a text holds; or what is wrong with it.

    A bare payload gets its type, source and id by `identity`; an envelope keeps its own. With such an identity only
    what has all required members is an envelope: a payload may use some of their names.
    """
    text = text._replace(raw=text.raw.removeprefix(BOM_UTF8))  # it must not end up in the middle of an envelope
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
        yield _describe_other_document(text, document)


def _describe_other_document(text: SourceText, document: Mapping[str, Any]) -> Finding:
    """The finding for a JSON object that is not an event."""
    from evtool.events.wrappers import UNWRAP_HINT, find_wrapper  # noqa: PLC0415  (most inputs are events)

    message, hint = NOT_AN_EVENT, _suggest_envelope(document)
    wrapper = find_wrapper(document)
    if wrapper:
        message, hint = f"this is not an event: it is {wrapper.description}", UNWRAP_HINT
    return Finding("EV009", message, suggestion=hint, **location_of(SourceMap(text), ""))


def parse_event(raw: bytes) -> Event:
    """The event that a text holds which evtool made or stored. Raises ValueError when it is none."""
    event = _build_event(raw, parse_json(raw, max_depth=1000), None)
    if isinstance(event, Finding):
        raise ValueError(event.message)
    return event


def _format_member(key: str, value: object) -> bytes:
    return (json.dumps(key) + ": " + json.dumps(value, ensure_ascii=False)).encode()


_format_mark = lru_cache(maxsize=2)(_format_member)  # a replay marks all events with the same


def _insert_first(raw: bytes, member: bytes) -> bytes:
    rest = raw.lstrip()[1:].lstrip()
    return b"{" + member + (b"" if rest.startswith(b"}") else b", ") + rest


def _is_envelope(document: dict[str, Any], *, is_partial_allowed: bool) -> bool:
    if is_partial_allowed:
        return not document.keys().isdisjoint(("specversion", "detail-type", "detail"))
    return document.keys() >= {"detail-type", "source", "detail"} or document.keys() >= _REQUIRED_ATTRIBUTES


def _is_entry(entry: Any, *, is_partial_allowed: bool) -> bool:
    if not isinstance(entry, dict):
        return False
    required = {"Source", "DetailType", "Detail"}
    if is_partial_allowed:
        return "DetailType" in entry or "Detail" in entry
    return entry.keys() >= required


def _is_request(document: dict[str, Any], *, is_partial_allowed: bool) -> bool:
    entries = document.get("Entries")
    if not isinstance(entries, list):
        return False
    return is_partial_allowed or (bool(entries) and all(_is_entry(e, is_partial_allowed=False) for e in entries))


def _suggest_envelope(document: Mapping[str, Any]) -> str:
    for member in ("detail-type", "specversion"):
        key = next((key for key in document if find_respelled(member, [key])), None)
        if key:
            return f'"{member}" is written "{key}" here'
    if document.keys() >= _REQUIRED_ATTRIBUTES - {"specversion"}:
        return 'a CloudEvent has "specversion": "1.0"; for another payload, name its type with --type'
    if isinstance(document.get("type"), str):
        return "name its type with --type, or where its type is with --type-at /type"
    return "name its type with --type"


def _read_payload(
    text: SourceText, document: dict[str, Any], identity: PayloadIdentity, defaults: EventDefaults, max_depth: int
) -> Event | Finding:
    """The event of a payload without an envelope. If it has an id inside, it may come again: see `has_own_time`."""
    type_at, id_at = identity.type_at, identity.id_at
    try:
        if type_at is None:
            event_type = identity.type
        else:
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
    # the members of the envelope that are not in the text are placed at its beginning
    prefixes = (("/id", id_at or NOWHERE), ("/detail-type", type_at or NOWHERE), ("/detail", ""), ("", NOWHERE))
    event = _build_event(
        raw, parse_json(raw, max_depth=max_depth + 1), SourceMap(text, prefixes), has_own_id=id_at is not None
    )
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
    """The event, unless a member of its envelope is wrong that only what comes in from outside can have wrong."""
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
    """An entry of a PutEvents request: its Detail is JSON text in a string (an object is taken, too)."""
    names = {"/detail-type": "DetailType", "/source": "Source", "/time": "Time", "/resources": "Resources"}
    prefixes = (*((k, f"{base}/{v}") for k, v in names.items()), ("/detail", f"{base}/Detail"), ("", base))
    source_map = SourceMap(text, tuple(prefixes))
    if not isinstance(entry, dict):
        return Finding(
            "EV009", f"an entry is a JSON object, this is {describe_type(entry)}", **location_of(SourceMap(text), base)
        )
    for key in ("Source", "DetailType"):
        if not isinstance(entry.get(key), str):
            return _make_member_finding(SourceMap(text), entry, base, key)
    resources, time, detail = entry.get("Resources") or [], entry.get("Time"), entry.get("Detail", {})
    if not isinstance(resources, list) or not all(isinstance(resource, str) for resource in resources):
        return _make_member_finding(SourceMap(text), entry, base, "Resources", expected="a list of strings")
    try:
        bus = parse_bus_name(entry.get("EventBusName"))
    except ValueError:
        return _make_member_finding(SourceMap(text), entry, base, "EventBusName", expected="a string")
    try:
        payload = (detail if isinstance(detail, str) else json.dumps(detail, ensure_ascii=False)).encode()
        payload = payload.removeprefix(BOM_UTF8)
        parse_json(payload)
    except JsonProblem as error:
        message = f"Detail is not well-formed JSON: {error.message} (line {error.line}, column {error.column} of it)"
        return Finding(error.code, message, suggestion=error.hint, **location_of(source_map, "/detail"))
    raw = build_envelope(
        payload,
        type=entry["DetailType"],
        source=entry["Source"],
        id=defaults.new_id(),
        time=defaults.now() if time is None else normalize_time(time),
        resources=resources,
    )
    event = _build_event(raw, parse_json(raw, max_depth=1000), source_map, has_own_id=False)
    if isinstance(event, Event):
        return event._replace(bus=bus)
    return event


def _build_event(
    raw: bytes, document: dict[str, Any], source_map: SourceMap | None, *, has_own_id: bool = True
) -> Event | Finding:
    is_cloudevent = "specversion" in document
    if is_cloudevent:
        type_key, payload_key = ("type", "data")
    else:
        type_key, payload_key = ("detail-type", "detail")
    for key in ("id", "source", type_key):
        value = document.get(key)
        if not isinstance(value, str) or not value or "\0" in value:
            return _make_member_finding(source_map, document, "", key)
    if is_cloudevent and document["specversion"] != "1.0":
        message = f'CloudEvents {json.dumps(document["specversion"])} is not understood, only "1.0"'
        return Finding("EV108", message, **location_of(source_map, "/specversion"))
    if not is_cloudevent and not isinstance(document.get("detail"), dict):
        return _make_member_finding(source_map, document, "", "detail", expected="a JSON object")
    if source_map is not None and document.get("data") is None and "data_base64" in document:
        source_map = source_map._replace(prefixes=(("/data", "/data_base64"), *source_map.prefixes))
    time = document.get("time")
    if time is not None and not is_timestamp(time):
        message = f"time is not an RFC 3339 time such as 2026-11-23T10:00:00Z: {json.dumps(time)[:60]}"
        return Finding("EV108", message, **location_of(source_map, "/time"))
    return Event(
        document["id"], document[type_key], document["source"], time, raw, document, payload_key, source_map, has_own_id
    )


def _make_member_finding(
    source_map: SourceMap | None,
    document: Mapping[str, Any],
    base: str,
    key: str,
    expected: str = "a string that is not empty",
) -> Finding:
    if key in document:
        value = document[key]
        kind = "one with a NUL character" if isinstance(value, str) and "\0" in value else describe_type(value)
        message = f"the envelope's {key} must be {expected}, not {kind}"
        is_json = key == "detail" and isinstance(value, str) and value.lstrip().startswith("{")
        hint = "its JSON is in a string: write it without the quotes and backslashes" if is_json else None
        return Finding("EV108", message, suggestion=hint, **location_of(source_map, f"{base}/{key}"))
    known = () if key[0].isupper() else CLOUDEVENTS_MEMBERS if "specversion" in document else EVENTBRIDGE_MEMBERS
    respelled = next((k for k in document if k not in known and find_respelled(key, [k])), None)
    hint = None
    where = base
    if respelled is not None:
        hint, where = f'did you mean "{key}"?', f"{base}/{respelled}"
    location = location_of(source_map, where, key=respelled is not None)
    return Finding("EV108", f"the envelope has no {key}", suggestion=hint, **location)
