"""The Lambda Runtime API (2018-06-01) for one process: hands out one event at a time, and takes its result.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

import json
import re
import uuid
from collections.abc import Callable
from typing import NamedTuple

from evtool.aws.http_messages import Request, Response
from evtool.handlers import put_events
from evtool.handlers.processes.endpoint import Exchange
from evtool.handlers.put_events import Emission

VERSION = "/2018-06-01/runtime/"
ERROR_TYPE = "lambda-runtime-function-error-type"
ERROR_BODY = "lambda-runtime-function-error-body"
RESPONSE_MODE = "lambda-runtime-function-response-mode"

_INVOCATION = re.compile(r"invocation/([^/]+)/(response|error)")
_ACCEPTED = Response(202, b'{"status":"OK"}\n')


class Invocation(NamedTuple):
    """An event for a function."""

    event: bytes
    deadline: float  # seconds since 1970
    arn: str
    emission: Emission


class Posted(NamedTuple):
    """What a runtime has posted: the result of an invocation, or an error; `is_error` is that of the address."""

    request: Request
    is_error: bool

    @property
    def is_stream(self) -> bool:
        """Whether the response came bit by bit, and may have ended with an error."""
        return self.request.headers.get(RESPONSE_MODE) == "streaming"


class RuntimeApi:
    """The state of one process: it loads, waits for an event, or owes a response."""

    def __init__(self) -> None:
        self.result: Posted | None = None  # of the running invocation
        self.init_error: Posted | None = None
        self.has_asked_again = False  # for the next event, while a response is owed
        self._next: Exchange | None = None  # the request for the next event, which is not answered
        self._request_id = ""
        self._emission: Emission | None = None

    @property
    def is_waiting(self) -> bool:
        """Whether the runtime has asked for an event that it has not got."""
        return self._next is not None

    def check_connection(self) -> None:
        """Forgets the request for an event if the client has closed its connection meanwhile."""
        if self._next and not self._next.is_open():
            self._next = None

    def invoke(self, invocation: Invocation) -> None:
        """Hands out an event to a runtime that waits for one."""
        assert self._next
        exchange, self._next = self._next, None
        request_id = uuid.uuid4()
        self._request_id, self._emission = str(request_id), invocation.emission
        self.result, self.has_asked_again = None, False
        deadline = round(invocation.deadline * 1000)
        headers = (
            ("Content-Type", "application/json"),
            ("Lambda-Runtime-Aws-Request-Id", self._request_id),
            ("Lambda-Runtime-Deadline-Ms", str(deadline)),
            ("Lambda-Runtime-Invoked-Function-Arn", invocation.arn),
            ("Lambda-Runtime-Trace-Id", _make_trace_id(deadline, request_id.hex)),
        )
        exchange.respond(Response(200, invocation.event, headers))

    def end_invocation(self) -> None:
        """Takes no more events from the invocation."""
        self._emission = None

    def serve(self, exchange: Exchange) -> None:
        """Answers a request, or keeps that for the next event."""
        request = exchange.request
        if put_events.is_aws_call(request):
            exchange.respond(put_events.answer(request, self._emission))
        elif (request.method, request.path) == ("GET", VERSION + "invocation/next"):
            self._take_next(exchange)
        else:
            exchange.respond(self._find_route(request)(request))

    def _take_next(self, exchange: Exchange) -> None:
        self._next = exchange
        self.has_asked_again = self._emission is not None and self.result is None

    def _find_route(self, request: Request) -> Callable[[Request], Response]:
        path = request.path.removeprefix(VERSION)
        if path == "init/error":
            route = self._take_init_error
        elif match := _INVOCATION.fullmatch(path):
            is_error = match[2] == "error"
            route = lambda request: self._take_result(match[1], Posted(request, is_error))  # noqa: E731
        elif request.path == "/ping":
            return lambda _request: Response(200, b"pong", (("Content-Type", "text/plain"),))
        elif path == "restore/next":
            return lambda _request: Response(200)
        else:
            return lambda _request: _refuse(404, "NotFound", f"there is no {request.path[:200]}")
        if request.method != "POST":
            return lambda _request: _refuse(405, "MethodNotAllowed", f"{request.path[:200]} takes POST")
        return route

    def _take_init_error(self, request: Request) -> Response:
        if self._request_id:
            return _refuse(403, "InvalidStateTransition", "the function has been loaded")
        self.init_error = Posted(request, is_error=True)
        return _ACCEPTED

    def _take_result(self, request_id: str, posted: Posted) -> Response:
        if request_id != self._request_id:
            return _refuse(400, "InvalidRequestID", "Invalid request ID")
        if self.result is not None:
            return _refuse(403, "InvalidStateTransition", "there is a response to this invocation already")
        self.result = posted
        if posted.request.is_too_large and not posted.is_stream:
            return _refuse(413, "RequestEntityTooLarge", "the response is too large")
        return _ACCEPTED


def _make_trace_id(milliseconds: int, random: str) -> str:
    """A trace of AWS X-Ray that is not sampled."""
    return f"Root=1-{milliseconds // 1000:08x}-{random[:24]};Parent={random[16:]};Sampled=0"


def _refuse(status: int, error_type: str, message: str) -> Response:
    return Response(status, json.dumps({"errorMessage": message, "errorType": error_type}).encode())
