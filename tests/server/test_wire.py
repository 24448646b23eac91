"""Connections that are slow, broken, greedy or hostile: each gets an answer or its end, and no other client waits."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from evtool.server.http import protocol
from evtool.server.http.runner import open_sockets
from tests.support.server import RunningServer, make_project, run_server

BODY = json.dumps({"Entries": [{"Source": "shop", "DetailType": "order.created", "Detail": "{}"}]}).encode()
HEAD = b"POST / HTTP/1.1\r\nHost: localhost\r\nX-Amz-Target: AWSEvents.PutEvents\r\n"
GOOD = HEAD + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY
LAST = GOOD.replace(b"Host:", b"Connection: close\r\nHost:")


@pytest.fixture
def impatient(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, loopback: None
) -> Iterator[RunningServer]:
    """A server that waits for no client longer than it must."""
    monkeypatch.setattr(protocol, "IDLE_SECONDS", 0.2)
    with run_server(make_project(tmp_path_factory.mktemp("project"))) as running:
        yield running


def read_all(connection: socket.socket) -> bytes:
    """Reads until the server closes the connection."""
    parts = []
    while part := connection.recv(1 << 16):
        parts.append(part)
    return b"".join(parts)


def split_responses(data: bytes) -> list[tuple[int, Any]]:
    """The status and the JSON of each response."""
    responses = []
    while data:
        head, _, data = data.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        responses.append((int(head.split()[1]), json.loads(data[:length])))
        data = data[length:]
    return responses


def read_response(connection: socket.socket) -> tuple[int, Any]:
    """One response of a connection that stays open."""
    data = b""
    while b"\r\n\r\n" not in data or data.endswith(b"\r\n\r\n"):
        data += connection.recv(1 << 16)
    (response,) = split_responses(data)
    return response


def exchange(server: RunningServer, data: bytes, *, half_close: bool = False) -> list[tuple[int, Any]]:
    """The responses to some bytes, until the server closes."""
    with server.connect() as connection:
        connection.sendall(data)
        if half_close:
            connection.shutdown(socket.SHUT_WR)
        return split_responses(read_all(connection))


def test_slow_clients_delay_no_other(server: RunningServer) -> None:
    """While many requests arrive byte by byte, others are answered."""
    with ExitStack() as at_exit:
        slow = [at_exit.enter_context(server.connect()) for _ in range(50)]
        for number, connection in enumerate(slow):
            connection.sendall(LAST[: number * 7])
        assert server.call("PutEvents", BODY).status == 200
        for number, connection in enumerate(slow):
            connection.sendall(LAST[number * 7 :])
        assert [split_responses(read_all(connection))[0][0] for connection in slow] == [200] * len(slow)
    assert len(server.read_events()) == 51


def test_client_that_reads_nothing_delays_no_other(impatient: RunningServer) -> None:
    """A client that sends many requests and reads no response is not read from any more; others are answered."""
    with impatient.connect() as greedy:
        greedy.setblocking(False)
        sent = 0
        try:
            while sent < 50 << 20:
                sent += greedy.send(GOOD * 100)
        except BlockingIOError:
            pass
        assert impatient.call("PutEvents", BODY).status == 200
        assert sent < 50 << 20


def test_responses_are_not_held_back(loopback: None) -> None:
    """The sockets name TCP: asyncio then switches off Nagle's algorithm, which holds a response back for 40 ms."""
    (listener,) = open_sockets("127.0.0.1", 0)
    with listener:
        assert listener.proto == socket.IPPROTO_TCP


def test_pipelined_requests_are_answered_in_order(server: RunningServer) -> None:
    """Several requests are sent together. The last one is not HTTP."""
    bad = GOOD.replace(b"PutEvents", b"PutRule  ")
    responses = exchange(server, GOOD + bad + GOOD + LAST)
    assert [status for status, _ in responses] == [200, 400, 200, 200]

    responses = exchange(server, GOOD + GOOD + b"\0garbage\r\n\r\n")
    assert [status for status, _ in responses] in ([200, 200], [200, 200, 400])
    assert len(server.read_events()) == 5


def test_two_hosts_are_refused(server: RunningServer) -> None:
    """A proxy in front of the server could use the other one of two `Host` headers."""
    two = LAST.replace(b"Host: localhost\r\n", b"Host: localhost\r\nHost: evil.example\r\n")
    assert [status for status, _ in exchange(server, two)] == [403]


def test_half_closed_connection_gets_its_response(server: RunningServer) -> None:
    """A client may close its side after the request."""
    assert [status for status, _ in exchange(server, GOOD, half_close=True)] == [200]
    assert len(server.read_events()) == 1


@pytest.mark.parametrize(
    "data",
    [
        HEAD,
        HEAD + b"Content-Length: 10\r\n\r\n{",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nabc",
    ],
)
def test_request_that_ends_early_stores_nothing(server: RunningServer, data: bytes) -> None:
    """A client that goes away in the middle of a request leaves nothing."""
    with server.connect() as connection:
        connection.sendall(data)
    assert exchange(server, data, half_close=True) == []
    assert server.read_events() == []
    assert server.read_log() == []


