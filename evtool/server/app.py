"""The web application: which path is answered by what, and how errors are answered."""

import time
import traceback

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from evtool.errors import StoreError
from evtool.server.context import Context
from evtool.server.eventbridge import EventBridgeEndpoint, is_aws_call
from evtool.server.http.bodies import BodyReader
from evtool.server.http.errors import HttpError, build_error_response, prefers_html
from evtool.server.http.guards import Guards
from evtool.server.log import Log
from evtool.server.page.routes import build_error_page, build_routes
from evtool.server.receiver import build_receiver

PATHS = "POST / and POST /events take events, GET /healthz says whether the server works, GET / is a page"


class RequestLog:
    """Logs each request, except those for the health of the server, when its response begins."""

    def __init__(self, app: ASGIApp, log: Log):
        self._app, self._log = app, log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on."""
        start = time.perf_counter()

        async def log_and_send(message: Message) -> None:
            if message["type"] == "http.response.start" and scope["path"] != "/healthz":
                called = f"{scope['method']} {scope['path'][:200]}"
                milliseconds = (time.perf_counter() - start) * 1000
                self._log.add(f"{called}  {message['status']}  {milliseconds:.0f} ms")
            await send(message)

        await self._app(scope, receive, log_and_send)


class Dispatcher:
    """Passes the requests of AWS's SDKs to their endpoint, all others to the toolkit."""

    def __init__(self, context: Context):
        bodies = BodyReader()
        self._context = context
        self._eventbridge = EventBridgeEndpoint(context, bodies)
        self._others = build_starlette(context, bodies)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request. An error is answered in JSON with AWS's `__type`."""
        if not is_aws_call(scope):
            await self._others(scope, receive, send)
            return
        try:
            await self._eventbridge(scope, receive, send)
        except Exception as error:  # noqa: BLE001  (a bug is answered, too)
            await build_failure_response(error, self._context.log)(scope, receive, send)


def build_app(context: Context) -> ASGIApp:
    """Returns the application."""
    app: ASGIApp = Guards(Dispatcher(context), context.settings)
    if context.settings.logs_requests:
        app = RequestLog(app, context.log)
    return app


def build_starlette(context: Context, bodies: BodyReader) -> ASGIApp:
    """Returns the page, and the endpoints of events that do not come from AWS's SDKs."""
    receive = build_receiver(context, bodies)

    async def get_health(_request: Request) -> Response:
        problem = context.writer.problem
        if problem is None:
            return JSONResponse({"status": "ok"})
        return JSONResponse({"status": "failing", "reason": problem}, 503)

    async def answer_unknown(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        called = f"{request.method} {request.url.path[:200]}"
        if error.status_code == 405:
            problem = f"{called} is not allowed"
        else:
            problem = f"there is no {called} here"
        if prefers_html(request.headers):
            return await build_error_page(context, request, error.status_code)
        message = f"{problem}: {PATHS}"
        return build_error_response(HttpError(error.status_code, message, headers=error.headers))

    async def answer_failure(_request: Request, error: Exception) -> Response:
        return build_failure_response(error, context.log)

    failures = (HttpError, StoreError, ClientDisconnect, Exception)
    routes: list[BaseRoute] = [
        Route("/", receive, methods=["POST"]),
        Route("/events", receive, methods=["POST"]),
        Route("/healthz", get_health),
    ]
    return Starlette(
        routes=routes + build_routes(context, bodies),
        exception_handlers={**dict.fromkeys(failures, answer_failure), HTTPException: answer_unknown},
    )


def build_failure_response(error: Exception, log: Log) -> Response:
    """Returns the response to a request whose handling raised an exception."""
    if isinstance(error, HttpError):
        return build_error_response(error)
    if isinstance(error, ClientDisconnect):
        # The client has gone. The toolkit needs a response.
        return Response(status_code=400)
    if isinstance(error, StoreError):
        log.add(f"events were refused, since they could not be stored: {error}")
        return build_error_response(HttpError(503, "the events could not be stored; send them again later"))
    log.add("a bug in evtool, please report it:\n" + "".join(traceback.format_exception(error)).rstrip())
    return build_error_response(HttpError(500, "a bug in evtool; its log has the details"))
