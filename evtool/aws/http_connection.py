"""Reads HTTP/1.1 requests from the bytes of a connection, and writes their responses. It does no input or output."""

from collections.abc import Iterator

import h11

from evtool.aws.http_messages import MAX_BODY_BYTES, Request, Response

MAX_HEADER_BYTES = (
    2 << 20
)  # bytes of all headers: an error report of a Lambda runtime is one header line of up to 1 MiB
PHRASES = {200: "OK", 202: "Accepted"}
MAX_READ_BYTES = 256 << 20  # bytes of a body that are read at all, so that the client gets to read the response


class HttpError(Exception):
    """What came is not HTTP, or too much of it. `response` are the bytes to send before the connection is closed."""

    def __init__(self, response: bytes):
        super().__init__("not an HTTP/1.1 request")
        self.response = response


class HttpConnection:
    """One connection of a client. Each request must be answered before the next one is read."""

    def __init__(self) -> None:
        self.unsent = bytearray()  # bytes to send
        self.must_close = False  # whether the client gets no more on this connection
        self._start_request(b"")

    def _start_request(self, data: bytes) -> None:
        # h11 only reads; a new one for each request costs less than to have it write the responses, too
        self._reader = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEADER_BYTES)
        self._request: h11.Request | None = None
        self._body = bytearray()
        self._length = 0
        self._is_answered = True
        if data:
            self._reader.receive_data(data)

    def receive(self, data: bytes) -> Iterator[Request]:
        """The requests that are complete with these bytes, which are empty at the end. Raises HttpError."""
        try:
            self._reader.receive_data(data)
            while self._is_answered and (request := self._read_request()):
                self._is_answered = False
                yield request
        except h11.RemoteProtocolError as error:
            raise HttpError(self._refuse(error.error_status_hint)) from None

    def _read_request(self) -> Request | None:
        reader = self._reader
        while True:
            event = reader.next_event()
            if isinstance(event, h11.Request):
                self._request = event
                if reader.they_are_waiting_for_100_continue:
                    self.unsent += b"HTTP/1.1 100 Continue\r\n\r\n"
            elif isinstance(event, h11.Data):
                self._add_data(event.data)
            elif isinstance(event, h11.EndOfMessage):
                return self._build_request(event)
            else:
                return None

    def _add_data(self, data: bytes) -> None:
        self._length += len(data)
        if self._length <= MAX_BODY_BYTES:
            self._body += data
        elif self._length > MAX_READ_BYTES:
            raise HttpError(self._refuse(413))

    def _build_request(self, end: h11.EndOfMessage) -> Request:
        assert self._request
        fields = [*self._request.headers, *end.headers]
        headers = {name.decode("ascii"): value.decode(errors="replace") for name, value in fields}
        return Request(
            self._request.method.decode("ascii"),
            self._request.target.decode("ascii"),
            headers,
            bytes(self._body),
            self._length > MAX_BODY_BYTES,
        )

    def respond(self, response: Response) -> None:
        """Answers the request that was read last: adds to `unsent`."""
        lines = [f"HTTP/1.1 {response.status} {PHRASES.get(response.status, 'Error')}"]
        lines += [f"{name}: {value}" for name, value in response.headers]
        lines += [f"Content-Length: {len(response.body)}", "", ""]
        self.unsent += "\r\n".join(lines).encode("latin-1") + response.body
        self.must_close = self._reader.their_state in (h11.MUST_CLOSE, h11.CLOSED, h11.ERROR)
        self._start_request(self._reader.trailing_data[0])

    def _refuse(self, status: int) -> bytes:
        return b"HTTP/1.1 %d Refused\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" % status
