"""Answers AWS's SDKs as EventBridge does: PutEvents (also of EventBridge V2) and TestEventPattern."""

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match
from starlette.types import Receive, Scope, Send

from evtool.aws import cbor_protocol, http_messages, json_protocol
from evtool.aws.put_events import Entry, Rejection, put_events
from evtool.aws.put_events_v2 import put_events_v2
from evtool.aws.test_event_pattern import test_event_pattern
from evtool.events.envelopes import build_envelope, parse_event
from evtool.events.event import Event
from evtool.events.timestamps import normalize_time
from evtool.findings.finding import Finding
from evtool.server.beside import run_beside
from evtool.server.context import Context
from evtool.server.http.bodies import BodyReader
from evtool.server.intake import RoutedEvent, route_event, store_events

_CALL_HEADERS = (b"x-amz-target", b"smithy-protocol")


class EventBridgeRoute(BaseRoute):
    """The requests of AWS's SDKs, at whatever path: it is that of the endpoint URL in their configuration."""

    def __init__(self, context: Context, bodies: BodyReader):
        self._context, self._bodies = context, bodies

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whether an SDK of AWS has made this request."""
        is_call = scope["type"] == "http" and any(name in _CALL_HEADERS for name, _ in scope["headers"])
        return (Match.FULL if is_call else Match.NONE), {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request."""
        request = Request(scope, receive)
        async with self._bodies.read(request) as body:
            response = await self._answer(request, body)
        await response(scope, receive, send)

    async def _answer(self, request: Request, body: bytes) -> Response:
        accepted: list[RoutedEvent] = []
        call = http_messages.Request(request.method, request.scope["path"], request.headers, body)

        def put(parameters: Mapping[str, Any]) -> Mapping[str, Any]:
            return put_events(parameters, lambda entry: self._accept(entry, accepted))

        def put_v2(parameters: Mapping[str, Any]) -> Mapping[str, Any]:
            return put_events_v2(parameters, lambda entry: self._accept(entry, accepted))

        def answer() -> http_messages.Response:
            if "smithy-protocol" in request.headers:
                return cbor_protocol.answer(call, {"PutEvents": put_v2})
            return json_protocol.answer(call, {"PutEvents": put, "TestEventPattern": test_event_pattern})

        response = await run_beside(len(body), answer)
        if accepted and response.status == 200:
            await store_events(self._context, accepted)
        return Response(response.body, response.status, dict(response.headers))

    def _accept(self, entry: Entry, accepted: list[RoutedEvent]) -> str | Rejection:
        """The id of the event that an entry becomes."""
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
        raw = build_envelope(
            entry.detail,
            type=entry.type,
            source=entry.source,
            id=defaults.new_id(),
            time=defaults.now() if entry.time is None else normalize_time(entry.time),
            resources=entry.resources,
        )
        return parse_event(raw)._replace(bus=entry.bus, has_own_id=False)


def _describe(finding: Finding) -> str:
    return f"{finding.code} {finding.message}" + (f" ({finding.suggestion})" if finding.suggestion else "")
