"""Handlers of kind `http`: a webhook. Each event is sent with a POST request, with the headers of Standard Webhooks."""

from pathlib import Path
from typing import TYPE_CHECKING

from evtool.handlers.base import Call, Handler, Kind, Outcome, Unavailable
from evtool.handlers.http_exchange.options import HttpOptions

if TYPE_CHECKING:
    from evtool.handlers.http_exchange.client import Client


class _Http:
    """A webhook. It creates its client when it is first needed."""

    def __init__(self, name: str, options: HttpOptions, folder: Path):
        self._name = name
        self._options = options
        self._folder = folder.absolute()
        self._client: Client | None = None

    def _open_client(self) -> "Client":
        # The import takes longer than most commands run.
        from evtool.handlers.http_exchange.client import Client  # noqa: PLC0415

        if self._client is None:
            self._client = Client(self._name, self._options, self._folder)
        return self._client

    def __call__(self, call: Call) -> Outcome:
        return self._open_client().send(call)

    def check(self) -> Unavailable | None:
        """Checks its variables. Returns why the handler is not available, or None. Opens no connection."""
        return self._open_client().check()

    def connect(self) -> Unavailable | None:
        """Opens a connection, with TLS for https. Returns why this is not possible, or None. Sends no request."""
        return self._open_client().connect()

    def close(self) -> None:
        """Does nothing, since connections are closed after each call."""


def open_handler(name: str, options: HttpOptions, folder: Path) -> Handler:
    """Creates the handler, which connects to nothing yet."""
    return _Http(name, options, folder)


KIND = Kind(HttpOptions, open_handler)
