"""Requests are read however their bytes arrive, and a client cannot make evtool keep too many."""

import pytest

from evtool.aws import http_connection
from evtool.aws.http_connection import HttpConnection, HttpError
from evtool.aws.http_messages import MAX_BODY_BYTES, Request, Response

GET = b"GET /next HTTP/1.1\r\nHost: a\r\nX-Amz-Target: b\r\n\r\n"
CHUNKED = (
    b"POST /r HTTP/1.1\r\nhost: a\r\nTransfer-Encoding: chunked\r\nTrailer: Error\r\n\r\n"
    b"3\r\nabc\r\n2\r\nde\r\n0\r\nError: f\r\n\r\n"
)
OK = Response(200, b"{}")


def receive(connection: HttpConnection, data: bytes) -> list[Request]:
    return list(connection.receive(data))


def test_a_request_byte_by_byte() -> None:
    """A chunked body with a trailer, one byte at a time; names of headers are in lower case."""
    connection = HttpConnection()
    requests = [request for byte in CHUNKED for request in receive(connection, bytes([byte]))]
    [request] = requests
    assert (request.method, request.path, request.body) == ("POST", "/r", b"abcde")
    assert request.headers == {"host": "a", "transfer-encoding": "chunked", "trailer": "Error", "error": "f"}


def test_requests_one_after_the_other() -> None:
    """A second request that comes with the first is given out when that is answered."""
    connection = HttpConnection()
    assert [request.path for request in receive(connection, GET + CHUNKED)] == ["/next"]
    assert receive(connection, b"") == []
    connection.respond(OK)
    assert [request.path for request in receive(connection, b"")] == ["/r"]
    connection.respond(Response(404, b"", ()))
    assert bytes(connection.unsent) == (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
        b"HTTP/1.1 404 Error\r\nContent-Length: 0\r\n\r\n"
    )
    assert not connection.must_close


@pytest.mark.parametrize("data", [GET.replace(b"Host: a", b"Connection: close"), GET.replace(b"1.1", b"1.0")])
def test_the_last_request_of_a_connection(data: bytes) -> None:
    """The connection is closed after the response."""
    connection = HttpConnection()
    receive(connection, data)
    assert not connection.must_close
    connection.respond(OK)
    assert connection.must_close


def test_an_offered_upgrade_is_declined() -> None:
    """Java's client offers HTTP/2 with its first request; this one and those after it are answered in HTTP/1.1."""
    connection = HttpConnection()
    upgrade = b"GET /a HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n"
    assert [request.path for request in receive(connection, upgrade + GET)] == ["/a"]
    connection.respond(OK)
    assert [request.path for request in receive(connection, b"")] == ["/next"]


def test_an_expect_header_is_answered_with_100_continue() -> None:
    """curl waits for it before it sends a long body."""
    connection = HttpConnection()
    head = b"POST /r HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
    assert receive(connection, head) == []
    assert bytes(connection.unsent) == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert [request.body for request in receive(connection, b"{}")] == [b"{}"]


def test_a_long_header_is_read() -> None:
    """A report of an error is one line of up to 1 MiB, in UTF-8."""
    connection = HttpConnection()
    value = "é" * 500_000
    [request] = receive(connection, GET.replace(b"Host: a", b"Cause: " + value.encode()))
    assert request.headers["cause"] == value


def test_a_body_that_is_too_long_is_not_kept() -> None:
    """The request is reported as too large, and the connection stays usable."""
    connection = HttpConnection()
    head = b"POST /r HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % (MAX_BODY_BYTES + 1)
    receive(connection, head)
    receive(connection, b"x" * MAX_BODY_BYTES)
    [request] = receive(connection, b"x")
    assert request.is_too_large
    connection.respond(OK)
    assert len(receive(connection, GET)) == 1


@pytest.mark.parametrize("data", [b"\x16\x03\x01\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/1.1\r\nHost\r\n\r\n"])
def test_what_is_not_http_is_refused(data: bytes) -> None:
    """The error has the response that the client gets."""
    with pytest.raises(HttpError) as raised:
        receive(HttpConnection(), data)
    assert raised.value.response.startswith(b"HTTP/1.1 400 ")


def test_a_flood_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Headers without end, and a body without end."""
    connection = HttpConnection()
    receive(connection, b"GET / HTTP/1.1\r\nX: ")
    with pytest.raises(HttpError) as raised:
        receive(connection, b"x" * (http_connection.MAX_HEADER_BYTES + 1))
    assert raised.value.response.startswith(b"HTTP/1.1 431 ")
    monkeypatch.setattr(http_connection, "MAX_READ_BYTES", 1000)
    connection = HttpConnection()
    receive(connection, b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n7d0\r\n")
    with pytest.raises(HttpError) as raised:
        receive(connection, b"x" * 2000)
    assert raised.value.response.startswith(b"HTTP/1.1 413 ")
