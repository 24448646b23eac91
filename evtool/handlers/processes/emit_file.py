"""Reads the file into which a command writes the events that it emits, one entry of PutEvents per line."""

import json
import stat
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from evtool.events.buses import parse_bus_name
from evtool.events.members import find_member_problem, is_cloudevent
from evtool.findings.spelling import did_you_mean
from evtool.handlers.base import Emitted, HandlerOptions
from evtool.readers.json_text import JsonProblem, parse_json

MAX_LINE_BYTES = 4 << 20  # bytes of an emitted line: an event is shorter, but many a character may be escaped

# https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEventsRequestEntry.html
ENTRY_KEYS = ("Source", "DetailType", "Detail", "Resources", "Time", "EventBusName", "TraceHeader")


def _parse_detail(value: Any) -> bytes:
    """The detail of an entry, which may be JSON text. Raises ValueError."""
    text = (value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)).encode()
    try:
        if isinstance(value, str):
            detail = parse_json(text)
        else:
            detail = value
    except JsonProblem as problem:
        raise ValueError(f"Detail, column {problem.column}: {problem}") from None
    if not isinstance(detail, dict):
        raise ValueError("Detail is neither an object nor the JSON text of one")
    return text


def parse_emitted(entry: Any) -> Emitted:
    """An emitted event from an entry as PutEvents takes it, or from an event with its envelope. Raises ValueError."""
    if not isinstance(entry, dict):
        raise ValueError("an object is expected")
    if "detail-type" in entry or is_cloudevent(entry):
        return _parse_envelope(entry)
    entry = {key: value for key, value in entry.items() if value is not None}
    for key in entry:
        if key not in ENTRY_KEYS:
            raise ValueError("; ".join([f"the key {key} is not known", *filter(None, [did_you_mean(key, ENTRY_KEYS)])]))
    for key in ("DetailType", "Detail"):
        if key not in entry:
            raise ValueError(f"{key} is missing")
    for key in ("DetailType", "Source"):
        if key in entry and not (isinstance(entry[key], str) and entry[key]):
            raise ValueError(f"{key} is not a string")
    resources = entry.get("Resources", [])
    if not isinstance(resources, list) or not all(isinstance(name, str) for name in resources):
        raise ValueError("Resources is not a list of strings")
    return Emitted(
        entry["DetailType"],
        _parse_detail(entry["Detail"]),
        entry.get("Source"),
        tuple(resources),
        entry.get("Time"),
        parse_bus_name(entry.get("EventBusName")),
    )


def _parse_envelope(document: Mapping[str, Any]) -> Emitted:
    """An emitted event from an event of EventBridge or a CloudEvent. Its id is replaced by one of evtool."""
    if is_cloudevent(document):
        type_key, payload_key = ("type", "data")
    else:
        type_key, payload_key = ("detail-type", "detail")
    document = {key: value for key, value in document.items() if value is not None or key == payload_key}
    for key in (type_key, "source"):
        if (key in document or key == type_key) and not (isinstance(document.get(key), str) and document[key]):
            raise ValueError(f"{key} is not a string")
    if not is_cloudevent(document) and not isinstance(document.get("detail"), dict):
        raise ValueError("detail is not an object")
    problem = find_member_problem(document)
    if problem:
        raise ValueError(problem.message)
    return Emitted(
        document[type_key],
        json.dumps(document.get(payload_key), ensure_ascii=False).encode(),
        document.get("source"),
        tuple(document.get("resources") or ()),
        document.get("time"),
        envelope=document,
    )


def _read_lines(path: Path, limit: int) -> Iterator[tuple[int, bytes]]:
    """The lines that are not blank, with their numbers. Raises ValueError for a file that is not one or is too long."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise ValueError("the file named by EVTOOL_EMIT is not a file any more")
        if size_of(path) > limit:
            raise ValueError(describe_excess(limit))
        with path.open("rb") as file:
            for number, line in enumerate(iter(partial(file.readline, MAX_LINE_BYTES), b""), 1):
                if len(line) == MAX_LINE_BYTES:
                    raise ValueError(f"emitted line {number}, which is too long: {MAX_LINE_BYTES} bytes or more")
                if line.strip():
                    yield number, line
    except OSError as error:
        raise ValueError(f"the file named by EVTOOL_EMIT cannot be read: {error.strerror}") from None


def read_emitted(path: Path, options: HandlerOptions) -> tuple[Emitted, ...]:
    """The events in the file. Raises ValueError that says which line is wrong, and how."""
    events: list[Emitted] = []
    for number, line in _read_lines(path, options.emit_bytes):
        try:
            events.append(parse_emitted(parse_json(line)))
        except JsonProblem as problem:
            raise ValueError(f"emitted line {number}, column {problem.column}: {problem}") from None
        except ValueError as problem:
            raise ValueError(f"emitted line {number}: {problem}") from None
        if len(events) > options.emit_limit:
            raise ValueError(f"emitted more than {options.emit_limit} events (emit_limit)")
    return tuple(events)


def describe_excess(limit: int) -> str:
    """The error of an attempt that emitted more than so many bytes."""
    return f"emitted more than {limit} bytes (emit_bytes)"


def size_of(path: Path) -> int:
    """How many bytes a file has by now."""
    try:
        return path.stat().st_size
    except OSError:  # removed, which is judged at the end
        return 0
