"""The routes of the page."""

import mimetypes
from collections.abc import Awaitable, Callable
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from evtool.server.context import Context
from evtool.server.http.bodies import BodyReader
from evtool.server.http.errors import HttpError
from evtool.server.page.dead_letters import redrive, show_dead_letters
from evtool.server.page.event_detail import send_raw, show_event
from evtool.server.page.event_list import find_event, show_events
from evtool.server.page.login import log_in, log_out, show_login
from evtool.server.page.overview import show_routes
from evtool.server.page.rendering import HEADERS, read_assets
from evtool.server.page.replay_plan import show_replay_plan
from evtool.server.page.view import PageError, View, build_endpoint
from evtool.store.sqlite.files import WAL

MAX_FIELDS = 20  # of a form
PAGES = {
    "/": show_events,
    "/find": find_event,
    "/events/{seq:int}": show_event,
    "/events/{seq:int}/raw": send_raw,
    "/dead-letters": show_dead_letters,
    "/replay": show_replay_plan,
    "/routes": show_routes,
}
# The address of a file has a digest of its content, so a browser may keep the file for ever.
_KEPT = {"Cache-Control": "public, max-age=31536000, immutable"}


def build_routes(context: Context, bodies: BodyReader) -> list[BaseRoute]:
    """Returns the routes of the page. They come after those of the endpoint, which leave `GET /` free."""
    routes: list[BaseRoute] = []
    for path, show in PAGES.items():
        routes.append(Route(path, build_endpoint(context, show)))
    routes.append(Route("/changes", _build_changes(context)))
    routes.append(Route("/assets/{name}", send_asset))
    return routes + _build_forms(context, bodies)


async def build_error_page(context: Context, request: Request, status: int) -> Response:
    """Returns the page for a path that a browser asks for and that the server does not have."""

    def show_problem(_view: View) -> Response:
        raise PageError(status, "No such page", f"evtool serve has no page at {request.url.path[:200]}.")

    return await build_endpoint(context, show_problem)(request)


async def send_asset(request: Request) -> Response:
    """Returns a file of the page that is the same for everybody."""
    name = request.path_params["name"]
    content = read_assets().get(name)
    if content is None:
        raise HttpError(404, f"the page has no file {name[:100]!r}")
    media_type = mimetypes.guess_type(name)[0]
    return Response(content, media_type=media_type, headers={**HEADERS, **_KEPT})


def _build_changes(context: Context) -> Callable[[Request], Awaitable[Response]]:
    """Returns the endpoint that answers with a text that changes when the store does.

    The script of the page asks for it.
    """
    files = (context.store_file, context.store_file.with_name(context.store_file.name + WAL))

    async def get_changes(_request: Request) -> Response:
        times = [file.stat().st_mtime_ns for file in files if file.exists()]
        return PlainTextResponse("-".join(map(str, times)), headers=HEADERS)

    return get_changes


def _build_forms(context: Context, bodies: BodyReader) -> list[BaseRoute]:
    """Returns the endpoints of the forms that change something."""

    async def read_form(request: Request) -> dict[str, str]:
        async with bodies.read(request.scope, request.receive) as body:
            try:
                pairs = parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=MAX_FIELDS)
            except ValueError:
                raise HttpError(400, f"the form has more than {MAX_FIELDS} fields") from None
        return dict(pairs)

    async def post_redrive(request: Request) -> Response:
        return await redrive(context, await read_form(request))

    async def get_login(_request: Request) -> Response:
        return show_login(context)

    async def post_login(request: Request) -> Response:
        return log_in(context, await read_form(request), is_secure=request.url.scheme == "https")

    async def post_logout(_request: Request) -> Response:
        return log_out()

    return [
        Route("/dead-letters/redrive", post_redrive, methods=["POST"]),
        Route("/login", get_login),
        Route("/login", post_login, methods=["POST"]),
        Route("/logout", post_logout, methods=["POST"]),
    ]
