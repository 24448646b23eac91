"""Converts the response of a server to the outcome of an attempt."""

import http.client
import json
import re
import time
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import Any

from evtool.findings.phrases import shorten
from evtool.handlers.base import Done, Emitted, Failed, HandlerOptions
from evtool.handlers.http_exchange.exchange import MAX_BODY, Response
from evtool.handlers.processes.emit_file import parse_emitted
from evtool.readers.json_text import JsonProblem, parse_json
from evtool.units import MAX_DURATION, format_size

# 4xx that ask for a later attempt. All others mean that the same request can never succeed.
RETRIED = frozenset((408, 425, 429))

# Characters of an error, of the part of it that comes from the response, and of the response of a failed attempt.
ERROR_LIMIT = 500
MESSAGE_LIMIT = 200
OUTPUT_LIMIT = 4096

_JSON_TYPE = re.compile(r"[^/;\s]+/([^;\s]+\+)?json", re.IGNORECASE)


def outcome_of(response: Response, options: HandlerOptions, redact: Callable[[str], str]) -> Done | Failed:
    """Returns the outcome of an attempt. `redact` removes secrets, which a server may send back."""
    if 200 <= response.status < 300:
        try:
            done = _read_result(response, options)
        except ValueError as error:
            return Failed(shorten(redact(str(error)), ERROR_LIMIT), "bad-result", final=True)
        return done._replace(output=redact(done.output))
    text = redact(_read_text(response))
    return Failed(
        _describe_status(response, text),
        output=text[:OUTPUT_LIMIT],
        final=300 <= response.status < 500 and response.status not in RETRIED,
        code=f"HTTP {response.status}",
        retry_after=read_retry_after(response.headers),
    )


def read_retry_after(headers: Mapping[str, str]) -> float:
    """Returns the seconds that `Retry-After` asks to wait; 0 if it is missing or neither a number nor a date."""
    value = headers.get("Retry-After", "").strip()
    if re.fullmatch("[0-9]+", value):
        # 12 digits are more than the longest pause, and quick to convert.
        return float(min(int(value[:12]), MAX_DURATION))
    moment = _read_date(value)
    if moment is None:
        return 0.0
    # The clock of the server counts, if the response has its time.
    now = _read_date(headers.get("Date", ""))
    if now is None:
        now = time.time()
    return min(max(moment - now, 0.0), MAX_DURATION)


def _read_date(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError, AttributeError):
        return None


# --- a 2xx response --------------------------------------------------------------------------------------------------


def _read_result(response: Response, options: HandlerOptions) -> Done:
    """Returns the events that a response emits. Raises ValueError for a JSON response that cannot be used."""
    content_type = response.headers.get("Content-Type", "")
    is_json = bool(_JSON_TYPE.match(content_type.strip())) or (not content_type and response.body[:1] == b"{")
    if response.is_cut:
        size = f"the response is longer than {format_size(MAX_BODY)}"
        if is_json:
            raise ValueError(f"{size}, so that events in it cannot be read")
        return Done(output=f"evtool: {size}; the rest was not read")
    if not is_json:
        return _read_other_result(response, content_type)
    if not response.body.strip():
        return Done()
    coding = response.headers.get("Content-Encoding")
    if coding:
        raise ValueError(f"the response is compressed ({shorten(coding, 20)}), which was not asked for")
    # A server need not know `emit`: broken JSON is an error only if it mentions `emit`.
    try:
        document = parse_json(response.body)
    except JsonProblem as problem:
        if b'"emit"' in response.body:
            location = f"line {problem.line}, column {problem.column}"
            raise ValueError(f"the response is not JSON: {location}: {problem}") from None
        return Done(output=f"evtool: the response is not JSON: {problem}")
    entries = None
    if isinstance(document, dict):
        entries = document.get("emit")
    if entries is not None:
        return Done(_read_emitted(entries, options))
    return Done()


def _read_other_result(response: Response, content_type: str) -> Done:
    """Accepts a response that is not JSON, with a note if its author seems to have meant JSON."""
    if re.match(rb'\s*\{\s*"emit"\s*:', response.body):
        shown_type = shorten(content_type, 60)
        return Done(output=f"evtool: the response has `emit`, but is not JSON: its Content-Type is {shown_type}")
    return Done()


def _read_emitted(entries: Any, options: HandlerOptions) -> tuple[Emitted, ...]:
    """Returns the events in `emit`. Raises ValueError."""
    if not isinstance(entries, list):
        raise ValueError("`emit` of the response is not a list")
    if len(entries) > options.emit_limit:
        raise ValueError(f"emitted more than {options.emit_limit} events (emit_limit)")
    events = []
    for number, entry in enumerate(entries, 1):
        try:
            events.append(parse_emitted(entry))
        except ValueError as problem:
            raise ValueError(f"event {number} in `emit` of the response: {problem}") from None
    if sum(len(event.detail) for event in events) > options.emit_bytes:
        raise ValueError(f"emitted more than {options.emit_bytes} bytes (emit_bytes)")
    return tuple(events)


# --- any other response ----------------------------------------------------------------------------------------------


def _describe_status(response: Response, text: str) -> str:
    status = response.status
    message = f"HTTP {status} {http.client.responses.get(status, '')}".rstrip()
    if 300 <= status < 400:
        return f"{message}: redirects are not followed; name the final URL in routes.yaml"
    if status < 200:
        return f"{message}: it is not a final response"
    detail = _find_message(response, text)
    if detail:
        return f"{message}: {detail}"
    return message


def _find_message(response: Response, text: str) -> str:
    """Returns the message of an error response: plain text, or a member that JSON errors usually have."""
    content_type = response.headers.get("Content-Type", "").strip().lower()
    if content_type.startswith("text/plain"):
        return shorten(" ".join(text.split()), MESSAGE_LIMIT)
    if not _JSON_TYPE.match(content_type):
        return ""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return ""
    # Twice, for `{"error": {"message": ...}}`.
    value = _find_message_member(_find_message_member(value))
    if isinstance(value, str):
        return shorten(" ".join(value.split()), MESSAGE_LIMIT)
    return ""


def _find_message_member(value: Any) -> Any:
    """Returns the first message in an object, and any other value unchanged."""
    if not isinstance(value, dict):
        return value
    for key in ("message", "detail", "error", "title"):
        if value.get(key):
            return value[key]
    return None


def _read_text(response: Response) -> str:
    """Returns the body if it is text; "" for other bodies."""
    content_type = response.headers.get("Content-Type", "")
    is_text = not content_type or re.match(r"\s*(text/|[^/;]+/([^;]+\+)?(json|xml))", content_type, re.IGNORECASE)
    # UTF-16 contains NULs. `redact` would not find secrets in it.
    if not is_text or response.headers.get("Content-Encoding") or b"\0" in response.body:
        return ""
    return response.body.decode(errors="replace").strip()
