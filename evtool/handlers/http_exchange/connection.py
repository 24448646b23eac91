"""Opens connections to checked addresses: a name is resolved once, and the connection goes to what was checked."""

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

MAX_INTERIM_RESPONSES = 20  # 1xx responses before the final one
UNREACHABLE = "cannot be reached"

Address = tuple[socket.AddressFamily, Any]


class UnreachableError(Exception):
    """The server could not be reached: nothing was sent."""


class ForbiddenAddressError(Exception):
    """The server has only addresses that evtool never calls."""


class _Reader(io.BufferedReader):
    """Reads a response. While `is_head` is set, the end of the connection is an error, and not the end of the head."""

    is_head = True

    def readline(self, size: int | None = -1, /) -> bytes:
        line = super().readline(size)
        # anything else without an end is judged by what follows it
        if self.is_head and not line.endswith(b"\n") and (not line or line.startswith(b"HTTP/")):
            raise RemoteDisconnected("the head has no end")
        return line


class _FinalResponse(HTTPResponse):
    """The final response: interim ones such as 103, which may come before it, are skipped."""

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
    """A connection whose time is limited, to addresses that were checked."""

    response_class = _FinalResponse
    time_limit: TimeLimit

    def _new_conn(self) -> socket.socket:
        return open_socket(self.host, self.port or self.default_port, self.time_limit)


class LimitedTlsConnection(HTTPSConnection):
    """The same with TLS."""

    response_class = _FinalResponse
    time_limit: TimeLimit

    def _new_conn(self) -> socket.socket:
        return open_socket(self.host, self.port or self.default_port, self.time_limit)


def open_socket(host: str, port: int, time_limit: TimeLimit) -> socket.socket:
    """A connection to one of the addresses of a host, guarded by the time limit.

    Raises UnreachableError, ForbiddenAddressError or CallsStopped.
    """
    addresses = resolve(host.strip("[]"), port, time_limit)
    allowed = [address for address in addresses if not is_link_local(address[1][0])]
    if not allowed:
        raise ForbiddenAddressError(NEVER_CALLED)
    reason = ""
    for number, address in enumerate(allowed):
        share = time_limit.remaining / (len(allowed) - number)
        try:
            connection = _connect(address, share, time_limit)
        except OSError as error:
            reason = _describe_error(error)
            continue
        except TimeLimitError:
            reason = "there was no connection in time"
            continue
        try:
            time_limit.guard(connection)
        except RuntimeError:
            connection.close()
            raise UnreachableError("no thread can be started for it") from None
        return connection
    raise UnreachableError(reason)


def _describe_error(error: OSError) -> str:
    if error.errno == errno.ECONNREFUSED:
        return "the connection is refused"
    return error.strerror or type(error).__name__


def _connect(address: Address, seconds: float, time_limit: TimeLimit) -> socket.socket:
    """A connection to an address. Raises OSError, TimeLimitError or CallsStopped."""
    family, place = address
    connection = socket.socket(family, socket.SOCK_STREAM)
    try:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.settimeout(0)
        sys.audit("http.client.connect", None, *place[:2])
        with suppress(BlockingIOError):
            connection.connect(place)
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
    """The addresses of a host. The system's resolver has no time limit, so a thread asks it.

    Raises UnreachableError or CallsStopped.
    """
    with suppress(socket.gaierror):
        return _look_up(host, port, socket.AI_NUMERICHOST)
    found: list[Address | OSError] = []
    ours, theirs = socket.socketpair()

    def look_up() -> None:
        with theirs:  # its end is the sign that it is found
            try:
                found.extend(_look_up(host, port, 0))
            except (OSError, UnicodeError) as error:
                found.append(error if isinstance(error, OSError) else OSError(str(error)))

    with ours:
        try:
            Thread(target=look_up, daemon=True).start()
            time_limit.wait(ours, selectors.EVENT_READ)
        except RuntimeError:
            theirs.close()
            raise UnreachableError("no thread can be started for it") from None
        except TimeLimitError:
            raise UnreachableError("its name was not found in time") from None
    addresses = [address for address in found if not isinstance(address, OSError)]
    if not addresses:
        raise UnreachableError("its name is not found")
    return addresses


def _look_up(host: str, port: int, flags: int) -> list[Address]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    return [(family, place) for family, _, _, _, place in found]
