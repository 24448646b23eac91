"""Reads HTTP/1.1 requests from the bytes of a connection, and writes their responses. It does no input or output."""

from collections.abc import Iterator

import h11

from evtool.aws.http_messages import MAX_BODY_BYTES, Request, Response

MAX_HEADER_BYTES = (
    2 << 20
)  # bytes of all headers: an error report of a Lambda runtime is one header line of up to 1 MiB
MAX_READ_BYTES = 256 << 20  # bytes of a body that are read at all, so that the client gets to read the response


class HttpError(Exception):
    """What came is not HTTP, or too much of it. `response` are the bytes to send before the connection is closed."""

    def __init__(self, response: bytes):
        super().__init__("not an HTTP/1.1 request")
        self.response = response


class HttpConnection:
    """One connection of a client. Each request must be answered before the next one is read."""

    def __init__(self) -> None:
        self._connection = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEADER_BYTES)
        self._request: h11.Request | None = None
        self._body = bytearray()
        self._length = 0
        self.unsent = bytearray()  # bytes to send

    def receive(self, data: bytes | None) -> Iterator[Request]:
        """The requests that are complete with these bytes; None if there are no new ones, b"" at the end.

        Raises HttpError.
        """
        try:
            if data is not None:
                self._connection.receive_data(data)
            while request := self._read_request():
                yield request
        except h11.RemoteProtocolError as error:
            raise HttpError(self._refuse(error.error_status_hint)) from None

    def _read_request(self) -> Request | None:
        connection = self._connection
        if connection.our_state is h11.DONE and connection.their_state is h11.DONE:
            connection.start_next_cycle()
        while True:
            event = connection.next_event()
            if isinstance(event, h11.Request):
                self._request, self._length = event, 0
                self._body.clear()
            elif isinstance(event, h11.Data):
                self._add_data(event.data)
            elif isinstance(event, h11.EndOfMessage):
                return self._build_request(event)
            else:
                if event is h11.NEED_DATA and connection.they_are_waiting_for_100_continue:
                    self._send(h11.InformationalResponse(status_code=100, headers=[]))
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
        fields = [*response.headers, ("Content-Length", str(len(response.body)))]
        headers = [(name.encode("ascii"), value.encode()) for name, value in fields]
        self._send(h11.Response(status_code=response.status, headers=headers))
        self._send(h11.Data(data=response.body))
        self._send(h11.EndOfMessage())

    @property
    def must_close(self) -> bool:
        """Whether the client gets no more on this connection."""
        return self._connection.our_state in (h11.MUST_CLOSE, h11.CLOSED, h11.ERROR)

    def _send(self, event: h11.Event) -> None:
        self.unsent += self._connection.send(event) or b""

    def _refuse(self, status: int) -> bytes:
        return b"HTTP/1.1 %d Refused\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" % status
