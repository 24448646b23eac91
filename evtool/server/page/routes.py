"""The routes of the page."""

from starlette.routing import BaseRoute

from evtool.server.context import Context


def build_routes(_context: Context) -> list[BaseRoute]:
    """The routes of the page, which come after those of the endpoint: `GET /` is free, and so is what is below it."""
    return []
