"""Reads HTTP/1.1 requests from the bytes of a connection, and writes their responses. It does no input or output."""

from collections import deque
from collections.abc import Iterator

import httptools

from evtool.aws.http_messages import MAX_BODY_BYTES, Request, Response

# The limit in bytes for all headers. A Lambda runtime reports an error in one line of up to 1 MiB.
MAX_HEADER_BYTES = 2 << 20
# The limit in bytes for a body that is received. A client that is cut off earlier does not read the response.
MAX_READ_BYTES = 256 << 20
PHRASES = {200: "OK", 202: "Accepted"}


class HttpError(Exception):
    """The received bytes are not HTTP, or too many. `response` is what to send before the connection is closed."""

    def __init__(self, status: int):
        super().__init__("not an HTTP/1.1 request")
        self.response = b"HTTP/1.1 %d Refused\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" % status


class _Message:
    """Collects a request from the calls of the parser."""

    def __init__(self) -> None:
        # The complete requests, each with whether another one may follow on the connection.
        self.requests: deque[tuple[Request, bool]] = deque()
        self.parser = httptools.HttpRequestParser(self)
        self.is_in_headers = True
        self.waits_for_continue = False
        self.on_message_begin()

    def on_message_begin(self) -> None:
        self._target = b""
        self._headers: dict[str, str] = {}
        self._body = bytearray()
        self.length = 0

    def on_url(self, part: bytes) -> None:
        self._target += part

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer."""
        self._headers[name.decode("latin-1").lower()] = value.decode(errors="replace")

    def on_headers_complete(self) -> None:
        self.is_in_headers = False
        self.waits_for_continue = self._headers.get("expect", "").lower() == "100-continue"

    def on_body(self, data: bytes) -> None:
        self.length += len(data)
        if self.length <= MAX_BODY_BYTES:
            self._body += data

    def on_message_complete(self) -> None:
        self.is_in_headers = True
        request = Request(
            self.parser.get_method().decode("latin-1"),
            self._target.decode("latin-1"),
            self._headers,
            bytes(self._body),
            self.length > MAX_BODY_BYTES,
        )
        self.requests.append((request, self.parser.should_keep_alive()))


class HttpConnection:
    """One connection of a client. Each request must be answered before the next one is given out."""

    def __init__(self) -> None:
        self.unsent = bytearray()  # bytes to send
        self.must_close = False  # whether the client gets no more on this connection
        self._message = _Message()
        self._header_bytes = 0  # of headers that are not complete
        self._is_answered = True
        self._is_last = False

    def receive(self, data: bytes) -> Iterator[Request]:
        """Yields the requests that are complete with these bytes, which are empty at the end. Raises HttpError."""
        self._parse(data)
        message = self._message
        if message.waits_for_continue:
            message.waits_for_continue = False
            self.unsent += b"HTTP/1.1 100 Continue\r\n\r\n"
        if message.is_in_headers and not message.requests:
            self._header_bytes = self._header_bytes + len(data)
        else:
            self._header_bytes = 0
        if self._header_bytes > MAX_HEADER_BYTES:
            raise HttpError(431)
        if message.length > MAX_READ_BYTES:
            raise HttpError(413)
        while message.requests and self._is_answered:
            request, may_follow = message.requests.popleft()
            self._is_answered, self._is_last = False, not may_follow
            yield request

    def _parse(self, data: bytes) -> None:
        try:
            self._message.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            # The client offers another protocol, and has to take an answer in HTTP/1.1.
            requests, self._message = self._message.requests, _Message()
            self._message.requests = requests
            self._parse(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            raise HttpError(400) from None

    def respond(self, response: Response) -> None:
        """Answers the request that was given out last: adds to `unsent`."""
        lines = [f"HTTP/1.1 {response.status} {PHRASES.get(response.status, 'Error')}"]
        lines += [f"{name}: {value}" for name, value in response.headers]
        lines += [f"Content-Length: {len(response.body)}", "", ""]
        self.unsent += "\r\n".join(lines).encode("latin-1") + response.body
        self.must_close = self._is_last
        self._is_answered = True
