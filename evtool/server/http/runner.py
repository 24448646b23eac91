"""Runs the web server in a thread: opens its sockets, starts it, and ends it when nothing is under way."""

import asyncio
import logging
import socket
import threading
from collections.abc import Sequence
from functools import partial
from typing import Self

import uvicorn
from starlette.types import ASGIApp

from evtool.errors import UsageError
from evtool.server.http.protocol import LimitedProtocol

# The number of connections that wait to be accepted.
BACKLOG = 512
# Seconds until the next request on a connection. The SDKs keep a connection in their pools for a shorter time, so they
# never send on one that is being closed.
KEEP_ALIVE_SECONDS = 75
# Seconds for the requests that are under way when the server ends.
STOP_SECONDS = 5


def open_sockets(host: str, port: int) -> list[socket.socket]:
    """Listening sockets for all addresses of a host. Raises UsageError if the port cannot be used."""
    try:
        infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise UsageError(f"--listen: {host} has no address ({getattr(error, 'strerror', None) or error})") from None
    sockets: list[socket.socket] = []
    try:
        for family, address in dict.fromkeys((info[0], info[4]) for info in infos):
            if sockets:
                same_port = sockets[0].getsockname()[1]
            else:
                same_port = port
            sockets.append(_open_socket(family, (address[0], same_port) + address[2:]))
    except OSError as error:
        for opened in sockets:
            opened.close()
        raise UsageError(_describe_error(host, port, error)) from None
    return sockets


def _open_socket(family: int, address: tuple[object, ...]) -> socket.socket:
    # Without the protocol, asyncio leaves Nagle's algorithm on, which holds each response back for 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def _describe_error(host: str, port: int, error: OSError) -> str:
    reason = error.strerror or str(error)
    hint = f"another program listens there; name another port, such as --listen {host}:{min(port + 1, 65535)}"
    return f"--listen: {host}:{port} cannot be used ({reason}): {hint}"


class ServerThread:
    """The web server while it runs. Signals stay with the main thread."""

    def __init__(self, app: ASGIApp, sockets: Sequence[socket.socket]):
        logging.getLogger("uvicorn").addHandler(logging.NullHandler())
        logging.getLogger("uvicorn").propagate = False
        config = uvicorn.Config(
            app,
            http=LimitedProtocol,
            ws="none",
            loop="asyncio",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            backlog=BACKLOG,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=STOP_SECONDS,
            callback_notify=self._enforce_time_limits,
            timeout_notify=0,
        )
        self._server = uvicorn.Server(config)
        self._run_server = partial(self._server.run, list(sockets))
        self._thread = threading.Thread(target=self._run, name="evtool-server", daemon=True)
        self._error: BaseException | None = None
        # In Python 3.11 a thread counts as ended once a signal has interrupted join().
        self._ended = threading.Event()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Takes no more requests, and waits until the received ones are answered."""
        self._server.should_exit = True
        self._ended.wait()

    def wait(self, seconds: float | None = None) -> bool:
        """Waits for the end of the server, or so long; whether it still runs. Raises what ended it."""
        has_ended = self._ended.wait(seconds)
        if self._error:
            raise self._error
        return not has_ended

    def _run(self) -> None:
        try:
            self._run_server()
        except BaseException as error:  # noqa: BLE001  (raised in the main thread)
            self._error = error
        finally:
            self._ended.set()

    async def _enforce_time_limits(self) -> None:
        now = asyncio.get_running_loop().time()
        for connection in list(self._server.server_state.connections):
            if isinstance(connection, LimitedProtocol):
                connection.enforce_time_limits(now)
