"""The web application: which path is answered by what, and how errors are answered."""

import time
import traceback

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from evtool.errors import StoreError
from evtool.server.context import Context
from evtool.server.eventbridge.route import EventBridgeRoute
from evtool.server.http.bodies import BodyReader
from evtool.server.http.errors import HttpError, build_error_response
from evtool.server.http.guards import Guards
from evtool.server.log import Log
from evtool.server.page.routes import build_routes
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


def build_app(context: Context) -> ASGIApp:
    """The application. Every error is answered in JSON with AWS's `__type`."""
    bodies = BodyReader()
    log, receive = context.log, build_receiver(context, bodies)

    async def get_health(_request: Request) -> Response:
        problem = context.writer.problem
        if problem is None:
            return JSONResponse({"status": "ok"})
        return JSONResponse({"status": "failing", "reason": problem}, 503)

    async def answer_refusal(_request: Request, error: Exception) -> Response:
        assert isinstance(error, HttpError)
        return build_error_response(error)

    async def answer_unknown(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        called = f"{request.method} {request.url.path[:200]}"
        if error.status_code == 405:
            problem = f"{called} is not allowed"
        else:
            problem = f"there is no {called} here"
        message = f"{problem}: {PATHS}"
        return build_error_response(HttpError(error.status_code, message, headers=error.headers))

    async def answer_store_error(_request: Request, error: Exception) -> Response:
        log.add(f"events were refused, since they could not be stored: {error}")
        return build_error_response(HttpError(503, "the events could not be stored; send them again later"))

    async def answer_disconnect(_request: Request, _error: Exception) -> Response:
        return Response(status_code=400)  # nobody gets it

    async def answer_bug(_request: Request, error: Exception) -> Response:
        log.add("a bug in evtool, please report it:\n" + "".join(traceback.format_exception(error)).rstrip())
        return build_error_response(HttpError(500, "a bug in evtool; its log has the details"))

    return Starlette(
        routes=[
            EventBridgeRoute(context, bodies),
            Route("/", receive, methods=["POST"]),
            Route("/events", receive, methods=["POST"]),
            Route("/healthz", get_health),
            *build_routes(context, bodies),
        ],
        middleware=[
            *([Middleware(RequestLog, log=log)] if context.settings.logs_requests else []),
            Middleware(Guards, settings=context.settings),
        ],
        exception_handlers={
            HttpError: answer_refusal,
            HTTPException: answer_unknown,
            StoreError: answer_store_error,
            ClientDisconnect: answer_disconnect,
            Exception: answer_bug,
        },
    )
