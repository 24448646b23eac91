"""Sends one request and reads the response, within one time limit and up to a size."""

import http.client
import ssl
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from typing import NamedTuple

from urllib3 import BaseHTTPResponse
from urllib3.exceptions import HTTPError
from urllib3.exceptions import SSLError as WrappedTlsError

from evtool.handlers.http_exchange.connection import LimitedConnection, LimitedTlsConnection
from evtool.handlers.http_exchange.proxies import Proxy
from evtool.handlers.http_exchange.time_limit import TimeLimit, TimeLimitError
from evtool.handlers.http_exchange.urls import Url

# Bytes that are read of a 2xx response, and of any other one.
MAX_BODY = 1 << 20
MAX_ERROR_BODY = 8 << 10

# The numbers of OpenSSL for problems of a certificate (X509_V_ERR).
_CERTIFICATE_PROBLEMS = {
    9: "is not valid yet",
    10: "has expired",
    18: "is signed by itself, and not in `ca`",
    19: "is signed by an authority that is not trusted",
    20: "is signed by an authority that is not trusted",
    23: "is revoked",
    62: "is for another host",
    64: "is for another address",
}


class Target(NamedTuple):
    """The destination of requests: the URL, the certificates to trust if it is https, and the proxy, if any."""

    url: Url
    tls: ssl.SSLContext | None
    proxy: Proxy | None = None


class Response(NamedTuple):
    """A response, as far as evtool read it. `is_cut` means that its body is longer; `broken` is why reading failed."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    is_cut: bool = False
    broken: str = ""


class ExchangeError(Exception):
    """The exchange failed after the connection was made. The message contains no part of the URL or the request."""

    def __init__(self, message: str, code: str):
        super().__init__(message)
        self.code = code


def post(target: Target, headers: Mapping[str, str], body: bytes, seconds: float) -> Response:
    """Sends a POST request and reads the response.

    Raises UnreachableError, ForbiddenAddressError, TimeLimitError, ExchangeError, or CallsStopped.
    """
    path = target.url.target
    if target.proxy and target.url.scheme == "http":
        # A proxy for http gets the whole URL, and its own headers in the request.
        path = target.url.origin + path
        headers = dict(headers) | dict(target.proxy.headers)
    with TimeLimit(seconds) as time_limit, _open(target, time_limit) as connection:
        with _describing_errors(time_limit):
            connection.connect()
            # A server may refuse a request, and close the connection before it has read everything.
            with suppress(BrokenPipeError, ConnectionResetError):
                connection.request("POST", path, body, headers, preload_content=False, decode_content=False)
            response = connection.getresponse()
        with closing(response):
            return _read(response, time_limit)


def connect(target: Target, seconds: float) -> None:
    """Opens a connection, with TLS for https, and closes it. Raises the same exceptions as `post`."""
    with TimeLimit(seconds) as time_limit, _open(target, time_limit) as connection, _describing_errors(time_limit):
        connection.connect()


@contextmanager
def _open(target: Target, time_limit: TimeLimit) -> Iterator[LimitedConnection | LimitedTlsConnection]:
    """Yields a connection that connects when it is used, and closes it."""
    url, proxy = target.url, target.proxy
    if proxy:
        host, port = (proxy.host, proxy.port)
    else:
        host, port = (url.host, url.port)
    connection: LimitedConnection | LimitedTlsConnection
    if url.scheme == "https":
        connection = LimitedTlsConnection(host, port, timeout=None, ssl_context=target.tls)
        if proxy:
            connection.set_tunnel(url.host, url.port, proxy.headers)
    else:
        connection = LimitedConnection(host, port, timeout=None)
    connection.time_limit = time_limit
    try:
        yield connection
    finally:
        connection.close()


def _read(response: BaseHTTPResponse, time_limit: TimeLimit) -> Response:
    """Reads the body, up to the limit. The body of an error response need not be complete."""
    limit, body, broken = MAX_ERROR_BODY, b"", ""
    if 200 <= response.status < 300:
        limit = MAX_BODY
    try:
        with _describing_errors(time_limit):
            # One byte more than the limit, to see whether the body is longer. One read may return only a part.
            while len(body) <= limit:
                part = response.read(limit + 1 - len(body), decode_content=False)
                if not part:
                    break
                body += part
    except (ExchangeError, TimeLimitError) as error:
        if limit == MAX_BODY:
            raise
        broken = str(error)
    return Response(response.status, response.headers, body[:limit], len(body) > limit, broken)


@contextmanager
def _describing_errors(time_limit: TimeLimit) -> Iterator[None]:
    """Raises ExchangeError in place of the exceptions of the libraries, and TimeLimitError after the time limit."""
    try:
        yield
    except (http.client.HTTPException, HTTPError, OSError) as error:
        time_limit.check()
        raise _describe(error) from None
    # Without a Content-Length, the end of a connection that the time limit shut down looks like the end of the body.
    time_limit.check()


def _describe(error: Exception) -> ExchangeError:
    """Describes an error in words of evtool: those of the libraries contain hosts and URLs, which may be secret."""
    # urllib3 wraps the exceptions of http.client and ssl.
    while isinstance(error, HTTPError) and error.args and isinstance(error.args[-1], Exception):
        error = error.args[-1]
    code = type(error).__name__
    match error:
        case ssl.SSLCertVerificationError():
            problem = _CERTIFICATE_PROBLEMS.get(error.verify_code, "is not valid")
            return ExchangeError(f"TLS: the certificate of the server {problem}", code)
        case ssl.SSLEOFError() | ssl.SSLZeroReturnError():
            return ExchangeError("TLS: the server closed the connection", code)
        case ssl.SSLError() if error.reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"):
            return ExchangeError("TLS: the server does not speak TLS at this port", code)
        case ssl.SSLError() | WrappedTlsError():
            return ExchangeError(f"TLS: {str(getattr(error, 'reason', None) or 'it failed').replace('_', ' ')}", code)
        case http.client.IncompleteRead():
            return ExchangeError("the connection was closed before the response was complete", code)
        case http.client.RemoteDisconnected() | ConnectionError():
            return ExchangeError("the connection was closed before there was a response", code)
        case OSError() if str(error).startswith("Tunnel connection failed"):
            return ExchangeError("the proxy does not connect to the server", "ProxyError")
        case OSError():
            return ExchangeError(error.strerror or "the connection failed", code)
    return ExchangeError("the response is not HTTP/1.1", code)
