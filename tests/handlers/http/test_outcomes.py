"""The outcome of each response, and of servers that break the protocol."""

import gzip
import json
import socket
import struct
from threading import Event

import pytest

from evtool.handlers.base import Done, Failed, Unavailable
from tests.handlers.http.conftest import CALL
from tests.support.http_servers import Server, responds, sends

JSON = "application/json"
OK = b"HTTP/1.1 200 OK\r\n"
ENDLESS = b"x" * 65536


def waits(server, connection):
    server.released.wait()


def drips(start):
    """Sends a byte now and then, so that every single read is in time."""

    def answer(server, connection):
        connection.sendall(start)
        while not server.released.wait(0.02):
            connection.sendall(b"a")

    return answer


def floods(start, part):
    """Sends without end."""

    def answer(server, connection):
        connection.sendall(start)
        while not server.released.is_set():
            connection.sendall(part)

    return answer


def resets(server, connection):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


BROKEN = "the connection was closed before the response was complete"
NOT_HTTP = "the response is not HTTP/1.1"
CLOSED = "the connection was closed before there was a response"
MOVED = "redirects are not followed; name the final URL in routes.yaml"

MOVES = [
    (300, "HTTP 300 Multiple Choices"),
    (301, "HTTP 301 Moved Permanently"),
    (302, "HTTP 302 Found"),
    (303, "HTTP 303 See Other"),
    (304, "HTTP 304 Not Modified"),
    (307, "HTTP 307 Temporary Redirect"),
    (308, "HTTP 308 Permanent Redirect"),
]
REFUSALS = [
    (400, "HTTP 400 Bad Request"),
    (401, "HTTP 401 Unauthorized"),
    (404, "HTTP 404 Not Found"),
    (409, "HTTP 409 Conflict"),
    (410, "HTTP 410 Gone"),
]

