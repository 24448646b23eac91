"""HTTP servers on loopback whose responses a test decides, also wrong ones."""

import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import NamedTuple, Self

# Seconds that a server waits at most. Only a test that fails takes this time.
LIMIT = 120.0


class Received(NamedTuple):
    """A request: its first line, its headers with names in lower case, and its body."""

    line: str
    headers: Mapping[str, str]
    body: bytes


class Server:
    """A server that calls `answer(server, connection)` for each connection, after the request was read.

    With `reads=False` it is called at once. `released` is set when the server is closed, so that an answer can wait.
    """

    def __init__(
        self,
        answer: Callable[["Server", socket.socket], None],
        *,
        tls: ssl.SSLContext | None = None,
        reads: bool = True,
    ):
        self.requests: list[Received] = []
        self.connections = 0
        self.released = threading.Event()
        self._answer, self._tls, self._reads = answer, tls, reads
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._threads: list[threading.Thread] = []
        self._accepting = threading.Thread(target=self._accept)
        self._accepting.start()

    @property
    def url(self) -> str:
        """The URL, with the address and not a name."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}/hook"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.released.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._accepting.join()
        self._listener.close()
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.connections += 1
                thread = threading.Thread(target=self._serve, args=(connection,))
                self._threads.append(thread)
                thread.start()

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(LIMIT)
        # The client may be gone, or refuse the certificate.
        with suppress(OSError):
            try:
                if self._tls:
                    connection = self._tls.wrap_socket(connection, server_side=True)
                if self._reads:
                    self.requests.append(read_request(connection))
                self._answer(self, connection)
            finally:
                connection.close()


def read_request(connection: socket.socket) -> Received:
    """Reads a whole request."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += receive(connection)
    head, _, body = data.partition(b"\r\n\r\n")
    line, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (text.partition(":") for text in lines)}
    while len(body) < int(headers.get("content-length", "0")):
        body += receive(connection)
    return Received(line, headers, body)


def receive(connection: socket.socket) -> bytes:
    """Receives some bytes. Raises ConnectionError at the end."""
    data = connection.recv(65536)
    if not data:
        raise ConnectionError
    return data


def sends(*parts: bytes | Callable[[Received], bytes]) -> Callable[[Server, socket.socket], None]:
    """Returns an answer that sends these bytes, some made of the request, and closes the connection."""

    def answer(server: Server, connection: socket.socket) -> None:
        for part in parts:
            connection.sendall(part(server.requests[-1]) if callable(part) else part)

    return answer


def responds(status: int, body: bytes = b"", **headers: str) -> Callable[[Server, socket.socket], None]:
    """Returns an answer with a well-formed response; `content_type` becomes `content-type`."""
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    head = f"HTTP/1.1 {status} Reason\r\ncontent-length: {len(body)}\r\n{lines}\r\n"
    return sends(head.encode(), body)