@pytest.mark.parametrize(
    "data",
    [
        b"\0\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost localhost\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
        HEAD + b"Content-Length: -1\r\n\r\n",
        HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nnope\r\n",
    ],
)
def test_what_is_not_http_is_400_in_json(server: RunningServer, data: bytes) -> None:
    """Bytes that are not an HTTP request are answered in JSON, and the connection is closed."""
    ((status, body),) = exchange(server, data)

    assert (status, body["__type"]) == (400, "ValidationException")
    assert server.read_log() == []


@pytest.mark.parametrize(
    "data",
    [
        HEAD + b"X-Long: " + b"x" * 70_000 + b"\r\nContent-Length: 0\r\n\r\n",
        HEAD + b"X-Long: " + b"x" * 400_000,
        HEAD + b"".join(b"X-%d: 1\r\n" % number for number in range(20_000)),
        b"GET /" + b"x" * 400_000,
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + b"X-Trailer: 1\r\n" * 40_000,
    ],
)
def test_huge_headers_are_refused(server: RunningServer, data: bytes) -> None:
    """Headers have an upper limit, whether they are complete or not."""
    with server.connect() as connection:
        try:
            connection.sendall(data)
            (status, body), *others = split_responses(read_all(connection))
        except (ConnectionResetError, BrokenPipeError):
            return  # it was refused before all was sent
    assert (status, body["__type"], others) == (431, "RequestHeaderFieldsTooLargeException", [])


def test_long_body_is_not_waited_for(server: RunningServer) -> None:
    """A client that asks first (`Expect`) is refused at once; one that does not is answered after its body."""
    expecting = HEAD + b"Expect: 100-continue\r\nContent-Length: 7000000\r\n\r\n"
    ((status, body),) = exchange(server, expecting)
    assert (status, body["__type"]) == (413, "RequestEntityTooLargeException")

    long = HEAD + b"Connection: close\r\nContent-Length: 7000000\r\n\r\n" + b" " * 7_000_000
    assert [status for status, _ in exchange(server, long)] == [413]


def test_expected_body_is_asked_for(server: RunningServer) -> None:
    """curl asks before it sends a long body."""
    with server.connect() as connection:
        connection.sendall(LAST.replace(b"Host:", b"Expect: 100-continue\r\nHost:")[: -len(BODY)])
        assert connection.recv(100).startswith(b"HTTP/1.1 100 Continue\r\n\r\n")
        connection.sendall(BODY)
        assert [status for status, _ in split_responses(read_all(connection))] == [200]


def test_chunked_body_and_http_10(server: RunningServer) -> None:
    """A body may come in chunks with a trailer, and a client may speak HTTP/1.0."""
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (BODY[:9], BODY[9:]))
    chunked = HEAD + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\nX-Trailer: 1\r\n\r\n"
    assert [status for status, _ in exchange(server, chunked)] == [200]
    assert [status for status, _ in exchange(server, GOOD.replace(b"HTTP/1.1", b"HTTP/1.0"))] == [200]
    upgrade = LAST.replace(b"Host:", b"Upgrade: h2c\r\nHost:").replace(b"close", b"close, Upgrade")
    assert [status for status, _ in exchange(server, upgrade)] == [200]
    assert len(server.read_events()) == 3


@pytest.mark.parametrize(
    ("data", "statuses"),
    [
        (b"", []),
        (b"POST / HT", [408]),
        (HEAD, [408]),
        (HEAD + b"Content-Length: 10\r\n\r\n{", [408]),
        (GOOD + HEAD, [200, 408]),
    ],
)
def test_idle_client_is_sent_away(impatient: RunningServer, data: bytes, statuses: list[int]) -> None:
    """A client that does not go on with its request gets 408, and one that sends nothing its end."""
    responses = exchange(impatient, data)

    assert [status for status, _ in responses] == statuses
    assert all(body["__type"] == "RequestTimeoutException" for status, body in responses if status == 408)


def test_idle_connection_between_requests_stays(impatient: RunningServer) -> None:
    """A client keeps its connection between requests, as the SDKs do."""
    with impatient.connect() as connection, impatient.connect() as watch:
        connection.sendall(GOOD)
        assert read_response(connection)[0] == 200
        assert watch.recv(1) == b""  # it was idle longer than one is waited for
        connection.sendall(LAST)
        assert [status for status, _ in split_responses(read_all(connection))] == [200]


def test_too_many_connections_are_refused(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Above the limit a connection gets 503, which every SDK tries again; those that are open go on."""
    monkeypatch.setattr(protocol, "MAX_CONNECTIONS", 3)
    with ExitStack() as at_exit:
        opened = [at_exit.enter_context(server.connect()) for _ in range(3)]
        for connection in opened:
            connection.sendall(GOOD)
            assert read_response(connection)[0] == 200
        with server.connect() as refused:
            ((status, body),) = split_responses(read_all(refused))
        assert (status, body["__type"]) == (503, "ServiceUnavailable")
        opened[0].sendall(GOOD)
        assert read_response(opened[0])[0] == 200


def test_concurrent_clients_lose_nothing(server: RunningServer) -> None:
    """Every id that many clients got at the same time is stored."""
    ids: list[str] = []

    def send() -> None:
        with server.connect() as connection:
            connection.sendall(GOOD * 19 + LAST)
            for _, body in split_responses(read_all(connection)):
                ids.extend(entry["EventId"] for entry in body["Entries"])

    threads = [threading.Thread(target=send) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ids) == 200
    assert {event.id for event in server.read_events()} == {*ids}
