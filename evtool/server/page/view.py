"""A view: what a page is made from, namely the store at one moment and a request, and how its errors are shown."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple
from urllib.parse import urlencode

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response

from evtool.errors import StoreError
from evtool.server.context import Context
from evtool.server.page.rendering import render
from evtool.store.dead_letters import count_dead_letters
from evtool.store.store import Store
from evtool.units import parse_time

MAX_COUNTED = 1000  # dead letters for the number in the menu
MAX_NUMBER = 2**63 - 1  # of an event or a delivery

# a page takes longer than an event, and no page delays an event or another page
_executor = ThreadPoolExecutor(2, "evtool-page")


class PageError(Exception):
    """A page that cannot be shown: status, title, and what to do."""

    def __init__(self, status: int, title: str, message: str):
        super().__init__(message)
        self.status, self.title = status, title


class View(NamedTuple):
    """The store at one moment, the parameters of a request, and the time."""

    context: Context
    store: Store
    query: QueryParams
    path: dict[str, Any]
    now: int  # milliseconds since 1970

    def render(self, template: str, status: int = 200, **values: Any) -> Response:
        """Returns the page with the values that every page has."""
        return render(
            template,
            status,
            project=self.context.project.folder.resolve().name,
            dead_count=count_dead_letters(self.store, MAX_COUNTED + 1),
            max_counted=MAX_COUNTED,
            has_token=self.context.settings.token is not None,
            delivers=self.context.settings.delivers,
            now=self.now,
            **values,
        )

    def get(self, name: str) -> str | None:
        """Returns a parameter; None if it is not there or empty, as an unused field of a form is."""
        return self.query.get(name, "").strip() or None

    def get_all(self, names: Iterable[str]) -> dict[str, str]:
        """Several parameters, as the fields of a form show them: a parameter that is missing is empty."""
        return {name: self.get(name) or "" for name in names}

    def get_number(self, name: str, default: int, most: int = MAX_NUMBER) -> int:
        """Returns a parameter that is a positive number. Raises PageError for anything else."""
        text = self.get(name)
        if text is None:
            return default
        if not (text.isascii() and text.isdecimal() and len(text) < 20 and 0 < int(text) <= most):
            raise PageError(400, "Not a number", f"{name} is a whole number from 1 to {most:,}")
        return int(text)

    def get_time(self, name: str) -> int | None:
        """Returns a parameter that is a time, in milliseconds since 1970. Raises PageError."""
        text = self.get(name)
        try:
            if text is None:
                return None
            return parse_time(text, self.now)
        except (ValueError, OverflowError) as error:
            raise PageError(400, "Not a time", str(error)) from None

    def build_link(self, path: str, **changes: object) -> str:
        """Returns a link to a path with the parameters of this request, some of them changed; None removes one."""
        values = dict(self.query) | changes
        # Fields of a form that are not used are empty.
        used = {name: value for name, value in values.items() if value not in (None, "")}
        query = urlencode(used, errors="replace")
        if query:
            return f"{path}?{query}"
        return path


def build_endpoint(context: Context, show: Callable[[View], Response]) -> Callable[[Request], Awaitable[Response]]:
    """Returns the endpoint of a page."""

    def open_view(request: Request) -> Response:
        try:
            with Store(context.store_file, writing=False) as store, store.transaction("DEFERRED"):
                view = View(context, store, request.query_params, request.path_params, context.now())
                try:
                    return show(view)
                except PageError as error:
                    return view.render("error.html", error.status, title=error.title, message=str(error))
        except StoreError as error:
            return render("unavailable.html", 503, message=str(error))

    async def answer(request: Request) -> Response:
        return await asyncio.get_running_loop().run_in_executor(_executor, open_view, request)

    return answer
