"""A loopback HTTP endpoint for one child process. It is served while evtool waits for the process, without a thread."""

import selectors
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, Protocol

from evtool.aws.http_messages import Request, Response

if TYPE_CHECKING:
    from evtool.aws.http_connection import HttpConnection

HOST = "127.0.0.1"
CHUNK = 1 << 18  # bytes read at once
BACKLOG = 64  # connections that wait to be accepted


class Exchange(NamedTuple):
    """A request, and what takes its response: now or later, once."""

    request: Request
    client: "_Client"

    def respond(self, response: Response) -> None:
        """Sends the response; does nothing if the client is gone."""
        self.client.respond(response)

    def is_open(self) -> bool:
        """Whether the client still waits."""
        return self.client.move() or self.client.is_open


class Watcher(Protocol):
    """What waits for files, such as a Process."""

    def watch(self, file: int, events: int, act: Callable[[], bool]) -> None:
        """Have `act` called whenever a file is ready for these events; none: not any more."""


class Endpoint:
    """An address that a process gets before it starts. `serve` takes each request, and sees to its response.

    Requests that a web page in a browser could make are refused: with an Origin, or for the name of another host.
    """

    def __init__(self, serve: Callable[[Exchange], None]):
        self._serve = serve
        self._watcher: Watcher | None = None
        self._clients: set[_Client] = set()
        self._listener = socket.create_server((HOST, 0), backlog=BACKLOG)
        self._listener.settimeout(0)
        self.address = f"{HOST}:{self._listener.getsockname()[1]}"

    def attach(self, watcher: Watcher) -> None:
        """Has it served while somebody waits for a process, or in a loop of another kind."""
        self._watcher = watcher
        watcher.watch(self._listener.fileno(), selectors.EVENT_READ, self._accept)

    def close(self) -> None:
        """Closes it, after the process has ended."""
        for client in [*self._clients]:
            client.drop()
        self._listener.close()

    def _accept(self) -> bool:
        from evtool.aws.http_connection import HttpConnection  # noqa: PLC0415 - the parser is only for those who connect

        try:
            connection, _ = self._listener.accept()
        except OSError:  # none is left, or it is gone again
            return False
        connection.settimeout(0)
        assert self._watcher
        client = _Client(connection, HttpConnection(), self._watcher, self._handle, self._clients.discard)
        self._clients.add(client)
        client.move()
        return True

    def _handle(self, exchange: Exchange) -> None:
        headers = exchange.request.headers
        if "origin" in headers or headers.get("host", self.address) != self.address:
            exchange.respond(Response(403, b'{"message":"requests of web pages are refused"}'))
            return
        self._serve(exchange)


class _Client:
    """One connection."""

    def __init__(
        self,
        connection: socket.socket,
        http: "HttpConnection",
        watcher: Watcher,
        handle: Callable[[Exchange], None],
        forget: Callable[["_Client"], None],
    ):
        self._socket, self._http, self._watcher = connection, http, watcher
        self._handle, self._forget = handle, forget
        self._events = 0  # that are watched for
        self.is_open = True
        self._watch()

    def respond(self, response: Response) -> None:
        """Sends a response, as far as the socket takes it; the rest when there is room again."""
        if self.is_open:
            self._http.respond(response)
            self._flush()

    def move(self) -> bool:
        """Sends and receives what is possible now. Whether there was anything to receive."""
        from evtool.aws.http_connection import HttpError  # noqa: PLC0415 - loaded when it was accepted

        self._flush()
        try:
            data = b""
            if self.is_open:
                data = self._socket.recv(CHUNK)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        try:
            for request in self._http.receive(data):
                self._handle(Exchange(request, self))
        except HttpError as error:
            self._http.unsent += error.response
            self._flush()
            self.drop()
        if not data or self._http.must_close:
            self.drop()
        return self.is_open

    def _flush(self) -> None:
        unsent = self._http.unsent
        try:
            while unsent and self.is_open:
                del unsent[: self._socket.send(unsent)]
        except BlockingIOError:
            pass
        except OSError:
            self.drop()
        self._watch()

    def _watch(self) -> None:
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._http.unsent else 0)
        if self.is_open and events != self._events:
            self._events = events
            self._watcher.watch(self._socket.fileno(), events, self.move)

    def drop(self) -> None:
        """Closes the connection."""
        if self.is_open:
            self.is_open = False
            self._forget(self)
            self._watcher.watch(self._socket.fileno(), 0, self.move)
            self._socket.close()
