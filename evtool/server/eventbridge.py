"""Answers AWS's SDKs as EventBridge does: PutEvents (also of EventBridge V2) and TestEventPattern."""

from collections.abc import Mapping
from typing import Any

from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from evtool.aws import cbor_protocol, json_protocol
from evtool.aws.http_messages import Request, Response
from evtool.aws.put_events import Entry, Rejection, put_events
from evtool.aws.put_events_v2 import put_events_v2
from evtool.aws.test_event_pattern import test_event_pattern
from evtool.events.envelopes import build_envelope
from evtool.events.event import Event, LazyDocument
from evtool.events.timestamps import normalize_time
from evtool.findings.finding import Finding
from evtool.server.beside import run_beside
from evtool.server.context import Context
from evtool.server.http.bodies import BodyReader
from evtool.server.intake import RoutedEvent, route_event, store_events

_CALL_HEADERS = (b"x-amz-target", b"smithy-protocol")


def is_aws_call(scope: Scope) -> bool:
    """Returns whether an SDK of AWS has made this request. The path is that of the endpoint URL of the SDK."""
    return any(name in _CALL_HEADERS for name, _ in scope["headers"])


class EventBridgeEndpoint:
    """The requests of AWS's SDKs. They come thousands a second, so no toolkit is between the server and this."""

    def __init__(self, context: Context, bodies: BodyReader):
        self._context, self._bodies = context, bodies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request. Raises HttpError, StoreError and ClientDisconnect before anything is sent."""
        async with self._bodies.read(scope, receive) as body:
            request = Request(scope["method"], scope["path"], Headers(scope=scope), body)
            response = await self._answer(request)
        await _send_response(response, send)

    async def _answer(self, request: Request) -> Response:
        accepted: list[RoutedEvent] = []

        def accept(entry: Entry) -> str | Rejection:
            return self._accept(entry, accepted)

        def put(parameters: Mapping[str, Any]) -> Mapping[str, Any]:
            return put_events(parameters, accept)

        def put_v2(parameters: Mapping[str, Any]) -> Mapping[str, Any]:
            return put_events_v2(parameters, accept)

        def answer() -> Response:
            if "smithy-protocol" in request.headers:
                return cbor_protocol.answer(request, {"PutEvents": put_v2})
            return json_protocol.answer(request, {"PutEvents": put, "TestEventPattern": test_event_pattern})

        response = await run_beside(len(request.body), answer)
        if accepted and response.status == 200:
            await store_events(self._context, accepted)
        return response

    def _accept(self, entry: Entry, accepted: list[RoutedEvent]) -> str | Rejection:
        """Returns the id of the event that an entry becomes."""
        event = self._build_event(entry)
        findings = self._context.rules.check(event)
        errors = [finding for finding in findings if finding.severity == "error"]
        if errors and self._context.settings.validates:
            return Rejection("InvalidArgument", _describe(errors[0]))
        if findings:
            more = ""
            if len(findings) > 1:
                more = f" (and {len(findings) - 1} more)"
            self._context.log.add(f"{event.type} {event.id} is stored, though: {_describe(findings[0])}{more}")
        accepted.append(route_event(self._context, event))
        return event.id

    def _build_event(self, entry: Entry) -> Event:
        defaults = self._context.defaults
        event_id = defaults.new_id()
        if entry.time is None:
            time = defaults.now()
        else:
            time = normalize_time(entry.time)
        raw = build_envelope(
            entry.detail, type=entry.type, source=entry.source, id=event_id, time=time, resources=entry.resources
        )
        # the entry has been checked, so the envelope around it need not be parsed
        document = LazyDocument(raw)
        return Event(event_id, entry.type, entry.source, time, raw, document, "detail", has_own_id=False, bus=entry.bus)


async def _send_response(response: Response, send: Send) -> None:
    headers = [(name.lower().encode(), value.encode()) for name, value in response.headers]
    headers.append((b"content-length", str(len(response.body)).encode()))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body})


def _describe(finding: Finding) -> str:
    text = f"{finding.code} {finding.message}"
    if finding.suggestion:
        return f"{text} ({finding.suggestion})"
    return text
