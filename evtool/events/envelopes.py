"""Finds the envelope of a JSON text: the four input forms become one Event."""

import json
from codecs import BOM_UTF8
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from evtool.events.event import Event, Stamp
from evtool.events.timestamps import is_timestamp, timestamp_of
from evtool.findings.finding import Finding
from evtool.findings.spelling import did_you_mean
from evtool.readers.files import Piece
from evtool.readers.json_text import JsonProblem, parse
from evtool.readers.locations import Origin, place, problem

ACCOUNT = "000000000000"  # for events that come without an envelope of their own
REGION = "us-east-1"
BARE_SOURCE = "evtool"  # the source of a bare payload when none is named
NOT_AN_EVENT = "this is not an event: it has no envelope (detail-type, or CloudEvents' specversion and type)"


def envelope(
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
    head: dict[str, Any] = {
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
        head["replay-name"] = replay
    return json.dumps(head, ensure_ascii=False).encode()[:-1] + b', "detail": ' + detail + b"}"


def with_member(raw: bytes, key: str, value: object) -> bytes:
    """The text of a JSON object with one member put first; the rest stays as it is written."""
    return _with_first(raw, _member(key, value))


def replayed(raw: bytes, document: Mapping[str, Any], name: str) -> bytes:
    """The event as a replay delivers it: marked with the replay's name, as EventBridge does with `replay-name`.

    Of the document only the envelope matters.
    """
    key = "replayname" if "specversion" in document else "replay-name"  # CloudEvents allows letters and digits only
    return raw if key in document else _with_first(raw, _mark(key, name))


def events_of(
    piece: Piece,
    stamp: Stamp,
    *,
    type: str | None = None,  # noqa: A002
    source: str | None = None,
    max_depth: int = 200,
) -> Iterator[Event | Finding]:
    """The event, or the events of a PutEvents request, that a piece of text holds; or what is wrong with it.

    `type` and `source` are given to a bare payload; an envelope keeps its own.
    """
    piece = piece._replace(raw=piece.raw.removeprefix(BOM_UTF8))  # it must not end up in the middle of an envelope
    try:
        document = parse(piece.raw, max_depth=max_depth)
    except JsonProblem as error:
        yield problem(piece, error)
        return
    if not isinstance(document, dict):
        yield Finding("EV009", f"an event is a JSON object, this is {_kind(document)}", **place(Origin(piece), ""))
        return
    if "specversion" in document or "detail-type" in document or ("detail" in document and type is None):
        yield _enveloped(piece, document, stamp)
    elif isinstance(document.get("Entries"), list):
        for index, entry in enumerate(document["Entries"]):
            yield _entry(piece, entry, f"/Entries/{index}", stamp)
    elif "DetailType" in document or "Detail" in document:
        yield _entry(piece, document, "", stamp)
    elif type is not None:
        roots = (("/detail", ""), ("", "/"))
        raw = envelope(piece.raw, type=type, source=source or BARE_SOURCE, id=stamp.new_id(), time=stamp.now())
        yield _identify(raw, parse(raw, max_depth=max_depth + 1), Origin(piece, roots), identified=False)
    else:
        near = next((hint for key in document if (hint := did_you_mean("detail-type", [key]))), None)
        hint = f'"detail-type" is written "{near.split(chr(34))[1]}" here' if near else "name its type with --type"
        yield Finding("EV009", NOT_AN_EVENT, suggestion=hint, **place(Origin(piece), ""))


def identify(raw: bytes) -> Event:
    """The event that a text holds which evtool made or stored. Raises ValueError when it is none."""
    found = _identify(raw, parse(raw, max_depth=1000), None)
    if isinstance(found, Finding):
        raise ValueError(found.message)
    return found


def _member(key: str, value: object) -> bytes:
    return (json.dumps(key) + ": " + json.dumps(value, ensure_ascii=False)).encode()


_mark = lru_cache(maxsize=2)(_member)  # a replay marks all events with the same


def _with_first(raw: bytes, member: bytes) -> bytes:
    rest = raw.lstrip()[1:].lstrip()
    return b"{" + member + (b"" if rest.startswith(b"}") else b", ") + rest


def _enveloped(piece: Piece, document: dict[str, Any], stamp: Stamp) -> Event | Finding:
    if "id" in document or "specversion" in document:
        return _identify(piece.raw, document, Origin(piece))
    raw = with_member(piece.raw, "id", stamp.new_id())
    if "time" not in document:
        raw = with_member(raw, "time", stamp.now())
    return _identify(raw, parse(raw, max_depth=1000), Origin(piece), identified=False)


def _entry(piece: Piece, entry: Any, base: str, stamp: Stamp) -> Event | Finding:
    """An entry of a PutEvents request: its Detail is JSON text in a string (an object is taken, too)."""
    names = {"/detail-type": "DetailType", "/source": "Source", "/time": "Time", "/resources": "Resources"}
    roots = (*((k, f"{base}/{v}") for k, v in names.items()), ("/detail", f"{base}/Detail"), ("", base))
    origin = Origin(piece, tuple(roots))
    if not isinstance(entry, dict):
        return Finding("EV009", f"an entry is a JSON object, this is {_kind(entry)}", **place(Origin(piece), base))
    for key in ("Source", "DetailType"):
        if not isinstance(entry.get(key), str):
            return _bad_member(Origin(piece), entry, base, key)
    resources, time, detail = entry.get("Resources") or [], entry.get("Time"), entry.get("Detail", {})
    if not isinstance(resources, list) or not all(isinstance(each, str) for each in resources):
        return _bad_member(Origin(piece), entry, base, "Resources", wanted="a list of strings")
    try:
        text = (detail if isinstance(detail, str) else json.dumps(detail, ensure_ascii=False)).encode()
        text = text.removeprefix(BOM_UTF8)
        parse(text)
    except JsonProblem as error:
        message = f"Detail is not well-formed JSON: {error.message} (line {error.line}, column {error.column} of it)"
        return Finding(error.code, message, suggestion=error.hint, **place(origin, "/detail"))
    raw = envelope(
        text,
        type=entry["DetailType"],
        source=entry["Source"],
        id=stamp.new_id(),
        time=stamp.now() if time is None else timestamp_of(time),
        resources=resources,
    )
    return _identify(raw, parse(raw, max_depth=1000), origin, identified=False)


def _identify(
    raw: bytes, document: dict[str, Any], origin: Origin | None, *, identified: bool = True
) -> Event | Finding:
    cloud = "specversion" in document
    kind, payload = ("type", "data") if cloud else ("detail-type", "detail")
    for key in ("id", "source", kind):
        value = document.get(key)
        if not isinstance(value, str) or not value or "\0" in value:
            return _bad_member(origin, document, "", key)
    if cloud and document["specversion"] != "1.0":
        message = f'CloudEvents {json.dumps(document["specversion"])} is not understood, only "1.0"'
        return Finding("EV108", message, **place(origin, "/specversion"))
    if not cloud and not isinstance(document.get("detail"), dict):
        return _bad_member(origin, document, "", "detail", wanted="a JSON object")
    time = document.get("time")
    if time is not None and not is_timestamp(time):
        message = f"time is not an RFC 3339 time such as 2026-11-23T10:00:00Z: {json.dumps(time)[:60]}"
        return Finding("EV108", message, **place(origin, "/time"))
    return Event(document["id"], document[kind], document["source"], time, raw, document, payload, origin, identified)


def _bad_member(
    origin: Origin | None, document: Mapping[str, Any], base: str, key: str, wanted: str = "a string that is not empty"
) -> Finding:
    if key in document:
        value = document[key]
        kind = "one with a NUL character" if isinstance(value, str) and "\0" in value else _kind(value)
        message = f"the envelope's {key} must be {wanted}, not {kind}"
        return Finding("EV108", message, **place(origin, f"{base}/{key}"))
    mistaken = next((k for k in document if did_you_mean(key, [k])), None)
    if mistaken is None:
        return Finding("EV108", f"the envelope has no {key}", **place(origin, base))
    message = f"the envelope has no {key}"
    return Finding(
        "EV108", message, suggestion=f'did you mean "{key}"?', **place(origin, f"{base}/{mistaken}", key=True)
    )


def _kind(value: object) -> str:
    names = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    return "an empty string" if value == "" else names.get(type(value), "a number")