OUTCOMES = {
    # done
    "200": (responds(200), Done()),
    "200 with text": (responds(200, b"thanks", content_type="text/plain"), Done()),
    "201": (responds(201, b'{"ok": true}', content_type=JSON), Done()),
    "204": (sends(b"HTTP/1.1 204 No Content\r\n\r\n"), Done()),
    "200 without a length": (sends(OK, b"content-type: text/plain\r\n\r\nthanks"), Done()),
    "200 in chunks": (sends(OK, b"transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"), Done()),
    "interim responses": (sends(b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" * 3, OK, b"\r\n"), Done()),
    "100 without being asked": (sends(b"HTTP/1.1 100 Continue\r\n\r\n" * 3, OK, b"\r\n"), Done()),
    "empty JSON": (responds(200, b"", content_type=JSON), Done()),
    "a list": (responds(200, b"[1]", content_type=JSON), Done()),
    "HTTP/1.0": (sends(b"HTTP/1.0 200 OK\r\n\r\nok"), Done()),
    # done with a note
    "endless text": (
        floods(OK + b"content-type: text/plain\r\n\r\n", ENDLESS),
        Done(output="evtool: the response is longer than 1MiB; the rest was not read"),
    ),
    "not JSON": (
        responds(200, b"OK", content_type=JSON),
        Done(output="evtool: the response is not JSON: OK is not a value"),
    ),
    "emit as text": (
        responds(200, b'{"emit": []}', content_type="text/html"),
        Done(output="evtool: the response has `emit`, but is not JSON: its Content-Type is text/html"),
    ),
    # dead at once
    **{str(status): (responds(status, location="http://127.0.0.1:1/"), f"{text}: {MOVED}") for status, text in MOVES},
    **{str(status): (responds(status), text) for status, text in REFUSALS},
}


@pytest.mark.parametrize("name", OUTCOMES)
def test_final_responses(send, name):
    """The delivery is done, or a dead letter at once. evtool does not follow redirects."""
    answer, expected = OUTCOMES[name]
    with Server(answer) as server:
        outcome = send(server.url)

    if isinstance(expected, str):
        assert (outcome.error, outcome.final, outcome.outcome) == (expected, True, "failed")
        assert outcome.code == f"HTTP {name}"
    else:
        assert outcome == expected
    assert server.connections == 1


BAD_RESULTS = {
    "endless JSON": (
        floods(OK + b"content-type: application/json\r\n\r\n", ENDLESS),
        "the response is longer than 1MiB, so that events in it cannot be read",
    ),
    "broken JSON with emit": (
        responds(200, b'{"emit": [', content_type=JSON),
        "the response is not JSON: line 1, column 11: ",
    ),
    "emit is an object": (responds(200, b'{"emit": {}}', content_type=JSON), "`emit` of the response is not a list"),
    "an event that is not one": (
        responds(200, b'{"emit": [{"DetailType": "a", "Detail": {}}, 5]}', content_type=JSON),
        "event 2 in `emit` of the response: an object is expected",
    ),
    "compressed": (
        responds(200, gzip.compress(b"0" * 9_000_000), content_type=JSON, content_encoding="gzip"),
        "the response is compressed (gzip), which was not asked for",
    ),
    "too many": (
        responds(200, json.dumps({"emit": [{"DetailType": "a", "Detail": {}}] * 101}).encode(), content_type=JSON),
        "emitted more than 100 events (emit_limit)",
    ),
}


@pytest.mark.parametrize("name", BAD_RESULTS)
def test_unusable_emit_is_a_bad_result(send, name):
    """The delivery becomes a dead letter, since another attempt would not help."""
    answer, error = BAD_RESULTS[name]
    with Server(answer) as server:
        outcome = send(server.url)

    assert isinstance(outcome, Failed)
    assert (outcome.outcome, outcome.final) == ("bad-result", True)
    assert outcome.error.startswith(error)


RETRIED = {
    **{f"{status}": (responds(status), f"HTTP {status}") for status in (408, 425, 429, 500, 501, 502, 503, 504, 599)},
    "101": (responds(101), "HTTP 101 Switching Protocols: it is not a final response"),
    "999": (responds(999), "HTTP 999"),
    "interim responses without end": (floods(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"), "HTTP 103 Early Hints: "),
    "closed at once": (sends(), CLOSED),
    "reset": (resets, CLOSED),
    "closed in the first line": (sends(b"HTTP/1.1 200"), CLOSED),
    "closed in a header": (sends(OK, b"content-le"), CLOSED),
    "closed before the end of the head": (sends(OK), CLOSED),
    "closed in the body": (sends(OK, b"content-length: 10\r\n\r\nabc"), BROKEN),
    "closed in a chunk": (sends(OK, b"transfer-encoding: chunked\r\n\r\n9\r\nabc"), BROKEN),
    "no chunk": (sends(OK, b"transfer-encoding: chunked\r\n\r\nzz\r\nabc"), BROKEN),
    "HTTP/0.9": (sends(b"<html>hello</html>"), NOT_HTTP),
    "zeros": (sends(b"\0" * 100), NOT_HTTP),
    "HTTP/2": (sends(b"\0\0\x12\x04\0\0\0\0\0" + b"\0" * 18), NOT_HTTP),
    "status of letters": (sends(b"HTTP/1.1 abc OK\r\n\r\n"), NOT_HTTP),
    "a header without end": (floods(OK + b"a: ", ENDLESS), NOT_HTTP),
    "headers without end": (floods(OK, b"a: b\r\n"), NOT_HTTP),
    "a chunk size without end": (floods(OK + b"transfer-encoding: chunked\r\n\r\n", b"1" * 65536), NOT_HTTP),
}


@pytest.mark.parametrize("name", RETRIED)
def test_temporary_failures_are_retried(send, name):
    answer, error = RETRIED[name]
    with Server(answer) as server:
        outcome = send(server.url)

    assert isinstance(outcome, Failed)
    assert outcome.error.startswith(error)
    assert (outcome.outcome, outcome.final) == ("failed", False)


SLOW = {
    "no response": waits,
    "a head in drips": drips(b""),
    "a header in drips": drips(OK + b"a: "),
    "a body in drips": drips(OK + b"content-length: 1000000\r\n\r\n"),
    "a body without length in drips": drips(OK + b"\r\n"),
    "a chunk in drips": drips(OK + b"transfer-encoding: chunked\r\n\r\nfffff\r\n"),
    "a chunk extension in drips": drips(OK + b"transfer-encoding: chunked\r\n\r\n1;"),
    "trailers without end": floods(OK + b"transfer-encoding: chunked\r\n\r\n0\r\n", b"a: b\r\n"),
    "100 without end": floods(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
}


@pytest.mark.parametrize("name", SLOW)
def test_time_limit_covers_the_whole_exchange(send, name):
    """A byte now and then does not extend it."""
    with Server(SLOW[name]) as server:
        outcome = send(server.url, timeout="300ms")

    assert outcome == Failed("took longer than 0.3s (timeout)", "timeout")


def test_time_limit_covers_sending(send):
    """A server that does not read the request does not block the handler."""
    with Server(waits, reads=False) as server:
        outcome = send(server.url, CALL._replace(raw=b" " * 30_000_000), timeout="300ms")

    assert outcome == Failed("took longer than 0.3s (timeout)", "timeout")


def test_status_counts_if_its_body_does_not_end(send):
    """evtool knows the status of an error before its body."""
    with Server(drips(b"HTTP/1.1 404 Not Found\r\n\r\n")) as server:
        outcome = send(server.url, timeout="300ms")

    assert (outcome.error, outcome.final) == ("HTTP 404 Not Found", True)


def test_response_may_come_before_the_end_of_the_request(send):
    """A server may refuse a long request without reading it."""

    def refuse(server, connection):
        connection.sendall(b"HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\n\r\n")
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(1 << 20):
            pass

    with Server(refuse, reads=False) as server:
        outcome = send(server.url, CALL._replace(raw=b" " * 5_000_000))

    assert outcome.code == "HTTP 413"


def test_delivery_waits_if_nothing_was_sent(send):
    """It uses no attempt."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]

    url = f"http://127.0.0.1:{port}"
    assert send(f"{url}/secret-path") == Unavailable(f"{url} cannot be reached: the connection is refused")


def test_delivery_waits_for_an_unknown_name(send, monkeypatch):

    def fail(*arguments, **options):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)

    assert send("http://nowhere.test/x") == Unavailable("http://nowhere.test cannot be reached: its name is not found")


def test_time_limit_covers_the_look_up_of_the_name(send, monkeypatch):
    released = Event()

    def hang(host, *arguments, flags=0, **options):
        if flags:
            raise socket.gaierror
        released.wait()
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    outcome = send("http://slow.test/x", timeout="200ms")
    released.set()

    assert outcome == Unavailable("http://slow.test cannot be reached: its name was not found in time")


MESSAGES = {
    "text": (responds(400, b"no field  orderId\n", content_type="text/plain"), "no field orderId"),
    "message": (responds(400, b'{"message": "no orderId"}', content_type=JSON), "no orderId"),
    "problem": (responds(400, b'{"detail": "no orderId"}', content_type="application/problem+json"), "no orderId"),
    "nested": (responds(400, b'{"error": {"message": "no orderId"}}', content_type=JSON), "no orderId"),
}


@pytest.mark.parametrize("name", MESSAGES)
def test_error_contains_the_message_of_the_server(send, name):
    answer, message = MESSAGES[name]
    with Server(answer) as server:
        outcome = send(server.url)

    assert outcome.error == f"HTTP 400 Bad Request: {message}"


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_seconds_or_a_date(send, status):
    """A date is compared with the date of the server."""
    dates = {"date": "Mon, 30 Nov 2026 09:00:00 GMT", "retry_after": "Mon, 30 Nov 2026 09:05:00 GMT"}
    with Server(responds(status, retry_after="120")) as server:
        assert send(server.url).retry_after == 120
    with Server(responds(status, **dates)) as server:
        assert send(server.url).retry_after == 300
    for value in ("-5", "soon", "1e9", "²", "Mon, 99 Nov 2026 09:05:00 GMT", "Sun, 01 Jan 1990 00:00:00 GMT"):
        with Server(responds(status, retry_after=value)) as server:
            assert send(server.url).retry_after == 0
    with Server(responds(status, retry_after="9" * 100)) as server:
        assert send(server.url).retry_after == 3650 * 86400
