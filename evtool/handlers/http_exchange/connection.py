"""Opens connections to checked addresses. A name is resolved once, and the connection goes to the checked address.

A check of the name alone would not be safe: its owner can change its address between the check and the connection (DNS
rebinding), so that evtool would send a request to the metadata service of its cloud. Example:

    hooks.example.com   resolves to 169.254.169.254 and 203.0.113.7
    169.254.169.254     is link-local: evtool does not call it
    203.0.113.7         evtool connects to this number, and does not resolve the name again
"""

import errno
import io
import os
import selectors
import socket
import sys
from contextlib import suppress
from http.client import HTTPResponse, RemoteDisconnected
from threading import Thread
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection

from evtool.handlers.http_exchange.time_limit import TimeLimit, TimeLimitError
from evtool.handlers.http_exchange.urls import NEVER_CALLED, is_link_local

# 1xx responses before the final one. A server could send them without end.
MAX_INTERIM_RESPONSES = 20

NO_CONNECTION = "there was no connection in time"
NO_THREAD = "no thread can be started for it"

Address = tuple[socket.AddressFamily, Any]


class UnreachableError(Exception):
    """The connection to the server was not opened, so that nothing was sent."""


class ForbiddenAddressError(Exception):
    """The server has only addresses that evtool never calls."""


class _Reader(io.BufferedReader):
    """Reads a response. In the head, the end of the connection is an error: http.client takes it for a blank line."""

    is_head = True

    def readline(self, size: int | None = -1, /) -> bytes:
        line = super().readline(size)
        # Other incomplete lines raise an error in the code that parses them.
        if self.is_head and not line.endswith(b"\n") and (not line or line.startswith(b"HTTP/")):
            raise RemoteDisconnected("the head has no end")
        return line


class _FinalResponse(HTTPResponse):
    """The final response. It skips interim responses such as 103, which may come before it."""

    def __init__(self, *arguments: Any, **options: Any):
        super().__init__(*arguments, **options)
        self.fp: io.BufferedReader = _Reader(self.fp.detach())

    def begin(self, *arguments: Any, **options: Any) -> None:
        reader = self.fp
        assert isinstance(reader, _Reader)
        super().begin(*arguments, **options)
        for _ in range(MAX_INTERIM_RESPONSES):
            if not 100 < self.status < 200 or self.status == 101:
                break
            self.headers = self.msg = None  # type: ignore[assignment]
            super().begin(*arguments, **options)
        reader.is_head = False


class LimitedConnection(HTTPConnection):
    """An HTTP connection to a checked address, within a time limit."""

    response_class = _FinalResponse
    time_limit: TimeLimit

    def _new_conn(self) -> socket.socket:
        return open_socket(self.host, self.port or self.default_port, self.time_limit)


class LimitedTlsConnection(HTTPSConnection):
    """An HTTPS connection to a checked address, within a time limit."""

    response_class = _FinalResponse
    time_limit: TimeLimit

    def _new_conn(self) -> socket.socket:
        return open_socket(self.host, self.port or self.default_port, self.time_limit)


def open_socket(host: str, port: int, time_limit: TimeLimit) -> socket.socket:
    """Opens a connection to one of the addresses of a host. The time limit guards it.

    Raises UnreachableError, ForbiddenAddressError or CallsStopped.
    """
    addresses = resolve(host.strip("[]"), port, time_limit)
    allowed = [address for address in addresses if not is_link_local(address[1][0])]
    if not allowed:
        raise ForbiddenAddressError(NEVER_CALLED)
    reason = ""
    # Each address gets an equal share of the remaining time: the first one may not answer.
    for number, address in enumerate(allowed):
        share = time_limit.remaining / (len(allowed) - number)
        try:
            connection = _connect(address, share, time_limit)
        except OSError as error:
            reason = _describe_error(error)
            continue
        except TimeLimitError:
            reason = NO_CONNECTION
            continue
        try:
            time_limit.guard(connection)
        except RuntimeError:
            connection.close()
            raise UnreachableError(NO_THREAD) from None
        return connection
    raise UnreachableError(reason)


def _describe_error(error: OSError) -> str:
    if error.errno == errno.ECONNREFUSED:
        return "the connection is refused"
    return error.strerror or type(error).__name__


def _connect(address: Address, seconds: float, time_limit: TimeLimit) -> socket.socket:
    """Connects to an address. Raises OSError, TimeLimitError or CallsStopped."""
    family, socket_address = address
    connection = socket.socket(family, socket.SOCK_STREAM)
    try:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.settimeout(0)
        # http.client reports its connections to audit hooks in this way.
        sys.audit("http.client.connect", None, socket_address[0], socket_address[1])
        with suppress(BlockingIOError):
            connection.connect(socket_address)
        time_limit.wait(connection, selectors.EVENT_WRITE, seconds)
        code = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise OSError(code, os.strerror(code))
        connection.settimeout(None)
    except BaseException:
        connection.close()
        raise
    return connection


def resolve(host: str, port: int, time_limit: TimeLimit) -> list[Address]:
    """Returns the addresses of a host. Raises UnreachableError or CallsStopped."""
    # A number needs no thread.
    with suppress(socket.gaierror):
        return _look_up(host, port, socket.AI_NUMERICHOST)
    addresses: list[Address] = []
    ours, theirs = socket.socketpair()

    def look_up() -> None:
        # The end of this socket wakes the waiting thread.
        with theirs, suppress(OSError, UnicodeError):
            addresses.extend(_look_up(host, port, 0))

    # The resolver of the system has no time limit, so that a thread calls it.
    with ours:
        try:
            Thread(target=look_up, daemon=True).start()
            time_limit.wait(ours, selectors.EVENT_READ)
        except RuntimeError:
            theirs.close()
            raise UnreachableError(NO_THREAD) from None
        except TimeLimitError:
            raise UnreachableError("its name was not found in time") from None
    if not addresses:
        raise UnreachableError("its name is not found")
    return addresses


def _look_up(host: str, port: int, flags: int) -> list[Address]:
    answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    return [(family, socket_address) for family, _, _, _, socket_address in answers]
