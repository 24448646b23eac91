"""The Lambda Runtime API (2018-06-01) for one process: sends it one event at a time, and receives the result.

function.py shows the requests of a process. https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html describes
them.
"""

import json
import re
import uuid
from typing import NamedTuple

from evtool.aws.http_messages import Request, Response
from evtool.handlers import put_events
from evtool.handlers.processes.endpoint import Exchange
from evtool.handlers.put_events import Emission

VERSION = "/2018-06-01/runtime/"
ERROR_TYPE = "lambda-runtime-function-error-type"
ERROR_BODY = "lambda-runtime-function-error-body"
RESPONSE_MODE = "lambda-runtime-function-response-mode"

NEXT_PATH = f"{VERSION}invocation/next"

_INVOCATION = re.compile(r"invocation/([^/]+)/(response|error)")
_ACCEPTED = Response(202, b'{"status":"OK"}\n')


class Invocation(NamedTuple):
    """An event for a function. The deadline is in seconds since 1970."""

    event: bytes
    deadline: float
    arn: str
    emission: Emission


class Posted(NamedTuple):
    """The result or the error that a runtime posted. `is_error` follows from the path of the request."""

    request: Request
    is_error: bool

    @property
    def is_stream(self) -> bool:
        """Whether the runtime sent the response as a stream, which may end with an error."""
        return self.request.headers.get(RESPONSE_MODE) == "streaming"


class RuntimeApi:
    """The state of one process: it loads, waits for an event, or handles one."""

    def __init__(self) -> None:
        # The result of the running invocation.
        self.result: Posted | None = None
        self.init_error: Posted | None = None
        # Whether it asked for the next event before it posted the result of the running invocation.
        self.has_asked_again = False
        # The request for the next event, which waits for its response.
        self._next: Exchange | None = None
        self._request_id = ""
        self._emission: Emission | None = None

    @property
    def is_waiting(self) -> bool:
        """Whether the runtime has asked for an event and waits for it."""
        return self._next is not None

    def check_connection(self) -> None:
        """Forgets the request for an event if the client has closed its connection."""
        if self._next and not self._next.is_open():
            self._next = None

    def invoke(self, invocation: Invocation) -> None:
        """Sends an event to a runtime that waits for one."""
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
        """Ends the invocation: later PutEvents requests are refused."""
        self._emission = None

    def serve(self, exchange: Exchange) -> None:
        """Responds to a request, or keeps it if it asks for the next event."""
        request = exchange.request
        if put_events.is_aws_call(request):
            exchange.respond(put_events.answer(request, self._emission))
        elif request.method == "GET" and request.path == NEXT_PATH:
            self._take_next(exchange)
        else:
            exchange.respond(self._answer(request))

    def _take_next(self, exchange: Exchange) -> None:
        self._next = exchange
        self.has_asked_again = self._emission is not None and self.result is None

    def _answer(self, request: Request) -> Response:
        path = request.path.removeprefix(VERSION)
        # `/ping` checks whether the API responds. Clients ask for `restore/next` only if the function sets
        # AWS_LAMBDA_INITIALIZATION_TYPE to snap-start.
        if request.path == "/ping":
            return Response(200, b"pong", (("Content-Type", "text/plain"),))
        if path == "restore/next":
            return Response(200)
        invocation = _INVOCATION.fullmatch(path)
        if path != "init/error" and not invocation:
            return _refuse(404, "NotFound", f"the Runtime API has no {request.path[:200]}")
        if request.method != "POST":
            return _refuse(405, "MethodNotAllowed", f"{request.path[:200]} takes POST")
        if invocation:
            return self._take_result(invocation[1], Posted(request, invocation[2] == "error"))
        return self._take_init_error(request)

    def _take_init_error(self, request: Request) -> Response:
        if self._request_id:
            return _refuse(403, "InvalidStateTransition", "the function has been loaded")
        self.init_error = Posted(request, is_error=True)
        return _ACCEPTED

    def _take_result(self, request_id: str, posted: Posted) -> Response:
        if request_id != self._request_id:
            return _refuse(400, "InvalidRequestID", "Invalid request ID")
        if self.result is not None:
            return _refuse(403, "InvalidStateTransition", "this invocation has a response already")
        self.result = posted
        if posted.request.is_too_large and not posted.is_stream:
            return _refuse(413, "RequestEntityTooLarge", "the response is too large")
        return _ACCEPTED


def _make_trace_id(milliseconds: int, random: str) -> str:
    """Returns the id of a trace of AWS X-Ray that is not sampled. On Lambda each invocation has a trace."""
    return f"Root=1-{milliseconds // 1000:08x}-{random[:24]};Parent={random[16:]};Sampled=0"


def _refuse(status: int, error_type: str, message: str) -> Response:
    return Response(status, json.dumps({"errorMessage": message, "errorType": error_type}).encode())
