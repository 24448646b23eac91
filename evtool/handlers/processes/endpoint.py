"""A loopback HTTP endpoint for one child process. It needs no thread: evtool serves it while it waits for the process.

Each process has its own endpoint, and so its own port. The port says which process sends a request:

    handler a   AWS_ENDPOINT_URL_EVENTBRIDGE=http://127.0.0.1:40001
    handler b   AWS_ENDPOINT_URL_EVENTBRIDGE=http://127.0.0.1:40002

A PutEvents request at port 40002 is an event that the running call of b emits. One endpoint for all processes could not
know that: the SDKs send no id of the call. For the same reason each process of a Lambda function has its own Runtime
API: `/next` and `/response` do not name a process.
"""

import selectors
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, Protocol

from evtool.aws.http_messages import Request, Response

if TYPE_CHECKING:
    from evtool.aws.http_connection import HttpConnection

HOST = "127.0.0.1"

# Bytes read at once.
CHUNK = 1 << 18

# Connections that the system keeps until evtool accepts them.
BACKLOG = 64


class Exchange(NamedTuple):
    """A request and the client that waits for its response. `respond` is called once, now or later."""

    request: Request
    client: "_Client"

    def respond(self, response: Response) -> None:
        """Sends the response; does nothing if the client is gone."""
        self.client.respond(response)

    def is_open(self) -> bool:
        """Whether the client still waits."""
        return self.client.move() or self.client.is_open


class Watcher(Protocol):
    """A loop that waits for files, such as a Process."""

    def watch(self, file: int, events: int, act: Callable[[], bool]) -> None:
        """Calls `act` whenever a file is ready for these events. With no events, it stops that."""


class Endpoint:
    """An address that a process gets before it starts. `serve` gets each request, and responds now or later.

    Requests with an Origin or for another host name are refused: web pages in a browser can send such requests.
    """

    def __init__(self, serve: Callable[[Exchange], None]):
        self._serve = serve
        self._watcher: Watcher | None = None
        self._clients: set[_Client] = set()
        self._listener = socket.create_server((HOST, 0), backlog=BACKLOG)
        self._listener.settimeout(0)
        self.address = f"{HOST}:{self._listener.getsockname()[1]}"

    def attach(self, watcher: Watcher) -> None:
        """Serves requests in the loop of the watcher, from now on."""
        self._watcher = watcher
        watcher.watch(self._listener.fileno(), selectors.EVENT_READ, self._accept)

    def close(self) -> None:
        """Closes the endpoint, after the process has ended."""
        # A copy, since `drop` removes the client from the set.
        for client in list(self._clients):
            client.drop()
        self._listener.close()

    def _accept(self) -> bool:
        # Imported late, since most handlers never connect.
        from evtool.aws.http_connection import HttpConnection  # noqa: PLC0415

        try:
            connection, _ = self._listener.accept()
        # No connection is left, or the client has closed it.
        except OSError:
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
        # The events for which the watcher watches the socket.
        self._events = 0
        self.is_open = True
        self._watch()

    def respond(self, response: Response) -> None:
        """Sends a response: as much as the socket takes now, and the rest later."""
        if self.is_open:
            self._http.respond(response)
            self._flush()

    def move(self) -> bool:
        """Sends and receives as much as possible without waiting. Returns whether it received something."""
        from evtool.aws.http_connection import HttpError  # noqa: PLC0415

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
        events = selectors.EVENT_READ
        if self._http.unsent:
            events |= selectors.EVENT_WRITE
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
