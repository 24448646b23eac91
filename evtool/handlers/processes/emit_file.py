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

# Bytes of an emitted line. An event is shorter, but one character may take six bytes if it is escaped.
MAX_LINE_BYTES = 4 << 20

# https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEventsRequestEntry.html
ENTRY_KEYS = ("Source", "DetailType", "Detail", "Resources", "Time", "EventBusName", "TraceHeader")


def _parse_detail(value: Any) -> bytes:
    """Returns the JSON text of a detail, which may be an object or JSON text. Raises ValueError."""
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False).encode()
    if isinstance(value, str):
        text = value.encode()
        try:
            if isinstance(parse_json(text), dict):
                return text
        except JsonProblem as problem:
            raise ValueError(f"Detail, column {problem.column}: {problem}") from None
    raise ValueError("Detail is neither an object nor the JSON text of one")


def parse_emitted(entry: Any) -> Emitted:
    """Parses an emitted event: an entry of PutEvents, or an event with its envelope. Raises ValueError."""
    if not isinstance(entry, dict):
        raise ValueError("an object is expected")
    if "detail-type" in entry or is_cloudevent(entry):
        return _parse_envelope(entry)
    # Some programs write null for a key that is not set.
    entry = {key: value for key, value in entry.items() if value is not None}
    _check_entry_keys(entry)
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


def _check_entry_keys(entry: Mapping[str, Any]) -> None:
    for key in entry:
        if key not in ENTRY_KEYS:
            message = f"the key {key} is not known"
            hint = did_you_mean(key, ENTRY_KEYS)
            if hint:
                message += f"; {hint}"
            raise ValueError(message)
    for key in ("DetailType", "Detail"):
        if key not in entry:
            raise ValueError(f"{key} is missing")
    for key in ("DetailType", "Source"):
        if key in entry:
            _require_text(key, entry[key])


def _require_text(key: str, value: Any) -> None:
    if not isinstance(value, str) or not value:
        raise ValueError(f"{key} is not a string")


def _parse_envelope(document: Mapping[str, Any]) -> Emitted:
    """Parses an event of EventBridge or a CloudEvent. evtool replaces its id, so that all attempts emit the same."""
    if is_cloudevent(document):
        type_key, payload_key = ("type", "data")
    else:
        type_key, payload_key = ("detail-type", "detail")
    # null means that a member is not set, except for the payload: `"data": null` is a payload.
    document = {key: value for key, value in document.items() if value is not None or key == payload_key}
    _require_text(type_key, document.get(type_key))
    if "source" in document:
        _require_text("source", document["source"])
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
    """Yields the lines that are not blank, with their numbers. Raises ValueError if it is too long or not readable."""
    try:
        # The command may have replaced the file, for example by a pipe, which would block the reader.
        if not stat.S_ISREG(path.stat().st_mode):
            raise ValueError("the file named by EVTOOL_EMIT is not a file any more")
        if size_of(path) > limit:
            raise ValueError(describe_excess(limit))
        with path.open("rb") as file:
            read_line = partial(file.readline, MAX_LINE_BYTES)
            for number, line in enumerate(iter(read_line, b""), 1):
                if len(line) == MAX_LINE_BYTES:
                    raise ValueError(f"emitted line {number}, which is too long: {MAX_LINE_BYTES} bytes or more")
                if line.strip():
                    yield number, line
    except OSError as error:
        raise ValueError(f"the file named by EVTOOL_EMIT cannot be read: {error.strerror}") from None


def read_emitted(path: Path, options: HandlerOptions) -> tuple[Emitted, ...]:
    """Reads the events in the file. Raises ValueError with the line and its problem."""
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
    """Returns the error of an attempt that emitted more than `limit` bytes."""
    return f"emitted more than {limit} bytes (emit_bytes)"


def size_of(path: Path) -> int:
    """Returns the present size of a file in bytes."""
    try:
        return path.stat().st_size
    # The command has removed it. `read_emitted` reports that when the command is over.
    except OSError:
        return 0
