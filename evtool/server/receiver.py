"""Receives events at `/` and `/events`: CloudEvents in every mode, and at `/events` whatever `evtool publish` reads."""

import zlib
from collections.abc import Awaitable, Callable, Iterator, Sequence
from io import BytesIO
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from evtool.events.buses import name_bus
from evtool.events.event import Event
from evtool.events.payload_identity import PayloadIdentity
from evtool.events.wrappers import unwrap_texts
from evtool.findings.finding import Finding
from evtool.readers.files import STDIN, SourceText, read_texts
from evtool.schemas.validation import ValidationResult, validate_events
from evtool.server.beside import run_beside
from evtool.server.cloudevents import NAME, Mode, find_mode, read_cloudevents
from evtool.server.context import Context
from evtool.server.http.bodies import MAX_BODY_BYTES, TOO_LARGE, BodyReader
from evtool.server.http.errors import HttpError
from evtool.server.intake import RoutedEvent, route_event, store_events
from evtool.server.query import read_query

# Events of one request, which are stored in one commit.
MAX_EVENTS = 10_000
MAX_FINDINGS = 100  # in one response
# Invalid events of one request. Nothing is stored after the first one, but users want to see several.
MAX_INVALID = 20
_GZIP_MAGIC = b"\x1f\x8b"
_EXPECTED = (
    "a request here is PutEvents or TestEventPattern of an AWS SDK (AWS JSON 1.1 with X-Amz-Target), or a CloudEvent;"
    " other events are taken at POST /events"
)


class _Reception(NamedTuple):
    """The valid events of a request, and the findings about them."""

    events: Sequence[RoutedEvent]
    findings: Sequence[Finding]


def build_receiver(context: Context, bodies: BodyReader) -> Callable[[Request], Awaitable[Response]]:
    """Returns the endpoint for `POST /` and `POST /events`."""

    async def receive(request: Request) -> Response:
        content_type = request.headers.get("content-type")
        mode = find_mode(request.headers.raw, content_type or "")
        if mode == "plain" and request.scope["path"] == "/":
            raise HttpError(400, _EXPECTED, code="UnknownOperationException")
        query = read_query(request.query_params, context.project)
        async with bodies.read(request.scope, request.receive) as body:

            def read() -> _Reception:
                if mode == "plain":
                    texts = read_plain(body)
                else:
                    texts = read_cloudevents(mode, request.headers.raw, content_type, body)
                if query.unwrap:
                    texts = unwrap_texts(texts)
                return _check(context, mode, texts, query.identity, query.bus)

            reception = await run_beside(len(body), read)
            statuses = await store_events(context, reception.events)
        return _build_response(reception, statuses)

    return receive


def read_plain(body: bytes) -> Iterator[SourceText | Finding]:
    """Yields the texts of events in any form that `evtool publish` reads."""
    if body.startswith(_GZIP_MAGIC):
        _check_unpacked_size(body)
    for item in read_texts([STDIN], max_bytes=MAX_BODY_BYTES, stdin=BytesIO(body)):
        yield item._replace(file=NAME)


def _check_unpacked_size(body: bytes) -> None:
    """Raises HttpError if a packed body becomes too large. What is damaged is reported when it is read."""
    size = 0
    while body and size <= MAX_BODY_BYTES:
        unpacker = zlib.decompressobj(wbits=31)
        try:
            size += len(unpacker.decompress(body, MAX_BODY_BYTES + 1))
        except zlib.error:
            return
        body = unpacker.unused_data
    if size > MAX_BODY_BYTES:
        raise HttpError(413, TOO_LARGE)


def _check(
    context: Context,
    mode: Mode,
    texts: Iterator[SourceText | Finding],
    identity: PayloadIdentity,
    bus: str | None,
) -> _Reception:
    """Returns the events of a request with their deliveries. Raises HttpError if one of them cannot be stored."""

    def change(event: Event) -> Event:
        return name_bus(event, bus)

    checked = validate_events(texts, context.rules, context.defaults, identity=identity, change=change)
    results: list[ValidationResult] = []
    problems = 0
    for result in checked:
        results.append(result)
        problems += not result.is_valid
        if len(results) > MAX_EVENTS:
            message = f"the request has more than {MAX_EVENTS:,} events; send them in several requests"
            raise HttpError(413, message)
        if problems >= MAX_INVALID:
            # Nothing is stored in any case.
            break
    if not results and mode != "batch":
        raise HttpError(400, "no event was found in the body of the request", code="SerializationException")
    findings = [finding for result in results for finding in result.findings]
    events = [result.event for result in results if result.event]
    others = [_describe_other_event(event) for event in events if mode != "plain" and event.payload_key != "data"]
    if others or len(events) < len(results):
        raise _build_refusal(400, results, others + findings)
    if not all(result.is_valid for result in results):
        raise _build_refusal(422, results, findings)
    return _Reception([route_event(context, event) for event in events], findings)


def _describe_other_event(event: Event) -> Finding:
    message = "this is not a CloudEvent, though the request says so: it has no specversion"
    return Finding("EV108", message, file=NAME, event_id=event.id, event_type=event.type)


def _build_refusal(status: int, results: Sequence[ValidationResult], findings: Sequence[Finding]) -> HttpError:
    errors = [finding for finding in findings if finding.severity == "error"]
    message = f"{errors[0].code} {errors[0].message}"
    if len(errors) > 1:
        message += f" (and {len(errors) - 1} more)"
    if len(results) > 1:
        message += "; none of the events was stored"
    code = None
    if status == 400:
        code = "SerializationException"
    return HttpError(status, message, code=code, findings=findings[:MAX_FINDINGS])


def _build_response(reception: _Reception, statuses: Sequence[str]) -> Response:
    """202 if something was stored, 200 if all of it was stored before."""
    entries: list[dict[str, str]] = []
    for (event, _), status in zip(reception.events, statuses, strict=True):
        entries.append({"id": event.id, "type": event.type, "source": event.source, "status": status})
    content: dict[str, object] = {"events": entries}
    if reception.findings:
        content["findings"] = [finding.as_dict() for finding in reception.findings[:MAX_FINDINGS]]
    if "stored" in statuses:
        return JSONResponse(content, 202)
    return JSONResponse(content)
